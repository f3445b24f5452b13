"""Probe: one decode of a picture gives everything that the filters need.

What is measured of many pictures is held in arrays: FIGURES, some hundred bytes a picture, in memory; THUMBS, nine
thousand, on disk until two pictures must be compared.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import imagehash
import numpy as np
from PIL import Image

from gravurekit import quality, toning
from gravurekit.color import rgb_to_lab
from gravurekit.images import EXTENSIONS, Picture, resize
from gravurekit.record import Record
from gravurekit.relevance import figure

REVISION = 4
HASH_ALGORITHM = "imagehash-4 phash 64"  # of Record.phash; the 256-bit codes are ours, and stay here
HASH_SIDE = 16  # 256 bits
THUMB_SIDE = 64
COLOR_SIDE = 16
WORK_SIDE = 512  # longer side of the copy that figures are taken of
BORDER_SPREAD = 12.0  # grey levels: a row or column whose mean is so like that of the outermost one may be margin,
BORDER_STEP, BORDER_SPECKS = 40.0, 2  # if hardly a pixel of it differs so much: where a drawing's finest tip begins
WHOLE, TRIMMED, CENTRE, BARLESS = range(4)  # the frames of a picture that have codes
_LAST = THUMB_SIDE - 1
VIEWS = {  # of which frame, and through which window: two of the frames are made of the two others
    CENTRE: (TRIMMED, np.array([[0.96, 0, 0.02 * _LAST], [0, 0.96, 0.02 * _LAST]], np.float32)),  # cropped a little
    BARLESS: (WHOLE, np.array([[1, 0, 0], [0, 0.91, 0]], np.float32)),  # without a bar for a caption below
}
NAMES = tuple(dict.fromkeys(EXTENSIONS.values()))  # what `extension` counts

FIGURES = np.dtype(
    [
        ("sha256", "u1", (32,)),  # of the file
        ("pixels_sha256", "u1", (32,)),
        ("bytes", "<u8"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("frame", "<u4", (4,)),  # left, top, width, height without a flat margin; pixels of the picture
        ("extension", "u1"),  # by content: an index into NAMES
        ("private", "u1"),  # 1: carries EXIF or the like
        ("phash", "<u8", (2,)),  # imagehash.phash of the whole picture, and of the thumb of the trimmed one
        ("codes", "<u8", (4, 4)),  # 256 bits of each frame: `code`
        ("chroma", "<f4"),  # mean chroma, Lab units
        ("chroma_residual", "<f4"),  # colour that no toning gives, Lab units: `toning.chroma_residual`
        *((name, "<f4") for name in quality.FIGURES),
        ("figure", "<f4", (len(figure.FEATURES),)),  # nan: not asked for
    ]
)
THUMBS = np.dtype(
    [
        ("luma", "u1", (2, THUMB_SIDE, THUMB_SIDE)),  # grey levels of both frames
        ("ab", "u1", (2, COLOR_SIDE, COLOR_SIDE, 2)),  # a+128 and b+128 of both frames
    ]
)


def _nowhere() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Probes:
    """What is known of N pictures, row by row. The first `earlier` of them lie in other folders: they are compared
    with, and never dropped."""

    records: Sequence[Record]
    figures: np.ndarray  # (N,) FIGURES
    thumbs: np.ndarray  # (≥ N,) THUMBS, maybe on disk
    places: np.ndarray  # (N,) int64: which of the thumbs is a picture's
    roots: tuple[Path, ...] = ()  # folders that the pictures lie in
    homes: np.ndarray = field(default_factory=_nowhere)  # (N,) int64: which of the roots is a picture's
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)  # that sent the same bytes once more, by key
    earlier: int = 0

    def __len__(self) -> int:
        return len(self.records)

    def take(self, rows: np.ndarray) -> "Probes":
        """The pictures in `rows`, (M,) int64, in that order."""
        records = [self.records[row] for row in rows.tolist()]
        homes = self.homes[rows] if len(self.homes) else self.homes
        return Probes(records, self.figures[rows], self.thumbs, self.places[rows], self.roots, homes, self.hosts)

    def after(self, earlier: "Probes") -> "Probes":
        """`earlier` and these, for comparing. Both must have their thumbs in one array."""
        return Probes(
            [*earlier.records, *self.records],
            np.concatenate([earlier.figures, self.figures]),
            self.thumbs,
            np.concatenate([earlier.places, self.places]),
            earlier.roots + self.roots,
            np.concatenate([earlier.homes, self.homes + len(earlier.roots)]),
            self.hosts,
            earlier=len(earlier),
        )

    def look(self, rows: np.ndarray) -> np.ndarray:
        """The thumbs of `rows`, (M,) int64 → (M,) THUMBS, in memory."""
        return np.asarray(self.thumbs[self.places[rows]])

    def path(self, row: int) -> Path:
        """The file of a picture."""
        return self.roots[self.homes[row]] / self.records[row].file_name


def measure(picture: Picture, sha256: str, size: int, figures_too: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """All figures of a decoded picture, () FIGURES and () THUMBS. `sha256` (hex) and `size` (bytes) are its file's;
    `figures_too`: look for a figure as well, which takes longer than all the rest."""
    pixels = picture.pixels
    small = _work_copy(pixels)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    inside = margins(grey)
    reduced = _by_area(small, 128)
    lab = rgb_to_lab(reduced)
    figures, thumbs = np.zeros((), FIGURES), np.zeros((), THUMBS)
    figures["sha256"] = np.frombuffer(bytes.fromhex(sha256), np.uint8)
    figures["pixels_sha256"] = np.frombuffer(pixels_digest(pixels), np.uint8)
    figures["bytes"], figures["width"], figures["height"] = size, picture.width, picture.height
    figures["frame"] = _frame(inside, grey.shape, pixels.shape)
    figures["extension"], figures["private"] = NAMES.index(picture.extension), picture.private
    figures["chroma"] = cv2.mean(cv2.magnitude(lab[..., 1], lab[..., 2]))[0]
    figures["chroma_residual"] = toning.chroma_residual(reduced, lab)
    for name, value in quality.measure(small, grey).items():
        figures[name] = value
    figures["figure"] = figure.features(small) if figures_too else np.nan
    thumbs["luma"][WHOLE], thumbs["ab"][WHOLE] = _by_area(grey, THUMB_SIDE), _ab(lab)
    if grey[inside].shape == grey.shape:
        thumbs["luma"][TRIMMED], thumbs["ab"][TRIMMED] = thumbs["luma"][WHOLE], thumbs["ab"][WHOLE]
    else:
        thumbs["luma"][TRIMMED] = _by_area(grey[inside], THUMB_SIDE)
        thumbs["ab"][TRIMMED] = _ab(rgb_to_lab(_by_area(small[inside], 128)))
    figures["phash"] = phash(pixels), phash(thumbs["luma"][TRIMMED])
    views = [warped(thumbs["luma"][frame], window) for frame, window in VIEWS.values()]
    figures["codes"] = [code(luma) for luma in (*thumbs["luma"], *views)]
    return figures, thumbs


def pixels_digest(pixels: np.ndarray) -> bytes:
    """32 bytes: sha256 over the pixels, (H, W, 3) uint8, and their shape."""
    total = hashlib.sha256(np.ascontiguousarray(pixels).data)
    total.update(str(pixels.shape).encode("ascii"))
    return total.digest()


def code(luma: np.ndarray) -> np.ndarray:
    """(64, 64) uint8 grey → (4,) uint64: which of the 16 × 16 lowest DCT coefficients lie above their median.

    The hash of imagehash.phash(hash_size=16), but of a picture that was reduced by area, which is ten times as quick;
    its bits are not imagehash's. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010).
    """
    low = cv2.dct(luma.astype(np.float32))[:HASH_SIDE, :HASH_SIDE].ravel()
    half = low.size // 2
    middle = np.partition(low, (half - 1, half))[half - 1 : half + 1].mean()  # the median, in a third of the time
    return np.packbits(low > middle).view(np.uint64)


def warped(luma: np.ndarray, window: np.ndarray) -> np.ndarray:
    """(64, 64) uint8 grey through `window`, (2, 3) float32: which place of it each pixel shows → the same kind."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(luma, window, luma.shape, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def phash(pixels: np.ndarray) -> int:
    """imagehash.phash of (H, W) grey or (H, W, 3) sRGB uint8: 64 bits, the first one highest."""
    return int(str(imagehash.phash(Image.fromarray(pixels))), 16)


def _frame(inside: tuple[slice, slice], small: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The trimmed frame in pixels of the picture: left, top, width, height."""
    sides = []
    for part, reduced, whole in zip(inside, small, full, strict=False):
        first, last, _ = part.indices(reduced)
        start, end = round(first * whole / reduced), round(last * whole / reduced)
        sides.append((start, max(1, end - start)))
    (top, height), (left, width) = sides
    return left, top, width, height


def _ab(lab: np.ndarray) -> np.ndarray:
    return np.clip(resize(lab, COLOR_SIDE, COLOR_SIDE)[..., 1:] + 128, 0, 255).astype(np.uint8)


def _work_copy(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → the same at a long side of WORK_SIDE, or as it is if that is smaller. Halved, and then
    bilinear: five times as quick as by area, and without moiré too. Its sides can be halved again, thrice."""
    height, width = pixels.shape[:2]
    scale = WORK_SIDE / max(width, height)
    if scale >= 1:
        return pixels
    size = max(8, round(width * scale / 8) * 8), max(8, round(height * scale / 8) * 8)
    while pixels.shape[1] >= 2 * size[0] and pixels.shape[0] >= 2 * size[1]:
        pixels = _half(pixels)  # of so many rows and columns the last may go
    return cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def _by_area(pixels: np.ndarray, side: int) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 → the same kind, `side` × `side`."""
    while min(pixels.shape[:2]) >= 2 * side and not (pixels.shape[0] % 2 or pixels.shape[1] % 2):
        pixels = _half(pixels)
    return resize(pixels, side, side)


def _half(pixels: np.ndarray) -> np.ndarray:
    """Reduced by two, by area: for that OpenCV has a quick way, and none for fractions. Without an odd last row."""
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    return cv2.resize(pixels[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)


def margins(grey: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of (H, W) uint8 that lie inside a flat margin (white page, letterbox). A margin that would take
    more than 80 % of the height or width is none."""
    height, width = grey.shape

    def margin(turned: np.ndarray) -> int:
        """How many rows from the top are like the first one, but for specks; 0 if all are."""
        for rows in (turned[:16], turned):  # most pictures have no margin, which a few rows tell
            flat = _like_the_first(rows)
            if not flat.all():
                return int(np.argmin(flat))
        return 0

    across = cv2.transpose(grey)
    top, bottom = margin(grey), margin(cv2.flip(grey, 0))
    left, right = margin(across), margin(cv2.flip(across, 0))
    if top + bottom > 0.8 * height or left + right > 0.8 * width:
        return slice(None), slice(None)
    return slice(top, height - bottom), slice(left, width - right)


def _like_the_first(rows: np.ndarray) -> np.ndarray:
    """(H, W) uint8 → (H,) bool: which rows are of one tone with the first one, but for specks."""
    level = float(rows[0].mean())
    steps = cv2.absdiff(rows, round(level))  # type: ignore[call-overload]  # a number will do
    far = cv2.threshold(steps, BORDER_STEP, 1, cv2.THRESH_BINARY)[1]
    specks = cv2.reduce(far, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    means = cv2.reduce(rows, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel()
    return (specks <= BORDER_SPECKS) & (np.abs(means - level) < BORDER_SPREAD)
