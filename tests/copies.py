"""What becomes of copies among pictures that lie in memory: for the tests of filters.duplicate."""

from collections.abc import Sequence

import numpy as np

from gravurekit import alignment
from gravurekit.filters import Compare, Drop, Pair, duplicate
from gravurekit.probe import Probes
from gravurekit.stages._comparing import proof

KNOBS = duplicate.Settings()
GREY = 0.9 * KNOBS.monochrome_residual


class Opening:
    """Lays pictures on one another that are held in memory by their keys, and remembers which were asked for."""

    def __init__(self, **pictures: np.ndarray) -> None:
        self.pictures, self.asked = pictures, list[tuple[str, str]]()

    def proofs(self, probes: Probes, pairs: Sequence[Pair]) -> list[str]:
        return [self._proof(probes, pair) for pair in pairs]

    def _proof(self, probes: Probes, pair: Pair) -> str:
        keys = probes.records[pair.one].key, probes.records[pair.other].key
        self.asked.append(keys)
        one, other = (self.pictures[key] for key in keys)
        grey = probes.figures["chroma_residual"] < KNOBS.monochrome_residual
        ours = alignment.look(alignment.mirror(one) if pair.mirrored else one, bool(grey[pair.one]))
        theirs = alignment.look(other, bool(grey[pair.other]))
        return proof(ours, theirs, pair.mirrored, pair.likely, KNOBS.max_color_difference)


def unproven(probes: Probes, pairs: Sequence[Pair]) -> list[str]:
    """As if no two pictures could be laid on one another."""
    return [""] * len(pairs)


SHUT = Compare(unproven)


def found(probes: Probes, compare: Compare = SHUT, knobs: duplicate.Settings = KNOBS) -> dict[str, Drop]:
    """What goes; what always holds of it is checked."""
    listed = list(duplicate.drops(probes, knobs, compare))
    drops = {drop.key: drop for drop in listed}
    assert len(drops) == len(listed) and all(drop.detail for drop in listed)
    assert not {record.key for record in probes.records[: probes.earlier]} & drops.keys()
    return drops


def kept(probes: Probes, compare: Compare = SHUT, knobs: duplicate.Settings = KNOBS) -> dict[str, str]:
    """What goes, and for which picture."""
    return {key: drop.kept_key for key, drop in found(probes, compare, knobs).items()}
