"""One flat tone, or nearly: an empty page, a lost picture, a speck on white."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos", "prints"}
COMPARES = False
CUTS = {"spread": "min_spread", "drawn": "min_drawn"}


class Settings(settings.Settings):
    """How much must be on a picture."""

    min_spread: float = Field(5.0, ge=0, description="Standard deviation of grey (0..127) at least this much.")
    min_drawn: float = Field(0.05, ge=0, le=1, description="Share of the frame that isn't bare ground, at least.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures of one tone, and those that are bare but for a corner."""
    spreads, drawn = probes.figures["spread"], probes.figures["drawn"]
    flat = spreads < settings.min_spread
    for row in np.flatnonzero(flat | (drawn < settings.min_drawn)).tolist():
        detail = (
            f"grey spread {spreads[row]:.1f}, below {settings.min_spread:g}"
            if flat[row]
            else f"drawn on {100 * drawn[row]:.1f} % of the frame, below {100 * settings.min_drawn:g} %"
        )
        yield Drop(probes.records[row].key, detail)
