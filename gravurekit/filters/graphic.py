"""Pages of text, tables, screenshots, logos, charts, diagrams: neither a photograph nor a print.

A page is known by its lines of writing at one pitch, the rest by their flat areas. A product on white has a flat ground
but no flat cloth. A woodcut of two tones is flat all over: for that, flat pictures must also have loud colours or ruled
lines, so that a grey logo without any stays; it is no harm among prints, and `monochrome` among photographs.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import Probes
from gravurekit.quality import is_graphic

SUBJECTS = {"photos", "prints"}
COMPARES = False
CUTS = {"text": "max_text"}  # what is flat stays, unless it is coloured or ruled


class Settings(settings.Settings):
    """How much writing and flatness a picture may have."""

    max_text: float = Field(
        0.4, ge=0, le=1, description="Share of what is drawn that stands in lines of writing, below."
    )
    max_flat: float = Field(0.6, ge=0, le=1, description="Share of the drawn frame that is perfectly flat, below.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Pictures that hold `max_text` of writing, or are as flat as `max_flat` and coloured or ruled."""
    texts, flats = probes.figures["text"], probes.figures["flat"]
    written = texts >= settings.max_text
    for row in np.flatnonzero(written | is_graphic(probes.figures, settings.max_flat)).tolist():
        detail = (
            f"{100 * texts[row]:.0f} % lines of writing, at least {100 * settings.max_text:g} %"
            if written[row]
            else f"{100 * flats[row]:.0f} % perfectly flat, at least {100 * settings.max_flat:g} %"
        )
        yield Drop(probes.records[row].key, detail)
