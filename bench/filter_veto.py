"""Look-alikes that differ in a part: garments in another colour, frames around another picture; and copies with other
colours or something stamped on them, which are to be found nevertheless.

- recoloured: a patch of one colour near the middle of a photograph, found by k-means in Lab, has its hue turned in Lab,
  or is dyed where it has none; its lightness stays. Counted are those whose colour moves by at least VISIBLE.
- shared frame: two different pictures are laid over the middle of a third one, which stays around both as a frame.
- altered copies: white balance, saturation, brightness, words, logos and bars in colours, as they are met on the web.

Every pair is probed as if both were files, and goes through the filter itself, with --thorough and without.
"""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from filter_goals import Goal, at_most, least, say

from gravurekit import alignment, crafts, folder, images, probe
from gravurekit.color import lab_to_rgb, rgb_to_lab
from gravurekit.edits import QUALITY
from gravurekit.executor import make_executor
from gravurekit.filters import Compare, Pair
from gravurekit.images import Picture, decode, encode_jpeg, resize
from gravurekit.probe import Probes
from gravurekit.record import Record
from gravurekit.stages._comparing import proof

TURNS = (60, 90, 120, 180)  # degrees of hue
VISIBLE = 25.0  # mean a,b distance of a patch before and after
DYE = 30.0  # chroma that a patch without colour has after half a turn, were it given one
AREAS = (0.015, 0.03, 0.06, 0.10, 0.20, 0.35)  # bounds of a patch's share of the frame
PATCHES = 2  # of a photograph
INSIDES = (0.06, 0.10, 0.15, 0.20, 0.30, 0.40, 0.60)  # shares of the page that the inside of a frame takes
PAGE = 800  # longer side of a page, pixels
LEAST_AREA, LEAST_INSIDE = 0.03, 0.10  # below these much goes unseen
Rng = np.random.Generator
Task = tuple[str, tuple[str, ...], str]  # what is made, of which files, a key that chance follows from


class Seen(NamedTuple):
    """A pair: of which kind, its size or name, how far its colours are apart, whether one is grey; and whether it was
    taken for one, as set by default and thoroughly."""

    kind: str
    size: float
    name: str
    moved: float
    grey: bool
    taken: bool
    thorough: bool


# ---- another colour ------------------------------------------------------------------------------------


def patches(pixels: np.ndarray) -> list[np.ndarray]:
    """(H, W, 3) uint8 sRGB → (H, W) float32 0..1 each: pieces of one colour that lie near the middle, the nearest and
    largest first, of 1.5 to 35 % of the frame."""
    height, width = pixels.shape[:2]
    scale = 160 / max(height, width)
    lab = rgb_to_lab(resize(pixels, round(width * scale), round(height * scale)))
    smooth = cv2.bilateralFilter(lab, 7, 12, 5)
    cv2.setRNGSeed(1)
    _, labels, _ = cv2.kmeans(
        (smooth * (0.5, 1, 1)).reshape(-1, 3).astype(np.float32), 6, None, (3, 15, 1.0), 1, cv2.KMEANS_PP_CENTERS
    )
    edge = np.ones(lab.shape[:2], bool)
    edge[2:-2, 2:-2] = False
    found = []
    for cluster in range(6):
        mask = (labels.reshape(lab.shape[:2]) == cluster).astype(np.uint8)
        count, pieces, stats, centres = cv2.connectedComponentsWithStats(
            cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        )
        for n in range(1, count):
            piece = pieces == n
            share = stats[n, cv2.CC_STAT_AREA] / piece.size
            off = float(np.abs(centres[n] / lab.shape[1::-1] - 0.5).sum())
            if AREAS[0] <= share <= AREAS[-1] and off <= 0.35 and (edge & piece).sum() <= 0.12 * edge.sum():
                whole = cv2.morphologyEx(piece.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
                found.append((off - share, cv2.resize(whole.astype(np.float32), (width, height))))
    return [mask for _, mask in sorted(found, key=lambda one: one[0])]


def recolored(pixels: np.ndarray, mask: np.ndarray, degrees: float, rng: Rng) -> tuple[np.ndarray, float]:
    """The patch in another colour, (H, W, 3) uint8 sRGB, and how far its colours moved, mean a,b distance."""
    lab, inside = rgb_to_lab(pixels), mask > 0.5
    ab = lab[..., 1:]
    mean, turn = ab[inside].mean(axis=0), np.radians(degrees * rng.choice([-1, 1]))
    if np.hypot(*mean) < DYE / 2:
        hue = rng.uniform(0, 2 * np.pi)
        turned = ab - mean + 2 * DYE * np.sin(abs(turn) / 2) * np.array([np.cos(hue), np.sin(hue)])
    else:
        turned = ab @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    soft = cv2.GaussianBlur(mask, (0, 0), 1.0)[..., None]
    lightness = np.clip(lab[..., :1], 15, 88)  # where there is room for a colour
    new = np.concatenate([lightness, turned], axis=2)
    made = lab_to_rgb((lab * (1 - soft) + new * soft).astype(np.float32))
    moved = (rgb_to_lab(made) - lab)[inside][:, 1:]
    return made, float(np.hypot(moved[:, 0], moved[:, 1]).mean())


def recolorings(files: Sequence[str], rng: Rng) -> Iterator[Seen]:
    pixels = images.read(Path(files[0])).pixels
    for mask in patches(pixels)[:PATCHES]:
        area = float((mask > 0.5).mean())
        for degrees in TURNS:
            made, moved = recolored(pixels, mask, degrees, rng)
            yield Seen("recoloured", area, f"{degrees}°", moved, *taken(pixels, saved(made)))


# ---- another picture in the same frame -----------------------------------------------------------------


def sharings(files: Sequence[str], rng: Rng) -> Iterator[Seen]:
    page, *others = (images.read(Path(file)).pixels for file in files)
    scale = PAGE / max(page.shape[:2])
    page = resize(page, round(page.shape[1] * scale), round(page.shape[0] * scale))
    height, width = page.shape[:2]
    for share in INSIDES:
        tall, wide = round(height * share**0.5), round(width * share**0.5)
        top, left = (height - tall) // 2, (width - wide) // 2
        both = []
        for other in others:
            laid = page.copy()
            laid[top : top + tall, left : left + wide] = resize(other, wide, tall)
            both.append(saved(laid))
        yield Seen("shared frame", share, "", 0.0, *taken(both[0], both[1]))


# ---- copies --------------------------------------------------------------------------------------------


def gained(pixels: np.ndarray, red: float, green: float, blue: float) -> np.ndarray:
    return np.clip(pixels * np.array([red, green, blue], np.float32), 0, 255).astype(np.uint8)


def saturated(pixels: np.ndarray, by: float) -> np.ndarray:
    lab = rgb_to_lab(pixels)
    lab[..., 1:] *= by
    return lab_to_rgb(lab)


def lettered(pixels: np.ndarray, ink: tuple[int, int, int], opacity: float, turn: float = 0) -> np.ndarray:
    """Words across the middle."""
    height, width = pixels.shape[:2]
    words = np.zeros((height, width), np.uint8)
    write(words, "PICTURE STOCK", (round(width * 0.08), round(height * 0.55)), width * 0.84, 255)
    if turn:
        words = cv2.warpAffine(words, cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.0), (width, height))
    share = words[..., None].astype(np.float32) / 255 * opacity
    return np.asarray((pixels * (1 - share) + np.array(ink, np.float32) * share).astype(np.uint8))


def stamped(pixels: np.ndarray, ink: tuple[int, int, int], area: float) -> np.ndarray:
    """A round logo in the corner."""
    height, width = pixels.shape[:2]
    made, radius = pixels.copy(), round((area * height * width / np.pi) ** 0.5)
    x, y = width - radius - width // 30, height - radius - height // 30
    cv2.circle(made, (x, y), radius, ink, -1, cv2.LINE_AA)
    write(made, "ABC", (x - round(radius * 0.7), y + radius // 4), radius * 1.4, (255, 255, 255))
    return made


def boxed(pixels: np.ndarray, area: float) -> np.ndarray:
    """A white box with an address in the corner."""
    height, width = pixels.shape[:2]
    made, wide = pixels.copy(), round((area * height * width * 3) ** 0.5)
    x, y, tall = width // 30, height // 30, wide // 3
    made[y : y + tall, x : x + wide] = 255
    write(made, "www.shop.com", (x + wide // 20, y + round(tall * 0.65)), wide * 0.9, (20, 20, 160))
    return made


def barred(pixels: np.ndarray, share: float, opacity: float) -> np.ndarray:
    """A dark bar with words over the picture's lower end."""
    height, width = pixels.shape[:2]
    made, tall = pixels.copy(), round(share * height)
    made[height - tall :] = (made[height - tall :] * (1 - opacity)).astype(np.uint8)
    write(made, "stock number 48-1516 / studio", (width // 25, round(height - tall * 0.35)), width * 0.9, (255,) * 3)
    return made


def write(pixels: np.ndarray, words: str, place: tuple[int, int], wide: float, ink: int | tuple[int, int, int]) -> None:
    font = cv2.FONT_HERSHEY_DUPLEX
    scale = wide / cv2.getTextSize(words, font, 1.0, 1)[0][0]
    cv2.putText(pixels, words, place, font, scale, ink, max(1, round(2 * scale)), cv2.LINE_AA)  # type: ignore[call-overload]


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "white balance, warm": lambda pixels: gained(pixels, 1.08, 1, 0.92),
    "white balance, cool": lambda pixels: gained(pixels, 0.92, 1, 1.08),
    "saturation 1.3": lambda pixels: saturated(pixels, 1.3),
    "saturation 0.7": lambda pixels: saturated(pixels, 0.7),
    "brightness 1.2": lambda pixels: gained(pixels, 1.2, 1.2, 1.2),
    "brightness 0.75": lambda pixels: gained(pixels, 0.75, 0.75, 0.75),
    "red words, half seen through": lambda pixels: lettered(pixels, (220, 20, 20), 0.5),
    "red words": lambda pixels: lettered(pixels, (220, 20, 20), 1.0),
    "white words": lambda pixels: lettered(pixels, (255, 255, 255), 1.0),
    "white words aslant": lambda pixels: lettered(pixels, (255, 255, 255), 0.6, 35),
    "blue words aslant": lambda pixels: lettered(pixels, (20, 40, 220), 0.6, 35),
    "red logo 2%": lambda pixels: stamped(pixels, (210, 20, 30), 0.02),
    "blue logo 4%": lambda pixels: stamped(pixels, (20, 40, 190), 0.04),
    "white box 3%": lambda pixels: boxed(pixels, 0.03),
    "white box 5%": lambda pixels: boxed(pixels, 0.05),
    "bar over 8%, half seen through": lambda pixels: barred(pixels, 0.08, 0.5),
    "bar over 8%": lambda pixels: barred(pixels, 0.08, 1.0),
    "bar over 12%": lambda pixels: barred(pixels, 0.12, 1.0),
}

COLORS = tuple(name for name in COPIES if name.startswith(("white balance", "saturation", "brightness")))
LARGE = ("blue logo 4%", "white box 5%")  # no smaller than another picture in a frame may be: nothing is asked of them
FOUND = {  # what is asked of copies
    "white balance, saturation, brightness": (COLORS, 1.0),
    "words, small logos and boxes, bars": (tuple(name for name in COPIES if name not in (*COLORS, *LARGE)), 0.90),
}


def copies(files: Sequence[str], rng: Rng) -> Iterator[Seen]:
    pixels = images.read(Path(files[0])).pixels
    for name, made in COPIES.items():
        yield Seen("copies", 0.0, name, 0.0, *taken(pixels, saved(made(pixels))))


# ---- measuring -----------------------------------------------------------------------------------------


def saved(pixels: np.ndarray) -> np.ndarray:
    """As it comes out of a JPEG."""
    return decode(encode_jpeg(np.ascontiguousarray(pixels), QUALITY, subsampling=2)).pixels


def taken(one: np.ndarray, other: np.ndarray) -> tuple[bool, bool, bool]:
    """Whether one of two pictures is grey; whether the filter takes them for one, as set by default, and thoroughly."""
    knobs = crafts.settings_of("filters", "filter", "duplicate", {})
    both = [one, other]
    made = [probe.measure(Picture(pixels, "jpg", False), f"{n:064x}", 1000) for n, pixels in enumerate(both)]
    figures, thumbs = (np.stack(column) for column in zip(*made, strict=True))
    probes = Probes([Record(key=f"{n:016x}") for n in range(2)], figures, thumbs, np.arange(2))
    grey = figures["chroma_residual"] < knobs.monochrome_residual  # type: ignore[attr-defined]

    def proofs(_: Probes, pairs: Sequence[Pair]) -> list[str]:
        return [opened(pair) for pair in pairs]

    @cache
    def opened(pair: Pair) -> str:
        ours = alignment.mirror(both[pair.one]) if pair.mirrored else both[pair.one]
        looks = alignment.look(ours, bool(grey[pair.one])), alignment.look(both[pair.other], bool(grey[pair.other]))
        return proof(*looks, pair.mirrored, pair.likely, knobs.max_color_difference)  # type: ignore[attr-defined]

    drops = crafts.load("filters", "duplicate").drops
    plain, thorough = (bool(list(drops(probes, knobs, Compare(proofs, how)))) for how in (False, True))
    return bool(grey.any()), plain, thorough


MADE: dict[str, Callable[[Sequence[str], Rng], Iterator[Seen]]] = {
    "recoloured": recolorings, "shared frame": sharings, "copies": copies
}  # fmt: skip


def measured(task: Task) -> list[Seen]:
    kind, files, key = task
    return list(MADE[kind](files, np.random.default_rng(zlib.crc32(key.encode()))))


def tasks(data: Path, sample: int) -> Iterator[Task]:
    """`sample` photographs are recoloured and altered, as many frames are shared."""
    files = {
        name: [str(data / name / item.file_name) for item in folder.read(data / name)[:sample]]
        for name in ("figures", "photos", "prints", "prints_coloured")
    }
    half = sample // 2
    for file in files["figures"][:half] + files["photos"][:half]:
        yield "recoloured", (file,), file
        yield "copies", (file,), file
    for file in files["prints"][:half]:
        yield "copies", (file,), file
    pages = [file for trio in zip(files["prints"], files["photos"], files["prints_coloured"] * 9) for file in trio]  # noqa: B905
    for n, page in enumerate(pages[:sample]):
        inner = files[("prints", "figures", "photos")[n % 3]][::-1]
        yield "shared frame", (page, *inner[2 * (n // 3) % (len(inner) - 1) :][:2]), page


def run(data: Path, sample: int) -> list[Goal]:
    """Measure; print the share that is taken for one, by size, and the copies that are found."""
    todo = list(tasks(data, sample))
    executor = make_executor("local", os.cpu_count() or 1)
    seen = [pair for outcome in executor.map(measured, todo) for pair in outcome.value or []]
    say(f"veto: {len(seen)} pairs")
    parts = {kind: [pair for pair in seen if pair.kind == kind] for kind in MADE}
    visible = [pair for pair in parts["recoloured"] if pair.moved >= VISIBLE]
    told = [pair for pair in visible if not pair.grey]
    say(f"  {len(visible) - len(told)} recoloured pairs with a grey picture, that has no colours to differ, left out")
    say("taken for one, %                pairs  default  thorough")
    for low, high in pairwise(AREAS):
        line(f"recoloured, {low:.1%} to {high:.1%}", [pair for pair in told if low <= pair.size < high])
    for degrees in TURNS:
        line(f"recoloured by {degrees}°", [pair for pair in told if pair.name == f"{degrees}°"])
    for share in INSIDES:
        line(f"shared frame, inside {share:.0%}", [pair for pair in parts["shared frame"] if pair.size == share])
    for name in COPIES:
        line(name, [pair for pair in parts["copies"] if pair.name == name])
    return [
        at_most("veto", f"recoloured, from {LEAST_AREA:.0%} of the frame, taken for one",
                100 * worst([pair for pair in told if pair.size >= LEAST_AREA]), 5, " %"),
        at_most("veto", f"another picture on {LEAST_INSIDE:.0%} or more of one frame, taken for one",
                100 * worst([pair for pair in parts["shared frame"] if pair.size >= LEAST_INSIDE]), 5, " %"),
        *(least("veto", f"copies: {what}", found([pair for pair in parts["copies"] if pair.name in names]), wanted)
          for what, (names, wanted) in FOUND.items()),
    ]  # fmt: skip


def line(what: str, pairs: Sequence[Seen]) -> None:
    shares = (100 * sum(pair.taken for pair in pairs), 100 * sum(pair.thorough for pair in pairs))
    say(f"  {what:30}{len(pairs):6}" + "".join(f"{share / max(len(pairs), 1):9.1f}" for share in shares))


def worst(pairs: Sequence[Seen]) -> float:
    """The share that is taken for one by either way."""
    return sum(pair.taken or pair.thorough for pair in pairs) / max(len(pairs), 1)


def found(pairs: Sequence[Seen]) -> float:
    """The share that is taken for one as set by default."""
    return sum(pair.taken for pair in pairs) / max(len(pairs), 1)
