"""Which pictures may be copies of which: an exact join of 256-bit codes, judged by thumbs.

Pictures come best first. Each block of them is joined with the better ones, so that one that is certainly the copy of a
leader needs no copies of its own: a thousand copies of one picture cost a thousand comparisons, not half a million.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from gravurekit import hamming
from gravurekit.alignment import PATCHY
from gravurekit.filters import Compare
from gravurekit.filters import _frames as frames
from gravurekit.probe import BARLESS, CENTRE, TRIMMED, WHOLE, Probes, code, warped

BLOCK = 4096  # pictures that are joined with all better ones at a time
PAGES = 0.97  # correlation of whole pages that are one picture
PART = 0.5  # correlation of a patch, below which it may be of another picture
SLICE = 512  # pictures of a block that are joined with one another at a time
PLAIN = (WHOLE, TRIMMED)  # kinds of codes; the others are of frames.WINDOWS


class Limits(Protocol):
    """What `filters.duplicate` has as knobs."""

    certain_distance: int
    candidate_distance: int
    min_correlation: float
    doubtful_correlation: float
    max_color_difference: float
    monochrome_residual: float


@dataclass(frozen=True)
class Edges:
    """Pairs of places in the order (E,): `one` is the better picture. `same`: the thumbs prove it; else the pictures
    must be opened. `likely`: the thumbs prove it but for a patch. `distance` of the codes, `correlation` of the thumbs;
    `mirrored`: the one as in a mirror."""

    one: np.ndarray  # int64
    other: np.ndarray  # int64
    distance: np.ndarray  # int64
    correlation: np.ndarray  # float32, of thumbs; where they aren't the same, of thumbs slid over one another
    mirrored: np.ndarray  # bool
    likely: np.ndarray  # bool
    same: np.ndarray  # bool

    def __len__(self) -> int:
        return len(self.one)

    def take(self, chosen: np.ndarray) -> "Edges":
        """Those of a mask or of places."""
        return Edges(*(getattr(self, item.name)[chosen] for item in fields(self)))


def joined(parts: list[Edges]) -> Edges:
    """All edges of `parts`."""
    kinds = (np.int64, np.int64, np.int64, np.float32, bool, bool, bool)
    empty = Edges(*(np.zeros(0, kind) for kind in kinds))
    return Edges(*(np.concatenate([getattr(part, item.name) for part in [empty, *parts]]) for item in fields(Edges)))


@dataclass(frozen=True)
class Codes:
    """(C, 4) uint64, the place of the picture that each belongs to, and its kind: a frame of the probe, or a window."""

    codes: np.ndarray
    places: np.ndarray
    kinds: np.ndarray

    def but(self, gone: np.ndarray) -> "Codes":
        """Without those of the pictures that are `gone`, (N,) bool."""
        stay = ~gone[self.places]
        return Codes(self.codes[stay], self.places[stay], self.kinds[stay])

    def and_(self, more: "Codes") -> "Codes":
        """Both."""
        pairs = ((self.codes, more.codes), (self.places, more.places), (self.kinds, more.kinds))
        return Codes(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Candidates:
    """Pairs of places, `one` the better, by the distance of two codes; `kind`: TRIMMED for frames as they are, or the
    window through which one of them is seen. All (P,) int64."""

    one: np.ndarray
    other: np.ndarray
    distance: np.ndarray
    kind: np.ndarray

    def take(self, chosen: np.ndarray) -> "Candidates":
        """Those of a mask or of places."""
        return Candidates(self.one[chosen], self.other[chosen], self.distance[chosen], self.kind[chosen])

    def but(self, edges: Edges) -> "Candidates":
        """Without the pairs that are known to be the same."""
        known = edges.take(edges.same)
        return self.without(known.one << 32 | known.other)

    def without(self, pairs: np.ndarray) -> "Candidates":
        """Without some pairs: (P,) int64, one << 32 | other."""
        return self.take(~np.isin(self.one << 32 | self.other, pairs))


NONE = Codes(np.zeros((0, 4), np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))


class Join:
    """The edges of `rows`, (N,) int64, best first. The first `earlier` of them lead, whatever is like them. `compare`
    has whether it is done thoroughly, through windows that probes have no code of, and which pairs are set apart."""

    def __init__(self, probes: Probes, rows: np.ndarray, earlier: int, limits: Limits, compare: Compare) -> None:
        self.probes, self.rows, self.limits = probes, rows, limits
        self.earlier, self.thorough = earlier, compare.thorough
        self.apart = _apart([probes.records[row].key for row in rows.tolist()], compare.apart)
        self.figures = probes.figures[rows]
        self.grey = self.figures["chroma_residual"] < limits.monochrome_residual
        self.codes = self.figures["codes"]
        self.framed = (self.codes[:, WHOLE] != self.codes[:, TRIMMED]).any(axis=-1)
        self.follows = np.zeros(len(rows), bool)  # is certainly a leader's copy
        self.leads = np.ones(len(rows), bool)  # certainly nobody's copy, of those that were joined

    def edges(self) -> Edges:
        """All pairs that are or may be one picture, but for copies of certain copies."""
        found: list[Edges] = []
        better = self._codes(np.arange(self.earlier))
        for block in _pieces(np.arange(self.earlier, len(self.rows)), BLOCK):
            found.append(self._joined(self._codes(block), better))
            nearer = NONE
            for part in _growing(block[~self.follows[block]], SLICE):
                found.append(self._joined(self._codes(part), nearer))
                ours = self._codes(part[~self.follows[part]])
                found.append(self._joined(ours, ours))
                nearer = nearer.and_(ours.but(self.follows))
            better = better.and_(nearer)
        edges = joined(found)
        return edges.take(~self.follows[edges.one])

    def _codes(self, places: np.ndarray) -> Codes:
        """The codes of the frames, of the whole one only where there is a margin; and of windows."""
        framed = places[self.framed[places]]
        codes, owners, kinds = [self.codes[framed, WHOLE]], [framed], [np.full(len(framed), WHOLE)]
        for frame in (TRIMMED, CENTRE, BARLESS):
            codes.append(self.codes[places, frame])
            owners.append(places)
            kinds.append(np.full(len(places), frame))
        if self.thorough and len(places):
            windows = {kind: window for kind, window in frames.WINDOWS.items() if kind >= frames.MIRRORED}
            lumas = self.probes.look(self.rows[places])["luma"]
            codes.append(np.stack([code(warped(luma[of], map)) for luma in lumas for of, map in windows.values()]))
            owners.append(np.repeat(places, len(windows)))
            kinds.append(np.tile(list(windows), len(places)))
        return Codes(np.concatenate(codes), np.concatenate(owners), np.concatenate(kinds))

    def _joined(self, ours: Codes, better: Codes) -> Edges:
        """The edges from `better` pictures to ours, which are marked by them."""
        windows = tuple(kind for kind in frames.WINDOWS if self.thorough or kind <= BARLESS)
        # a worse picture is smaller, so it is seldom that of which the better one is a part; a bar makes it larger
        backwards = windows if self.thorough else (BARLESS,)
        plain = joined(list(self._edges(self._candidates(ours, PLAIN, better, PLAIN), self._as_they_are)))
        forth = self._candidates(ours, PLAIN, better, windows).but(plain)
        back = self._candidates(ours, backwards, better, PLAIN).but(plain)
        seen = [*self._edges(forth, self._better_through_window), *self._edges(back, self._worse_through_window)]
        edges = _once(joined([plain, *seen]))
        edges = edges.take(~self.follows[edges.one])
        self.leads[edges.other] = False
        sure = edges.same & self.leads[edges.one]
        self.follows[edges.other[sure]] = True
        return edges.take(~self.follows[edges.one])

    def _candidates(self, ours: Codes, ours_of: Sequence[int], better: Codes, better_of: Sequence[int]) -> Candidates:
        """Pairs whose codes are within the radius; each once for each window, with its least distance."""
        ours, better = _of_kinds(ours, ours_of), _of_kinds(better, better_of)
        near = hamming.near(ours.codes, better.codes, self.limits.candidate_distance)
        one, worse = better.places[near.target], ours.places[near.query]
        kinds = np.maximum(better.kinds[near.target], ours.kinds[near.query])
        kinds = np.maximum(kinds, TRIMMED)  # the two plain ones are judged together
        kept = one < worse
        found = _least(Candidates(one[kept], worse[kept], near.distance[kept].astype(np.int64), kinds[kept]))
        return found.without(self.apart) if len(self.apart) else found

    def _edges(self, found: Candidates, judge: Callable[[Candidates], Edges]) -> Iterator[Edges]:
        """What a judge makes of candidates whose colours fit; a few at a time, because thumbs are large."""
        for part in _pieces(np.arange(len(found.one)), frames.CHUNK):
            some = found.take(part)
            some = some.take(self._colors_fit(some))
            if len(some.one):
                yield judge(some)

    def _colors_fit(self, found: Candidates) -> np.ndarray:
        """Whether colours allow that two pictures are one: a grey one has none to differ. Of what is seen through a
        window the thumbs have no colours; opened, the pictures show theirs."""
        ours, theirs = (self.probes.look(self.rows[side])["ab"] for side in (found.one, found.other))
        turned = found.kind == frames.MIRRORED
        ours[turned] = ours[turned][:, :, :, ::-1]
        color = frames.color_differences(ours, theirs, self._allowed(found))
        untold = self._colorless(found) | ~np.isin(found.kind, (TRIMMED, frames.MIRRORED))
        return np.asarray(untold | (color <= self.limits.max_color_difference))

    def _differ_in_part(self, found: Candidates, allowed: np.ndarray) -> np.ndarray:
        """Whether some patch of two thumbs has other colours, or shows something else, though all in all they are one.
        It may be what is stamped on one of them: they are opened. `allowed`: frames that may be compared."""
        ours, theirs = (self.probes.look(self.rows[side]) for side in (found.one, found.other))
        color = frames.color_patches(ours["ab"], theirs["ab"], allowed)
        recolored = ~self._colorless(found) & (color > PATCHY * self.limits.max_color_difference)
        return np.asarray(recolored | (frames.least_alike(ours["luma"], theirs["luma"], allowed) < PART))

    def _allowed(self, found: Candidates) -> np.ndarray:
        return frames.crosswise(self.framed[found.one], self.framed[found.other])

    def _colorless(self, found: Candidates) -> np.ndarray:
        return np.asarray(self.grey[found.one] | self.grey[found.other])

    def _as_they_are(self, found: Candidates) -> Edges:
        """Pairs of which two frames are alike."""
        framed = self.framed[found.one] & self.framed[found.other]
        lumas = [self.probes.look(self.rows[side])["luma"] for side in (found.one, found.other)]
        allowed = self._allowed(found)
        correlation = frames.correlations(lumas[0], lumas[1], allowed)
        # the code's distance is no proof where it may be that of two white pages
        near = (found.distance <= self.limits.certain_distance) & ~framed
        same = near | (correlation >= self.limits.min_correlation)
        pages = np.zeros((len(framed), 2, 2), bool)
        pages[:, WHOLE, WHOLE] = True
        # if margins were trimmed otherwise, the pages themselves must be all but equal
        paged = np.zeros(len(framed), bool)
        paged[framed] = frames.correlations(lumas[0][framed], lumas[1][framed], pages[framed]) >= PAGES
        allowed[paged, WHOLE, WHOLE] = True
        same |= paged
        doubted = same.copy()
        if same.any():
            doubted[same] = self._differ_in_part(found.take(same), allowed[same])
        slid = correlation.copy()
        for n in np.flatnonzero(~same):
            bands = [frames.band_pass(luma[n]) for luma in lumas]
            slid[n] = max(frames.slid(one, other) for one in bands[0] for other in bands[1])
        return self._plausible(found, slid, doubted, same & ~doubted)

    def _better_through_window(self, found: Candidates) -> Edges:
        """Pairs of which the worse one looks as the better one does through a window."""
        return self._through_window(found, found.one, found.other)

    def _worse_through_window(self, found: Candidates) -> Edges:
        """Pairs of which the better one looks as the worse one does through a window."""
        return self._through_window(found, found.other, found.one)

    def _through_window(self, found: Candidates, seen: np.ndarray, plain: np.ndarray) -> Edges:
        ours, theirs = (self.probes.look(self.rows[side])["luma"] for side in (seen, plain))
        slid = np.zeros(len(seen), np.float32)
        for n, kind in enumerate(found.kind.tolist()):
            frame, window = frames.WINDOWS[kind]
            one = frames.band_pass(warped(ours[n, frame], window))
            slid[n] = max(frames.slid(one, frames.band_pass(other)) for other in theirs[n])
        never = np.zeros(len(seen), bool)
        return self._plausible(found, slid, never, never)

    def _plausible(self, found: Candidates, correlation: np.ndarray, likely: np.ndarray, same: np.ndarray) -> Edges:
        mirrored = found.kind == frames.MIRRORED
        edges = Edges(found.one, found.other, found.distance, correlation, mirrored, likely, same)
        return edges.take(same | likely | (correlation >= self.limits.doubtful_correlation))


def _apart(keys: Sequence[str], pairs: Collection[tuple[str, str]]) -> np.ndarray:
    """The places of pairs of keys, as `Candidates.without` takes them. In an earlier folder a key may be met again."""
    wanted = {key for pair in pairs for key in pair}
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        if key in wanted:
            places.setdefault(key, []).append(place)
    met = ((a, b) for one, other in pairs for a in places.get(one, ()) for b in places.get(other, ()))
    return np.array([min(both) << 32 | max(both) for both in met], np.int64)


def _of_kinds(codes: Codes, kinds: Sequence[int]) -> Codes:
    """Those of some kinds."""
    wanted = np.isin(codes.kinds, list(kinds))
    return Codes(codes.codes[wanted], codes.places[wanted], codes.kinds[wanted])


def _least(found: Candidates) -> Candidates:
    """Each pair once for each kind, with its least distance."""
    order = np.lexsort((found.distance, found.kind, found.one, found.other))
    found = found.take(order)
    return found.take(_first((found.other, found.one, found.kind)))


def _once(edges: Edges) -> Edges:
    """Each pair once, and maybe once more as in a mirror: what is proven, else what is likely, else what is nearest."""
    order = (edges.distance, ~edges.likely, ~edges.same, edges.mirrored, edges.one, edges.other)
    edges = edges.take(np.lexsort(order))
    return edges.take(_first((edges.other, edges.one, edges.mirrored)))


def _first(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Which rows of sorted columns differ from the one before."""
    first = np.ones(len(columns[0]), bool)
    first[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return first


def _growing(places: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Pieces of 16, 32, 64 … up to `size`: if all are copies of one picture, the first piece shows it."""
    start, step = 0, min(16, size)
    while start < len(places):
        yield places[start : start + step]
        start, step = start + step, min(2 * step, size)


def _pieces(places: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(places), size):
        yield places[start : start + size]
