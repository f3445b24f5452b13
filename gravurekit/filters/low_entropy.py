"""Next to nothing to see: a handful of grey levels holds it all."""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos"}  # a woodcut is black and white, and wanted
COMPARES = False
CUTS = {"entropy": "min_entropy"}


class Settings(settings.Settings):
    """How much a picture must hold."""

    min_entropy: float = Field(1.5, ge=0, le=8, description="Entropy of the grey levels at least this many bits.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures whose histogram has less than `min_entropy` bits."""
    bits = probes.figures["entropy"]
    for row in np.flatnonzero(bits < settings.min_entropy).tolist():
        yield Drop(probes.records[row].key, f"grey levels hold {bits[row]:.2f} bits, below {settings.min_entropy:g}")
