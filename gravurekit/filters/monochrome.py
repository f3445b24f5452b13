"""Grey, sepia and otherwise toned pictures: they teach a colorizer nothing but the tone of old paper."""

from collections.abc import Iterator, Sequence

from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probe

SUBJECTS = {"photos"}  # prints are grey, and wanted
COMPARES = False


class Settings(settings.Settings):
    """How much colour a picture must have."""

    min_residual: float = Field(
        2.5, ge=0, description="Chroma that lightness doesn't explain, RMS in Lab units, at least this much."
    )


def drops(probes: Sequence[Probe], settings: Settings) -> Iterator[Drop]:
    """Pictures whose colour is nothing but a tint of their lightness."""
    for probe in probes:
        if probe.chroma_residual < settings.min_residual:
            yield Drop(probe.key, f"chroma residual {probe.chroma_residual:.2f}, below {settings.min_residual:g}")
