"""Copies of a better picture: the same bytes, the same pixels, or nearly the same after resizing, recompressing,
framing, stamping, cropping.

256-bit codes of the whole and of the border-trimmed frame propose: all pairs within a radius, none missed. A
band-passed correlation of small frames confirms; in the doubtful zone, and where a patch of the small frames differs,
the pictures are opened and laid on one another (alignment.py). Codes are blind to colour, so two coloured pictures
whose colours differ, in all or in a patch, are never copies. Clusters form around the best picture, never by chains.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Compare, Drop, Pair
from gravurekit.filters import _frames as frames
from gravurekit.filters._join import Edges, Join
from gravurekit.probe import Probes

SUBJECTS = {"photos", "prints"}
COMPARES = True


class Settings(settings.Settings):
    """When two pictures are copies of one another."""

    certain_distance: int = Field(32, ge=0, le=256, description="Code distance (of 256 bits) that is proof enough.")
    candidate_distance: int = Field(80, ge=0, le=256, description="Code distance up to which pictures are compared.")
    min_correlation: float = Field(0.90, ge=0, le=1, description="Correlation that confirms a candidate.")
    doubtful_correlation: float = Field(
        0.70, ge=0, le=1,
        description="Correlation, after moving and scaling a little, from which the two pictures are opened.",
    )  # fmt: skip
    max_color_difference: float = Field(
        15.0, ge=0,
        description="Mean a,b distance, of all or of a patch of some 5 %, above which both are kept.",
    )  # fmt: skip
    monochrome_residual: float = Field(0.5, ge=0, description="Below this chroma residual colours aren't compared.")
    min_spread: float = Field(5.0, ge=0, description="Grey spread below which a code is noise and isn't compared.")


def drops(probes: Probes, settings: Settings, compare: Compare) -> Iterator[Drop]:
    """All but the best of each cluster. The best: of an earlier folder, colour before grey, most pixels without margin,
    most bits a pixel, lowest rank in its source, lowest key."""
    order = list(_twins(probes, _ranked(probes, settings)))
    rows = np.array([row for row, twin in order if twin is None or row < probes.earlier], np.int64)
    rows = rows[probes.figures["spread"][rows] >= settings.min_spread]
    earlier = int((rows < probes.earlier).sum())
    join = Join(probes, rows, earlier, settings, compare)
    edges, details = _proven(join.edges(), probes, rows, compare)
    leader: dict[int, int] = {}
    for other, edge in _leaders(edges, len(rows)):
        one, worse = int(rows[edges.one[edge]]), int(rows[other])
        leader[worse] = one
        yield Drop(probes.records[worse].key, details[edge], probes.records[one].key)
    for row, twin in order:
        if twin is not None and row >= probes.earlier:
            same_file = (probes.figures["sha256"][row] == probes.figures["sha256"][twin]).all()
            detail = "the same bytes" if same_file else "the same pixels"
            if twin in leader:  # who is a copy itself, and is dropped as well
                detail = f"{detail} as {probes.records[twin].key}, a copy"
            yield Drop(probes.records[row].key, detail, probes.records[leader.get(twin, twin)].key)


class Likeness(NamedTuple):
    """How much two pictures are alike by their thumbs: correlation, and the distance in the a,b plane, on average and
    in the patch where it is largest."""

    correlation: float
    color: float
    patch: float


def compared(one: np.ndarray, other: np.ndarray) -> Likeness:
    """() THUMBS twice → how much they are alike, by the frames that are most so."""
    allowed = np.ones((1, 2, 2), bool)
    colors = (one["ab"][None], other["ab"][None], allowed)
    correlation = frames.correlations(one["luma"][None], other["luma"][None], allowed)
    return Likeness(*(float(found[0]) for found in (
        correlation, frames.color_differences(*colors), frames.color_patches(*colors),
    )))  # fmt: skip


def _ranked(probes: Probes, settings: Settings) -> np.ndarray:
    """(N,) int64: the rows, best first."""
    figures, later = probes.figures, np.arange(len(probes)) >= probes.earlier
    pixels = figures["frame"][:, 2].astype(np.int64) * figures["frame"][:, 3]
    density = figures["bytes"] / np.maximum(figures["width"].astype(np.int64) * figures["height"], 1)
    ranks = np.array([record.rank or np.iinfo(np.int64).max for record in probes.records], np.int64)
    keys = np.array([record.key for record in probes.records])
    grey = figures["chroma_residual"] < settings.monochrome_residual
    return np.lexsort((keys, ranks, -density, -pixels, grey, later))


def _twins(probes: Probes, order: np.ndarray) -> Iterator[tuple[int, int | None]]:
    """Each row in order, and the better one with the same pixels, if there is one."""
    digests = np.ascontiguousarray(probes.figures["pixels_sha256"])
    best: dict[bytes, int] = {}
    for row in order.tolist():
        first = best.setdefault(digests[row].tobytes(), row)
        yield row, None if first == row else first


def _proven(edges: Edges, probes: Probes, rows: np.ndarray, compare: Compare) -> tuple[Edges, list[str]]:
    """The edges whose pictures are one, with what proves it: thumbs, or the pictures themselves."""
    proven = edges.same.copy()
    details = [
        f"code distance {distance} of 256, correlation {correlation:.2f}"
        for distance, correlation in zip(edges.distance.tolist(), edges.correlation.tolist(), strict=True)
    ]
    doubtful = np.flatnonzero(~edges.same)
    asked = edges.take(doubtful)
    columns = (rows[asked.one], rows[asked.other], asked.mirrored, asked.likely)
    proofs = compare.proofs(
        probes, [Pair(*pair) for pair in zip(*(column.tolist() for column in columns), strict=True)]
    )
    for edge, proof in zip(doubtful.tolist(), proofs, strict=True):
        proven[edge], details[edge] = bool(proof), proof
    return edges.take(proven), [detail for detail, good in zip(details, proven.tolist(), strict=True) if good]


def _leaders(edges: Edges, count: int) -> Iterator[tuple[int, int]]:
    """Each place that is a copy, and its edge to the nearest leader: a picture that is no copy itself."""
    leads = np.ones(count, bool)
    order = np.lexsort((edges.one, edges.distance, edges.other))
    others, ones = edges.other[order].tolist(), edges.one[order].tolist()
    for edge, other, one in zip(order.tolist(), others, ones, strict=True):
        if leads[other] and leads[one]:
            leads[other] = False
            yield other, edge
