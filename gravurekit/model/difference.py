"""CIEDE2000: how different two colours look. About 1 is the least that people see, side by side.

Sharma, Wu and Dalal, "The CIEDE2000 Color-Difference Formula", Color Research & Application 30 (2005), by whose names
things are called. One formula for numpy's arrays and torch's tensors: their functions have the same names.
"""

import math
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)

DEGREE = math.pi / 180


def delta_e_2000(one: Array, other: Array, axis: int = -1) -> Array:
    """The difference of colours, place by place.

    one, other  float32 or float64 of shapes that broadcast, L 0..100, a, b in ab units along `axis`: (..., 3), or
                (B, 3, h, w) with axis 1
    returns     their shape without that axis, the same type, on the same device; never NaN, at greys either

    To measure, not to minimise: at equal colours and at greys it has no derivative.
    """
    xp: Any = torch if isinstance(one, Tensor) else np
    L1, a1, b1 = xp.moveaxis(one, axis, 0)
    L2, a2, b2 = xp.moveaxis(other, axis, 0)

    # near grey, a counts for more
    G = 0.5 * (1 - _saturation((xp.hypot(a1, b1) + xp.hypot(a2, b2)) / 2, xp))
    a1, a2 = (1 + G) * a1, (1 + G) * a2
    C1, C2 = xp.hypot(a1, b1), xp.hypot(a2, b2)
    h1, h2 = _hue(a1, b1, xp), _hue(a2, b2, xp)

    # the shorter way around from one hue to the other, and the hue at its middle
    turn = h2 - h1
    turn = xp.where(turn > 180, turn - 360, xp.where(turn < -180, turn + 360, turn))
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    h = xp.where(C1 * C2 == 0, h1 + h2, xp.remainder(h1 + turn / 2, 360))  # a grey has no hue: the other's

    T = (
        1
        - 0.17 * xp.cos((h - 30) * DEGREE)
        + 0.24 * xp.cos(2 * h * DEGREE)
        + 0.32 * xp.cos((3 * h + 6) * DEGREE)
        - 0.20 * xp.cos((4 * h - 63) * DEGREE)
    )
    S_L = 1 + 0.015 * (L - 50) ** 2 / xp.sqrt(20 + (L - 50) ** 2)
    S_C = 1 + 0.045 * C
    S_H = 1 + 0.015 * C * T
    R_T = -2 * _saturation(C, xp) * xp.sin(60 * DEGREE * xp.exp(-(((h - 275) / 25) ** 2)))  # blues

    lightness, chroma = (L2 - L1) / S_L, (C2 - C1) / S_C
    hue = 2 * xp.sqrt(C1 * C2) * xp.sin(turn / 2 * DEGREE) / S_H
    found: Array = xp.sqrt(lightness**2 + chroma**2 + hue**2 + R_T * chroma * hue)
    return found


def _saturation(chroma: Any, xp: Any) -> Any:
    """0 at grey, half at a chroma of some 22, 1 far beyond 25."""
    power = (chroma / 25) ** 7
    return xp.sqrt(power / (power + 1))


def _hue(a: Any, b: Any, xp: Any) -> Any:
    """Degrees, 0..360; 0 of a grey."""
    return xp.remainder(xp.arctan2(b, a) / DEGREE, 360)
