"""Hats, turbans, veils and what is worn in the hair."""

import numpy as np

from gravurekit.sample.body import darker, lighter, limb, mirrored
from gravurekit.sample.brush import smooth
from gravurekit.sample.parts import RGB, Fabric, Part, Stroke

GOLD: RGB = (214, 172, 86)
WHITE: RGB = (240, 234, 222)


def veil(colour: RGB, length: float = 2.6) -> Part:
    """A cloth hanging from the head behind the shoulders; drawn before the body."""
    right = [
        (0, -0.22),
        (0.32, -0.12),
        (0.5, 0.4),
        (0.62, 1.1),
        (0.85, 1.9),
        (0.9, length),
        (0, length + 0.1),
    ]
    folds = np.array([(x, x * 1.1, 0.1, 0.05, 0.0) for x in (-0.85, -0.6, -0.35, 0.35, 0.6, 0.85)])
    return Part(
        mirrored(right),
        Fabric(colour, "sprigs", lighter(colour, 0.35), 0.4, hem=0.06),
        folds=folds,
        relief=0.25,
    )


def fez(colour: RGB = (158, 34, 38)) -> list[Part]:
    right = [(0, -0.46), (0.27, -0.44), (0.27, -0.44), (0.37, 0.2), (0.37, 0.2), (0.2, 0.265), (0, 0.275)]
    tassel = [
        Stroke(smooth([(0, -0.44), (-0.2, -0.36), (-0.33, 0.0), (-0.34, 0.22)]), 0.03, (34, 30, 40)),
        Stroke(np.array([(-0.345, 0.1), (-0.345, 0.32)]), 0.07, (34, 30, 40)),
    ]
    cap = Part(mirrored(right), Fabric(colour, "wool", lighter(colour, 0.1), 0.5), relief=0.6, strokes=(tassel[0],))
    return [cap, limb([(-0.36, 0.05), (-0.37, 0.4)], [0.03, 0.05], Fabric((34, 30, 40)), None)]


def tepelik(accent: RGB) -> list[Part]:
    """A low round cap with coins along the brow (for bindallı)."""
    right = [(0, -0.24), (0.26, -0.2), (0.38, 0.0), (0.41, 0.22), (0.41, 0.22), (0.2, 0.29), (0, 0.31)]
    coins = np.array([(x, 0.24 - 0.18 * x * x + 0.02) for x in np.linspace(-0.38, 0.38, 10)])
    band = Stroke(smooth([(-0.4, 0.14), (0, 0.2), (0.4, 0.14)]), 0.1, darker(accent, 0.12))
    return [
        Part(
            mirrored(right),
            Fabric(accent, "embroidery", darker(accent, 0.4), 0.5, sheen=0.4),
            relief=0.6,
            ball=0.5,
            strokes=(band, Stroke(coins, 0.075, lighter(accent, 0.4), "dots")),
        )
    ]


def turban(cap: RGB, wide: float = 1.0, plume: bool = False) -> list[Part]:
    """A wound white turban round a ribbed cap."""
    parts = [
        Part(
            mirrored([(0, -0.72), (0.2, -0.66), (0.3, -0.4), (0.3, 0), (0, 0)]),
            Fabric(cap, sheen=0.2),
            relief=0.6,
            ball=0.4,
            strokes=tuple(
                Stroke(smooth([(x * 0.4, -0.72), (x, -0.4), (x, 0)]), 0.02, darker(cap, 0.35)) for x in (-0.16, 0, 0.16)
            ),
        )
    ]
    right = [
        (0, -0.46),
        (0.34 * wide, -0.44),
        (0.6 * wide, -0.24),
        (0.6 * wide, 0.02),
        (0.42, 0.22),
        (0.2, 0.28),
        (0, 0.29),
    ]
    wraps = []
    for k in np.linspace(-1, 1, 8):
        y = -0.1 + 0.3 * k
        line = smooth([(-0.62 * wide, y + 0.18), (-0.2, y + 0.06), (0.25, y - 0.1), (0.62 * wide, y - 0.16)])
        wraps += [Stroke(line, 0.028, (172, 164, 158)), Stroke(line - [0, 0.035], 0.02, (255, 252, 244))]
    parts.append(Part(mirrored(right), Fabric(WHITE), relief=0.6, ball=0.6, strokes=tuple(wraps)))
    if plume:
        outline = smooth(
            [(0.06, -0.05), (0.0, -0.5), (0.1, -0.9), (0.26, -1.05), (0.3, -0.8), (0.2, -0.45)], closed=True
        )
        parts.append(Part(outline, Fabric((230, 226, 214), "fur", (150, 150, 158), 0.5), relief=0.3))
        parts.append(
            Part(
                smooth([(0.04, -0.16), (0.13, -0.06), (0.04, 0.05), (-0.05, -0.06)], closed=True),
                Fabric(GOLD, sheen=0.6),
                ball=0.8,
            )
        )
    return parts


def bork() -> list[Part]:
    """The janissary's tall white felt cap, its sleeve falling behind, with a gilt spoon-holder."""
    flap = smooth(
        [
            (-0.1, -1.28),
            (0.25, -1.42),
            (0.52, -1.2),
            (0.62, -0.5),
            (0.68, 0.4),
            (0.72, 1.2),
            (0.62, 1.62),
            (0.42, 1.5),
            (0.38, 0.6),
            (0.34, -0.5),
        ],
        closed=True,
    )
    folds = np.array([(-0.4, -0.3, 0.2, 0.05, 0.0), (0.45, 0.4, 0.2, 0.05, 0.0)])
    tall = np.vstack(
        [
            smooth(
                [
                    (-0.4, 0.2),
                    (-0.36, -0.5),
                    (-0.3, -1.15),
                    (-0.16, -1.36),
                    (0.12, -1.42),
                    (0.36, -1.25),
                    (0.38, -0.5),
                    (0.4, 0.2),
                ]
            ),
            smooth([(0.4, 0.2), (0.2, 0.26), (0, 0.28), (-0.2, 0.26), (-0.4, 0.2)]),
        ]
    )
    band = Stroke(smooth([(-0.42, 0.06), (0, 0.16), (0.42, 0.06)]), 0.2, GOLD)
    lines = [
        Stroke(smooth([(-0.42, y), (0, y + 0.1), (0.42, y)]), 0.02, darker(GOLD, 0.45)) for y in (-0.03, 0.06, 0.15)
    ]
    holder = Stroke(np.array([(-0.07, 0.12), (-0.05, -0.55), (0.05, -0.55), (0.07, 0.12)]), 0, GOLD, "fill")
    edge = Stroke(np.array([(0, 0.1), (0, -0.53)]), 0.02, darker(GOLD, 0.45))
    return [
        Part(flap, Fabric(WHITE, "wool", (214, 206, 192), 0.5), folds=folds, relief=0.35),
        Part(
            tall,
            Fabric(WHITE, "wool", (214, 206, 192), 0.5),
            relief=0.6,
            strokes=(holder, edge, band, *lines),
        ),
    ]


def top_hat(colour: RGB) -> list[Part]:
    brim = smooth(
        [
            (-0.62, 0.06),
            (-0.4, 0.16),
            (0, 0.22),
            (0.4, 0.16),
            (0.62, 0.06),
            (0.45, 0.24),
            (0, 0.33),
            (-0.45, 0.24),
        ],
        closed=True,
    )
    right = [
        (0, -0.8),
        (0.2, -0.79),
        (0.39, -0.74),
        (0.39, -0.74),
        (0.35, -0.3),
        (0.38, 0.16),
        (0.38, 0.16),
        (0.2, 0.24),
        (0, 0.26),
    ]
    band = Stroke(smooth([(-0.4, 0.03), (0, 0.12), (0.4, 0.03)]), 0.13, darker(colour, 0.5))
    return [
        Part(mirrored(right), Fabric(colour, sheen=0.5), relief=0.7, strokes=(band,)),
        Part(brim, Fabric(colour, sheen=0.4), relief=0.15),
    ]


def round_hat(colour: RGB, ribbon: RGB, wide: float = 0.75, straw: bool = False) -> list[Part]:
    """A brimmed hat seen a little from below; straw boater or felt."""
    right = [(0, -0.36), (0.24, -0.33), (0.38, -0.18), (0.4, 0.1), (0.2, 0.18), (0, 0.2)]
    brim = smooth(
        [
            (-wide, 0.08),
            (-0.5, -0.04),
            (0, -0.02),
            (0.5, -0.04),
            (wide, 0.08),
            (0.5, 0.22),
            (0, 0.29),
            (-0.5, 0.22),
        ],
        closed=True,
    )
    fabric = Fabric(colour, "check" if straw else "wool", darker(colour, 0.15), 0.16 if straw else 0.5)
    band = Stroke(smooth([(-0.41, 0.02), (0, 0.1), (0.41, 0.02)]), 0.16, ribbon)
    bow = smooth([(0.3, 0.05), (0.46, -0.1), (0.56, 0.0), (0.44, 0.08), (0.58, 0.2), (0.42, 0.2)], closed=True)
    return [
        Part(brim, fabric, relief=0.16),
        Part(mirrored(right), fabric, relief=0.6, ball=0.4, strokes=(band,), shadow=0.3),
        Part(bow, Fabric(ribbon), relief=0.4),
    ]


def fur_hat(colour: RGB) -> list[Part]:
    right = [(0, -0.5), (0.34, -0.46), (0.5, -0.24), (0.5, 0.1), (0.4, 0.26), (0.2, 0.31), (0, 0.33)]
    return [
        Part(
            mirrored(right),
            Fabric(colour, "fur", lighter(colour, 0.3), 0.55, fuzz=0.05),
            relief=0.6,
            ball=0.5,
        )
    ]


def scarf(colour: RGB, accent: RGB) -> list[Part]:
    """A headscarf: over the hair, round the cheeks, knotted under the chin."""
    outline = np.vstack(
        [
            smooth(
                [
                    (-0.3, 1.2),
                    (-0.46, 0.7),
                    (-0.47, 0.3),
                    (-0.34, -0.02),
                    (0, -0.13),
                    (0.34, -0.02),
                    (0.47, 0.3),
                    (0.46, 0.7),
                    (0.3, 1.2),
                ]
            ),
            smooth(
                [
                    (0.12, 1.14),
                    (0.29, 0.8),
                    (0.325, 0.45),
                    (0.22, 0.24),
                    (0, 0.16),
                    (-0.22, 0.24),
                    (-0.325, 0.45),
                    (-0.29, 0.8),
                    (-0.12, 1.14),
                ]
            ),
        ]
    )
    tails = smooth(
        [
            (-0.02, 1.06),
            (0.16, 1.2),
            (0.24, 1.62),
            (0.08, 1.56),
            (0, 1.25),
            (-0.1, 1.58),
            (-0.25, 1.6),
            (-0.17, 1.18),
        ],
        closed=True,
    )
    fabric = Fabric(colour, "sprigs", accent, 0.28)
    return [Part(outline, fabric, relief=0.35, ball=0.3), Part(tails, fabric, relief=0.4)]


def flower_in_hair(colour: RGB) -> list[Part]:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    reach = 0.16 * (0.75 + 0.25 * np.cos(5 * angle))
    outline = np.stack([0.34 + reach * np.cos(angle), 0.14 + reach * np.sin(angle)], 1)
    return [
        Part(
            outline,
            Fabric(colour),
            relief=0.5,
            ball=0.5,
            strokes=(Stroke(np.array([[0.34, 0.14]]), 0.09, GOLD, "dots"),),
        )
    ]


def tiara() -> list[Part]:
    outline = np.vstack(
        [
            smooth([(-0.33, 0.16), (0, 0.08), (0.33, 0.16)]),
            [
                (0.3, 0.02),
                (0.2, 0.06),
                (0.14, -0.08),
                (0.07, 0.0),
                (0, -0.16),
                (-0.07, 0.0),
                (-0.14, -0.08),
                (-0.2, 0.06),
                (-0.3, 0.02),
            ],
        ]
    )
    return [Part(outline, Fabric((232, 214, 150), sheen=0.9), relief=0.3)]
