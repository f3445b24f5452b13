"""A trained network at work on whole pictures: what `gravurekit colorize` calls, and other people's programs.

    from gravurekit import Colorizer, Look, Steer

    colorizer = Colorizer.load("runs/shards-1a2b3c")
    done = colorizer.colour(pixels, Look(paper="tint"), Steer(palette=palette("red, ochre")))
    done.pixels                                       # (H, W, 3) uint8 sRGB

A print is taken apart into ink and paper; the network is shown the ink, in the middle of a sheet as it was trained on;
what it says comes back onto the paper as a wash. A photograph keeps its lightness. What the network wasn't made to be
told is done to its wash, and `Coloured.notes` says so.
"""

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np

from gravurekit import color, edges, images, paper, recolour, swatches, tint
from gravurekit.errors import ModelError, UsageError
from gravurekit.fed import Place, on_sheet, redrawn
from gravurekit.model.palette import from_histogram
from gravurekit.model.predictor import MODEL_FILE, Prediction, Predictor
from gravurekit.swatches import Hint as Hint

TRANSFERRED = "this network wasn't made to be told colours: its own are moved to the palette's mean and spread"
FLOWED = "this network wasn't made to be given hints: their colours only flow between the lines"
REACH = 0.25  # of the long side, how far a hint's colour flows

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Look:
    """How colours come onto a picture.

    photo       it is a photograph: its lightness stays as it is
    feed        what the network is shown of a print: its lines drawn anew in the training's style, or its tone
    paper       of a print: as it is, white, or evenly tinted
    strength    0..1, how much of all colour there is
    saturation  ≥ 0, a factor on the chroma that the network gives; hints aren't changed by it
    work_size   long side of the sheet that the network is shown, px; 0: as it was trained
    """

    photo: bool = False
    feed: Literal["style", "tone"] = "style"
    paper: tint.Paper = "keep"
    strength: float = 1.0
    saturation: float = 1.0
    work_size: int = 0


@dataclass(frozen=True, eq=False)
class Steer:
    """What a network is told by people.

    palette        (27, 27) numbers, a histogram of a and b, as `palette` makes it and shards count it; None: nothing
    hints          colours that the wash is to have at places, px of the picture
    mood           (256,) float32, the global vector of another picture, from `Colorizer.mood`; None: the picture's own
    mood_strength  0..1, how much of that
    """

    palette: np.ndarray | None = None
    hints: tuple[Hint, ...] = ()
    mood: np.ndarray | None = None
    mood_strength: float = 1.0


@dataclass(frozen=True, eq=False)
class Coloured:
    """A picture that was coloured.

    pixels   (H, W, 3) uint8 sRGB
    fed      (h, w) float32 L 0..100, what the network was shown of it
    wash     (h, w, 3) float32 Lab, of a reduced copy: the wash, or a photograph's lightness and new colours
    apart    the print taken apart; None of a photograph
    classes  (name, probability) of what the network takes the picture for, the most probable first
    notes    what couldn't be done as it was asked, and what was done in its place
    """

    pixels: np.ndarray
    fed: np.ndarray
    wash: np.ndarray
    apart: paper.Apart | None
    classes: list[tuple[str, float]]
    notes: tuple[str, ...] = ()


def palette(asked: str | np.ndarray) -> np.ndarray:
    """Colours in words ("red, #e0b088"), or a picture (H, W, 3) uint8 sRGB that has them → (27, 27) int64, for
    `Steer`. Raises UsageError for what is no colour."""
    if isinstance(asked, str):
        return swatches.histogram(swatches.colours(asked))
    return swatches.histogram_of_picture(asked)


@dataclass(frozen=True, eq=False)
class Colorizer:
    """Colours pictures with one network."""

    predictor: Predictor
    path: Path | None = field(default=None)  # the model's file

    @classmethod
    def load(cls, path: Path | str, device: str = "auto") -> "Colorizer":
        """From a run's folder, or a model's file. Raises ModelError for one that can't be used, UsageError for a device
        that isn't there."""
        path = Path(path)
        file = path / MODEL_FILE if path.is_dir() else path
        return cls(Predictor.load(file, device), file)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the model's file, hex; "" for a network that came from none."""
        if self.path is None:
            return ""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def colour(self, pixels: np.ndarray, look: Look = Look(), steer: Steer = Steer()) -> Coloured:
        """Colour a picture of any size, (H, W, 3) uint8 sRGB. Besides the picture and the result it takes memory for a
        reduced copy, and for what the network is shown.

        Raises ValueError for a hint outside of the picture, ModelError for a style of the training that this gravurekit
        can't draw.
        """
        height, width = pixels.shape[:2]
        for hint in steer.hints:
            if not (0 <= hint.x < width and 0 <= hint.y < height):
                raise ValueError(f"the hint at {hint.x:g}, {hint.y:g} lies outside of a picture of {width} × {height}")
        return self._photo(pixels, look, steer) if look.photo else self._print(pixels, look, steer)

    def colour_all(
        self,
        pictures: Iterable[np.ndarray],
        look: Look = Look(),
        steer: Steer = Steer(),
        workers: int = 0,
    ) -> Iterator[Coloured]:
        """Colour many, some at once (`workers`; 0: one for each core), in their order. A picture's result doesn't
        depend on the others, nor on how many are coloured at once."""
        return at_once(lambda pixels: self.colour(pixels, look, steer), pictures, workers)

    def mood(self, pixels: np.ndarray, look: Look = Look()) -> np.ndarray:
        """The global vector, (256,) float32, of a picture, (H, W, 3) uint8 sRGB, shown to the network as `look` says.
        Its colours count for nothing: the network never sees any."""
        L = tint.photo_lightness(pixels) if look.photo else self._redrawn(paper.apart(pixels), look)
        sheet, _ = self._on_sheet(L, look)
        return self.predictor.mood(sheet)

    # ---- a print, a photograph ---------------------------------------------------------------------------

    def _print(self, pixels: np.ndarray, look: Look, steer: Steer) -> Coloured:
        apart = paper.apart(pixels)
        fed = self._redrawn(apart, look)
        said, classes = self._asked(fed, look, steer, pixels.shape)
        ab, notes = self._told_after(said[..., :2], apart.plate, steer)
        places, colours = _met(steer, pixels.shape, apart.ink.shape)
        wash = tint.wash(
            ab, said[..., 2] if said.shape[2] > 2 else None, apart, saturation=look.saturation, strength=look.strength,
            places=places, colours=colours, reach=REACH,
        )  # fmt: skip
        done = tint.composed(pixels, apart, wash, look.paper)
        return Coloured(done, fed, wash, apart, classes, notes)

    def _photo(self, pixels: np.ndarray, look: Look, steer: Steer) -> Coloured:
        small = paper.reduced(pixels)
        fed = tint.photo_lightness(small)
        said, classes = self._asked(fed, look, steer, pixels.shape)
        ab, notes = self._told_after(said[..., :2], None, steer)
        light = color.srgb_to_linear(small) @ paper.LUMINANCE
        large = edges.upsampled(np.ascontiguousarray(ab), light) * np.float32(look.saturation)
        places, colours = _met(steer, pixels.shape, fed.shape)
        if len(places):
            met, holds = edges.spread(places, colours[:, 1:], light, REACH * max(fed.shape))
            large += (met - large) * holds[..., None]
        large *= np.float32(look.strength)
        wash = np.dstack([fed, large]).astype(np.float32)
        return Coloured(tint.on_photo(pixels, large), fed, wash, None, classes, notes)

    def _redrawn(self, apart: paper.Apart, look: Look) -> np.ndarray:
        style = self.predictor.about.get("style") if look.feed == "style" else None
        try:
            return tint.grey_lightness(redrawn(apart.grey, style))
        except (UsageError, KeyError, TypeError, ValueError, cv2.error) as error:
            raise ModelError(
                f"the style that {self.path} was trained on can't be drawn by this gravurekit ({error}): take the tone "
                "(--feed tone), or train again"
            ) from error

    # ---- the network -------------------------------------------------------------------------------------

    def _on_sheet(self, L: np.ndarray, look: Look) -> tuple[np.ndarray, Place]:
        return on_sheet(L, *_sheet(self.predictor.trained_size, look.work_size))

    def _asked(
        self, L: np.ndarray, look: Look, steer: Steer, shape: tuple[int, ...]
    ) -> tuple[np.ndarray, list[tuple[str, float]]]:
        """What the network says of L (h, w): (h', w', 2 or 3) float32, a, b and maybe the wash's L, of the place of
        the sheet where the picture lies; and classes."""
        sheet, place = self._on_sheet(L, look)
        config = self.predictor.network.config
        hints = None
        if steer.hints and config.hints:
            hints = swatches.hint_planes(steer.hints, (shape[1], shape[0]), (sheet.shape[0], sheet.shape[1]), place)

        def told(asked: np.ndarray | None) -> Prediction:
            cells = None if asked is None else from_histogram(asked)
            return self.predictor.predict(
                sheet, palette=cells, hints=hints, mood=steer.mood, strength=steer.mood_strength
            )

        asked = steer.palette if config.palette else None
        found = told(asked)
        said = _planes(found)
        parts = [] if asked is None else swatches.parts(asked)
        if len(parts) > 1:
            single = np.stack([_planes(told(part)) for part, _ in parts])
            painted = recolour.covered(sheet)
            amounts = [amount for _, amount in parts]
            dark = edges.ground(((sheet + 16) / 116) ** 3)  # of L as light
            shares = recolour.shared_out(said[..., :2], single[..., :2], amounts, painted, dark)
            said = recolour.laid(said, single, shares, painted)
        return np.ascontiguousarray(said[place]), found.classes

    def _told_after(self, ab: np.ndarray, plate: np.ndarray | None, steer: Steer) -> tuple[np.ndarray, tuple[str, ...]]:
        """The network's colours with what it couldn't be told, and notes on that."""
        config, notes = self.predictor.network.config, []
        if steer.palette is not None and not config.palette:
            painted = None if plate is None else images.resize(plate, ab.shape[1], ab.shape[0])
            ab = recolour.transferred(ab, steer.palette, painted)
            notes.append(TRANSFERRED)
        if steer.hints and not config.hints:
            notes.append(FLOWED)
        return np.ascontiguousarray(ab), tuple(notes)


def _planes(found: Prediction) -> np.ndarray:
    """(H, W, 2 or 3) float32: a, b and maybe L."""
    return found.ab if found.lightness is None else np.dstack([found.ab, found.lightness])


def _sheet(trained: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Width and height of what the network is shown: as it was trained, or of the same shape with that `long_side`."""
    scale = long_side / max(trained) if long_side else 1.0
    return max(1, round(trained[0] * scale)), max(1, round(trained[1] * scale))


def _met(steer: Steer, shape: tuple[int, ...], small: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Hints on the reduced copy of a picture: places (n, 2), x and y, and colours (n, 3) float32 Lab."""
    scale = np.array([small[1] / shape[1], small[0] / shape[0]])
    places = np.array([(hint.x + 0.5, hint.y + 0.5) for hint in steer.hints]).reshape(-1, 2) * scale
    colours = np.array([_lab(hint.rgb) for hint in steer.hints], np.float32).reshape(-1, 3)
    return places, colours


def _lab(rgb: tuple[int, int, int]) -> np.ndarray:
    """(3,) float32 Lab of an sRGB colour."""
    return np.asarray(color.rgb_to_lab(np.array([[rgb]], np.uint8))[0, 0])


# ---- several at once -----------------------------------------------------------------------------------


def at_once(work: Callable[[Item], Result], items: Iterable[Item], workers: int = 0) -> Generator[Result, None, None]:
    """`work` of each item, in threads, in the items' order; at most as many are begun as there are workers, and one
    more each. What one raises is raised in its turn."""
    count = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(count) as pool:
        waiting: list[Any] = []
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * count:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
