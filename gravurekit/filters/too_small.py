"""Too few pixels to learn from: the shorter side is below the limit."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probe

SUBJECTS = {"photos", "prints"}
COMPARES = False


class Settings(settings.Settings):
    """Smallest picture that is kept."""

    min_side: int = Field(200, ge=1, description="Shorter side at least this many pixels.")


def drops(probes: Sequence[Probe], settings: Settings) -> Iterator[Drop]:
    """Pictures whose shorter side is below `min_side`."""
    for probe in probes:
        if min(probe.width, probe.height) < settings.min_side:
            yield Drop(probe.key, f"{probe.width} × {probe.height}, shorter side below {settings.min_side}")
