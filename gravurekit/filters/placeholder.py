"""What hosts show in place of a picture that they don't have: "image not available". All of them go, not all but one.

A placeholder is the same picture on several hosts. So is a popular photograph, or a famous engraving, which must stay:
only pictures that look like a graphic are asked about, flat and coloured or ruled, written, or drawn in a small part of
the frame. The same are pictures with the same 256-bit code, or, where there is so little on them that a code is noise,
with the same pixels.
"""

from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import WHOLE, Probes
from gravurekit.quality import is_graphic
from gravurekit.record import Record

SUBJECTS = {"photos", "prints"}
COMPARES = False
FIRST = True  # what it says of a picture is more than that it is a graphic


class Settings(settings.Settings):
    """How often a graphic may be met."""

    min_hosts: int = Field(3, ge=2, description="The same graphic from this many hosts is a placeholder.")
    min_flat: float = Field(0.55, ge=0, le=1, description="Share of the drawn frame that is flat, in a graphic.")
    min_text: float = Field(0.3, ge=0, le=1, description="Share of writing, in a graphic.")
    max_drawn: float = Field(0.3, ge=0, le=1, description="Share of the picture that is drawn on, in a graphic.")
    min_spread: float = Field(5.0, ge=0, description="Grey spread below which only the same pixels are the same.")


def drops(probes: Probes, settings: Settings) -> Iterator[Drop]:
    """Graphics that were found on `min_hosts` hosts or more."""
    figures = probes.figures
    graphic = is_graphic(figures, settings.min_flat) | (figures["text"] >= settings.min_text)
    graphic |= figures["drawn"] < settings.max_drawn
    same: dict[bytes, list[int]] = defaultdict(list)
    for row in np.flatnonzero(graphic).tolist():
        flat = figures["spread"][row] < settings.min_spread
        picture = figures["pixels_sha256"][row] if flat else figures["codes"][row, WHOLE]
        same[bytes([bool(flat)]) + picture.tobytes()].append(row)
    for rows in same.values():
        count = _hosts([probes.records[row] for row in rows], probes)
        if count >= settings.min_hosts:
            for row in rows:
                yield Drop(probes.records[row].key, f"a graphic found on {count} hosts, at least {settings.min_hosts}")


def _hosts(records: list[Record], probes: Probes) -> int:
    """On how many hosts the picture of these Records was found, as far as is known."""
    names = {host_of(item.url) for item in records}.union(*(probes.hosts.get(item.key, ()) for item in records))
    return len(names - {""})


def host_of(url: str) -> str:
    """The host of a URL, without "www."; empty if it has none, as `folder:` hasn't."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:  # a bad IPv6 address
        return ""
