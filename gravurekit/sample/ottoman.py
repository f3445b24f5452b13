"""Ottoman dress: each function turns a Figure into the list of its parts, back to front."""

import numpy as np

from gravurekit.sample.body import darker, hair_back, head, legs, lighter, limb, mirrored, neck, shoes
from gravurekit.sample.brush import smooth
from gravurekit.sample.headgear import WHITE, bork, fez, scarf, tepelik, turban, veil
from gravurekit.sample.parts import Fabric, Figure, Part, Stroke
from gravurekit.sample.tailoring import bodice, hanging, lady, panel, pleats, sash, sleeves


def kaftan(figure: Figure, rng: np.random.Generator) -> list[Part]:
    silk = Fabric(figure.main, "brocade", figure.motif, 0.78, 0.3)
    under = Fabric(figure.second, "stripes", darker(figure.second, 0.12), 0.4, hem=0.1, hem_colour=figure.third)
    inner_folds = pleats(rng, 5, 0.05, 0.3)
    inner = [(0.0, 1.55), (0.14, 1.32), (0.5, 1.6), (0.48, 2.7), (0.7, 5.0), (0.8, 7.05)]
    cloth = [veil(figure.second, 2.9)] if figure.variant else []
    parts = [
        *cloth,
        hair_back(figure.hair, "long"),
        *shoes(figure.third, 0.3, pointed=True),
        neck(figure.skin),
        Part(hanging(inner, inner_folds, 0.08), under, folds=inner_folds, relief=0.4, hem_from=0.9),
    ]
    swing = rng.uniform(0.0, 0.12)
    for side in (-1, 1):
        outer = [
            (0.2, 1.26),
            (0.5, 1.4),
            (0.76, 1.55),
            (0.72, 2.2),
            (0.64, 2.85),
            (0.86, 4.4),
            (1.1, 6.0),
            (1.28 + swing, 7.08),
            (1.28 + swing, 7.08),
            (0.85, 7.26),
            (0.42 + swing, 7.3),
        ]
        front = [(0.2, 1.26), (0.19, 1.6), (0.1, 2.2), (0.05, 2.8), (0.2, 4.6), (0.42 + swing, 7.3)]
        folds = np.array([(u, u, 0.2, d, s) for u, d, s in ((-0.5, 0.07, 0.35), (0.1, 0.09, 0.4), (0.62, 0.08, 0.3))])
        band = Stroke(smooth(front) * [side, 1] + [side * 0.06, 0], 0.12, figure.accent)
        loops = [
            Stroke(np.array([(side * 0.06, y), (side * 0.36, y - 0.02)]), 0.05, figure.accent)
            for y in np.arange(1.72, 2.7, 0.16)
        ]
        parts.append(
            Part(
                panel(side, outer, front),
                Fabric(figure.main, "brocade", figure.motif, 0.78, 0.3, hem=0.12, hem_colour=figure.accent),
                folds=folds,
                relief=0.35,
                hem_from=0.95,
                strokes=(band, *loops),
            )
        )
    parts += sash(figure.third, lighter(figure.third, 0.4), 2.82, 0.64, rng, 0.22)
    parts += sleeves(figure, rng, silk, [0.25, 0.29, 0.27, 0.27, 0.3], Fabric(figure.accent))
    parts += [*lady(figure), *fez(figure.main)]
    return parts


def bindalli(figure: Figure, rng: np.random.Generator) -> list[Part]:
    velvet = Fabric(figure.main, "embroidery", figure.accent, 0.8, 0.25)
    folds = pleats(rng, 7, 0.1, 0.38)
    gown = [
        (0.0, 1.6),
        (0.16, 1.5),
        (0.2, 1.27),
        (0.2, 1.27),
        (0.55, 1.4),
        (0.74, 1.56),
        (0.66, 2.2),
        (0.54, 2.75),
        (0.8, 3.7),
        (1.2, 5.5),
        (1.52, 7.2),
    ]
    skirt = Part(
        hanging(gown, folds, 0.16),
        Fabric(figure.main, "embroidery", figure.accent, 0.8, 0.25, hem=0.24, hem_colour=figure.accent),
        folds=folds,
        relief=0.4,
        hem_from=0.93,
    )
    plastron = Stroke(smooth([(0, 1.6), (0, 2.6)]), 0.1, figure.accent)
    edge = Stroke(smooth([(-0.22, 1.3), (-0.15, 1.52), (0, 1.62), (0.15, 1.52), (0.22, 1.3)]), 0.1, figure.accent)
    parts = [
        veil(figure.second, 3.6),
        hair_back(figure.hair, "long"),
        neck(figure.skin),
        skirt.with_strokes(plastron, edge),
    ]
    parts += sash(figure.accent, lighter(figure.accent, 0.5), 2.76, 0.56, rng, 0.2)
    parts.append(
        Part(
            smooth([(0.13, 2.76), (0, 2.9), (-0.13, 2.76), (0, 2.62)], True),
            Fabric(figure.accent, sheen=0.8),
            ball=0.8,
        )
    )
    parts += sleeves(
        figure,
        rng,
        velvet,
        [0.24, 0.27, 0.3, 0.36, 0.42],
        Fabric(figure.accent, "embroidery", darker(figure.accent, 0.4), 0.4),
    )
    parts += [*lady(figure), *tepelik(figure.accent)]
    return parts


def janissary(figure: Figure, rng: np.random.Generator) -> list[Part]:
    wool = Fabric(figure.main, "wool", lighter(figure.main, 0.12), 0.5)
    trouser_folds = np.array([(-0.5, -0.3, 0.25, 0.07, 0.1), (0.3, 0.2, 0.25, 0.08, 0.2), (0.8, 0.7, 0.2, 0.06, 0.3)])
    parts = legs(Fabric(figure.second), 0.36, 0.14, trouser_folds, 0.34, 0.4)
    parts += shoes((206, 158, 60), 0.34, pointed=True, boot=1.25)
    parts.append(neck(figure.skin, half=0.22))
    folds = pleats(rng, 5, 0.08, 0.5)
    skirt = [
        (0.0, 1.7),
        (0.12, 1.3),
        (0.5, 1.4),
        (0.8, 1.56),
        (0.7, 2.2),
        (0.58, 2.8),
        (0.86, 3.6),
        (1.02, 4.5),
        (1.02, 4.5),
        (0.6, 4.72),
        (0.0, 4.7),
    ]
    under = Fabric((236, 226, 204), "stripes", darker(figure.second, 0.1), 0.3)
    parts.append(Part(mirrored(skirt), under, folds=folds, relief=0.4))
    for side in (-1, 1):  # the coat's corners are tucked up into the sash
        outer = [
            (0.2, 1.24),
            (0.5, 1.38),
            (0.84, 1.56),
            (0.74, 2.2),
            (0.64, 2.85),
            (1.0, 3.9),
            (1.34, 5.2),
            (1.34, 5.2),
            (1.0, 5.4),
            (0.66, 5.25),
        ]
        front = [(0.2, 1.24), (0.1, 2.0), (0.05, 2.85), (0.24, 3.9), (0.66, 5.25)]
        band = Stroke(smooth(front) * [side, 1] + [side * 0.05, 0], 0.11, figure.accent)
        frogs = [
            Stroke(np.array([(side * 0.04, y), (side * 0.38, y)]), 0.055, figure.accent)
            for y in np.arange(1.68, 2.6, 0.19)
        ]
        parts.append(
            Part(
                panel(side, outer, front),
                Fabric(figure.main, "wool", lighter(figure.main, 0.12), 0.5, hem=0.09, hem_colour=figure.accent),
                folds=np.array([(-0.4, -0.4, 0.22, 0.08, 0.3), (0.4, 0.4, 0.22, 0.09, 0.35)]),
                relief=0.35,
                strokes=(band, *frogs),
            )
        )
    parts += sash(WHITE, figure.second, 2.8, 0.66, rng, 0.36)
    parts += [limb([(-0.28, 2.3), (0.02, 2.75), (0.2, 3.05)], [0.05, 0.06, 0.04], Fabric((186, 190, 196), sheen=0.7))]
    parts += sleeves(figure, rng, wool, [0.27, 0.25, 0.2, 0.17], Fabric(figure.second))
    parts += [head(figure.skin, figure.hair, figure.turn, True, "moustache"), *bork()]
    return parts


def salvar(figure: Figure, rng: np.random.Generator) -> list[Part]:
    cotton = Fabric(figure.main, "sprigs" if figure.variant else "plain", figure.accent, 0.42)
    parts = [hair_back(figure.hair, "long"), *shoes(figure.third, 0.5, pointed=True), neck(figure.skin)]
    for side in (-1, 1):
        leg = smooth(
            [
                (-0.02, 2.75),
                (0.5, 2.75),
                (0.92, 3.6),
                (1.24, 4.9),
                (1.26, 6.0),
                (0.98, 6.72),
                (0.66, 6.95),
                (0.66, 6.95),
                (0.4, 6.95),
                (0.4, 6.95),
                (0.2, 6.6),
                (0.06, 5.9),
                (-0.04, 5.3),
            ],
            True,
        ) * [side, 1]
        folds = np.array(
            [
                (-0.1, -0.75, 0.16, 0.1, 0.05),
                (0.0, -0.2, 0.14, 0.11, 0.1),
                (0.1, 0.3, 0.14, 0.11, 0.1),
                (0.2, 0.75, 0.14, 0.09, 0.1),
            ]
        )
        folds[:, :2] += rng.normal(0, 0.06, (4, 2))
        parts.append(Part(leg, cotton, folds=folds, relief=0.5))
        parts.append(
            limb(
                [(side * 0.53, 6.86), (side * 0.53, 7.06)],
                [0.17, 0.16],
                Fabric(figure.accent),
                None,
                0.5,
                0.2,
            )
        )
    parts.append(bodice(Fabric(WHITE), 0.5, 2.8, 1.72, 0.74, 0.58, folds=pleats(rng, 4, 0.04)))
    parts += sash(figure.third, figure.accent, 2.86, 0.54, rng, 0.36)
    tails = smooth([(0.2, 3.0), (0.42, 3.0), (0.5, 4.3), (0.24, 4.35)], True)
    parts.append(
        Part(
            tails,
            Fabric(figure.third, "stripes", figure.accent, 0.3, hem=0.14, hem_colour=figure.accent),
            relief=0.4,
        )
    )
    parts += sleeves(figure, rng, Fabric(WHITE), [0.24, 0.3, 0.34, 0.36, 0.2], None)
    for side in (-1, 1):
        outer = [
            (0.2, 1.25),
            (0.5, 1.38),
            (0.78, 1.56),
            (0.66, 2.1),
            (0.6, 2.55),
            (0.6, 2.55),
            (0.4, 2.6),
            (0.3, 2.46),
        ]
        front = [(0.2, 1.25), (0.24, 1.7), (0.28, 2.1), (0.3, 2.46)]
        band = Stroke(smooth(front) * [side, 1] + [side * 0.04, 0], 0.08, figure.accent)
        parts.append(
            Part(
                panel(side, outer, front),
                Fabric(
                    darker(figure.main, 0.35),
                    "embroidery",
                    figure.accent,
                    0.5,
                    hem=0.07,
                    hem_colour=figure.accent,
                ),
                relief=0.3,
                strokes=(band,),
            )
        )
    parts += [*lady(figure), *scarf(WHITE, figure.main)]
    return parts


def cubbe(figure: Figure, rng: np.random.Generator) -> list[Part]:
    cloth = Fabric(figure.main, "plain", sheen=0.12)
    inner_folds = pleats(rng, 4, 0.05, 0.3)
    inner = [(0.0, 1.6), (0.14, 1.3), (0.5, 1.6), (0.5, 2.8), (0.66, 5.0), (0.76, 7.1)]
    parts = [
        *shoes((196, 154, 66), 0.3, pointed=True),
        neck(figure.skin, half=0.22),
        Part(
            hanging(inner, inner_folds, 0.08),
            Fabric(figure.second, "stripes", figure.third, 0.34),
            folds=inner_folds,
            relief=0.4,
            hem_from=0.9,
        ),
    ]
    parts += sash(figure.third, lighter(figure.third, 0.4), 2.85, 0.5, rng, 0.34)
    for side in (-1, 1):
        outer = [
            (0.18, 1.22),
            (0.5, 1.36),
            (0.88, 1.55),
            (0.98, 2.4),
            (1.1, 3.6),
            (1.32, 5.4),
            (1.5, 7.12),
            (1.5, 7.12),
            (0.95, 7.32),
            (0.46, 7.34),
        ]
        front = [(0.18, 1.22), (0.26, 1.8), (0.3, 2.8), (0.36, 5.0), (0.46, 7.34)]
        folds = np.array([(-0.55, -0.5, 0.17, 0.09, 0.12), (0.0, 0.05, 0.16, 0.12, 0.15), (0.55, 0.6, 0.16, 0.11, 0.1)])
        folds[:, :2] += rng.normal(0, 0.05, (3, 2))
        collar = Stroke(smooth(front) * [side, 1] + [side * 0.09, 0], 0.2, darker(figure.main, 0.35))
        line = Stroke(smooth(front) * [side, 1] + [side * 0.2, 0], 0.025, figure.accent)
        parts.append(
            Part(
                panel(side, outer, front),
                cloth,
                folds=folds,
                relief=0.35,
                hem_from=0.96,
                strokes=(collar, line),
            )
        )
    parts += sleeves(figure, rng, cloth, [0.3, 0.36, 0.42, 0.5, 0.56], Fabric(darker(figure.main, 0.35)), stop=0.92)
    parts += [
        head(figure.skin, figure.hair, figure.turn, True, "full"),
        *turban(figure.third, 1.0 + 0.12 * figure.variant, plume=bool(figure.variant)),
    ]
    return parts
