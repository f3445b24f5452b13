"""Too few pixels to learn from: the shorter side is below the limit."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos", "prints"}
COMPARES = False
CUTS = {"short side": "min_side"}


class Settings(settings.Settings):
    """Smallest picture that is kept."""

    min_side: int = Field(200, ge=1, description="Shorter side at least this many pixels.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures whose shorter side is below `min_side`."""
    widths, heights = probes.figures["width"], probes.figures["height"]
    for row in np.flatnonzero(np.minimum(widths, heights) < settings.min_side).tolist():
        yield Drop(probes.records[row].key, f"{widths[row]} × {heights[row]}, shorter side below {settings.min_side}")
