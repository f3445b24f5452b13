"""What garments have in common: pleats, hems, open fronts, sleeves, sashes."""

import numpy as np
from numpy.typing import ArrayLike

from gravurekit.sample.body import arm_axis, darker, hair_front, hand, head, limb, mirrored, sleeve_folds
from gravurekit.sample.brush import smooth
from gravurekit.sample.parts import RGB, Fabric, Figure, Part, Stroke
from gravurekit.sample.props import prop


def pleats(
    rng: np.random.Generator,
    count: int,
    depth: float,
    start: float = 0.0,
    fan: float = 1.0,
    width: float = 0.13,
) -> np.ndarray:
    """Folds spread over the width with a little disorder: rows of (u top, u hem, width, depth, v from)."""
    place = (np.arange(count) + 0.5) / count * 1.9 - 0.95 + rng.normal(0, 0.35 / count, count)
    return np.stack(
        [
            place * fan,
            place,
            rng.uniform(0.7, 1.2, count) * width,
            rng.uniform(0.55, 1.0, count) * depth,
            np.clip(start + rng.uniform(-0.06, 0.12, count), 0, 0.9),
        ],
        1,
    )


def hanging(right: ArrayLike, folds: np.ndarray | None, sag: float = 0.14) -> np.ndarray:
    """Outline of a cloth from its right-hand edge; the hem sags in the middle and swings with the folds."""
    edge = smooth(right)
    x = np.linspace(1, -1, 70)
    drop = sag * (1 - x * x)
    if folds is not None and sag:
        for _, place, width, depth, _ in folds:
            drop = drop + depth * 0.55 * np.exp(-(((x - place) / width) ** 2)) * (1 - x**4)
    hem = np.stack([x * edge[-1, 0], edge[-1, 1] + drop], 1)
    return np.vstack([edge, hem, edge[::-1] * [-1, 1]])


def panel(side: int, outer: ArrayLike, front: ArrayLike) -> np.ndarray:
    """One front of an open robe: the outer edge downwards, then the front edge upwards."""
    return np.vstack([smooth(outer), smooth(front)[::-1]]) * [side, 1]


def sleeves(
    figure: Figure,
    rng: np.random.Generator,
    fabric: Fabric | None,
    widths: list[float],
    cuff: Fabric | None = None,
    skin_below: bool = False,
    stop: float = 1.0,
) -> list[Part]:
    """Both arms: what the hand holds, the hand, then the sleeve. `stop` < 1 leaves the forearm bare."""
    parts: list[Part] = []
    top = widths[0] if widths else 0.16
    # the sleeve's round head just reaches the shoulder line
    shoulder = (0.84 - 0.95 * top, 1.45 + 0.95 * top)
    for side, pose in ((-1, figure.left), (1, figure.right)):
        axis = arm_axis(pose, side, shoulder)
        if side == 1:
            parts += prop(figure.prop, pose, side, figure.third)
        if skin_below:
            parts.append(limb(axis, [0.165, 0.15, 0.13, 0.12, 0.085], Fabric(figure.skin, warm=True), None, 0.6, 0.0))
        parts.append(hand(pose, side, figure.skin))
        if fabric is None:
            continue
        curve = smooth(axis, steps=12)
        covered = curve[: max(4, int(len(curve) * stop))]
        parts.append(limb(covered[::3] if len(covered) > 9 else covered, widths, fabric, sleeve_folds(rng), 0.6))
        if cuff is not None:
            tip, along = covered[-1], (covered[-1] - covered[-4]) / np.linalg.norm(covered[-1] - covered[-4])
            wide = widths[-1] + 0.025
            parts.append(cuff_band(tip, along, wide, cuff))
    return parts


def cuff_band(tip: np.ndarray, along: np.ndarray, half: float, fabric: Fabric) -> Part:
    """A band round the end of a sleeve, cut straight on both sides."""
    across = np.array([-along[1], along[0]])
    x = np.linspace(-1, 1, 9)[:, None]
    bow = 0.16 * half * (1 - x * x)
    upper = tip + across * half * 0.97 * x + along * (bow - 0.16)
    lower = tip + across * half * x + along * (bow + 0.05)
    return Part(np.vstack([upper, lower[::-1]]), fabric, relief=0.35, shadow=0.2)


def bodice(
    fabric: Fabric,
    waist: float,
    bottom: float,
    dip: float,
    shoulder: float = 0.72,
    bust: float = 0.58,
    folds: np.ndarray | None = None,
    open_at: float = 0.2,
) -> Part:
    """The upper part of a dress from shoulder to waist with a neckline `dip` heads deep."""
    right = [
        (0, dip),
        (open_at * 0.6, dip - 0.05),
        (open_at, 1.3),
        (open_at, 1.3),
        (shoulder * 0.75, 1.42),
        (shoulder, 1.6),
        (bust + 0.02, 2.1),
        (waist + 0.04, bottom - 0.25),
        (waist, bottom),
        (waist, bottom),
        (0, bottom + 0.12),
    ]
    return Part(mirrored(right), fabric, folds=folds, relief=0.5)


def lady(figure: Figure) -> list[Part]:
    return [head(figure.skin, figure.hair, figure.turn, False), hair_front(figure.hair, figure.turn)]


def sash(colour: RGB, accent: RGB, y: float, half: float, rng: np.random.Generator, tall: float = 0.3) -> list[Part]:
    """A cloth wound about the waist."""
    right = [
        (0, y - tall / 2 - 0.02),
        (half, y - tall / 2 - 0.04),
        (half + 0.02, y),
        (half + 0.03, y + tall / 2),
        (0, y + tall / 2 + 0.05),
    ]
    lines = tuple(
        Stroke(
            smooth(
                [
                    (-half, y + d + rng.uniform(-0.04, 0.04)),
                    (0, y + d + 0.06),
                    (half, y + d + rng.uniform(-0.04, 0.04)),
                ]
            ),
            0.02,
            darker(colour, 0.35),
        )
        for d in np.linspace(-tall / 2.6, tall / 2.6, 4)
    )
    return [Part(mirrored(right), Fabric(colour, "stripes", accent, 0.35, 0.2), relief=0.35, strokes=lines)]
