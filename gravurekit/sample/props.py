"""The things that hands hold: staff, cane, fan, flowers."""

import numpy as np

from gravurekit.sample.body import POSES, darker, lighter, limb
from gravurekit.sample.brush import smooth
from gravurekit.sample.headgear import GOLD
from gravurekit.sample.parts import RGB, Fabric, Part, Stroke


def prop(kind: str, pose: str, side: int, colour: RGB) -> list[Part]:
    """What a hand holds; drawn before the hand."""
    x, y = POSES[pose][1]
    x *= side
    if kind == "staff":
        return [
            limb(
                [(x + side * 0.16, y - 1.9), (x + side * 0.14, y + 1), (x + side * 0.1, 7.45)],
                [0.035, 0.04, 0.04],
                Fabric((110, 72, 44)),
                None,
            ),
            Part(
                smooth(
                    [
                        (x + side * 0.16, y - 2.12),
                        (x + side * 0.26, y - 1.98),
                        (x + side * 0.16, y - 1.84),
                        (x + side * 0.06, y - 1.98),
                    ],
                    True,
                ),
                Fabric(GOLD, sheen=0.6),
                ball=0.8,
            ),
        ]
    if kind == "cane":
        return [
            limb(
                [(x + side * 0.12, y - 0.12), (x + side * 0.2, 5.5), (x + side * 0.28, 7.45)],
                [0.04, 0.035, 0.03],
                Fabric((62, 44, 36)),
                None,
            )
        ]
    if kind == "fan":
        return _fan(x, y, side, colour)
    if kind == "flower":
        return _flower(x + side * 0.02, y - 0.1, (222, 84, 104) if colour[0] < 200 else (240, 206, 120))
    return []


def _fan(x: float, y: float, side: int, colour: RGB) -> list[Part]:
    angle = np.linspace(-2.55, -0.6, 26)
    pivot = np.array([x - side * 0.16, y + 0.02])
    rim = 0.72 * np.stack([np.cos(angle), np.sin(angle)], 1) * (1 + 0.02 * np.cos(np.arange(26) * np.pi))[:, None]
    ribs = tuple(Stroke(np.array([pivot, pivot + r]), 0.016, darker(colour, 0.4)) for r in rim[::3])
    arc = Stroke(pivot + rim * 0.88, 0.04, GOLD)
    return [Part(np.vstack([[pivot], pivot + rim]), Fabric(colour), relief=0.08, strokes=(*ribs, arc))]


def _flower(x: float, y: float, colour: RGB) -> list[Part]:
    stem = limb([(x, y + 0.4), (x, y), (x - 0.05, y - 0.42)], [0.02, 0.02], Fabric((70, 110, 60)), None)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    parts = [stem]
    for dx, dy, size in ((-0.05, -0.5, 0.2), (-0.22, -0.32, 0.13), (0.13, -0.34, 0.13)):
        reach = size * (0.78 + 0.22 * np.cos(5 * angle))
        outline = np.stack([x + dx + reach * np.cos(angle), y + dy + reach * np.sin(angle)], 1)
        parts.append(
            Part(
                outline,
                Fabric(colour),
                relief=0.5,
                ball=0.5,
                strokes=(Stroke(np.array([[x + dx, y + dy]]), size * 0.55, lighter(colour, 0.5), "dots"),),
            )
        )
    return parts
