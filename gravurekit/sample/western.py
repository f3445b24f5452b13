"""Western dress: each function turns a Figure into the list of its parts, back to front."""

import numpy as np

from gravurekit.sample.body import darker, hair_back, head, legs, lighter, limb, mirrored, neck, shoes
from gravurekit.sample.brush import smooth
from gravurekit.sample.headgear import WHITE, fez, flower_in_hair, fur_hat, round_hat, tiara, top_hat
from gravurekit.sample.parts import Fabric, Figure, Part, Stroke
from gravurekit.sample.tailoring import bodice, hanging, lady, panel, pleats, sleeves


def abiye(figure: Figure, rng: np.random.Generator) -> list[Part]:
    satin = Fabric(figure.main, sheen=0.75)
    flare = rng.uniform(1.15, 1.4)
    folds = pleats(rng, 8, 0.13, 0.52, fan=0.35, width=0.15)
    train = smooth([(0.2, 5.4), (1.0, 6.3), (2.0, 7.25), (2.1, 7.5), (1.3, 7.62), (0.2, 7.5)], True)
    gown = [(0, 2.3), (0.38, 2.5), (0.43, 2.72), (0.6, 3.3), (0.66, 3.9), (0.55, 4.8), (0.52, 5.4),
        (0.78, 6.3), (flare, 7.3)]
    train_folds = np.array([(-0.2, 0.1, 0.2, 0.1, 0.1), (0.3, 0.5, 0.15, 0.1, 0.1)])
    jewel = Stroke(np.array([(x, 1.3 + 0.5 * (0.2 - x * x)) for x in np.linspace(-0.22, 0.22, 9)]), 0.06,
        (246, 232, 180), "dots")
    parts = [hair_back(figure.hair, "bun"), neck(figure.skin, 2.0, 0.68).with_strokes(jewel),
        Part(train, satin, folds=train_folds, relief=0.2)]
    drapes = np.array([(-0.9, 0.6, 0.1, 0.03, 0.05), (-0.5, 0.8, 0.09, 0.035, 0.1),
        (-1.0, 0.1, 0.1, 0.03, 0.2)])
    parts.append(Part(hanging(gown, folds, 0.16), satin, folds=np.vstack([folds, drapes]), relief=0.55,
        hem_from=0.93))
    top = [(0, 1.98), (0.2, 1.86), (0.44, 1.8), (0.44, 1.8), (0.56, 1.95), (0.54, 2.15), (0.43, 2.6),
        (0.44, 2.8), (0, 2.86)]
    gather = np.array([(-0.6, 0.5, 0.12, 0.05, 0.0), (-0.1, 0.1, 0.12, 0.05, 0.1),
        (0.4, -0.6, 0.12, 0.05, 0.0)])
    parts.append(Part(mirrored(top), satin, folds=gather, relief=0.6))
    for side in (-1, 1):
        strap = [(side * 0.4, 1.9), (side * 0.46, 1.62), (side * 0.44, 1.42)]
        parts.append(limb(strap, [0.05, 0.035, 0.03], satin, None, 0.4, 0.2))
    parts += sleeves(figure, rng, None, [], skin_below=True)
    parts += [*lady(figure), *(tiara() if figure.variant else flower_in_hair((226, 70, 90)))]
    return parts


def kostum(figure: Figure, rng: np.random.Generator) -> list[Part]:
    """A gentleman's frock coat of the nineteenth century."""
    wool = Fabric(figure.main, "wool", lighter(figure.main, 0.08), 0.4)
    creases = np.array([(0, 0, 0.18, 0.05, 0.1), (-0.6, -0.4, 0.2, 0.03, 0.5)])
    parts = [*shoes((38, 34, 36), 0.34), *legs(Fabric(figure.second, "stripes", darker(figure.second, 0.15),
        0.2), 0.25, 0.22, creases, 0.34, 0.36), neck(figure.skin, half=0.22)]
    shirt = [(0, 1.3), (0.2, 1.22), (0.5, 1.45), (0.5, 2.2), (0.46, 3.0), (0.3, 3.25), (0, 3.3)]
    buttons = Stroke(np.array([(0.0, y) for y in np.arange(2.1, 3.1, 0.2)]), 0.07, figure.accent, "dots")
    vest = Stroke(smooth([(-0.6, 1.5), (-0.2, 1.75), (0, 2.02), (0.2, 1.75), (0.6, 1.5), (0.8, 3.4),
        (-0.8, 3.4)], True), 0, figure.third, "fill")
    parts.append(Part(mirrored(shirt), Fabric(WHITE), relief=0.4, strokes=(vest, buttons)))
    for side in (-1, 1):
        outer = [(0.2, 1.22), (0.5, 1.36), (0.86, 1.55), (0.76, 2.2), (0.6, 2.85), (0.74, 3.5), (0.92, 4.6),
            (0.98, 5.15), (0.98, 5.15), (0.66, 5.28), (0.4, 5.24)]
        front = [(0.2, 1.22), (0.26, 1.7), (0.2, 2.3), (0.14, 2.85), (0.22, 3.6), (0.4, 5.24)]
        lapel = smooth([(0.18, 1.24), (0.44, 1.45), (0.5, 1.72), (0.4, 1.76), (0.46, 1.86), (0.22, 2.5),
            (0.2, 2.0)], True) * [side, 1]
        edge = Stroke(np.vstack([lapel, lapel[:1]]), 0.022, darker(figure.main, 0.6))
        seam = Stroke(smooth([(0.13, 2.86), (0.4, 2.9), (0.62, 2.86)]) * [side, 1], 0.02,
            darker(figure.main, 0.5))
        dots = Stroke(np.array([(side * 0.3, y) for y in (2.3, 2.55, 2.8)]), 0.08, darker(figure.main, 0.5),
            "dots")
        folds = np.array([(-0.2, -0.2, 0.2, 0.05, 0.5), (0.5, 0.5, 0.2, 0.06, 0.5)])
        parts.append(Part(panel(side, outer, front), wool, folds=folds, relief=0.42,
            strokes=(Stroke(lapel, 0, darker(figure.main, 0.3), "fill"), edge, seam, dots)))
    cravat = smooth([(0, 1.22), (0.22, 1.16), (0.26, 1.36), (0.06, 1.34), (0.12, 1.72), (-0.12, 1.72),
        (-0.06, 1.34), (-0.26, 1.36), (-0.22, 1.16)], True)
    parts.append(Part(cravat, Fabric(darker(figure.third, 0.3), sheen=0.4), relief=0.4))
    parts += sleeves(figure, rng, wool, [0.25, 0.22, 0.19, 0.16, 0.155], Fabric(WHITE), stop=0.97)
    parts += [hair_back(figure.hair, "bun"), head(figure.skin, figure.hair, figure.turn, True,
        "moustache" if figure.variant else "")]
    parts += fez() if figure.variant else top_hat(darker(figure.main, 0.55))
    return parts


def pardesu(figure: Figure, rng: np.random.Generator) -> list[Part]:
    wool = Fabric(figure.main, "wool", lighter(figure.main, 0.15), 0.4)
    folds = np.array([(-0.75, -0.75, 0.14, 0.08, 0.42), (-0.42, -0.45, 0.13, 0.07, 0.5),
        (0.4, 0.45, 0.13, 0.08, 0.45), (0.75, 0.78, 0.14, 0.08, 0.42)])
    folds[:, :2] += rng.normal(0, 0.03, (4, 2))
    coat = [(0.0, 1.5), (0.2, 1.26), (0.5, 1.38), (0.82, 1.55), (0.72, 2.2), (0.6, 2.8), (0.74, 3.6),
        (0.9, 5.0), (1.02, 6.3)]
    dark, deep = darker(figure.main, 0.28), darker(figure.main, 0.5)
    strokes = [Stroke(np.array([(0.2, 2.2), (0.2, 6.6)]), 0.03, deep)]
    for x in (-0.2, 0.24):
        strokes.append(Stroke(np.array([(x, y) for y in (2.12, 2.46, 3.3, 3.75, 4.2)]), 0.12, deep, "dots"))
    for side in (-1, 1):
        strokes.append(Stroke(np.array([(side * 0.42, 3.45), (side * 0.7, 3.38), (side * 0.71, 3.52),
            (side * 0.43, 3.6)]), 0, dark, "fill"))
        strokes.append(Stroke(np.array([(side * 0.42, 3.45), (side * 0.7, 3.38)]), 0.025, deep))
    leg = Fabric((74, 62, 62))
    parts = [hair_back(figure.hair, "bob"), *legs(leg, 0.16, 0.1, None, 0.26, 0.2),
        *shoes(darker(figure.third, 0.4), 0.26), neck(figure.skin),
        Part(hanging(coat, folds, 0.07), wool, folds=folds, relief=0.5, hem_from=0.95,
        strokes=tuple(strokes))]
    parts += [Part(mirrored([(0, 1.72), (0.12, 1.4), (0.24, 1.2), (0.24, 1.2), (0.3, 1.5), (0, 2.0)]),
        Fabric(figure.third, "check", WHITE, 0.25), relief=0.3)]
    for side in (-1, 1):
        lapel = smooth([(0.2, 1.16), (0.3, 1.24), (0.56, 1.5), (0.6, 1.72), (0.44, 1.74), (0.5, 1.9),
            (0.2, 2.2), (0.04, 2.3), (0.2, 1.8)], True) * [side, 1]
        parts.append(Part(lapel, Fabric(lighter(figure.main, 0.08), "wool", lighter(figure.main, 0.2), 0.4),
            relief=0.2))
    belt = mirrored([(0, 2.74), (0.6, 2.7), (0.62, 2.9), (0, 2.96)])
    buckle = Stroke(np.array([(-0.12, 2.75), (0.12, 2.75), (0.12, 2.95), (-0.12, 2.95), (-0.12, 2.75)]), 0.04,
        figure.accent)
    parts.append(Part(belt, Fabric(dark), relief=0.4, strokes=(buckle,)))
    parts += sleeves(figure, rng, wool, [0.26, 0.24, 0.21, 0.19, 0.19], Fabric(dark), stop=0.97)
    parts += [*lady(figure), *round_hat(darker(figure.main, 0.35), figure.third, 0.62)]
    return parts


def etek(figure: Figure, rng: np.random.Generator) -> list[Part]:
    folds = pleats(rng, 9, 0.1, 0.05, fan=0.8, width=0.1)
    skirt = [(0, 2.68), (0.42, 2.66), (0.46, 2.8), (0.9, 4.2), (1.42, 6.85)]
    parts = [hair_back(figure.hair, "bun"), *shoes((80, 54, 44), 0.3), neck(figure.skin)]
    fabric = Fabric(figure.main, "check" if figure.variant else "plain", darker(figure.main, 0.25), 0.5, 0.15,
        hem=0.09, hem_colour=darker(figure.main, 0.4))
    parts.append(Part(hanging(skirt, folds, 0.14), fabric, folds=folds, relief=0.45, hem_from=0.92))
    blouse = bodice(Fabric(WHITE, "plain"), 0.43, 2.74, 1.46, 0.68, 0.56, folds=pleats(rng, 5, 0.045),
        open_at=0.18)
    buttons = Stroke(np.array([(0, y) for y in np.arange(1.65, 2.7, 0.2)]), 0.06, figure.accent, "dots")
    placket = [Stroke(np.array([(x, 1.4), (x, 2.8)]), 0.02, (196, 186, 176)) for x in (-0.09, 0.09)]
    parts.append(blouse.with_strokes(*placket, buttons))
    parts.append(Part(mirrored([(0, 2.66), (0.44, 2.64), (0.46, 2.82), (0, 2.88)]),
        Fabric(darker(figure.main, 0.45)), relief=0.5))
    parts += sleeves(figure, rng, Fabric(WHITE), [0.27, 0.36, 0.34, 0.22, 0.13], Fabric((226, 218, 206)))
    collar = smooth([(0, 1.5), (-0.26, 1.5), (-0.24, 1.22), (-0.1, 1.3), (0, 1.36), (0.1, 1.3), (0.24, 1.22),
        (0.26, 1.5)], True)
    bow = smooth([(0, 1.5), (0.2, 1.42), (0.2, 1.62), (0.03, 1.55), (0.1, 1.9), (-0.1, 1.9), (-0.03, 1.55),
        (-0.2, 1.62), (-0.2, 1.42)], True)
    parts += [Part(collar, Fabric(WHITE), relief=0.3), Part(bow, Fabric(darker(figure.main, 0.2)),
        relief=0.4)]
    parts += [*lady(figure), *round_hat((226, 196, 132), darker(figure.main, 0.2), 0.78, straw=True)]
    return parts


def kurk(figure: Figure, rng: np.random.Generator) -> list[Part]:
    tips = lighter(figure.main, 0.38)
    fur = Fabric(figure.main, "fur", tips, 0.8, fuzz=0.06)
    trim = Fabric(darker(figure.main, 0.4), "fur", figure.main, 0.6, fuzz=0.07)
    folds = np.array([(-0.5, -0.5, 0.25, 0.07, 0.3), (0.1, 0.1, 0.1, -0.1, 0.1), (0.6, 0.6, 0.25, 0.07, 0.3)])
    coat = [(0.0, 1.5), (0.2, 1.24), (0.6, 1.36), (0.98, 1.6), (1.0, 2.4), (1.02, 3.4), (1.14, 4.8),
        (1.22, 6.1)]
    skirt_folds = pleats(rng, 5, 0.06, 0.1)
    skirt = [(0, 5.0), (0.7, 5.0), (0.8, 6.4), (0.84, 7.08)]
    parts = [hair_back(figure.hair, "bob"), *shoes((60, 44, 40), 0.3),
        Part(hanging(skirt, skirt_folds, 0.08), Fabric(figure.third), folds=skirt_folds, relief=0.45,
        hem_from=0.9), neck(figure.skin), Part(hanging(coat, None, 0.08), fur, folds=folds, relief=0.55)]
    hem = [(0, 6.0), (1.18, 5.86), (1.28, 6.0), (1.28, 6.22), (0, 6.36)]
    parts.append(Part(mirrored(hem), trim, relief=0.4))
    parts += sleeves(figure, rng, fur, [0.36, 0.37, 0.36, 0.36], trim, stop=0.95)
    if figure.left == figure.right == "front":
        muff = smooth([(-0.5, 2.75), (0, 2.68), (0.5, 2.75), (0.58, 3.1), (0.48, 3.42), (0, 3.48),
            (-0.48, 3.42), (-0.58, 3.1)], True)
        parts.append(Part(muff, trim, relief=0.6, ball=0.4))
    collar = np.vstack([smooth([(-0.12, 2.3), (-0.5, 1.95), (-0.72, 1.5), (-0.5, 1.16), (-0.28, 1.0)]),
        smooth([(-0.18, 1.2), (0, 1.62), (0.18, 1.2)]), smooth([(0.28, 1.0), (0.5, 1.16), (0.72, 1.5),
        (0.5, 1.95), (0.12, 2.3), (0, 2.4)])])
    parts += [*lady(figure), Part(collar, trim, relief=0.35), *fur_hat(darker(figure.main, 0.25))]
    return parts


def dress(figure: Figure, rng: np.random.Generator) -> list[Part]:
    """A crinoline with flounces."""
    fabric = Fabric(figure.main, ("plain", "sprigs", "stripes")[figure.seed % 3], lighter(figure.main, 0.4),
        0.5, 0.35)
    wide = rng.uniform(1.75, 1.95)
    folds = pleats(rng, 9, 0.1, 0.1, fan=0.8)
    skirt = [(0, 2.72), (0.4, 2.68), (0.72, 3.05), (1.3, 4.4), (wide * 0.93, 6.0), (wide, 7.15)]
    parts = [hair_back(figure.hair, "bun"), neck(figure.skin, 1.9, 0.66),
        Part(hanging(skirt, folds, 0.22), fabric, folds=folds, relief=0.42, hem_from=0.92)]
    for y, half in ((6.05, wide * 0.99), (5.0, wide * 0.81)):
        ruffle = pleats(rng, 17, 0.05, 0.0, width=0.05)
        x = np.linspace(-1, 1, 40)
        top = np.stack([x * half, y + 0.2 * (1 - x * x)], 1)
        swing = 0.03 * np.sin(x * 31 + rng.uniform(0, 6))
        low = np.stack([x * half * 1.055, y + 0.44 + swing + 0.22 * (1 - x * x)], 1)
        parts.append(Part(np.vstack([top, low[::-1]]), Fabric(figure.second, hem=0.05,
            hem_colour=darker(figure.main, 0.2)), folds=ruffle, relief=0.2, hem_from=0.6, shadow=0.28))
    point = [(0, 1.84), (0.3, 1.72), (0.6, 1.6), (0.6, 1.6), (0.66, 1.8), (0.56, 2.1), (0.42, 2.6),
        (0.42, 2.76), (0.2, 2.96), (0, 3.12)]
    seams = [Stroke(smooth([(s * 0.4, 1.7), (s * 0.22, 2.3), (s * 0.06, 3.0)]), 0.02,
        darker(figure.main, 0.35)) for s in (-1, 1)]
    parts.append(Part(mirrored(point), fabric, relief=0.6, strokes=tuple(seams)))
    parts += sleeves(figure, rng, fabric, [0.25, 0.33, 0.375, 0.385, 0.35, 0.2], skin_below=True, stop=0.36)
    bertha_folds = pleats(rng, 11, 0.05, 0.0, width=0.07)
    bertha = np.vstack([smooth([(-0.76, 1.6), (-0.3, 1.72), (0, 1.8), (0.3, 1.72), (0.76, 1.6)]),
        smooth([(0.83, 1.8), (0.4, 2.04), (0, 2.12), (-0.4, 2.04), (-0.83, 1.8)])])
    parts.append(Part(bertha, Fabric(figure.second, hem=0.05, hem_colour=darker(figure.main, 0.2)),
        folds=bertha_folds, relief=0.25))
    parts += [*lady(figure), *flower_in_hair(figure.third)]
    return parts
