"""The sheet of an evaluation, a picture: the table, and what the judges took for prints and what not, at double size,
beside the real thing."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gravurekit.measures.patches import SIDE
from gravurekit.measures.style import Look

WIDTH, MARGIN, LINE = 1640, 20, 20  # px
SHOWN = 12  # patches of a strip
EXAMPLE = 312  # px
EXAMPLES = 5
COLUMNS = (0, 270, 340, 510, 680, 850, 1020, 1190, 1360)  # px


def sheet(title: str, table: Sequence[Sequence[str]], drawings: Sequence[Look], books: Sequence[Look],
          pages: Sequence[tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:  # fmt: skip
    """(H, WIDTH) uint8 grey. `table`: lines of at most len(COLUMNS) cells, the first one its head; `pages`: a heading
    and greys, (h, w) uint8, of which the middle is shown at its own size."""
    strips = [_head(title), _table(table)]
    for name, looks in (("drawings", drawings), ("real prints", books)):
        cells, sure = _together(looks)
        order = np.argsort(-sure, kind="stable")
        strips += [_caption(f"{name}: taken for prints most surely"), _strip(_spread(cells[order]))]
        strips += [_caption(f"{name}: taken for prints least"), _strip(_spread(cells[order[::-1]]))]
    for heading, greys in pages:
        strips += [_caption(f"{heading}, 1 : 1"), _row([_middle(grey) for grey in greys[:EXAMPLES]])]
    return np.concatenate(strips)


def _together(looks: Sequence[Look]) -> tuple[np.ndarray, np.ndarray]:
    """(N, SIDE, SIDE) uint8 patches of all pictures, and (N,) how sure the judges are of each, their mean."""
    seen = [item for item in looks if len(item.cells)]
    if not seen:
        return np.zeros((0, SIDE, SIDE), np.uint8), np.zeros(0)
    return np.concatenate([item.cells for item in seen]), np.concatenate([item.sure.mean(0) for item in seen])


def _spread(cells: np.ndarray) -> np.ndarray:
    """SHOWN out of the first twentieth: the very first ones are often of one picture."""
    best = cells[: max(SHOWN, len(cells) // 20)]
    return best[np.linspace(0, len(best) - 1, min(SHOWN, len(best))).astype(int)] if len(best) else best


def _strip(cells: np.ndarray) -> np.ndarray:
    return _row([np.kron(cell, np.ones((2, 2), np.uint8)) for cell in cells])


def _row(greys: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures side by side on white."""
    height = max((grey.shape[0] for grey in greys), default=0) + 8
    canvas = np.full((height, WIDTH), 255, np.uint8)
    left = MARGIN
    for grey in greys:
        height, width = grey.shape[0], min(grey.shape[1], WIDTH - left)
        canvas[:height, left : left + width] = grey[:, :width]
        left += width + 6
    return canvas


def _middle(grey: np.ndarray) -> np.ndarray:
    height, width = (min(side, EXAMPLE) for side in grey.shape)
    top, left = (grey.shape[0] - height) // 2, (grey.shape[1] - width) // 2
    return grey[top : top + height, left : left + width]


def _head(text: str) -> np.ndarray:
    return _written([(MARGIN, 12, text, 20)], 48)


def _caption(text: str) -> np.ndarray:
    return _written([(MARGIN, 10, text, 15)], 34)


def _table(lines: Sequence[Sequence[str]]) -> np.ndarray:
    words = [
        (MARGIN + left, n * LINE, text, 14)
        for n, cells in enumerate(lines)
        for left, text in zip(COLUMNS, cells, strict=False)
    ]
    return _written(words, LINE * (len(lines) + 1))


def _written(words: Sequence[tuple[int, int, str, int]], height: int) -> np.ndarray:
    """Black on white: (x, y, text, size in px) each."""
    canvas = Image.new("L", (WIDTH, height), 255)
    draw = ImageDraw.Draw(canvas)
    for x, y, text, size in words:
        plain = text.replace("–", "-")  # Pillow's own font has no dash
        draw.text((x, y), plain, 0, ImageFont.load_default(size))
    return np.asarray(canvas)
