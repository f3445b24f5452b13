"""Taken without light: even the lightest parts are dark."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos", "prints"}
COMPARES = False
CUTS = {"dark": "min_brightness"}


class Settings(settings.Settings):
    """How light a picture must be."""

    min_brightness: float = Field(
        0.32, ge=0, le=1, description="99th percentile of brightness (0..1) at least this much."
    )


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures of which 99 % lie below `min_brightness`."""
    brightness = probes.figures["dark"]
    for row in np.flatnonzero(brightness < settings.min_brightness).tolist():
        yield Drop(
            probes.records[row].key, f"99 % are darker than {brightness[row]:.2f}, below {settings.min_brightness:g}"
        )
