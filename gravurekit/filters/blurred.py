"""Out of focus, or enlarged from little. Advisory: off until `min_sharpness` is set, since a soft picture may be a
good one; of photographs that people took of clothes, one in twenty lies below 55."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos", "prints"}
COMPARES = False
CUTS = {"sharpness": "min_sharpness"}


class Settings(settings.Settings):
    """How sharp a picture must be."""

    min_sharpness: float = Field(
        0.0, ge=0, description="Variance of the Laplacian, reduced or enlarged to 512 px, at least this much; 0: off."
    )


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures less sharp than `min_sharpness`."""
    sharpness = probes.figures["sharpness"]
    for row in np.flatnonzero(sharpness < settings.min_sharpness).tolist():
        yield Drop(probes.records[row].key, f"sharpness {sharpness[row]:.1f}, below {settings.min_sharpness:g}")
