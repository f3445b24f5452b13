"""Colours: how far what a network says of a picture is from its true colours, and whether it only plays safe.

Colours are compared twice. *Alone*: of the wash (or whatever the colours are known of), at the true lightness, as the
validation of a training does it; darkness then decides nothing. *As seen*: the finished pictures, in 8-bit sRGB as a
screen shows them, with all that came of lightness, ink and gamut.

A network that says grey, or sepia, has a small ΔE and a small mean squared error: whoever reads those must read the
colourfulness, the share of grey, and the rows of those who know nothing beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gravurekit import color
from gravurekit.measures.bootstrap import Figure, figure, mean_figure
from gravurekit.model.difference import delta_e_2000

REVISION = 1

PEAK = 255.0  # of both PSNRs: a and b in 8 bits, and sRGB
GREY = 5.0  # chroma below which a place is grey
TAIL = 0.95
LEAST_SQUARE = 1e-4  # 88 dB: what is the same to the last bit has a PSNR, too
EDGES = 0.2  # share of the places, those where the true colours change most
LEAST_EDGE = 1.0  # Lab units a pixel; below it nothing is an edge
LEAST_CHANGE = 0.05  # ab units a pixel, on average; below it there is nothing that could bleed
REACH = 0.015  # of the long side: a change of colour so near an edge belongs to it


@dataclass(frozen=True, eq=False)
class Truth:
    """The colours that a picture ought to have: `lab` (h, w, 3) float32 Lab of its wash, `seen` (h, w, 3) uint8 sRGB,
    the picture itself."""

    lab: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Look:
    """What is measured of one picture, over its places; `of the truth` what the true colours have.

    delta_e, p95              ΔE2000 alone: the mean, and what 95 of 100 places don't pass
    seen_delta_e, seen_p95    the same as seen
    ab_square, rgb_square     mean squared error of a and b alone, of sRGB as seen
    chroma, true_chroma       their mean, alone
    colourfulness, true_colourfulness   of Hasler and Süsstrunk, as seen
    grey                      share of places whose chroma alone is below GREY
    bleeding                  see `bleeding`
    """

    delta_e: float
    p95: float
    seen_delta_e: float
    seen_p95: float
    ab_square: float
    rgb_square: float
    chroma: float
    true_chroma: float
    colourfulness: float
    true_colourfulness: float
    grey: float
    bleeding: float | None


def look(ab: np.ndarray, seen: np.ndarray, truth: Truth) -> Look:
    """Measure what was said of a picture: `ab` (h, w, 2) float32 ab units, `seen` (h, w, 3) uint8 sRGB."""
    alone = delta_e_2000(np.dstack([truth.lab[..., :1], ab]), truth.lab)
    shown = delta_e_2000(color.rgb_to_lab(seen), color.rgb_to_lab(truth.seen))
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    return Look(
        delta_e=_mean(alone),
        p95=float(np.quantile(alone, TAIL)),
        seen_delta_e=_mean(shown),
        seen_p95=float(np.quantile(shown, TAIL)),
        ab_square=_mean((ab - truth.lab[..., 1:]) ** 2),
        rgb_square=_mean((seen.astype(np.float32) - truth.seen) ** 2),
        chroma=_mean(chroma),
        true_chroma=_mean(np.hypot(truth.lab[..., 1], truth.lab[..., 2])),
        colourfulness=colourfulness(seen),
        true_colourfulness=colourfulness(truth.seen),
        grey=_mean(chroma < GREY),
        bleeding=bleeding(ab, truth.lab),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean(dtype=np.float64))


def colourfulness(rgb: np.ndarray) -> float:
    """(h, w, 3) uint8 sRGB → M3 of Hasler and Süsstrunk, "Measuring colourfulness in natural images", 2003: 0 of grey,
    15 slightly, 33 moderately, 59 quite, 109 extremely colourful."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    one, other = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), other.std()) + 0.3 * np.hypot(one.mean(), other.mean()))


def bleeding(ab: np.ndarray, true: np.ndarray) -> float | None:
    """How much of the change of colour in `ab` (h, w, 2) lies where the true colours, `true` (h, w, 3) Lab, have no
    edge: a share 0..1. A wash that runs over its outlines, or is soft, has much. None where hardly anything changes."""
    change = np.sqrt(sum(_slopes(plane) for plane in np.moveaxis(ab, -1, 0)))
    if change.mean() < LEAST_CHANGE:
        return None
    steep = np.sqrt(sum(_slopes(plane) for plane in np.moveaxis(true, -1, 0)))
    edge = (steep >= max(LEAST_EDGE, float(np.quantile(steep, 1 - EDGES)))).astype(np.uint8)
    reach = max(1, round(REACH * max(edge.shape)))
    near = cv2.dilate(edge, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    return float(change[~near].sum(dtype=np.float64) / change.sum(dtype=np.float64))


def _slopes(plane: np.ndarray) -> np.ndarray:
    """(h, w) float32 → (h, w), the square of the slope, units a pixel."""
    plane = np.ascontiguousarray(plane, np.float32)
    x, y = (cv2.Sobel(plane, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.asarray(x * x + y * y)


# ---- rows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """The figures of one who says colours, over `pictures`. None: can't be said.

    delta_e, p95, seen_delta_e, seen_p95, grey, bleeding, colourfulness   means over pictures of what `Look` has
    ab_psnr, rgb_psnr      of the mean squared error over all pictures, dB, peak PEAK
    colourfulness_change   its own less the true one's, the mean: negative is duller
    colourfulness_ratio    the sum of its own over that of the true ones, wholly grey pictures left out; likewise
                           chroma_ratio
    """

    name: str
    pictures: int
    delta_e: Figure | None
    p95: Figure | None
    seen_delta_e: Figure | None
    seen_p95: Figure | None
    ab_psnr: Figure | None
    rgb_psnr: Figure | None
    colourfulness: Figure | None
    colourfulness_change: Figure | None
    colourfulness_ratio: Figure | None
    chroma_ratio: Figure | None
    grey: Figure | None
    bleeding: Figure | None


MEANS = ("delta_e", "p95", "seen_delta_e", "seen_p95", "colourfulness", "grey", "bleeding")


def row(name: str, looks: Sequence[Look], resamples: int, seed: int) -> Row:
    """The figures of looks at several pictures, at least one."""
    means = {part: mean_figure([getattr(item, part) for item in looks], resamples, seed) for part in MEANS}
    change = [item.colourfulness - item.true_colourfulness for item in looks]

    def psnr(part: str) -> Figure:
        square = np.array([getattr(item, part) for item in looks])

        def decibel(rows: np.ndarray) -> float:
            return float(10 * np.log10(PEAK**2 / max(square[rows].mean(), LEAST_SQUARE)))

        return figure(len(looks), decibel, resamples, seed)

    def ratio(part: str) -> Figure | None:
        pairs = np.array([(getattr(item, part), getattr(item, f"true_{part}")) for item in looks])
        own, true = pairs[pairs[:, 1] > 0].T  # a resample may be of wholly grey pictures alone
        if not len(own):
            return None
        return figure(len(own), lambda rows: float(own[rows].sum() / true[rows].sum()), resamples, seed)

    return Row(
        name, len(looks), **means, ab_psnr=psnr("ab_square"), rgb_psnr=psnr("rgb_square"),
        colourfulness_change=mean_figure(change, resamples, seed),
        colourfulness_ratio=ratio("colourfulness"), chroma_ratio=ratio("chroma"),
    )  # fmt: skip


@dataclass(frozen=True)
class Point:
    """What a factor on the chroma makes of the figures: grey at 0, as it was said at 1."""

    saturation: float
    delta_e: Figure | None
    seen_delta_e: Figure | None
    colourfulness_ratio: Figure | None
    chroma_ratio: Figure | None


def point(saturation: float, looks: Sequence[Look], resamples: int, seed: int) -> Point:
    """A point of the curve of ΔE against colourfulness: whoever wants more colour pays this for it."""
    found = row("", looks, resamples, seed)
    return Point(saturation, found.delta_e, found.seen_delta_e, found.colourfulness_ratio, found.chroma_ratio)


def gains(
    looks: Sequence[Look], others: Mapping[str, Sequence[Look]], resamples: int, seed: int
) -> dict[str, dict[str, Figure | None]]:
    """By how much the ΔE of `looks` is below that of `others`, looks at the same pictures: the mean of the differences
    picture by picture, alone and as seen. An interval that lies above 0 says that it is no accident."""
    return {
        name: {
            part: mean_figure(
                [getattr(b, part) - getattr(a, part) for a, b in zip(looks, them, strict=True)], resamples, seed
            )
            for part in ("delta_e", "seen_delta_e")
        }
        for name, them in others.items()
    }
