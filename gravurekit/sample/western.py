"""Gown, skirt and crinoline: each function turns a Figure into its parts, back to front."""

import numpy as np

from gravurekit.sample.body import darker, hair_back, lighter, limb, mirrored, neck, shoes
from gravurekit.sample.brush import smooth
from gravurekit.sample.headgear import WHITE, flower_in_hair, round_hat, tiara
from gravurekit.sample.parts import Fabric, Figure, Part, Stroke
from gravurekit.sample.tailoring import bodice, hanging, lady, pleats, sleeves


def abiye(figure: Figure, rng: np.random.Generator) -> list[Part]:
    satin = Fabric(figure.main, sheen=0.75)
    flare = rng.uniform(1.15, 1.4)
    folds = pleats(rng, 8, 0.13, 0.52, fan=0.35, width=0.15)
    train = smooth([(0.2, 5.4), (1.0, 6.3), (2.0, 7.25), (2.1, 7.5), (1.3, 7.62), (0.2, 7.5)], True)
    gown = [
        (0, 2.3),
        (0.38, 2.5),
        (0.43, 2.72),
        (0.6, 3.3),
        (0.66, 3.9),
        (0.55, 4.8),
        (0.52, 5.4),
        (0.78, 6.3),
        (flare, 7.3),
    ]
    train_folds = np.array([(-0.2, 0.1, 0.2, 0.1, 0.1), (0.3, 0.5, 0.15, 0.1, 0.1)])
    jewel = Stroke(
        np.array([(x, 1.3 + 0.5 * (0.2 - x * x)) for x in np.linspace(-0.22, 0.22, 9)]),
        0.06,
        (246, 232, 180),
        "dots",
    )
    parts = [
        hair_back(figure.hair, "bun"),
        neck(figure.skin, 2.0, 0.68).with_strokes(jewel),
        Part(train, satin, folds=train_folds, relief=0.2),
    ]
    drapes = np.array([(-0.9, 0.6, 0.1, 0.03, 0.05), (-0.5, 0.8, 0.09, 0.035, 0.1), (-1.0, 0.1, 0.1, 0.03, 0.2)])
    parts.append(Part(hanging(gown, folds, 0.16), satin, folds=np.vstack([folds, drapes]), relief=0.55, hem_from=0.93))
    top = [
        (0, 1.98),
        (0.2, 1.86),
        (0.44, 1.8),
        (0.44, 1.8),
        (0.56, 1.95),
        (0.54, 2.15),
        (0.43, 2.6),
        (0.44, 2.8),
        (0, 2.86),
    ]
    gather = np.array([(-0.6, 0.5, 0.12, 0.05, 0.0), (-0.1, 0.1, 0.12, 0.05, 0.1), (0.4, -0.6, 0.12, 0.05, 0.0)])
    parts.append(Part(mirrored(top), satin, folds=gather, relief=0.6))
    for side in (-1, 1):
        strap = [(side * 0.4, 1.9), (side * 0.46, 1.62), (side * 0.44, 1.42)]
        parts.append(limb(strap, [0.05, 0.035, 0.03], satin, None, 0.4, 0.2))
    parts += sleeves(figure, rng, None, [], skin_below=True)
    parts += [*lady(figure), *(tiara() if figure.variant else flower_in_hair((226, 70, 90)))]
    return parts


def etek(figure: Figure, rng: np.random.Generator) -> list[Part]:
    folds = pleats(rng, 9, 0.1, 0.05, fan=0.8, width=0.1)
    skirt = [(0, 2.68), (0.42, 2.66), (0.46, 2.8), (0.9, 4.2), (1.42, 6.85)]
    parts = [hair_back(figure.hair, "bun"), *shoes((80, 54, 44), 0.3), neck(figure.skin)]
    fabric = Fabric(
        figure.main,
        "check" if figure.variant else "plain",
        darker(figure.main, 0.25),
        0.5,
        0.15,
        hem=0.09,
        hem_colour=darker(figure.main, 0.4),
    )
    parts.append(Part(hanging(skirt, folds, 0.14), fabric, folds=folds, relief=0.45, hem_from=0.92))
    blouse = bodice(Fabric(WHITE, "plain"), 0.43, 2.74, 1.46, 0.68, 0.56, folds=pleats(rng, 5, 0.045), open_at=0.18)
    buttons = Stroke(np.array([(0, y) for y in np.arange(1.65, 2.7, 0.2)]), 0.06, figure.accent, "dots")
    placket = [Stroke(np.array([(x, 1.4), (x, 2.8)]), 0.02, (196, 186, 176)) for x in (-0.09, 0.09)]
    parts.append(blouse.with_strokes(*placket, buttons))
    parts.append(
        Part(
            mirrored([(0, 2.66), (0.44, 2.64), (0.46, 2.82), (0, 2.88)]),
            Fabric(darker(figure.main, 0.45)),
            relief=0.5,
        )
    )
    parts += sleeves(figure, rng, Fabric(WHITE), [0.27, 0.36, 0.34, 0.22, 0.13], Fabric((226, 218, 206)))
    collar = smooth(
        [
            (0, 1.5),
            (-0.26, 1.5),
            (-0.24, 1.22),
            (-0.1, 1.3),
            (0, 1.36),
            (0.1, 1.3),
            (0.24, 1.22),
            (0.26, 1.5),
        ],
        True,
    )
    bow = smooth(
        [
            (0, 1.5),
            (0.2, 1.42),
            (0.2, 1.62),
            (0.03, 1.55),
            (0.1, 1.9),
            (-0.1, 1.9),
            (-0.03, 1.55),
            (-0.2, 1.62),
            (-0.2, 1.42),
        ],
        True,
    )
    parts += [
        Part(collar, Fabric(WHITE), relief=0.3),
        Part(bow, Fabric(darker(figure.main, 0.2)), relief=0.4),
    ]
    parts += [*lady(figure), *round_hat((226, 196, 132), darker(figure.main, 0.2), 0.78, straw=True)]
    return parts


def dress(figure: Figure, rng: np.random.Generator) -> list[Part]:
    """A crinoline with flounces."""
    fabric = Fabric(figure.main, ("plain", "sprigs", "stripes")[figure.seed % 3], lighter(figure.main, 0.4), 0.5, 0.35)
    wide = rng.uniform(1.75, 1.95)
    folds = pleats(rng, 9, 0.1, 0.1, fan=0.8)
    skirt = [(0, 2.72), (0.4, 2.68), (0.72, 3.05), (1.3, 4.4), (wide * 0.93, 6.0), (wide, 7.15)]
    parts = [
        hair_back(figure.hair, "bun"),
        neck(figure.skin, 1.9, 0.66),
        Part(hanging(skirt, folds, 0.22), fabric, folds=folds, relief=0.42, hem_from=0.92),
    ]
    for y, half in ((6.05, wide * 0.99), (5.0, wide * 0.81)):
        ruffle = pleats(rng, 17, 0.05, 0.0, width=0.05)
        x = np.linspace(-1, 1, 40)
        top = np.stack([x * half, y + 0.2 * (1 - x * x)], 1)
        swing = 0.03 * np.sin(x * 31 + rng.uniform(0, 6))
        low = np.stack([x * half * 1.055, y + 0.44 + swing + 0.22 * (1 - x * x)], 1)
        parts.append(
            Part(
                np.vstack([top, low[::-1]]),
                Fabric(figure.second, hem=0.05, hem_colour=darker(figure.main, 0.2)),
                folds=ruffle,
                relief=0.2,
                hem_from=0.6,
                shadow=0.28,
            )
        )
    point = [
        (0, 1.84),
        (0.3, 1.72),
        (0.6, 1.6),
        (0.6, 1.6),
        (0.66, 1.8),
        (0.56, 2.1),
        (0.42, 2.6),
        (0.42, 2.76),
        (0.2, 2.96),
        (0, 3.12),
    ]
    seams = [
        Stroke(smooth([(s * 0.4, 1.7), (s * 0.22, 2.3), (s * 0.06, 3.0)]), 0.02, darker(figure.main, 0.35))
        for s in (-1, 1)
    ]
    parts.append(Part(mirrored(point), fabric, relief=0.6, strokes=tuple(seams)))
    parts += sleeves(figure, rng, fabric, [0.25, 0.33, 0.375, 0.385, 0.35, 0.2], skin_below=True, stop=0.36)
    bertha_folds = pleats(rng, 11, 0.05, 0.0, width=0.07)
    bertha = np.vstack(
        [
            smooth([(-0.76, 1.6), (-0.3, 1.72), (0, 1.8), (0.3, 1.72), (0.76, 1.6)]),
            smooth([(0.83, 1.8), (0.4, 2.04), (0, 2.12), (-0.4, 2.04), (-0.83, 1.8)]),
        ]
    )
    parts.append(
        Part(
            bertha,
            Fabric(figure.second, hem=0.05, hem_colour=darker(figure.main, 0.2)),
            folds=bertha_folds,
            relief=0.25,
        )
    )
    parts += [*lady(figure), *flower_in_hair(figure.third)]
    return parts
