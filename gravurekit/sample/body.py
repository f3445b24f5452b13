"""The person inside the clothes: head, face, hair, arms, hands, legs, shoes."""

import numpy as np
from numpy.typing import ArrayLike

from gravurekit.sample.brush import smooth, tube
from gravurekit.sample.parts import RGB, Fabric, Part, Stroke

# Elbow and wrist of the right-hand arm, in heads; mirrored for the other one.
POSES = {
    "hanging": ((0.98, 2.85), (1.02, 3.95)),
    "loose": ((1.12, 2.75), (1.38, 3.75)),
    "hip": ((1.55, 2.62), (0.66, 3.08)),
    "front": ((1.06, 2.82), (0.22, 3.02)),
    "raised": ((1.22, 2.75), (1.02, 1.72)),
    "out": ((1.2, 2.75), (1.62, 2.25)),
}


def darker(colour: RGB, share: float) -> RGB:
    return int(colour[0] * (1 - share)), int(colour[1] * (1 - share)), int(colour[2] * (1 - share))


def lighter(colour: RGB, share: float) -> RGB:
    red, green, blue = (int(c + (255 - c) * share) for c in colour)
    return red, green, blue


def mixed(one: RGB, other: RGB, share: float) -> RGB:
    """`share` of the other colour in the first."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def mirrored(right: ArrayLike) -> np.ndarray:
    """A closed outline from its right half, given from top to bottom."""
    right = smooth(right)
    return np.vstack([right, right[::-1] * [-1, 1]])


def limb(
    axis: ArrayLike,
    widths: list[float],
    fabric: Fabric,
    folds: np.ndarray | None = None,
    relief: float = 0.6,
    shadow: float = 0.38,
) -> Part:
    """A sleeve, an arm, a leg: a tube along a centre line."""
    outline, curve, half = tube(axis, widths)
    return Part(outline, fabric, axis=curve, widths=half, folds=folds, relief=relief, shadow=shadow)


def arm_axis(pose: str, side: int, shoulder: tuple[float, float] = (0.6, 1.62)) -> np.ndarray:
    """Shoulder, elbow, wrist. (3, 2) heads."""
    return np.array([shoulder, *POSES[pose]]) * [side, 1]


def sleeve_folds(rng: np.random.Generator, depth: float = 0.035) -> np.ndarray:
    rows = [
        (
            rng.uniform(-0.8, 0.8),
            rng.uniform(-0.8, 0.8),
            rng.uniform(0.12, 0.25),
            depth * rng.uniform(0.5, 1),
            0.15,
        )
        for _ in range(4)
    ]
    return np.array(rows)


def hand(pose: str, side: int, skin: RGB) -> Part:
    """A simply drawn hand at the wrist, pointing on along the forearm."""
    _, elbow, wrist = arm_axis(pose, side)
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    if pose == "hip":
        along = np.array([-side * 0.55, 0.83])
    across = np.array([-along[1], along[0]]) * side
    grip = pose in ("out", "raised", "front")
    if grip:
        shape = [
            (-0.06, -0.1),
            (0.1, -0.15),
            (0.24, -0.14),
            (0.33, -0.05),
            (0.33, 0.07),
            (0.2, 0.14),
            (0.02, 0.12),
            (-0.06, 0.08),
        ]
        creases = [[(0.2, -0.12), (0.22, 0.12)], [(0.28, -0.08), (0.29, 0.08)]]
    else:
        shape = [
            (-0.08, -0.09),
            (0.12, -0.13),
            (0.34, -0.12),
            (0.54, -0.06),
            (0.6, 0.0),
            (0.52, 0.06),
            (0.34, 0.09),
            (0.3, 0.17),
            (0.22, 0.19),
            (0.1, 0.12),
            (-0.08, 0.09),
        ]
        creases = [[(0.3, -0.05), (0.54, -0.02)], [(0.3, 0.02), (0.54, 0.02)], [(0.18, 0.08), (0.3, 0.09)]]
    turn = np.stack([along, across])
    outline = smooth(np.array(shape) @ turn + wrist, closed=True)
    strokes = tuple(Stroke(np.array(c) @ turn + wrist, 0.018, darker(skin, 0.4)) for c in creases)
    return Part(outline, Fabric(skin, warm=True), relief=0.5, strokes=strokes, shadow=0.3)


def neck(skin: RGB, depth: float = 1.75, shoulders: float = 0.62, half: float = 0.19) -> Part:
    """Neck and what a neckline shows of the chest."""
    right = [
        (half, 0.75),
        (half, 1.08),
        (half + 0.06, 1.25),
        (shoulders * 0.7, 1.4),
        (shoulders, 1.52),
        (shoulders * 0.9, depth),
        (0, depth + 0.12),
    ]
    # collar bones
    crease = Stroke(smooth([(-0.3, 1.5), (-0.12, 1.47), (-0.03, 1.52)]), 0.015, darker(skin, 0.22))
    other = Stroke(smooth([(0.3, 1.5), (0.12, 1.47), (0.03, 1.52)]), 0.015, darker(skin, 0.22))
    return Part(mirrored(right), Fabric(skin, warm=True), relief=0.3, strokes=(crease, other))


def head(skin: RGB, hair: RGB, turn: float, male: bool, beard: str = "") -> Part:
    """A head with a simply drawn face; `turn` -1..1 moves the features sideways."""
    jaw = 0.3 if male else 0.255
    right = [(0.0, 0.02), (0.25, 0.1), (0.36, 0.34), (0.355, 0.56), (jaw, 0.84), (0.12, 1.0), (0.0, 1.03)]
    part = Part(mirrored(right), Fabric(skin, warm=True), relief=0.42, ball=0.35, shadow=0.5)
    part = part.with_strokes(*_face(skin, hair, turn * 0.09, male))
    if beard:
        part = part.with_strokes(*_beard(hair, turn * 0.09, beard))
    return part


def _face(skin: RGB, hair: RGB, shift: float, male: bool) -> list[Stroke]:
    brow, ink, lip = darker(hair, 0.1), (46, 30, 28), ((168, 92, 82) if male else (182, 52, 60))
    strokes = []
    for side in (-1, 1):
        x = shift + side * 0.15
        near = 1 - 0.9 * side * shift  # the far half of a turned face is narrower
        blush = smooth(
            [
                (x + side * 0.05 - 0.07, 0.68),
                (x + side * 0.05, 0.63),
                (x + side * 0.05 + 0.07, 0.68),
                (x + side * 0.05, 0.74),
            ],
            closed=True,
        )
        if not male:
            strokes.append(Stroke(blush, 0, mixed(skin, (214, 90, 84), 0.18), "fill"))
        crease = smooth([(x - 0.08 * near, 0.475), (x, 0.447), (x + 0.08 * near, 0.475)])
        strokes.append(Stroke(crease, 0.014, darker(skin, 0.28)))
        eye = smooth([(x - 0.075 * near, 0.525), (x, 0.487), (x + 0.075 * near, 0.52), (x, 0.552)], closed=True)
        strokes.append(Stroke(eye, 0, (246, 240, 232), "fill"))
        strokes.append(Stroke(np.array([[x + shift * 0.15, 0.518]]), 0.062, (70, 46, 36), "dots"))
        strokes.append(Stroke(np.array([[x + shift * 0.15, 0.52]]), 0.034, ink, "dots"))
        lid = smooth([(x - 0.085 * near, 0.522), (x, 0.482), (x + 0.085 * near, 0.518)])
        strokes.append(Stroke(lid, 0.024, ink))
        outer = side * 0.105 * near
        arch = smooth([(x - outer * 0.85, 0.412), (x + outer * 0.25, 0.383), (x + outer * 1.1, 0.425)])
        strokes.append(Stroke(arch, 0.034 if male else 0.02, brow))
    nose = smooth(
        [
            (shift + 0.02, 0.52),
            (shift + 0.055 + shift * 0.3, 0.68),
            (shift + 0.03, 0.715),
            (shift - 0.02, 0.72),
        ]
    )
    strokes.append(Stroke(nose, 0.022, darker(skin, 0.3)))
    mouth = smooth(
        [
            (shift - 0.09, 0.818),
            (shift - 0.035, 0.8),
            (shift, 0.808),
            (shift + 0.035, 0.8),
            (shift + 0.09, 0.818),
            (shift + 0.04, 0.862),
            (shift, 0.87),
            (shift - 0.04, 0.862),
        ],
        closed=True,
    )
    strokes.append(Stroke(mouth, 0, lip, "fill"))
    strokes.append(
        Stroke(smooth([(shift - 0.085, 0.817), (shift, 0.834), (shift + 0.085, 0.817)]), 0.014, darker(lip, 0.4))
    )
    strokes.append(
        Stroke(smooth([(shift - 0.045, 0.91), (shift, 0.917), (shift + 0.045, 0.91)]), 0.014, darker(skin, 0.16))
    )
    return strokes


def _beard(hair: RGB, shift: float, kind: str) -> list[Stroke]:
    strokes = []
    if kind == "full":
        shape = smooth(
            [
                (-0.4, 0.62),
                (-0.26, 0.7),
                (shift - 0.12, 0.775),
                (shift, 0.76),
                (shift + 0.12, 0.775),
                (0.26, 0.7),
                (0.4, 0.62),
                (0.36, 1.0),
                (0.0, 1.1),
                (-0.36, 1.0),
            ],
            closed=True,
        )
        strokes.append(Stroke(shape, 0, hair, "fill"))
        strokes.append(
            Stroke(smooth([(shift - 0.06, 0.84), (shift, 0.855), (shift + 0.06, 0.84)]), 0.035, (150, 80, 74))
        )
    if kind in ("full", "moustache"):
        for side in (-1, 1):
            wing = smooth(
                [
                    (shift, 0.76),
                    (shift + side * 0.1, 0.77),
                    (shift + side * 0.2, 0.83),
                    (shift + side * 0.23, 0.79),
                    (shift + side * 0.15, 0.835),
                    (shift, 0.81),
                ],
                closed=True,
            )
            strokes.append(Stroke(wing, 0, darker(hair, 0.2), "fill"))
    return strokes


def hair_back(hair: RGB, style: str) -> Part:
    """Hair behind the head: `long`, `bob` or `bun`."""
    if style == "long":
        right = [(0, -0.08), (0.34, 0.0), (0.47, 0.4), (0.5, 0.9), (0.56, 1.5), (0.4, 1.95), (0, 2.0)]
    elif style == "bob":
        right = [(0, -0.07), (0.33, 0.0), (0.46, 0.4), (0.45, 0.8), (0.33, 1.0), (0, 1.0)]
    else:
        right = [(0, -0.06), (0.28, -0.02), (0.42, 0.3), (0.4, 0.66), (0.26, 0.84), (0, 0.9)]
    return Part(mirrored(right), Fabric(hair, "fur", lighter(hair, 0.12), 0.9, sheen=0.2), relief=0.35)


def hair_front(hair: RGB, turn: float) -> Part:
    """Parted hair over the forehead and beside the cheeks."""
    part = turn * 0.14
    outline = np.vstack(
        [
            smooth(
                [
                    (-0.4, 0.6),
                    (-0.43, 0.3),
                    (-0.31, 0.02),
                    (-0.14, -0.1),
                    (0, -0.125),
                    (0.14, -0.1),
                    (0.31, 0.02),
                    (0.43, 0.3),
                    (0.4, 0.6),
                ]
            ),
            smooth(
                [
                    (0.345, 0.56),
                    (0.32, 0.36),
                    (0.2, 0.24),
                    (part, 0.13),
                    (-0.2, 0.24),
                    (-0.32, 0.36),
                    (-0.345, 0.56),
                ]
            ),
        ]
    )
    lines = [
        Stroke(smooth([(part, 0.12), (part + s * 0.2, 0.1 + d), (part + s * 0.36, 0.3 + d)]), 0.016, c)
        for s in (-1, 1)
        for d, c in ((-0.04, lighter(hair, 0.18)), (0.05, darker(hair, 0.3)))
    ]
    line = Stroke(smooth([(part, 0.14), (part * 0.8, 0.02), (part * 0.6, -0.07)]), 0.018, darker(hair, 0.4))
    return Part(outline, Fabric(hair, sheen=0.35), relief=0.3, ball=0.4, strokes=(*lines, line), shadow=0.25)


def legs(
    fabric: Fabric,
    knee: float,
    ankle: float,
    folds: np.ndarray | None = None,
    spread: float = 0.34,
    top: float = 0.34,
) -> list[Part]:
    """Two trouser legs, half widths at hip, knee and ankle."""
    return [
        limb(
            [(s * 0.28, 3.2), (s * (spread + 0.02), 5.3), (s * spread, 7.2)],
            [top, knee * 1.15, knee, ankle * 1.05, ankle],
            fabric,
            folds,
            0.7,
        )
        for s in (-1, 1)
    ]


def shoes(colour: RGB, spread: float = 0.34, pointed: bool = False, boot: float = 0.0) -> list[Part]:
    """Two shoes turned out a little; `boot` is the height of the shaft in heads."""
    parts = []
    for s in (-1, 1):
        tip = 0.52 if pointed else 0.42
        sole = [
            (-0.13, 7.1),
            (0.1, 7.08),
            (0.22, 7.26),
            (tip, 7.4 if not pointed else 7.3),
            (tip + 0.03, 7.47),
            (tip * 0.6, 7.53),
            (-0.1, 7.5),
            (-0.16, 7.35),
        ]
        outline = smooth(np.array(sole) * [s, 1] + [s * spread, 0], closed=True)
        if boot:
            parts.append(
                limb(
                    [(s * spread, 7.3 - boot), (s * spread, 7.35)],
                    [0.26, 0.22, 0.18],
                    Fabric(colour, sheen=0.3),
                    None,
                    0.7,
                )
            )
        parts.append(Part(outline, Fabric(colour, sheen=0.35), relief=0.6, ball=0.5))
    return parts
