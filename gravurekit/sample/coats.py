"""Frock coat, overcoat and fur: each function turns a Figure into its parts, back to front."""

import numpy as np

from gravurekit.sample.body import darker, hair_back, head, legs, lighter, mirrored, neck, shoes
from gravurekit.sample.brush import smooth
from gravurekit.sample.headgear import WHITE, fez, fur_hat, round_hat, top_hat
from gravurekit.sample.parts import Fabric, Figure, Part, Stroke
from gravurekit.sample.tailoring import hanging, lady, panel, pleats, sleeves


def kostum(figure: Figure, rng: np.random.Generator) -> list[Part]:
    """A gentleman's frock coat of the nineteenth century."""
    wool = Fabric(figure.main, "wool", lighter(figure.main, 0.08), 0.4)
    creases = np.array([(0, 0, 0.18, 0.05, 0.1), (-0.6, -0.4, 0.2, 0.03, 0.5)])
    parts = [
        *shoes((38, 34, 36), 0.34),
        *legs(
            Fabric(figure.second, "stripes", darker(figure.second, 0.15), 0.2),
            0.25,
            0.22,
            creases,
            0.34,
            0.36,
        ),
        neck(figure.skin, half=0.22),
    ]
    shirt = [(0, 1.3), (0.2, 1.22), (0.5, 1.45), (0.5, 2.2), (0.46, 3.0), (0.3, 3.25), (0, 3.3)]
    buttons = Stroke(np.array([(0.0, y) for y in np.arange(2.1, 3.1, 0.2)]), 0.07, figure.accent, "dots")
    vest = Stroke(
        smooth([(-0.6, 1.5), (-0.2, 1.75), (0, 2.02), (0.2, 1.75), (0.6, 1.5), (0.8, 3.4), (-0.8, 3.4)], True),
        0,
        figure.third,
        "fill",
    )
    parts.append(Part(mirrored(shirt), Fabric(WHITE), relief=0.4, strokes=(vest, buttons)))
    for side in (-1, 1):
        outer = [
            (0.2, 1.22),
            (0.5, 1.36),
            (0.86, 1.55),
            (0.76, 2.2),
            (0.6, 2.85),
            (0.74, 3.5),
            (0.92, 4.6),
            (0.98, 5.15),
            (0.98, 5.15),
            (0.66, 5.28),
            (0.4, 5.24),
        ]
        front = [(0.2, 1.22), (0.26, 1.7), (0.2, 2.3), (0.14, 2.85), (0.22, 3.6), (0.4, 5.24)]
        lapel = smooth(
            [(0.18, 1.24), (0.44, 1.45), (0.5, 1.72), (0.4, 1.76), (0.46, 1.86), (0.22, 2.5), (0.2, 2.0)],
            True,
        ) * [side, 1]
        edge = Stroke(np.vstack([lapel, lapel[:1]]), 0.022, darker(figure.main, 0.6))
        seam = Stroke(smooth([(0.13, 2.86), (0.4, 2.9), (0.62, 2.86)]) * [side, 1], 0.02, darker(figure.main, 0.5))
        dots = Stroke(np.array([(side * 0.3, y) for y in (2.3, 2.55, 2.8)]), 0.08, darker(figure.main, 0.5), "dots")
        folds = np.array([(-0.2, -0.2, 0.2, 0.05, 0.5), (0.5, 0.5, 0.2, 0.06, 0.5)])
        parts.append(
            Part(
                panel(side, outer, front),
                wool,
                folds=folds,
                relief=0.42,
                strokes=(Stroke(lapel, 0, darker(figure.main, 0.3), "fill"), edge, seam, dots),
            )
        )
    cravat = smooth(
        [
            (0, 1.22),
            (0.22, 1.16),
            (0.26, 1.36),
            (0.06, 1.34),
            (0.12, 1.72),
            (-0.12, 1.72),
            (-0.06, 1.34),
            (-0.26, 1.36),
            (-0.22, 1.16),
        ],
        True,
    )
    parts.append(Part(cravat, Fabric(darker(figure.third, 0.3), sheen=0.4), relief=0.4))
    parts += sleeves(figure, rng, wool, [0.25, 0.22, 0.19, 0.16, 0.155], Fabric(WHITE), stop=0.97)
    parts += [
        hair_back(figure.hair, "bun"),
        head(figure.skin, figure.hair, figure.turn, True, "moustache" if figure.variant else ""),
    ]
    parts += fez() if figure.variant else top_hat(darker(figure.main, 0.55))
    return parts


def pardesu(figure: Figure, rng: np.random.Generator) -> list[Part]:
    wool = Fabric(figure.main, "wool", lighter(figure.main, 0.15), 0.4)
    folds = np.array(
        [
            (-0.75, -0.75, 0.14, 0.08, 0.42),
            (-0.42, -0.45, 0.13, 0.07, 0.5),
            (0.4, 0.45, 0.13, 0.08, 0.45),
            (0.75, 0.78, 0.14, 0.08, 0.42),
        ]
    )
    folds[:, :2] += rng.normal(0, 0.03, (4, 2))
    coat = [
        (0.0, 1.5),
        (0.2, 1.26),
        (0.5, 1.38),
        (0.82, 1.55),
        (0.72, 2.2),
        (0.6, 2.8),
        (0.74, 3.6),
        (0.9, 5.0),
        (1.02, 6.3),
    ]
    dark, deep = darker(figure.main, 0.28), darker(figure.main, 0.5)
    strokes = [Stroke(np.array([(0.2, 2.2), (0.2, 6.6)]), 0.03, deep)]
    for x in (-0.2, 0.24):
        strokes.append(Stroke(np.array([(x, y) for y in (2.12, 2.46, 3.3, 3.75, 4.2)]), 0.12, deep, "dots"))
    for side in (-1, 1):
        strokes.append(
            Stroke(
                np.array([(side * 0.42, 3.45), (side * 0.7, 3.38), (side * 0.71, 3.52), (side * 0.43, 3.6)]),
                0,
                dark,
                "fill",
            )
        )
        strokes.append(Stroke(np.array([(side * 0.42, 3.45), (side * 0.7, 3.38)]), 0.025, deep))
    leg = Fabric((74, 62, 62))
    parts = [
        hair_back(figure.hair, "bob"),
        *legs(leg, 0.16, 0.1, None, 0.26, 0.2),
        *shoes(darker(figure.third, 0.4), 0.26),
        neck(figure.skin),
        Part(hanging(coat, folds, 0.07), wool, folds=folds, relief=0.5, hem_from=0.95, strokes=tuple(strokes)),
    ]
    parts += [
        Part(
            mirrored([(0, 1.72), (0.12, 1.4), (0.24, 1.2), (0.24, 1.2), (0.3, 1.5), (0, 2.0)]),
            Fabric(figure.third, "check", WHITE, 0.25),
            relief=0.3,
        )
    ]
    for side in (-1, 1):
        lapel = smooth(
            [
                (0.2, 1.16),
                (0.3, 1.24),
                (0.56, 1.5),
                (0.6, 1.72),
                (0.44, 1.74),
                (0.5, 1.9),
                (0.2, 2.2),
                (0.04, 2.3),
                (0.2, 1.8),
            ],
            True,
        ) * [side, 1]
        parts.append(
            Part(lapel, Fabric(lighter(figure.main, 0.08), "wool", lighter(figure.main, 0.2), 0.4), relief=0.2)
        )
    belt = mirrored([(0, 2.74), (0.6, 2.7), (0.62, 2.9), (0, 2.96)])
    buckle = Stroke(
        np.array([(-0.12, 2.75), (0.12, 2.75), (0.12, 2.95), (-0.12, 2.95), (-0.12, 2.75)]),
        0.04,
        figure.accent,
    )
    parts.append(Part(belt, Fabric(dark), relief=0.4, strokes=(buckle,)))
    parts += sleeves(figure, rng, wool, [0.26, 0.24, 0.21, 0.19, 0.19], Fabric(dark), stop=0.97)
    parts += [*lady(figure), *round_hat(darker(figure.main, 0.35), figure.third, 0.62)]
    return parts


def kurk(figure: Figure, rng: np.random.Generator) -> list[Part]:
    tips = lighter(figure.main, 0.38)
    fur = Fabric(figure.main, "fur", tips, 0.8, fuzz=0.06)
    trim = Fabric(darker(figure.main, 0.4), "fur", figure.main, 0.6, fuzz=0.07)
    folds = np.array([(-0.5, -0.5, 0.25, 0.07, 0.3), (0.1, 0.1, 0.1, -0.1, 0.1), (0.6, 0.6, 0.25, 0.07, 0.3)])
    coat = [
        (0.0, 1.5),
        (0.2, 1.24),
        (0.6, 1.36),
        (0.98, 1.6),
        (1.0, 2.4),
        (1.02, 3.4),
        (1.14, 4.8),
        (1.22, 6.1),
    ]
    skirt_folds = pleats(rng, 5, 0.06, 0.1)
    skirt = [(0, 5.0), (0.7, 5.0), (0.8, 6.4), (0.84, 7.08)]
    parts = [
        hair_back(figure.hair, "bob"),
        *shoes((60, 44, 40), 0.3),
        Part(
            hanging(skirt, skirt_folds, 0.08),
            Fabric(figure.third),
            folds=skirt_folds,
            relief=0.45,
            hem_from=0.9,
        ),
        neck(figure.skin),
        Part(hanging(coat, None, 0.08), fur, folds=folds, relief=0.55),
    ]
    hem = [(0, 6.0), (1.18, 5.86), (1.28, 6.0), (1.28, 6.22), (0, 6.36)]
    parts.append(Part(mirrored(hem), trim, relief=0.4))
    parts += sleeves(figure, rng, fur, [0.36, 0.37, 0.36, 0.36], trim, stop=0.95)
    if figure.left == figure.right == "front":
        muff = smooth(
            [
                (-0.5, 2.75),
                (0, 2.68),
                (0.5, 2.75),
                (0.58, 3.1),
                (0.48, 3.42),
                (0, 3.48),
                (-0.48, 3.42),
                (-0.58, 3.1),
            ],
            True,
        )
        parts.append(Part(muff, trim, relief=0.6, ball=0.4))
    collar = np.vstack(
        [
            smooth([(-0.12, 2.3), (-0.5, 1.95), (-0.72, 1.5), (-0.5, 1.16), (-0.28, 1.0)]),
            smooth([(-0.18, 1.2), (0, 1.62), (0.18, 1.2)]),
            smooth([(0.28, 1.0), (0.5, 1.16), (0.72, 1.5), (0.5, 1.95), (0.12, 2.3), (0, 2.4)]),
        ]
    )
    parts += [*lady(figure), Part(collar, trim, relief=0.35), *fur_hat(darker(figure.main, 0.25))]
    return parts
