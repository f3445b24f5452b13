"""Cutting a large picture into tiles that a network of limited sight can colour one by one, with nothing lost.

What comes out of a place depends, besides the global vector, on what lies within 57 px of it: the paper's local path
sees 115 px. So a tile that sees HALO px more on each side than it gives, gives what the whole picture would have given.
"""

from collections.abc import Iterator
from dataclasses import dataclass

SIDE = 512  # px that a tile gives a side
HALO = 64  # px that it sees beyond, on each side; a multiple of 8, as all cuts are, so that strides fall alike


@dataclass(frozen=True)
class Tile:
    """`seen`: rows and columns that go in; `given`: those that come out; `within`: where these lie in what goes in."""

    seen: tuple[slice, slice]
    given: tuple[slice, slice]
    within: tuple[slice, slice]


def tiles(height: int, width: int) -> Iterator[Tile]:
    """Tiles that together give each place of `height` × `width` px once, row by row. Both are multiples of 8."""
    for down in _cuts(height):
        for across in _cuts(width):
            seen, given, within = zip(down, across, strict=True)
            yield Tile(seen, given, within)


def _cuts(length: int) -> Iterator[tuple[slice, slice, slice]]:
    """Along one axis: what is seen, what is given, and where that lies in what is seen. What is little larger than one
    tile is one: two would see the most of it twice."""
    count = max(1, round(length / SIDE))
    ends = [8 * round(length * n / count / 8) for n in range(count + 1)]
    for start, end in zip(ends, ends[1:], strict=False):
        first, last = max(0, start - HALO), min(length, end + HALO)
        yield slice(first, last), slice(start, end), slice(start - first, end - first)
