"""Style transfer from real prints: the report's second method, as a refinement of an engraved drawing.

The grey of a drawing descends, step by step, until the features that a network sees in it are distributed as in real
prints. Colours are left alone, and the tone is held: what is drawn where is the drawing's, how a line swells, breaks
and bleeds is the prints'. The networks are in `_features.py`, the descent in `_optimise.py`.

After L. A. Gatys, A. S. Ecker, M. Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016 (the
optimisation and the Gram loss); E. Heitz, K. Vanhoey, T. Chambon, L. Belcour, "A Sliced Wasserstein Loss for Neural
Texture Synthesis", CVPR 2021 (sorted random projections); K. He, Y. Wang, J. Hopcroft, "A Powerful Generative Model
Using Random Weights for the Deep Image Representation", NeurIPS 2016 (networks that nobody has trained). Ours are the
comparison within strata of tone, and one layer of random filters of several sizes instead of a deep random network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.layers import Layers, Side
from gravurekit.styles import _sheets

if TYPE_CHECKING:
    from gravurekit.styles._manner import Manner

REVISION = 2
STARTS_FROM = "engrave"
AT_ONCE = 2**25  # px of drawings whose sheets are held at a time, 8 bytes each


class Settings(settings.Settings):
    """How far a drawing goes towards the prints, and by what."""

    loss: Literal["sliced-wasserstein", "gram"] = Field(
        "sliced-wasserstein", description="What is compared: the distributions of features, or only their products."
    )
    steps: int = Field(60, ge=0, le=2000, description="Steps of the descent; the time grows with them.")
    rate: float = Field(0.03, gt=0, le=1, description="Step of the descent at its beginning, of the range 0 to 1.")
    style_weight: float = Field(2.0, ge=0, le=1000, description="Weight of the likeness to the prints.")
    tone_weight: float = Field(0.5, ge=0, le=1000, description="Weight of the drawing's own tone; more changes less.")
    tone_sigma: float = Field(4.0, ge=1, le=10, description="Blur that leaves the tone and melts the lines, px.")
    layers: int = Field(3, ge=1, le=5, description="Stages of the network that are compared, the finest first.")
    projections: int = Field(32, ge=1, le=1024, description="Random directions a step in which features are sorted.")
    samples: int = Field(8192, ge=256, le=262144, description="Places of a sheet a step at which they are compared.")
    style_pictures: int = Field(
        12, ge=1, le=200, description="Prints that are looked at, spread over all that are given."
    )
    style_side: int = Field(
        512, ge=64, le=1024, description="Short side to which prints are reduced, px; best that of the drawings."
    )
    sheet: int = Field(
        768, ge=128, le=4096, description="Larger drawings are worked at in overlapping sheets of this side, px."
    )
    batch: int = Field(0, ge=0, le=256, description="Sheets worked at together; 0: one on a CPU, many on a GPU.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the descent runs.")


def check(settings: Settings, side: Side) -> None:
    """Raises UsageError for features, prints or a device that there aren't."""
    from gravurekit.styles import _features, _manner, _optimise

    _features.parsed(side.features)
    _manner.check_readable(_manner.style_files(side.style_images, settings.style_pictures))
    _optimise.pick_device(settings.device)


def note(side: Side) -> str:
    """What people should know of the features that are used, in one line."""
    from gravurekit.styles import _features

    return _features.spoken(_features.parsed(side.features))


def refine(
    drawings: Sequence[Layers],
    photos: Sequence[np.ndarray],
    settings: Settings,
    chances: Sequence[np.random.Generator],
    side: Side,
) -> list[Layers]:
    """Drawings with another `plain`, (H, W) uint8 sRGB grey of the same size; wash and paper stay.

    `photos` aren't looked at: the tone to be kept is the drawing's. What comes of a drawing depends on it and its
    chance alone, not on those beside it.
    """
    from gravurekit.styles import _optimise

    if settings.steps == 0 or not drawings:
        return list(drawings)
    device = _optimise.pick_device(settings.device)
    seeds = [int(chance.integers(2**63)) for chance in chances]
    done: list[Layers] = []
    with _optimise.reproducible(device):
        manner = _manner_of(settings, side, device)
        for some in _bunches(drawings):
            plains = _plains([drawings[n].plain for n in some], [seeds[n] for n in some], manner, settings, device)
            done += [replace(drawings[n], plain=plain) for n, plain in zip(some, plains, strict=True)]
    return done


def forecast(count: int, shape: tuple[int, int], settings: Settings, side: Side) -> float:
    """Seconds that `refine` will take for `count` drawings of `shape` (height, width) in this process, from two steps
    on noise of that size. It takes a look at the prints first, which `refine` then needn't."""
    from gravurekit.styles import _optimise

    if settings.steps == 0 or count == 0:
        return 0.0
    device = _optimise.pick_device(settings.device)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    sheets = _sheets.cut(noise, settings.sheet, settings.tone_sigma, 0)
    first = sheets[0].grey.size
    pixels, at_most = _optimise.batch_limits(settings, device)
    together = min(max(1, min(at_most, pixels // first)), count * len(sheets))
    with _optimise.reproducible(device):
        manner = _manner_of(settings, side, device)
        begin, step = _optimise.measured([sheets[0]] * together, manner, settings, device)
    batches = count * sum(sheet.grey.size for sheet in sheets) / (together * first)
    return batches * (begin + settings.steps * step)


def _manner_of(settings: Settings, side: Side, device: str) -> "Manner":
    from gravurekit.styles import _features, _manner

    files = _manner.style_files(side.style_images, settings.style_pictures)
    spec = _features.parsed(side.features)
    return _manner.learn(files, spec, settings.layers, settings.style_side, settings.tone_sigma, device)


def _bunches(drawings: Sequence[Layers]) -> Iterator[list[int]]:
    """Numbers of drawings, in order, together at most AT_ONCE px (but one at least)."""
    some: list[int] = []
    for number, drawing in enumerate(drawings):
        if some and sum(drawings[n].plain.size for n in some) + drawing.plain.size > AT_ONCE:
            yield some
            some = []
        some.append(number)
    yield some


def _plains(
    plains: Sequence[np.ndarray], seeds: Sequence[int], manner: "Manner", settings: Settings, device: str
) -> list[np.ndarray]:
    """Refined drawings, each (H, W) uint8. Sheets of all of them that have one size go together."""
    from gravurekit.styles import _optimise

    cut = [
        _sheets.cut(plain, settings.sheet, settings.tone_sigma, seed) for plain, seed in zip(plains, seeds, strict=True)
    ]
    sheets = [sheet for some in cut for sheet in some]
    pieces: dict[int, np.ndarray] = {}
    for numbers in _sheets.batches(sheets, *_optimise.batch_limits(settings, device)):
        refined = _optimise.refined([sheets[n] for n in numbers], manner, settings, device)
        pieces |= dict(zip(numbers, refined, strict=True))
    found = iter(pieces[n] for n in range(len(sheets)))
    return [
        _sheets.joined(plain.shape, some, [next(found) for _ in some]) for plain, some in zip(plains, cut, strict=True)
    ]
