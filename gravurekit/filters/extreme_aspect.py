"""Banners and strips: no figure has such a shape."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos", "prints"}
COMPARES = False
CUTS = {"long side over short": "max_aspect"}


class Settings(settings.Settings):
    """Longest shape that is kept."""

    max_aspect: float = Field(3.0, ge=1, description="Longer side at most this many times the shorter one.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures longer than `max_aspect` times their width, or wider than that."""
    widths, heights = probes.figures["width"], probes.figures["height"]
    aspects = np.maximum(widths, heights) / np.minimum(widths, heights)
    for row in np.flatnonzero(aspects > settings.max_aspect).tolist():
        yield Drop(
            probes.records[row].key,
            f"{widths[row]} × {heights[row]} is 1 : {aspects[row]:.1f}, above {settings.max_aspect:g}",
        )
