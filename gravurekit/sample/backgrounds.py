"""Where the figure stands: soft, a little out of focus, drawn at half size."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from gravurekit.sample.brush import fixed, smooth

KINDS = ("studio", "wall", "garden", "arcade", "seaside", "curtain")
FLOOR = 0.84  # where the floor meets the wall, as a share of the height


def gradient(h: int, w: int, top: ArrayLike, bottom: ArrayLike, side: float = 0.0) -> np.ndarray:
    """(h, w, 3) float32 from one colour down to another, darker to the right by `side`."""
    v = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    u = np.linspace(0, 1, w, dtype=np.float32)[None, :, None]
    colours = np.array(top, np.float32) * (1 - v) + np.array(bottom, np.float32) * v
    return colours * (1 - side * u)


def _fill(art: np.ndarray, points: ArrayLike, colour: Sequence[float] | np.ndarray) -> None:
    cv2.fillPoly(art, [fixed(np.asarray(points))], tuple(float(c) for c in colour), cv2.LINE_8, 4)


def _floor(art: np.ndarray, colour: tuple[int, int, int], planks: bool = False) -> None:
    h, w = art.shape[:2]
    y = int(FLOOR * h)
    art[y:] = gradient(h - y, w, np.array(colour) * 0.82, np.array(colour) * 1.08, 0.12)
    if planks:
        for x in np.linspace(-1.2, 2.2, 16):
            cv2.line(
                art,
                (int(x * w), h),
                (int((x * 0.5 + 0.25) * w), y),
                tuple(float(c) * 0.72 for c in colour),
                1,
            )


def studio(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    hue = np.array([(176, 170, 160), (150, 158, 164), (188, 176, 156), (160, 166, 150)][rng.integers(4)], float)
    art = gradient(h, w, hue * 0.86, hue * 1.05, 0.15)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    glow = np.exp(-(((x / w - 0.42) / 0.4) ** 2 + ((y / h - 0.42) / 0.4) ** 2))
    art += 34 * glow[..., None]
    v = np.clip((np.arange(h) / h - FLOOR + 0.02) / 0.05, 0, 1).astype(np.float32)[:, None, None]
    return art * (1 - 0.14 * v) + 8 * v


def wall(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    hue = np.array([(196, 186, 164), (150, 168, 160), (190, 160, 146), (160, 164, 182)][rng.integers(4)], float)
    art = gradient(h, w, hue * 1.05, hue * 0.92, 0.22)
    x = np.arange(w, dtype=np.float32)[None, :, None] / w
    y = np.arange(h, dtype=np.float32)[:, None, None] / h
    art *= 1 + 0.035 * np.clip(4 * np.sin(x * 2 * np.pi * 9), -1, 1)  # striped wallpaper
    art += 22 * np.exp(-(((x - 0.25) / 0.45) ** 2 + ((y - 0.25) / 0.4) ** 2))  # daylight from the left
    rail = int(h * 0.63)
    art[rail : int(FLOOR * h)] = gradient(int(FLOOR * h) - rail, w, hue * 0.8, hue * 0.72, 0.15)
    art[rail - 2 : rail + 3] = hue * 1.12
    art[rail + 3 : rail + 5] = hue * 0.6
    _floor(art, (172, 134, 96), planks=True)
    art[int(FLOOR * h) - 7 : int(FLOOR * h)] = hue * 0.98
    return art


def _tree(
    art: np.ndarray, rng: np.random.Generator, x: float, y: float, size: float, hue: tuple[int, int, int]
) -> None:
    cv2.line(art, (int(x), int(y)), (int(x), int(y - size)), (86.0, 72.0, 58.0), max(2, int(size / 11)))
    spots = np.clip(rng.normal(0, 1, (130, 2)), -1.7, 1.7) * size * [0.22, 0.27]
    spots = spots[np.argsort(spots.sum(1))[::-1]]  # the shaded side first, the lit dabs over it
    for dx, dy in spots:
        shade = 1.0 - 0.42 * (dx + dy) / size + rng.uniform(-0.08, 0.12)
        centre = (int((x + dx) * 16), int((y - size * 1.2 + dy) * 16))
        axes = (int(size * rng.uniform(0.06, 0.13) * 16), int(size * rng.uniform(0.04, 0.08) * 16))
        cv2.ellipse(
            art,
            centre,
            axes,
            rng.uniform(-40, 40),
            0,
            360,
            tuple(float(c) * shade for c in hue),
            -1,
            cv2.LINE_8,
            4,
        )


def garden(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    art = gradient(h, w, (160, 190, 212), (232, 226, 204))
    x = np.linspace(-10, w + 10, 24)
    for level, hue in ((0.52, (164, 182, 186)), (0.6, (140, 164, 142)), (0.7, (122, 148, 104))):
        ridge = (
            h * level + h * 0.035 * np.sin(x / w * rng.uniform(4, 9) + rng.uniform(0, 6)) + rng.normal(0, 1.2, len(x))
        )
        _fill(art, np.vstack([np.stack([x, ridge], 1), [(w + 10, h), (-10, h)]]), hue)
    for side in (0.08, 0.92, rng.uniform(0.7, 0.85)):
        _tree(art, rng, w * side + rng.normal(0, 8), h * 0.75, h * rng.uniform(0.22, 0.34), (94, 126, 78))
    y = int(h * 0.76)
    art[y:] = gradient(h - y, w, (146, 160, 104), (172, 164, 118))
    path = smooth(
        [
            (w * 0.5, y),
            (w * 0.42, h * 0.85),
            (w * 0.1, h + 4),
            (w * 0.98, h + 4),
            (w * 0.66, h * 0.86),
            (w * 0.55, y),
        ]
    )
    _fill(art, path, (206, 192, 160))
    for _ in range(50):
        px, py = rng.uniform(0, w), rng.uniform(h * 0.77, h)
        cv2.circle(
            art,
            (int(px), int(py)),
            1 + int(rng.integers(2)),
            ((214.0, 120.0, 120.0), (230.0, 214.0, 140.0), (110.0, 140.0, 84.0))[rng.integers(3)],
            -1,
        )
    return art


def arcade(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """An Ottoman room: a pointed arch on columns with a view, tiles below."""
    stone = np.array([(206, 190, 160), (196, 178, 166), (200, 198, 184)][rng.integers(3)], float)
    art = gradient(h, w, stone * 0.98, stone * 0.84, 0.2)
    left, right, spring = w * 0.14, w * 0.86, h * 0.3
    arch = np.vstack(
        [
            [(left, h * FLOOR), (left, spring)],
            smooth(
                [
                    (left, spring),
                    (w * 0.2, h * 0.17),
                    (w * 0.38, h * 0.08),
                    (w * 0.5, h * 0.03),
                    (w * 0.62, h * 0.08),
                    (w * 0.8, h * 0.17),
                    (right, spring),
                ]
            ),
            [(right, h * FLOOR)],
        ]
    )
    middle = np.array([w / 2, h * 0.5])
    _fill(art, (arch - middle) * 1.07 + middle, stone * 1.12)
    _fill(art, (arch - middle) * 1.035 + middle, [(150, 84, 66), (74, 108, 116), (108, 96, 70)][rng.integers(3)])
    mask = np.zeros((h, w), np.uint8)
    cv2.fillPoly(mask, [fixed(arch)], 255, cv2.LINE_8, 4)
    view = gradient(h, w, (150, 178, 198), (228, 214, 186))
    _fill(
        view,
        [(0, h * 0.62), (w * 0.3, h * 0.57), (w * 0.6, h * 0.6), (w, h * 0.56), (w, h), (0, h)],
        (150, 160, 158),
    )
    dome = [(w * 0.66 + w * 0.1 * np.cos(t), h * 0.57 - h * 0.05 * np.sin(t)) for t in np.linspace(0, np.pi, 16)]
    _fill(view, dome, (166, 166, 172))
    for x in (0.55, 0.79):
        _fill(
            view,
            [
                (w * x - 2, h * 0.6),
                (w * x - 2, h * 0.42),
                (w * x, h * 0.38),
                (w * x + 2, h * 0.42),
                (w * x + 2, h * 0.6),
            ],
            (170, 168, 172),
        )
    view[int(h * 0.66) :] = gradient(h - int(h * 0.66), w, (104, 142, 152), (122, 150, 140))
    y = int(h * 0.74)
    view[y:] = gradient(h - y, w, (196, 180, 150), (180, 160, 130))
    art[mask > 0] = view[mask > 0]
    for x in (left, right):
        half = w * 0.035
        art[int(spring) : int(FLOOR * h), int(x - half) : int(x + half)] = gradient(
            int(FLOOR * h) - int(spring), int(x + half) - int(x - half), stone * 1.2, stone, 0.4
        )
        _fill(
            art,
            [
                (x - half * 1.7, spring - 8),
                (x + half * 1.7, spring - 8),
                (x + half, spring + 10),
                (x - half, spring + 10),
            ],
            stone * 1.1,
        )
    _floor(art, (168, 136, 112))
    y = int(FLOOR * h)
    for k in range(5):
        row = y + int((h - y) * (k / 5) ** 1.3)
        cv2.line(art, (0, row), (w, row), (128.0, 100.0, 84.0), 1)
    for x in np.linspace(-1.5, 2.5, 15):
        cv2.line(art, (int(x * w), h), (int((x * 0.45 + 0.275) * w), y), (128.0, 100.0, 84.0), 1)
    return art


def _cloud(art: np.ndarray, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """Puffs on a common flat base, grey below and bright above."""
    puffs = [
        (x + size * 0.042 * k, size * 0.03 * rng.uniform(0.6, 1.3) * (1.3 - 0.25 * abs(k)))
        for k in (-3, -2, -1, 0, 1, 2, 3)
    ]
    for tint, lift in (
        ((214.0, 216.0, 216.0), 0.55),
        ((234.0, 232.0, 226.0), 0.8),
        ((247.0, 243.0, 233.0), 1.1),
    ):
        for px, radius in puffs:
            axes = (int(radius * 24), int(radius * 13))
            cv2.ellipse(art, (int(px * 16), int((y - radius * lift) * 16)), axes, 0, 0, 360, tint, -1, cv2.LINE_8, 4)


def seaside(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    art = gradient(h, w, (140, 182, 214), (238, 226, 200))
    for _ in range(6):
        cx, cy, size = rng.uniform(0, w), h * rng.uniform(0.06, 0.42), h * rng.uniform(0.5, 1.2)
        _cloud(art, rng, cx, cy, size)
    y0, y1 = int(h * 0.6), int(h * 0.8)
    art[y0:y1] = gradient(y1 - y0, w, (92, 136, 158), (140, 176, 172))
    for _ in range(90):
        x, y = rng.uniform(0, w), rng.uniform(y0, y1)
        cv2.line(
            art,
            (int(x), int(y)),
            (int(x + w * 0.05 * (y - y0 + 9) / (y1 - y0)), int(y)),
            (186.0, 208.0, 208.0),
            1,
        )
    bx = w * rng.choice([0.14, 0.84])
    by = h * 0.63
    _fill(art, [(bx - 18, by), (bx + 18, by), (bx + 12, by + 7), (bx - 13, by + 7)], (104, 74, 60))
    _fill(art, [(bx, by - 2), (bx, by - 44), (bx + 19, by - 4)], (240, 230, 212))
    _fill(art, [(bx - 2, by - 2), (bx - 2, by - 36), (bx - 14, by - 4)], (222, 206, 186))
    art[y1:] = gradient(h - y1, w, (214, 194, 152), (226, 206, 166), 0.1)
    art[y1 - 2 : y1 + 2] = (240, 238, 228)
    return art


def curtain(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    hue = np.array([(120, 70, 64), (92, 108, 90), (86, 92, 118), (140, 112, 76)][rng.integers(4)], float)
    art = gradient(h, w, (178, 166, 148), (150, 138, 122), 0.15)
    x = np.arange(w, dtype=np.float32)[None] / w
    y = np.arange(h, dtype=np.float32)[:, None] / h
    for side in (0, 1):
        s = x if side == 0 else 1 - x
        above, below = np.clip(1 - y / 0.62, 0, 1), np.clip((y - 0.62) / 0.3, 0, 1)
        edge = 0.1 + 0.26 * above**2.2 + 0.05 * below  # gathered by a tie at 0.62
        folds = 0.84 + 0.24 * np.sin(s / (edge + 0.04) * 21 + 2.2 * above + side)
        folds = folds - 0.12 * np.exp(-(((y - 0.62) / 0.02) ** 2))
        cloth = np.clip((edge - s) * w + 0.5, 0, 1)[..., None]
        art = (hue * folds[..., None] * cloth + art * (1 - cloth)).astype(np.float32)
    _floor(art, (140, 96, 84))
    far = int((FLOOR + 0.02) * h)
    _fill(art, [(w * 0.05, h), (w * 0.18, far), (w * 0.82, far), (w * 0.95, h)], (150, 62, 56))
    _fill(art, [(w * 0.09, h), (w * 0.21, far + 4), (w * 0.79, far + 4), (w * 0.91, h)], (176, 96, 72))
    return art


PAINTERS = {
    "studio": studio,
    "wall": wall,
    "garden": garden,
    "arcade": arcade,
    "seaside": seaside,
    "curtain": curtain,
}


def background(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB, soft as behind a portrait lens and a little paler than the figure."""
    art = PAINTERS[kind](max(height // 2, 8), max(width // 2, 8), rng)
    art = np.clip(art * 0.9 + 26, 0, 255).astype(np.uint8)
    return cv2.resize(cv2.GaussianBlur(art, (0, 0), 1.1), (width, height), interpolation=cv2.INTER_LINEAR)


def ground_shadow(canvas: np.ndarray, x: float, y: float, half: float, scale: float) -> None:
    """The figure's shadow on the floor, to the right, and the dark contact under the feet; in place."""
    h, w = canvas.shape[:2]
    shadow: np.ndarray = np.zeros((h, w), np.uint8)
    for dx, wide, tall, depth in ((0.55, 1.5, 0.24, 70), (0.05, 1.05, 0.15, 120)):
        layer = np.zeros((h, w), np.uint8)
        cv2.ellipse(
            layer,
            (int(x + dx * scale), int(y)),
            (int(half * wide * scale), int(tall * scale)),
            0,
            0,
            360,
            depth,
            -1,
        )
        shadow = cv2.max(shadow, cv2.blur(cv2.blur(layer, (int(scale * 0.3) | 1,) * 2), (int(scale * 0.2) | 1,) * 2))
    canvas[:] = cv2.multiply(canvas, cv2.merge([255 - shadow] * 3), scale=1 / 255)
