"""The sheet of an evaluation of colours, a picture: tables, the curve of ΔE against colourfulness, and pictures from
the best to the worst, as each row has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gravurekit import images
from gravurekit.measures.colours import Point

WIDTH, MARGIN, LINE, GAP = 1680, 20, 20, 10  # px
CELL = 224  # px, the longer side of a picture
EXAMPLES, CANDIDATES = 8, 64
PAPER, INK, FAINT = (255, 255, 255), (0, 0, 0), (120, 120, 120)
Spot = tuple[float, float, str]  # x, y, and what is written beside it
PLOT_WIDE, PLOT_TALL = 760, 360  # px
LINES = ((176, 40, 40), (30, 90, 170), (40, 130, 70))


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture as each row has it: (h, w, 3) uint8 sRGB by row, of one shape; and the ΔE alone of each row."""

    caption: str
    seen: Mapping[str, np.ndarray]
    delta_e: Mapping[str, float]


def candidates(count: int) -> frozenset[int]:
    """Of so many pictures the numbers of those that may be shown: whose best and whose worst is only known at the end,
    and all of them would be too much to keep."""
    return frozenset(np.linspace(0, count - 1, min(CANDIDATES, count)).round().astype(int).tolist())


def fitted(pixels: np.ndarray) -> np.ndarray:
    """A picture, (h, w, 3) uint8 sRGB, as large as it is on the sheet."""
    height, width = pixels.shape[:2]
    scale = CELL / max(height, width)
    return images.resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def sheet(
    title: str,
    pages: Sequence[tuple[str, Sequence[Sequence[str]], Sequence[Shown]]],
    curve: Mapping[str, Sequence[Point]],
    columns: Sequence[str],
) -> np.ndarray:
    """(H, WIDTH, 3) uint8 sRGB. `pages`: heading, table (its first line the head), pictures from the best to the worst;
    `columns`: the rows whose pictures are shown."""
    strips = [_words([(MARGIN, 12, title, 20, INK)], 48)]
    for number, (heading, table, shown) in enumerate(pages):
        strips += [_words([(MARGIN, 12, heading, 16, INK)], 40), _table(table)]
        if number == 0 and curve:
            strips.append(_curves(curve))
        strips += [_pictures(one, columns) for one in _spread(shown)]
    return np.concatenate(strips)


def _spread(shown: Sequence[Shown]) -> list[Shown]:
    """EXAMPLES of them, evenly out of the whole."""
    count = min(EXAMPLES, len(shown))
    return [shown[n] for n in np.linspace(0, len(shown) - 1, count).round().astype(int)]


def _pictures(one: Shown, columns: Sequence[str]) -> np.ndarray:
    """A row of pictures with words below."""
    found = [(name, fitted(one.seen[name])) for name in columns if name in one.seen]
    tall = max(pixels.shape[0] for _, pixels in found)
    words = []
    for n, (name, _) in enumerate(found):
        delta = f"  {one.delta_e[name]:.1f}" if n else ""  # the first one is the truth
        words.append((MARGIN + n * (CELL + GAP), tall + 2, name + delta, 12, INK))
    words.append((MARGIN, tall + 17, one.caption, 11, FAINT))
    canvas = _words(words, tall + 42).copy()
    for n, (_, pixels) in enumerate(found):
        left = MARGIN + n * (CELL + GAP) + (CELL - pixels.shape[1]) // 2
        canvas[: pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


def _table(lines: Sequence[Sequence[str]]) -> np.ndarray:
    font = _font(13)
    wide = [max(font.getlength(_plain(line[n])) for line in lines) + 16 for n in range(len(lines[0]))]
    left = np.concatenate([[0], np.cumsum(wide)[:-1]]).astype(int) + MARGIN
    words = [
        (int(x), n * LINE, text, 13, FAINT if n == 0 else INK)
        for n, cells in enumerate(lines)
        for x, text in zip(left, cells, strict=True)
    ]
    return _words(words, LINE * (len(lines) + 1))


# ---- the curve -----------------------------------------------------------------------------------------


def _curves(curve: Mapping[str, Sequence[Point]]) -> np.ndarray:
    """ΔE alone and as seen over the colourfulness ratio: two plots side by side, a line a row."""
    canvas = Image.new("RGB", (WIDTH, PLOT_TALL + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    for n, (part, heading) in enumerate((("delta_e", "ΔE2000 alone"), ("seen_delta_e", "ΔE2000 as seen"))):
        lines = {name: [xy for p in points if (xy := _place(p, part))] for name, points in curve.items()}
        _plot(draw, MARGIN + n * (PLOT_WIDE + 2 * MARGIN), MARGIN, heading, {k: v for k, v in lines.items() if v})
    return np.asarray(canvas)


def _place(point: Point, part: str) -> Spot | None:
    figure = getattr(point, part)
    if figure is None or point.colourfulness_ratio is None:
        return None
    return point.colourfulness_ratio.value, figure.value, f"{point.saturation:g}"


def _plot(
    draw: ImageDraw.ImageDraw,
    left: int,
    top: int,
    heading: str,
    lines: Mapping[str, Sequence[Spot]],
) -> None:
    values = [place for points in lines.values() for place in points]
    if not values:
        return
    most_x, most_y = max(1.0, *(x for x, *_ in values)) * 1.05, max(y for _, y, _ in values) * 1.1 + 1e-6
    x0, y0 = left + 40, top + PLOT_TALL - 40
    wide, tall = PLOT_WIDE - 60, PLOT_TALL - 70

    def at(x: float, y: float) -> tuple[float, float]:
        return x0 + wide * x / most_x, y0 - tall * y / most_y

    for y in np.arange(0, most_y, _step(most_y)):
        draw.line([at(0, y), at(most_x, y)], (225, 225, 225))
        _text(draw, (left, at(0, y)[1] - 7), f"{y:g}", 12, FAINT)
    for x in np.arange(0, most_x, 0.25):
        draw.line([at(x, 0), at(x, most_y)], (225, 225, 225))
        _text(draw, (at(x, 0)[0] - 10, y0 + 4), f"{x:g}", 12, FAINT)
    _text(draw, (left + 40, top), f"{heading} over the colourfulness ratio, at saturations", 14, INK)
    for n, (name, points) in enumerate(lines.items()):
        paint = LINES[n % len(LINES)]
        draw.line([at(x, y) for x, y, _ in points], paint, 2)
        for x, y, word in points:
            draw.ellipse([*(np.array(at(x, y)) - 3), *(np.array(at(x, y)) + 3)], paint)
            _text(draw, (at(x, y)[0] + 4, at(x, y)[1] - 15), word, 11, paint)
        _text(draw, (left + 60 + 220 * n, y0 + 20), name, 13, paint)


def _step(most: float) -> float:
    """Between lines of a scale: at most eight of them."""
    return next(step for step in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if most / step <= 8)


# ---- words ---------------------------------------------------------------------------------------------


def _words(words: Sequence[tuple[int, int, str, int, tuple[int, int, int]]], height: int) -> np.ndarray:
    """On white: (x, y, text, size in px, colour) each."""
    canvas = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    for x, y, text, size, paint in words:
        _text(draw, (x, y), text, size, paint)
    return np.asarray(canvas)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, paint: tuple[int, int, int]
) -> None:
    draw.text(at, _plain(text), paint, _font(size))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """Names of files are hostile, and Pillow's own font knows few letters."""
    text = text.replace("–", "-").replace("Δ", "d")
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text[:200])
