"""The ink of an engraving, pixel by pixel: how much is wanted, contours along the flow, hatching by a phase, the press.

Each kernel goes over the picture once and makes no copies in between: at this size new memory costs as much as the
arithmetic. They are compiled by numba at the first call and kept on disk. Kernels that call each other stay in one
file, because the cache doesn't see a change in another. "1/8" is a copy of an eighth of the size.
"""

import numpy as np

from gravurekit.kernels import kernel

TABLE = 1024  # entries of the tables of chance; a power of two
CONTOUR = np.float32(0.014)  # the relative difference at which a contour begins
ONE, HALF, ZERO = np.float32(1.0), np.float32(0.5), np.float32(0.0)


@kernel(error_model="numpy")
def _places(length: int, small: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the `length` pixels of a row lie in a reduced one of `small`: the left neighbour, and the way from it. That
    is below 0 or above 1 outside of the outermost ones, so that a slope goes on to the picture's edge."""
    left = np.empty(length, np.int32)
    part = np.empty(length, np.float32)
    for x in range(length):
        at = (np.float32(x) + HALF) * np.float32(small) / np.float32(length) - HALF
        left[x] = max(min(int(at), small - 2), 0)
        part[x] = at - np.float32(left[x])
    return left, part


@kernel(error_model="numpy", fastmath=True)
def wanted(
    grey: np.ndarray,
    soft: np.ndarray,
    tones: np.ndarray,
    around: np.ndarray,
    kept: np.ndarray,
    rough: np.ndarray,
    knobs: np.ndarray,
) -> np.ndarray:
    """The share of the paper that ink is to cover, (H, W) float32.

    `grey`, and `soft`, the same with its details smoothed: (H, W) uint8; `tones` (256,) float32: the tone 0..1 of each
    grey. `around` 1/8, float32: tone of the surroundings; `kept` 1/8, float32: share of the ink that stays, less in a
    background. `rough` (r, c) float32 around 0: noise finer than the lines, laid over the picture. `knobs` (5,)
    float32: share of light tones left bare, relief, detail, darkness, roughness.
    """
    height, width = grey.shape
    out = np.empty((height, width), np.float32)
    light, relief, detail, darkness, roughness = knobs[0], knobs[1], knobs[2], knobs[3], knobs[4]
    scale = ONE / (ONE - light)
    rows, row_part = _places(height, around.shape[0])
    columns, column_part = _places(width, around.shape[1])
    noise_rows, noise_row_part = _places(height, rough.shape[0])
    noise_columns, noise_column_part = _places(width, rough.shape[1])
    for y in range(height):
        y0, fy = rows[y], row_part[y]
        near = around[y0] + (around[y0 + 1] - around[y0]) * fy
        keep = kept[y0] + (kept[y0 + 1] - kept[y0]) * fy
        n0, nf = noise_rows[y], noise_row_part[y]
        noise = rough[n0] + (rough[n0 + 1] - rough[n0]) * nf
        for x in range(width):
            x0, fx = columns[x], column_part[x]
            here = near[x0] + (near[x0 + 1] - near[x0]) * fx
            share = keep[x0] + (keep[x0 + 1] - keep[x0]) * fx
            tone = tones[grey[y, x]]
            fine = tone - tones[soft[y, x]]
            # relative to the surroundings, so that the folds of a dark garment are drawn as well
            lit = tone + (relief * (tone - here) + detail * share * fine) / (np.float32(0.25) + here)
            want = min(max((ONE - light - lit) * scale, ZERO), ONE) * share * darkness
            c0, cf = noise_columns[x], noise_column_part[x]
            grain = noise[c0] + (noise[c0 + 1] - noise[c0]) * cf
            # the paper between close lines is as rough as thin lines are, and both are narrow
            out[y, x] = want + want * (ONE - want) * min(max(roughness * grain, -ONE), ONE)
    return out


@kernel(error_model="numpy")
def contours(edges: np.ndarray, tone: np.ndarray, tangents: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """Contour lines along the flow, (H, W) float32: a difference of two Gaussians, smoothed along the tangent so that
    a contour is one stroke and noise is none (Kang, Lee and Chui, "Coherent line drawing", 2007).

    `edges` (H, W) float32: the difference; `tone` (H, W) float32 0..1: the broader of the two, by which it is divided,
    so that lines carry no tone. `tangents` (H/4, W/4, 2) float32: cosine and sine, the sign free. `loud` 1/8, float32:
    how strongly contours are drawn; where nothing would come of it, 0.
    """
    height, width = edges.shape
    out = np.zeros((height, width), np.float32)
    steps = 3
    weights = np.exp(-0.5 * (np.arange(steps + 1) / 2.0) ** 2).astype(np.float32)
    quarter, floor, stride = np.float32(0.25), np.float32(0.9) * CONTOUR, np.float32(1.9)
    for y in range(height):
        factors = loud[y >> 3]
        for x in range(width):
            edge = edges[y, x]
            if edge <= floor * quarter:
                continue
            factor = factors[x >> 3]
            if edge * factor <= floor * (quarter + tone[y, x]):
                continue
            total = edge
            weight = ONE
            for way in range(2):
                px, py = np.float32(x) + HALF, np.float32(y) + HALF
                dx, dy = tangents[y >> 2, x >> 2, 0] * stride, tangents[y >> 2, x >> 2, 1] * stride
                if way == 1:
                    dx, dy = -dx, -dy
                for step in range(1, steps + 1):
                    px += dx
                    py += dy
                    ix, iy = int(px), int(py)
                    if px < ZERO or py < ZERO or ix >= width or iy >= height:
                        break
                    total += edges[iy, ix] * weights[step]
                    weight += weights[step]
                    nx, ny = tangents[iy >> 2, ix >> 2, 0] * stride, tangents[iy >> 2, ix >> 2, 1] * stride
                    if nx * dx + ny * dy < ZERO:  # the tangent has no sign: go on the way one came
                        nx, ny = -nx, -ny
                    dx, dy = nx, ny
            out[y, x] = total / (weight * (quarter + tone[y, x])) * factor
    return out


@kernel(error_model="numpy", fastmath=True)
def hatch(
    ink: np.ndarray,
    first: np.ndarray,
    across: np.ndarray,
    phases: np.ndarray,
    spacings: np.ndarray,
    angles: np.ndarray,
    caps: np.ndarray,
    starts: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
    pressure: np.ndarray,
    hand: np.ndarray,
) -> np.ndarray:
    """Lines whose width gives the tone: (H, W) float32 coverage 0..1 of the ink that is wanted → the same array, with
    the ink that is drawn, 0..1.

    `first` (h, w) uint8: which phase draws a place first; `across` (3,) int64: how many further on in the
    circle of phases that of each layer is, 0 for the first.
    `phases` (F, h, w) float32 in waves, above 0, of a reduced copy; `spacings` (F, h/2, w/2) float32: pixels of `ink` a
    wave. `angles` (F,) radians: the way the lines of a phase run. `caps`, `starts` (3,): the most that a
    layer covers, and the tone at which it begins. Chance, all (TABLE,) float32: `offset` of a line from its place in
    waves, `weight` of a line, `pressure` of the hand along it 0..1. `hand` (5,) float32: how much of the offset, of the
    weight and of the pressure there is, the length in pixels over which the pressure changes, and how far the deepest
    tones close.
    """
    height, width = ink.shape
    count, small_height, small_width = phases.shape
    mask = TABLE - 1
    cosines, sines = (np.cos(angles) / hand[3]).astype(np.float32), (np.sin(angles) / hand[3]).astype(np.float32)
    rows, row_part = _places(height, small_height)
    columns, column_part = _places(width, small_width)
    first_columns = (np.arange(width) * first.shape[1] // width).astype(np.int32)
    row = np.empty((count, small_width), np.float32)
    for y in range(height):
        y0, fy = rows[y], row_part[y]
        yn = y0 + int(fy + HALF)
        chosen_first = first[y * first.shape[0] // height]
        for which in range(count):
            for x in range(small_width):
                row[which, x] = phases[which, y0, x] + (phases[which, y0 + 1, x] - phases[which, y0, x]) * fy
        for x in range(width):
            want = ink[y, x]
            if want < np.float32(0.025):
                ink[y, x] = ZERO
                continue
            x0, fx = columns[x], column_part[x]
            xn = x0 + int(fx + HALF)
            start = chosen_first[first_columns[x]]
            covered = ZERO
            black = ZERO
            for layer in range(3):
                if layer == 0:  # the deepest tones close to black
                    deep = min(max((want - np.float32(0.6)) * np.float32(5.0), ZERO), ONE) * hand[4]
                    duty = min(want, caps[0] + (np.float32(1.05) - caps[0]) * deep)
                else:
                    if want <= starts[layer]:
                        break
                    duty = min(max(ONE - (ONE - want) / (ONE - covered), ZERO), caps[layer])
                    duty *= min((want - starts[layer]) * np.float32(8.0), ONE)
                if duty <= np.float32(0.01):
                    continue
                covered = ONE - (ONE - covered) * (ONE - duty)
                which = start + across[layer]
                if which >= count:
                    which -= count
                phase = row[which, x0] + (row[which, x0 + 1] - row[which, x0]) * fx
                spacing = spacings[which, yn >> 1, xn >> 1]
                number = int(phase)  # phases are above 0
                line = (number * 7 + which * 131) & mask
                # where the hand is on its way along this line
                way = np.float32(x) * cosines[which] + np.float32(y) * sines[which] + np.float32(line * 17 + 100000)
                place = int(way)
                part = way - np.float32(place)
                press = pressure[place & mask]
                press += (pressure[(place + 1) & mask] - press) * part * part * (np.float32(3.0) - part - part)
                full = duty * (ONE + hand[1] * weight[line] + hand[2] * (press - HALF))
                if duty < np.float32(0.2):  # in the lights a line is lifted off now and then, and goes thin before
                    lift = np.float32(0.6) - duty * np.float32(4.0)  # at a pressure below this it is off the paper
                    stays = np.float32(0.9) - lift  # of the ink, on average; the rest of the line is drawn heavier
                    if lift < ZERO:
                        stays = ONE - np.float32(2.5) * (lift + np.float32(0.2)) * (lift + np.float32(0.2))
                    full *= min(max((press - lift) * np.float32(5.0), ZERO), ONE) / stays
                if full <= ZERO:
                    continue
                middle = phase - np.float32(number) - HALF - hand[0] * offset[line] * (ONE - duty)
                stroke = (full * HALF - abs(middle)) * spacing + HALF
                black = max(black, min(min(max(stroke, ZERO), ONE), full * spacing))
            ink[y, x] = black
    return ink


@kernel(error_model="numpy", fastmath=True)
def pressed(black: np.ndarray, strokes: np.ndarray, clouds: np.ndarray, knobs: np.ndarray, seed: int) -> np.ndarray:
    """Hatching and contours as ink on paper, (H, W) uint8: unevenly inked, with the grain of the paper.

    `black`, `strokes` (H, W) float32 as `hatch` and `contours` give them; `clouds` 1/8, float32 around 0; `knobs` (4,)
    float32: how black the ink is, how uneven, grain, and how the paper varies, the last three as shares of white.
    """
    height, width = black.shape
    out = np.empty((height, width), np.uint8)
    ink, uneven, grain, paper = knobs[0], knobs[1], knobs[2], knobs[3]
    rows, row_part = _places(height, clouds.shape[0])
    columns, column_part = _places(width, clouds.shape[1])
    state = np.uint32(seed | 1)
    for y in range(height):
        y0, fy = rows[y], row_part[y]
        cloud = clouds[y0] + (clouds[y0 + 1] - clouds[y0]) * fy
        for x in range(width):
            x0 = columns[x]
            here = cloud[x0] + (cloud[x0 + 1] - cloud[x0]) * column_part[x]
            line = min(max((strokes[y, x] - CONTOUR) * np.float32(45.0), ZERO), ONE)
            covered = ONE - (ONE - black[y, x]) * (ONE - line)
            state ^= state << np.uint32(13)  # Marsaglia's xorshift: the grain needs no better chance
            state ^= state >> np.uint32(17)
            state ^= state << np.uint32(5)
            speck = np.float32(np.int32(state & np.uint32(0xFFFF)) - 32768) * np.float32(1 / 32768)
            value = (ONE - covered * ink * (ONE - uneven * abs(here))) * (ONE - paper * max(here, ZERO)) + grain * speck
            out[y, x] = np.uint8(min(max(value * np.float32(255.0) + HALF, ZERO), np.float32(255.0)))
    return out
