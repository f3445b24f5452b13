"""Panels: what a network makes of the same few pictures, again and again while it learns, on a sheet to look at.

A row is a picture: samples that are held back, and real prints. The columns are the picture as it is (of a sample the
print that it is of: ink × the wash that it ought to have), the lightness that the network is fed, what it makes of
that, what it makes of it when it is told the colours, and what the style of the next row's picture makes of it.
Whose pictures these are is in `pictures.jsonl` beside the sheets.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gravurekit import color, folder, images, paper, storage, tint
from gravurekit.errors import PictureError, UsageError
from gravurekit.fed import Place, on_sheet, redrawn
from gravurekit.model.batches import prepared
from gravurekit.model.network import ColorizationNetwork, resized
from gravurekit.record import Record
from gravurekit.reports.training import PANELS, ROWS
from gravurekit.shards import INDEX, index
from gravurekit.shards.reader import ShardSet, read_manifest

OURS = re.compile(r"\d{7,}\.png")
PRINTS = 6  # real prints on a sheet, at most
AT_ONCE = 4  # pictures that the network sees together: a training that just fits leaves little memory
MOST = 64  # sheets that are kept of a run; of more every second goes, so that they stay spread over the steps
LEAST = 8  # px; prints with a shorter side are no pictures
NEEDED = ("split", "shard", "row", "key", "photo_key", "variant", "labels")

CELL = 224  # px, the longer side of a cell
GAP, BETWEEN, CAPTION, HEAD = 10, 24, 18, 26  # px
ROWS_EACH = 6  # rows below one another
PAPER, INK, FAINT = 236, 0, 110  # greys of the sheet


@dataclass(frozen=True, eq=False)
class Row:
    """A picture, as it lies before the network and as people see it.

    said       whose it is, for `pictures.jsonl`; `caption` what is written below it
    original   (h, w, 3) uint8 sRGB, the picture as it is, or as it ought to come out
    ground     (h, w, 3) uint8 sRGB, what the colours are laid on
    apart      the ground as ink and paper
    sheet      (H, W) float32 0..100, what the network is fed; `place`: where in it the picture lies
    photo      it is a photograph: its lightness stays, and chroma is added to it
    """

    said: Mapping[str, Any]
    caption: str
    original: np.ndarray
    ground: np.ndarray
    apart: paper.Apart
    sheet: np.ndarray
    place: Place
    photo: bool = False


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a network said of a sheet: `ab` (H, W, 2) float32, and `lightness` of the wash (H, W) float32, if any."""

    ab: np.ndarray
    lightness: np.ndarray | None


class Panels:
    """Draws the sheets of a run. `samples`: the tensors of the first rows, as shards hold them."""

    def __init__(self, run: Path, rows: Sequence[Row], samples: Mapping[str, Tensor]) -> None:
        self._folder, self._rows, self._samples = run / PANELS, rows, dict(samples)
        self._begin()

    def look(self, network: ColorizationNetwork, step: int) -> np.ndarray:
        """Draw what `network`, in eval mode, makes of the pictures now, and write it; the sheet, (h, w, 3) uint8 sRGB.

        Nothing that the training goes by is touched: no chance is drawn, and no weight changes. Raises StorageError.
        """
        sheet = self.draw(network, step)
        storage.write_bytes(self._folder / f"{step:07d}.png", images.encode_png(sheet, software="gravurekit panels"))
        self._thin_out()
        return sheet

    def draw(self, network: ColorizationNetwork, step: int) -> np.ndarray:
        """The sheet, (h, w, 3) uint8 sRGB."""
        L = torch.from_numpy(np.stack([row.sheet for row in self._rows]))[:, None]
        palettes = self._palettes(network)
        columns = {
            "original": [row.original for row in self._rows],
            "L fed": [_grey(row.sheet[row.place]) for row in self._rows],
            "result": self._coloured(_asked(network, L)),
        }
        if palettes is not None:
            columns["told its palette"] = self._coloured(_asked(network, L, palettes))
        # the whole style: the global features, and the colours where the network takes them
        after = None if palettes is None else palettes.roll(-1, 0)
        columns["style of the next row"] = self._coloured(_asked(network, L, after, L.roll(-1, 0)))
        return _sheet(columns, self._captions(palettes is not None), f"step {step:,}", self._rows[0].sheet.shape)

    def _captions(self, told: bool) -> list[str]:
        own = len(self._samples["L"]) if told else len(self._rows)
        return [
            row.caption + (f"  (told the palette of row {number % own + 1})" if number >= own else "")
            for number, row in enumerate(self._rows)
        ]

    def _coloured(self, answers: Sequence[_Answer]) -> list[np.ndarray]:
        return [_composed(row, answer) for row, answer in zip(self._rows, answers, strict=True)]

    def _palettes(self, network: ColorizationNetwork) -> Tensor | None:
        """(N, …) the palettes that the rows are told: of samples their own; prints have none, and take the samples'
        in turn. None if the network takes none, or there are only prints."""
        if not network.config.palette or not self._samples:
            return None
        own = prepared(self._samples, network.config).palette
        return None if own is None else own[torch.arange(len(self._rows)) % len(own)]

    def _begin(self) -> None:
        """Sweep away what a kill has half written, and add to the list of pictures those that aren't in it."""
        for aside in self._folder.glob(f"*{storage.ASIDE}"):
            storage.remove(aside)
        path = self._folder / ROWS
        known = [json.dumps(entry, ensure_ascii=False) for entry in storage.read_json_lines(path)]
        lines = [*known, *(json.dumps(dict(row.said), ensure_ascii=False) for row in self._rows)]
        storage.write_lines(path, dict.fromkeys(lines))

    def _thin_out(self) -> None:
        names = sorted((path.name for path in self._folder.iterdir() if OURS.fullmatch(path.name)), key=_step)
        if len(names) > MOST:
            for name in names[1:-1:2]:
                storage.remove(self._folder / name)


def _step(name: str) -> int:
    return int(name.partition(".")[0])


def prepare(
    run: Path, source: Path, samples: int, watch: Path | None, check: bool, note: Callable[[str], None]
) -> Panels | None:
    """The panels of the training in `run` that learns from the shards in `source`: of so many `samples`, and of prints
    in the folder `watch`, if it is given. None if there is nothing to look at. `check`: prove the samples' checksums.
    `note` hears of prints that are left out.

    Raises UsageError if there is no such folder, DataError if it holds no picture or the shards are damaged.
    """
    manifest = read_manifest(source)
    rows, tensors = _samples(source, manifest, samples, check) if samples else ([], {})
    if watch is not None:
        rows += _prints(watch, manifest, note)
    return Panels(run, rows, tensors) if rows else None


# ---- samples -------------------------------------------------------------------------------------------


def _samples(source: Path, manifest: Mapping[str, Any], count: int, check: bool) -> tuple[list[Row], dict[str, Tensor]]:
    """Rows of samples that are held back, or, if none are, of those that it learns from; and their tensors."""
    held_back = any(shard["split"] == "val" for shard in manifest["shards"])
    split = "val" if held_back else "train"
    found = chosen(source, manifest, split, count)
    shards = ShardSet(source, split, ("L", "wash", "label", "box"), check=check)
    arrays = shards.batch(np.array([number for number, _ in found], np.int64))
    rows = [_sample(entry, arrays, n, manifest.get("input") == "photo") for n, (_, entry) in enumerate(found)]
    return rows, {name: torch.from_numpy(array) for name, array in arrays.items()}


def chosen(source: Path, manifest: Mapping[str, Any], split: str, count: int) -> list[tuple[int, dict[str, Any]]]:
    """The numbers of some samples of a split, and what the index says of them. They are chosen by the hash of their
    pictures' keys, so that most of them stay when pictures come; of one picture the first drawing."""
    first, begin = {}, 0
    for shard in manifest["shards"]:
        if shard["split"] == split:
            first[shard["file"]], begin = begin, begin + shard["samples"]
    best: dict[str, tuple[str, int, dict[str, Any]]] = {}
    for entry in index.read(source / INDEX, NEEDED):
        if entry["split"] != split or entry["shard"] not in first:
            continue
        picture = entry["photo_key"] or entry["key"]
        found = (_hashed(picture), entry["variant"] or 0, entry)
        if picture not in best or found[:2] < best[picture][:2]:
            best[picture] = found
        if len(best) > count:
            del best[max(best, key=lambda key: best[key][:2])]
    return [(first[entry["shard"]] + entry["row"], entry) for *_, entry in sorted(best.values(), key=lambda f: f[:2])]


def _hashed(key: str) -> str:
    return hashlib.sha256(f"panel {key}".encode()).hexdigest()


def _sample(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray], number: int, photo: bool) -> Row:
    y0, x0, y1, x1 = arrays["box"][number].tolist()
    place = (slice(y0, y1), slice(x0, x1))
    sheet = arrays["L"][number, 0].astype(np.float32) * np.float32(100 / 255)
    truth = color.lab8_to_lab(np.ascontiguousarray(arrays["wash"][number].transpose(1, 2, 0)[place]))
    ink = np.ascontiguousarray(sheet[place])
    ground = _grey(ink)
    if photo:
        original = color.lab_to_rgb(np.dstack([ink, truth[..., 1:]]))
    else:
        original = color.multiply(color.lab_to_rgb(truth), ground)
    label = str((entry["labels"] or [""])[0])
    said = {name: entry[name] for name in ("key", "photo_key", "variant", "split")} | {"label": label}
    caption = f"{label or 'no label'}  {entry['key']}  {entry['split']}"
    return Row(said, caption, original, ground, paper.apart(ground), sheet, place, photo)


# ---- prints --------------------------------------------------------------------------------------------


def _prints(watch: Path, manifest: Mapping[str, Any], note: Callable[[str], None]) -> list[Row]:
    """Rows of some prints of a folder, chosen by their keys; of those that can't be read `note` hears."""
    found = folder.read(watch)
    unique = {item.key: item for item in found}
    rows: list[Row] = []
    for item in sorted(unique.values(), key=lambda item: _hashed(item.key)):
        if len(rows) == PRINTS:
            break
        try:
            rows.append(_print(watch, item, manifest))
        except PictureError as error:
            note(f"{watch / item.file_name} isn't watched: {error}")
    return rows


def _print(watch: Path, item: Record, manifest: Mapping[str, Any]) -> Row:
    pixels = images.read(watch / item.file_name, reduce_to=paper.WORK_SIDE, thrifty=True).pixels
    if min(pixels.shape[:2]) < LEAST:
        raise PictureError("too-small", f"{pixels.shape[1]} × {pixels.shape[0]} px, at least {LEAST} each are needed")
    ink = paper.apart(pixels).grey
    try:
        drawn = redrawn(ink, manifest["style"])
    except (UsageError, KeyError, TypeError, ValueError, cv2.error) as error:
        # shards of another gravurekit's style, or a shape that a style can't draw
        raise PictureError("not-drawn", f"the style of the shards can't draw it anew ({error})") from None
    sheet, place = on_sheet(tint.grey_lightness(drawn), *manifest["size"])
    tall, wide = _fitted(ink.shape, sheet.shape)
    small = images.resize(pixels, wide, tall)
    said = {"key": item.key, "file": Path(item.file_name).name}
    return Row(said, f"print  {said['file']}", small, small, paper.apart(small), sheet, place)


# ---- what the network says -----------------------------------------------------------------------------


@torch.inference_mode()
def _asked(
    network: ColorizationNetwork, L: Tensor, palettes: Tensor | None = None, style: Tensor | None = None
) -> list[_Answer]:
    """What the network says of sheets L (N, 1, H, W), told `palettes`, in the `style` (N, 1, H, W) of others."""
    device = next(network.parameters()).device
    answers: list[_Answer] = []
    for first in range(0, len(L), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        square = None if style is None else resized(style[part], network.config.global_size).to(device)
        palette = None if palettes is None else palettes[part].to(device)
        colour, _ = network(L[part].to(device), square, palette=palette)
        lightness = network.wash_lightness(colour)
        planes = torch.cat([network.ab(colour), *([] if lightness is None else [lightness])], dim=1)
        large = F.interpolate(planes.float(), size=L.shape[-2:], mode="bilinear", align_corners=False)
        # a network that has gone astray is drawn too: that is what one wants to see
        told = np.nan_to_num(large.permute(0, 2, 3, 1).cpu().numpy(), posinf=0.0, neginf=0.0)
        answers += [_Answer(one[..., :2], one[..., 2] if lightness is not None else None) for one in told]
    return answers


def _composed(row: Row, answer: _Answer) -> np.ndarray:
    """The colours on the picture's ground, (h, w, 3) uint8 sRGB."""
    ab = np.ascontiguousarray(answer.ab[row.place])
    if row.photo:
        height, width = row.ground.shape[:2]
        return tint.on_photo(row.ground, images.resize(ab, width, height))
    lightness = None if answer.lightness is None else answer.lightness[row.place]
    return tint.composed(row.ground, row.apart, tint.wash(ab, lightness, row.apart))


def _grey(L: np.ndarray) -> np.ndarray:
    """L (h, w) float32 0..100 → (h, w, 3) uint8 sRGB."""
    return color.lab_to_rgb(np.dstack([L, np.zeros((*L.shape, 2), np.float32)]).astype(np.float32))


# ---- the sheet -----------------------------------------------------------------------------------------


def _fitted(shape: Sequence[int], cell: Sequence[int]) -> tuple[int, int]:
    """Height and width of a picture that fills its cell; `cell`: height and width, in any unit."""
    tall, wide = (side * CELL / max(cell) for side in cell)
    scale = min(tall / shape[0], wide / shape[1])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _sheet(
    columns: Mapping[str, Sequence[np.ndarray]], captions: Sequence[str], title: str, shape: Sequence[int]
) -> np.ndarray:
    """(h, w, 3) uint8 sRGB: pictures in rows and columns, with words; more than ROWS_EACH rows in blocks side by side.
    `shape`: of a cell, height and width."""
    tall, wide = (round(side * CELL / max(shape)) for side in shape)
    across, down = wide + GAP, tall + CAPTION + GAP
    blocks = -(-len(captions) // ROWS_EACH)
    each = -(-len(captions) // blocks)
    block = GAP + len(columns) * across + (BETWEEN if blocks > 1 else 0)
    canvas = Image.new("RGB", (blocks * block, HEAD + GAP + each * down), (PAPER,) * 3)
    draw = ImageDraw.Draw(canvas)
    for column, (name, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            left, top = GAP + row // each * block + column * across, HEAD + GAP + row % each * down
            if row % each == 0:
                _write(draw, (left, GAP), f"{title}: {name}" if row == column == 0 else name, 13, INK, wide)
            height, width = _fitted(picture.shape, shape)
            whole = Image.fromarray(np.ascontiguousarray(images.resize(picture, width, height)))
            canvas.paste(whole, (left + (wide - width) // 2, top + (tall - height) // 2))
    for row, caption in enumerate(captions):
        left, top = GAP + row // each * block, HEAD + GAP + row % each * down + tall + 2
        _write(draw, (left, top), f"{row + 1}  {caption}", 11, FAINT, block - 2 * GAP)
    return np.asarray(canvas)


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, grey: int, width: int) -> None:
    """One line of at most `width` px. Names of files are hostile, and Pillow's own font knows few letters."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text[:200])
    font = ImageFont.load_default(size)
    while len(plain) > 1 and draw.textlength(plain, font) > width:
        plain = plain[:-1]
    draw.text(at, plain, (grey,) * 3, font)
