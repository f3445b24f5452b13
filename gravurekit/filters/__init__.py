"""Filters: reasons to drop a picture. A filter is one file; its name, with "-" for "_", is the reason.

class Settings(Settings)                       its knobs, the table [filter.NAME]
SUBJECTS = {"photos", "prints"}                for which it serves
COMPARES = False                               True: it compares pictures, and runs after those that don't
drops(probes, settings) -> Iterator[Drop]      those of the probes that it drops, and why

One that compares has `drops(probes, settings, compare)`: the first `probes.earlier` pictures are never dropped, and
`compare` opens pictures where their figures leave a doubt. FIRST = True: its reason goes before that of others.
CUTS = {FIGURE: KNOB}: which knob (`min_…` or `max_…`) cuts which figure off, for reports to draw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gravurekit.probe import Probes


@dataclass(frozen=True)
class Drop:
    """A picture that is dropped, with the figure that decided, and the key of the twin that is kept instead."""

    key: str
    detail: str
    kept_key: str = ""


@dataclass(frozen=True)
class Pair:
    """Two rows of the probes that may show one picture. `mirrored`: the one as in a mirror; `likely`: they are one,
    unless a patch of them isn't."""

    one: int
    other: int
    mirrored: bool = False
    likely: bool = False


@dataclass(frozen=True)
class Compare:
    """How pictures are compared. `proofs(probes, pairs)` opens them, and has for each pair the proof that it is one
    picture, or ""; `thorough`: also those that are mirrored, turned or much cropped; `apart`: pairs of keys, the lower
    one first, that aren't one picture, whatever they look like. Their pixels are never the same."""

    proofs: Callable[[Probes, Sequence[Pair]], list[str]]
    thorough: bool = False
    apart: frozenset[tuple[str, str]] = frozenset()
