"""Washed out: even the darkest parts are light."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos"}  # an outline on white is a fine print
COMPARES = False
CUTS = {"light": "max_brightness"}


class Settings(settings.Settings):
    """How dark a picture must be somewhere."""

    max_brightness: float = Field(
        0.95, ge=0, le=1, description="5th percentile of brightness (0..1) at most this much."
    )


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures of which 95 % lie above `max_brightness`."""
    brightness = probes.figures["light"]
    for row in np.flatnonzero(brightness > settings.max_brightness).tolist():
        yield Drop(
            probes.records[row].key, f"95 % are lighter than {brightness[row]:.2f}, above {settings.max_brightness:g}"
        )
