"""Two small styles for tests, that tell what they were given: `ruled` draws lines whose distance is left to chance, at
twice the size; `retouched` goes over what `ruled` drew."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.errors import UsageError
from gravurekit.layers import Layers, Side


class Ruled(settings.Settings):
    """Lines."""

    pitch: int = Field(6, ge=2, le=99, description="Distance of the lines, px.")
    ink: int = Field(0, ge=0, le=255, description="Their grey.")


class Retouched(settings.Settings):
    """What is changed."""

    lighter: int = Field(10, ge=0, le=99, description="Grey levels.")
    device: Literal["auto", "cpu", "cuda"] = Field("cpu", description="Where.")


def draw(photo: np.ndarray, settings: Ruled, rng: np.random.Generator) -> Layers:
    """Lines at a distance of `pitch` to `pitch` + 9 px."""
    plain = np.full(photo.shape[:2], 255, np.uint8)
    plain[:: settings.pitch + int(rng.integers(10))] = settings.ink
    return Layers(plain, photo, (1.0, 0.9, 0.8))


def styles() -> tuple[dict[str, ModuleType], list[dict[str, Any]]]:
    """Both styles by name, and a list that grows by what `retouched` is given."""
    given: list[dict[str, Any]] = []

    def refine(
        drawings: Sequence[Layers], photos: Sequence[np.ndarray], settings: Retouched,
        chances: Sequence[np.random.Generator], side: Side,
    ) -> list[Layers]:  # fmt: skip
        given.append({"shapes": [photo.shape for photo in photos], "side": side, "settings": settings})
        for drawing, photo, chance in zip(drawings, photos, chances, strict=True):
            assert drawing.plain.shape == photo.shape[:2] and isinstance(chance, np.random.Generator)
        lighter = [np.maximum(drawing.plain, settings.lighter).astype(np.uint8) for drawing in drawings]
        return [Layers(plain, old.wash, old.paper) for plain, old in zip(lighter, drawings, strict=True)]

    def check(settings: Retouched, side: Side) -> None:
        if side.features == "random:13":
            raise UsageError("nobody takes 13")

    ruled, retouched = ModuleType("ruled", "Lines."), ModuleType("retouched", "Lines, gone over.")
    vars(ruled).update(
        REVISION=1, Settings=Ruled, draw=draw, redraw=lambda ink, settings: 255 - ink,
        drawn_at=lambda settings, short_side: 2 * short_side,
        PRESETS={"wide": {"pitch": 20}, "pale": {"pitch": 9, "ink": 120}},
    )  # fmt: skip
    vars(retouched).update(
        REVISION=1, Settings=Retouched, STARTS_FROM="ruled", refine=refine,
        forecast=lambda count, shape, settings, side: 60.0 * count, check=check,
        note=lambda side: f"compared by {side.features}",
    )  # fmt: skip
    return {"ruled": ruled, "retouched": retouched}, given
