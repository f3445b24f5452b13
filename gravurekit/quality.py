"""Quality: figures of one picture that say whether it is fit to be learnt from: light, contrast, sharpness, print.

| figure | what it is |
|---|---|
| `dark` | brightness below which 99 % of the pixels lie, 0..1: low in a picture without light |
| `light` | brightness below which 5 % of the pixels lie, 0..1: high in a picture without shadow |
| `entropy` | of the histogram of grey levels, 0..8 bits |
| `spread` | standard deviation of grey, 0..127.5 |
| `sharpness` | variance of the Laplacian at a long side of 512 pixels, grey levels² |
| `drawn` | the frame around all that isn't bare ground, as a share of the picture, 0..1 |
| `flat` | in that frame: share of pixels that equal their neighbours; high in logos, charts, line drawings |
| `ruled` | share of the edges that lie in straight level or upright lines; high in tables, diagrams, windows |
| `vivid` | difference of the channels that 2 % of the pixels pass, 0..1: low in prints, also on old paper |
| `text` | share of what is drawn that stands in lines of writing, 0..1 |
"""

import cv2
import numpy as np

from gravurekit.images import resize

FIGURES = ("dark", "light", "entropy", "spread", "sharpness", "drawn", "flat", "ruled", "vivid", "text")

SHARPNESS_SIDE = 512
GROUND_STEP = 8  # grey levels between neighbours: what JPEG and grain do to bare ground
EDGE_SLOPE = 100  # of Sobel's 3 × 3 at half the size
LEVEL = 6  # an edge is level or upright if it rises this many times as steeply as it runs
RULE = 13  # pixels of a straight line, at half the size
STROKE_STEP = 24  # grey levels between neighbours in a row: the side of a letter's stroke
CELL = (128, 48)  # rows and columns that are looked at together: some lines of writing, some words wide
PITCH = (6, 44)  # rows from line to line of writing
RHYTHM = 0.7  # by how much a shift of one line must correlate better than half of it
GAPS = 0.2  # share of the rows that are nearly bare: between lines of writing
VIVID, RULED = 0.2, 0.2  # above: no print of lines on old paper, which may be as flat as a logo


def measure(small: np.ndarray, grey: np.ndarray) -> dict[str, float]:
    """The FIGURES of a picture. `small`: (H, W, 3) uint8 sRGB, long side at most 512; `grey`: (H, W) uint8 of it."""
    if min(grey.shape) == 1:  # then it has itself for a neighbour
        grey = np.repeat(np.repeat(grey, 1 + (grey.shape[0] == 1), 0), 1 + (grey.shape[1] == 1), 1)
    across = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    steps = cv2.max(across[1:], cv2.absdiff(grey[1:, 1:], grey[:-1, 1:]))
    return (
        _light(grey)
        | {"sharpness": sharpness(grey), "ruled": _ruled(grey), "vivid": _vivid(small), "text": _text(across)}
        | _ground(steps)
    )


def _light(grey: np.ndarray) -> dict[str, float]:
    """What the histogram of (H, W) uint8 says."""
    shares = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64) / grey.size
    sums, levels = np.cumsum(shares), np.arange(256)
    some = shares[shares > 0]
    mean = float(shares @ levels)
    return {
        "dark": float(np.searchsorted(sums, 0.99 - 1e-9)) / 255,
        "light": float(np.searchsorted(sums, 0.05 - 1e-9)) / 255,
        "entropy": abs(float(some @ np.log2(some))),
        "spread": float(np.sqrt(shares @ (levels - mean) ** 2)),
    }


def sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian of (H, W) uint8 at a long side of 512. A smaller picture is enlarged, and counts as
    what it is at that size: blurred. So the figures of a picture and of its enlarged copy are nearly alike."""
    height, width = grey.shape
    scale = SHARPNESS_SIDE / max(height, width)
    sized = resize(grey, max(1, round(width * scale)), max(1, round(height * scale)))
    _, deviation = cv2.meanStdDev(cv2.Laplacian(sized, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def _ground(steps: np.ndarray) -> dict[str, float]:
    """`drawn` and `flat` of (H, W) uint8 steps between neighbours."""
    left, top, width, height = cv2.boundingRect(cv2.threshold(steps, GROUND_STEP, 255, cv2.THRESH_BINARY)[1])
    if not width * height:
        return {"drawn": 0.0, "flat": 1.0}
    inside = steps[top : top + height, left : left + width]
    return {"drawn": inside.size / steps.size, "flat": 1 - cv2.countNonZero(inside) / inside.size}


def _ruled(grey: np.ndarray) -> float:
    """Share of the edges of (H, W) uint8 in straight level or upright lines. At half the size, where the steps of a
    picture of two tones no longer make every edge level or upright."""
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    across, down = (cv2.convertScaleAbs(cv2.Sobel(half, cv2.CV_16S, *axis)) for axis in ((1, 0), (0, 1)))
    edges = int(np.count_nonzero(cv2.max(across, down) > EDGE_SLOPE))
    lines = 0
    for steep, even, shape in ((across, down, (RULE, 1)), (down, across, (1, RULE))):
        straight = ((steep > EDGE_SLOPE) & (even <= steep // LEVEL)).view(np.uint8)
        lines += cv2.countNonZero(cv2.morphologyEx(straight, cv2.MORPH_OPEN, np.ones(shape, np.uint8)))
    return lines / max(edges, 2 * RULE)  # a single short line makes no table


def _vivid(small: np.ndarray) -> float:
    """(H, W, 3) uint8 → the difference of channels that 2 % of the pixels pass, 0..1."""
    red, green, blue = cv2.split(np.ascontiguousarray(small[::4, ::4]))  # every 16th pixel will do
    ranges = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    counts = np.cumsum(cv2.calcHist([ranges], [0], None, [256], [0, 256]))
    return float(np.searchsorted(counts, 0.98 * ranges.size)) / 255


def _text(across: np.ndarray) -> float:
    """Share of the inked cells of a picture that hold lines of writing. `across`: (H, W) uint8 steps along the rows.

    Strokes of letters stand upright, so steps along a row are many in a line of writing and few between two lines, and
    that alternates at one pitch, whatever the columns, the paper, the light and a small turn. Stripes and level
    hatching have no such steps; those of folds, leaves and cross-hatching keep no pitch.
    """
    rows, columns = min(CELL[0], across.shape[0]), across.shape[1] // CELL[1]
    if rows < CELL[0] // 2 or not columns:
        return 0.0
    strokes = cv2.threshold(across, STROKE_STEP, 255, cv2.THRESH_BINARY)[1]
    whole = strokes[:, : across.shape[1] // columns * columns]  # a whole number of pixels to a cell: much quicker
    profile = cv2.resize(whole, (columns, len(across)), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    tops = [*range(0, len(across) - rows, CELL[0] // 2), len(across) - rows]
    cells = np.concatenate([profile[top : top + rows].T for top in tops])  # (cells, rows), share of strokes 0..1
    density = cells.mean(axis=1, keepdims=True)
    gaps = (cells < density / 4).mean(axis=1) >= GAPS
    inked = density[:, 0] > 0.03
    written = inked & gaps & (_rhythm(cells - density) > RHYTHM)
    # a fifth at least: two lines in a corner make no page
    return float(written.sum() / max(inked.sum(), len(cells) / 5))


def _rhythm(cells: np.ndarray) -> np.ndarray:
    """(N, rows) float32 of mean 0 → (N,): over all pitches the most that the autocorrelation at a pitch passes that at
    half of it; 0..2."""
    count, rows = cells.shape
    padded = np.zeros((count, 2 * CELL[0]), np.float32)
    padded[:, :rows] = cells
    spectrum = cv2.dft(padded, flags=cv2.DFT_ROWS)
    power = cv2.mulSpectrums(spectrum, spectrum, cv2.DFT_ROWS, conjB=True)
    shifts = cv2.dft(power, flags=cv2.DFT_ROWS | cv2.DFT_INVERSE | cv2.DFT_SCALE)[:, : PITCH[1] + 1]
    overlap = rows / (rows - np.arange(PITCH[1] + 1, dtype=np.float32))
    correlation = shifts / (shifts[:, :1] + 1e-6) * overlap
    pitches = np.arange(PITCH[0], PITCH[1] + 1)
    return np.asarray((correlation[:, pitches] - correlation[:, pitches // 2]).max(axis=1))


def is_graphic(figures: np.ndarray, min_flat: float) -> np.ndarray:
    """(N,) structured, with FIGURES → (N,) bool: a logo, chart, diagram or the like: flat, and coloured or ruled. An
    engraving of two tones is as flat, but has neither loud colours nor many straight lines."""
    return (figures["flat"] >= min_flat) & ((figures["vivid"] >= VIVID) | (figures["ruled"] >= RULED))
