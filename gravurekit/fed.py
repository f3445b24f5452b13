"""How a print comes before the network: its lines as the training's style draws them, in the middle of a white sheet of
the size that was trained on."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gravurekit import crafts
from gravurekit.styles import drawn_at

if TYPE_CHECKING:
    import numpy as np

Place = tuple[slice, slice]  # rows and columns


def redrawn(ink: "np.ndarray", style: Mapping[str, Any] | None) -> "np.ndarray":
    """A print's ink, (H, W) uint8, as the style of the training pictures would have drawn it, at the size of those. A
    network that has learnt one kind of line doesn't know what another means. `style`: what shards and models tell of
    it; without one the ink stays as it is.

    Raises UsageError for a style that there isn't, ValueError for knobs that it hasn't got.
    """
    from gravurekit import images

    if not style:
        return ink
    first = style.get("starts_from", style)  # a style that refines drawings has no lines of its own
    craft = crafts.load("styles", first["name"])
    knobs = craft.Settings.model_validate_json(json.dumps(first["settings"]))
    height, width = ink.shape
    wide, tall = images.fitted(width, height, style["short_side"], style["max_long_side"])
    scale = drawn_at(craft, knobs, style["short_side"]) / style["short_side"]
    drawn = craft.redraw(images.resize(ink, max(1, round(wide * scale)), max(1, round(tall * scale))), knobs)
    return images.resize(images.resize(drawn, wide, tall), width, height)


def on_sheet(L: "np.ndarray", across: int, down: int) -> "tuple[np.ndarray, Place]":
    """Lightness (H, W) float32 0..100 in the middle of a white sheet, (down, across) float32, as large as it fits; and
    where in the sheet it lies."""
    import numpy as np

    from gravurekit import images

    height, width = L.shape
    scale = min(across / width, down / height)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (down - tall) // 2, (across - wide) // 2
    place = (slice(top, top + tall), slice(left, left + wide))
    sheet = np.full((down, across), 100, np.float32)
    sheet[place] = images.resize(L, wide, tall)
    return sheet, place
