"""Grey, sepia and otherwise toned pictures: they teach a colorizer nothing but the tone of old paper.

What toning is, gravurekit/toning.py says. The cut was measured (bench/filter.py, monochrome): lower, and weak sepia of
small pictures stays; higher, and black and brown garments before beige grounds go.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes

SUBJECTS = {"photos"}  # prints are grey, and wanted
COMPARES = False
CUTS = {"chroma_residual": "min_residual"}


class Settings(settings.Settings):
    """How much colour a picture must have."""

    min_residual: float = Field(0.5, ge=0, description="Chroma that no toning gives, in Lab units, at least this much.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures whose colour is nothing but toning."""
    residuals = probes.figures["chroma_residual"]
    for row in np.flatnonzero(residuals < settings.min_residual).tolist():
        yield Drop(probes.records[row].key, f"chroma residual {residuals[row]:.2f}, below {settings.min_residual:g}")
