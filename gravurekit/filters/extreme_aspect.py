"""Banners and strips: no figure has such a shape."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probe

SUBJECTS = {"photos", "prints"}
COMPARES = False


class Settings(settings.Settings):
    """Longest shape that is kept."""

    max_aspect: float = Field(3.0, ge=1, description="Longer side at most this many times the shorter one.")


def drops(probes: Sequence[Probe], settings: Settings) -> Iterator[Drop]:
    """Pictures longer than `max_aspect` times their width, or wider than that."""
    for probe in probes:
        aspect = max(probe.width, probe.height) / min(probe.width, probe.height)
        if aspect > settings.max_aspect:
            yield Drop(
                probe.key,
                f"{probe.width} × {probe.height} is 1 : {aspect:.1f}, above {settings.max_aspect:g}",
            )
