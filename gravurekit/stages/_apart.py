"""Pairs of pictures that people set apart, as the filter sees them: who has a picture's pixels is that picture."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from gravurekit.stages._decisions import Pair, pair

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    from gravurekit.probe import Probes


def set_apart(pairs: Collection[Pair], *measured: "Probes") -> tuple[frozenset[Pair], list[Pair]]:
    """All pairs that are never copies, those of pictures with the same pixels included; and the pairs that can't be set
    apart, because they have the same pixels themselves."""
    if not pairs:
        return frozenset(), []
    pixels: dict[str, set[bytes]] = {}
    keys: dict[bytes, set[str]] = {}
    for key, digest in _digests(measured):
        pixels.setdefault(key, set()).add(digest)
        keys.setdefault(digest, set()).add(key)
    apart: set[Pair] = set()
    same: list[Pair] = []
    for one, other in sorted(pairs):
        ours, theirs = pixels.get(one, set()), pixels.get(other, set())
        if ours & theirs:
            same.append((one, other))
        else:
            sides = [{key for digest in side for key in keys[digest]} for side in (ours, theirs)]
            apart |= {pair(a, b) for a in sides[0] for b in sides[1]}
    return frozenset(apart), same


def _digests(measured: "Iterable[Probes]") -> Iterable[tuple[str, bytes]]:
    """The key and the digest of the pixels of each picture."""
    for probes in measured:
        for item, digest in zip(probes.records, probes.figures["pixels_sha256"], strict=True):
            yield item.key, digest.tobytes()
