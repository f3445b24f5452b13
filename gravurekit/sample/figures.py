"""Dressed figures drawn by code: a Figure is all that a drawing depends on."""

import colorsys
from zlib import crc32

import numpy as np

from gravurekit.sample.backgrounds import KINDS, background, ground_shadow
from gravurekit.sample.body import lighter
from gravurekit.sample.engraving import engrave, surroundings
from gravurekit.sample.garments import BUILDERS
from gravurekit.sample.paint import finish, paint
from gravurekit.sample.parts import RGB, Figure, Placement

GARMENTS = (
    "kaftan",
    "bindalli",
    "abiye",
    "yeniceri kiyafeti",
    "salvar",
    "cubbe",
    "kostum",
    "pardesu",
    "etek",
    "kurk",
    "dress",
)
COLOURS = ("red", "green", "blue", "pink", "black", "yellow")

MAIN: dict[str, RGB] = {
    "red": (186, 38, 44),
    "green": (52, 128, 74),
    "blue": (44, 84, 168),
    "pink": (232, 134, 164),
    "black": (52, 49, 54),
    "yellow": (226, 182, 52),
}
# main, second, third (sash, shoes, ribbon), accent (gold and the like)
PALETTES: dict[str, tuple[RGB, RGB, RGB, RGB]] = {
    "kaftan": ((172, 32, 40), (234, 222, 196), (44, 110, 104), (222, 176, 84)),
    "bindalli": ((104, 24, 72), (226, 206, 190), (150, 44, 70), (224, 180, 92)),
    "abiye": ((14, 128, 112), (200, 230, 220), (230, 200, 120), (226, 206, 150)),
    "yeniceri kiyafeti": ((190, 40, 36), (44, 74, 140), (206, 158, 60), (226, 182, 84)),
    "salvar": ((46, 92, 178), (238, 230, 216), (196, 66, 54), (230, 196, 108)),
    "cubbe": ((98, 112, 54), (226, 206, 160), (150, 60, 52), (204, 170, 96)),
    "kostum": ((62, 76, 108), (150, 148, 150), (176, 150, 104), (216, 184, 104)),
    "pardesu": ((194, 146, 92), (230, 220, 200), (158, 58, 52), (214, 176, 96)),
    "etek": ((204, 96, 122), (240, 232, 220), (90, 120, 110), (196, 160, 110)),
    "kurk": ((122, 82, 52), (210, 180, 140), (90, 40, 52), (210, 170, 100)),
    "dress": ((130, 150, 210), (240, 228, 220), (226, 110, 120), (226, 196, 130)),
}
DRESSES: tuple[RGB, ...] = (
    (120, 150, 214),
    (222, 132, 120),
    (150, 120, 184),
    (224, 190, 96),
    (118, 172, 132),
    (196, 72, 88),
)
SKINS: tuple[RGB, ...] = ((240, 204, 176), (232, 190, 158), (216, 170, 134), (188, 140, 106))
HAIRS: tuple[RGB, ...] = ((48, 34, 30), (78, 50, 36), (112, 70, 42), (34, 28, 30))
MALE = ("yeniceri kiyafeti", "cubbe", "kostum")
TALL = {
    "yeniceri kiyafeti": 1.45,
    "cubbe": 0.75,
    "kostum": 0.82,
    "kaftan": 0.48,
    "kurk": 0.52,
    "etek": 0.4,
    "pardesu": 0.38,
    "bindalli": 0.3,
}
ARMS = {  # poses that suit the garment: (left, right, what the right hand holds)
    "kaftan": (
        ("hanging", "front", "flower"),
        ("hip", "hanging", ""),
        ("loose", "raised", "flower"),
        ("front", "loose", ""),
    ),
    "bindalli": (
        ("loose", "front", "fan"),
        ("loose", "loose", ""),
        ("hanging", "raised", "flower"),
        ("front", "hanging", ""),
    ),
    "abiye": (
        ("hip", "loose", ""),
        ("loose", "raised", "fan"),
        ("hanging", "front", "fan"),
        ("hip", "raised", "flower"),
    ),
    "yeniceri kiyafeti": (("hip", "out", "staff"), ("hanging", "out", "staff"), ("hip", "loose", "")),
    "salvar": (
        ("hip", "loose", ""),
        ("hip", "raised", "flower"),
        ("hip", "out", "flower"),
        ("hip", "hip", ""),
    ),
    "cubbe": (
        ("front", "hanging", ""),
        ("hanging", "out", "staff"),
        ("loose", "front", ""),
        ("front", "out", "staff"),
    ),
    "kostum": (
        ("hip", "loose", "cane"),
        ("hanging", "out", "cane"),
        ("hanging", "hip", ""),
        ("front", "loose", "cane"),
    ),
    "pardesu": (
        ("hanging", "hanging", ""),
        ("hip", "hanging", ""),
        ("loose", "front", "flower"),
        ("hanging", "loose", ""),
    ),
    "etek": (
        ("hip", "loose", ""),
        ("loose", "raised", "flower"),
        ("hip", "front", "fan"),
        ("hip", "hip", ""),
    ),
    "kurk": (
        ("front", "front", ""),
        ("front", "front", ""),
        ("hanging", "front", ""),
        ("loose", "hanging", ""),
    ),
    "dress": (
        ("loose", "front", "fan"),
        ("loose", "loose", ""),
        ("front", "raised", "flower"),
        ("loose", "raised", "fan"),
    ),
}


def _jitter(colour: RGB, hue: float, value: float) -> RGB:
    h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb((h + hue) % 1, s, min(1.0, v * value)))
    return red, green, blue


def figure(garment: str, colour: str | None, seed: int) -> Figure:
    """Draw lots for one figure; the same arguments always give the same figure."""
    if garment not in GARMENTS:
        raise ValueError(f"unknown garment {garment!r}; known are {', '.join(GARMENTS)}")
    if colour is not None and colour not in COLOURS:
        raise ValueError(f"unknown colour {colour!r}; known are {', '.join(COLOURS)}")
    rng = np.random.default_rng([crc32(garment.encode()), crc32((colour or "").encode()), seed])
    main, second, third, accent = PALETTES[garment]
    if garment == "dress":
        main = DRESSES[rng.integers(len(DRESSES))]
    if colour is not None:
        main = MAIN[colour]
        if garment == "yeniceri kiyafeti":  # trousers of another colour would outweigh the coat
            second = _jitter(main, 0.0, 0.6)
    left, right, prop = ARMS[garment][rng.integers(len(ARMS[garment]))]
    main = _jitter(main, rng.uniform(-0.018, 0.018), rng.uniform(0.92, 1.08))
    motif = accent if colour is None else lighter(main, 0.45)  # gold on green would outweigh the green
    return Figure(
        garment,
        seed,
        main,
        second,
        third,
        accent,
        motif,
        SKINS[rng.integers(len(SKINS))],
        HAIRS[rng.integers(len(HAIRS))],
        left,
        right,
        prop,
        int(rng.integers(2)),
        float(rng.uniform(-1, 1)),
        float(rng.uniform(-0.12, 0.12)),
        bool(rng.integers(2)),
        float(rng.uniform(0.95, 1.0)),
        float(rng.uniform(-0.03, 0.03)),
        float(rng.uniform(0.61, 0.75)),
        KINDS[rng.integers(len(KINDS))],
        int(rng.integers(2**31)),
    )


def _place(who: Figure, height: int) -> tuple[Placement, int]:
    width = max(int(round(height * who.aspect)), 8)
    above = TALL.get(who.garment, 0.2)
    scale = height * 0.88 * who.zoom / (7.55 + above)
    feet = height * 0.945
    return Placement(scale, width * (0.5 + who.offset), feet - 7.5 * scale, who.sway, who.flip, (height, width)), width


def draw_figure(garment: str, colour: str | None, seed: int, height: int = 720) -> np.ndarray:
    """A dressed figure at full length, painted; `colour` None means the garment's usual one.

    (H, W, 3) uint8 sRGB 0..255, RGB order; H = `height`, W/H between 0.61 and 0.75 by seed.
    """
    who = figure(garment, colour, seed)
    rng = np.random.default_rng(who.grain)
    place, width = _place(who, height)
    parts = BUILDERS[garment](who, rng)
    canvas = background(who.background, height, width, rng)
    ground = place.y + 7.45 * place.scale
    ground_shadow(canvas, place.x, ground, 1.1, place.scale)
    paint(canvas, parts, place, rng)
    return finish(canvas, rng)


def draw_engraving(garment: str, seed: int, height: int = 720, outline: bool = False) -> np.ndarray:
    """The figure of `draw_figure(garment, None, seed)` as an uncoloured engraving: outlines and hatching, or with
    `outline` the contours and folds only.

    (H, W) uint8 0..255, sRGB grey, dark ink on near-white paper; the same size as the painted figure.
    """
    who = figure(garment, None, seed)
    rng = np.random.default_rng(who.grain)
    place, width = _place(who, height)
    parts = BUILDERS[garment](who, rng)
    paper = np.full((height, width), 246, np.uint8)
    surroundings(paper, who.background, place.x, place.y + 7.45 * place.scale, place.scale, rng)
    engrave(paper, parts, place, rng, outline)
    noise = rng.standard_normal((height, width), np.float32) * 2.5
    return np.clip(paper + noise, 0, 255).astype(np.uint8)
