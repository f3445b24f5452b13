"""Why a picture was kept or dropped: what was written down, what each filter says of it now, what looks like it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import crafts, metadata
from gravurekit import record as records
from gravurekit.errors import PictureError, UsageError
from gravurekit.metadata import DROPPED, METADATA
from gravurekit.record import Record
from gravurekit.stages._apart import set_apart
from gravurekit.stages._comparing import Here
from gravurekit.stages._decisions import Pair
from gravurekit.stages._judge import BY_HAND, SURPLUS, Rules, Scores, chosen, measured
from gravurekit.stages._probes import Shelf, known

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.filters import Compare, Drop
    from gravurekit.probe import Probes

NEAREST = 3
SHORTEST = 4  # digits of a key that is cut off


@dataclass(frozen=True)
class Neighbour:
    """A picture that looks like the one in question: distance of codes (of 256), correlation of thumbs, distance in the
    a,b plane, on average and in the patch that differs most."""

    key: str
    file: str
    distance: int
    correlation: float
    color: float
    patch: float


@dataclass(frozen=True)
class Explanation:
    """All that is known of one picture. `verdict`: kept, dropped, or not judged yet; `now`: what each filter says of it
    at the present settings, "" if it lets it pass; `copies`: the pictures that were dropped for it; `unmeasured`: how
    many pictures it wasn't compared with, because no run has seen them yet; `stale`: why the output isn't of the
    present settings."""

    key: str
    file: str
    verdict: str
    reason: str
    detail: str
    kept_key: str
    kept_file: str
    cluster: str
    copies: tuple[str, ...]
    scores: Mapping[str, float]
    now: Mapping[str, str]
    nearest: tuple[Neighbour, ...]
    unmeasured: int
    stale: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """What the picture is judged among: the pictures of `source`, the hosts that sent them once more, and the pictures
    of earlier folders; the output, the rules, whether copies are searched thoroughly, and the pairs that people set
    apart."""

    source: Path
    found: Sequence[Record]
    hosts: Mapping[str, frozenset[str]]
    against: Mapping[Path, Sequence[Record]]
    out: Path
    rules: Rules
    thorough: bool
    apart: frozenset[Pair] = frozenset()


def explained(word: str, case: Case, stale: Sequence[str]) -> Explanation:
    """Explain the picture that `word` names: a file, or the beginning of a key. Nothing is written.

    Raises UsageError if there is no such picture, or if it can't be read.
    """
    judged = _judged(case.out)
    item = _named(word, case, judged)
    entry = judged.get(item.key)
    files = {other.key: other.file_name for other in case.found}
    probes = replace(known(Shelf(case.source, case.found), case.out), hosts=case.hosts)
    earlier = [known(Shelf(root, found), case.out) for root, found in case.against.items()]
    seen = judged.keys() | {other.key for other in probes.records} | {item.key}
    unmeasured = sum(key not in seen for key in files)
    unmeasured += sum(len(found) for found in case.against.values()) - sum(len(other) for other in earlier)
    alone = _alone(item, case.source, probes, entry)
    now: dict[str, str] = {}
    nearest: tuple[Neighbour, ...] = ()
    scores: Mapping[str, float] = entry.scores if entry else {}
    if alone is not None:
        others = [probes.take(_rows(probes, lambda other: other.key != item.key)), *earlier]
        columns = _figure(alone)
        scores = dict(scores) | dict(next(measured(alone, columns)).scores)
        settled = entry if entry and not stale else None
        now = _opinions(alone, others, scores, case, judged) | _settled(settled, case.rules)
        nearest = _nearest(alone, others)
    told = entry or item
    return Explanation(
        item.key, files.get(item.key, item.file_name), _verdict(entry), told.reason, told.detail, told.kept_key,
        _file_of(told.kept_key, item.key, case), told.cluster, _copies(item.key, judged), scores, now, nearest,
        unmeasured if alone is not None else 0, tuple(stale) if entry else (),
    )  # fmt: skip


# ---- which picture ---------------------------------------------------------------------------------------


def _judged(out: Path) -> dict[str, Record]:
    """The Records of the output, kept and dropped, by key."""
    lines = [out / METADATA, out / DROPPED]
    return {item.key: item for path in lines if path.is_file() for item in metadata.read_lines(path)}


def _named(word: str, case: Case, judged: Mapping[str, Record]) -> Record:
    """The Record of the picture that is meant; one made for a file that isn't in the folder."""
    everything = {item.key: item for item in [*judged.values(), *case.found]}
    path = Path(word)
    if path.is_file():
        sha256 = metadata.file_sha256(path)
        match = [item for item in everything.values() if sha256 == item.sha256 or path.stem == item.key]
        if match:
            return match[0]
        return Record(key=records.key_of(sha256), file_name=str(path.resolve()), sha256=sha256)
    match = [item for key, item in everything.items() if len(word) >= SHORTEST and key.startswith(word)]
    match = match or [item for item in everything.values() if word in (item.file_name, item.url)]
    if len(match) == 1:
        return match[0]
    if match:
        raise UsageError(f"{len(match)} pictures have keys that begin with {word}: write more of it")
    raise UsageError(
        f"--explain {word}: no file of that name, and no picture of {case.source} has that name or a key that begins so"
    )


def _alone(item: Record, source: Path, probes: "Probes", entry: Record | None) -> "Probes | None":
    """The probe of the picture; None if it can't be read, which the folder has written down."""
    import numpy as np

    from gravurekit import images, probe

    row = next((row for row, other in enumerate(probes.records) if other.key == item.key), None)
    if row is not None:
        return _in_memory(probes.take(np.array([row], np.int64)))
    path = source / item.file_name
    try:
        data = images.contents(path)
        sha256 = hashlib.sha256(data).hexdigest()
        figures, thumbs = probe.measure(images.decode(data), sha256, len(data), figures_too=True)
    except PictureError as error:
        if entry is None:
            raise UsageError(f"{path} can't be judged: {error.detail}") from None
        return None
    first = np.zeros(1, np.int64)
    return probe.Probes([item], figures[None], thumbs[None], first, (source,), first)


def _verdict(entry: Record | None) -> str:
    if entry is None:
        return "not judged yet"
    return "dropped" if entry.reason else "kept"


def _copies(key: str, judged: Mapping[str, Record]) -> tuple[str, ...]:
    copies = (other for other in judged.values() if other.kept_key == key and other.reason == "duplicate")
    return tuple(other.key for other in copies if other.key != key)  # the same bytes in an earlier folder have its key


def _file_of(twin: str, key: str, case: Case) -> str:
    """The file of the picture that is kept instead: in the input, or in an earlier folder."""
    for root, found in ((None, case.found), *case.against.items()):
        for item in found:
            if item.key == twin and (root or twin != key):
                return str(root / item.file_name) if root else item.file_name
    return ""


# ---- what filters say ------------------------------------------------------------------------------------


def _opinions(
    alone: "Probes", others: "Sequence[Probes]", scores: Mapping[str, float], case: Case, judged: Mapping[str, Record]
) -> dict[str, str]:
    """What each filter, each cut and the decisions file say of the picture at the present settings."""
    rules, key = case.rules, alone.records[0].key
    among = replace(others[0], records=[*others[0].records, *alone.records], figures=_figures([others[0], alone]))
    # a copy leads no other, and who is cut off has none
    cut_off = {other.key for other in judged.values() if any(_cuts(other.scores, rules).values())}
    dropped = cut_off | {other.key for other in judged.values() if other.reason == "duplicate"}
    dropped |= {other for other, keep in rules.by_hand.items() if not keep}
    now: dict[str, str] = {}
    for name in chosen(rules):
        if not crafts.load("filters", name).COMPARES:
            drops = {drop.key: drop.detail for drop in _drops(name, rules, among)}
            now[name] = drops.get(key, "")
            dropped |= drops.keys()
    now |= _cuts(scores, rules)
    dropped -= {other for other, keep in rules.by_hand.items() if keep}
    if "duplicate" in chosen(rules):
        here = others[0].take(_rows(others[0], lambda other: other.key not in dropped))
        apart, _ = set_apart(case.apart, *others, alone)
        now["duplicate"] = _copy_of(alone, here, others[1:], replace(case, apart=apart))
    if said := _by_hand(key, case):
        now[BY_HAND] = f"the decisions file says: {said}"
    return now


def _by_hand(key: str, case: Case) -> str:
    """What people decided of the picture."""
    keep = case.rules.by_hand.get(key)
    said = [] if keep is None else ["keep" if keep else "drop"]
    said += [f"no copy of {other}" for both in sorted(case.apart) if key in both for other in both if other != key]
    return ", ".join(said)


def _settled(entry: Record | None, rules: Rules) -> dict[str, str]:
    """What the run itself found that compared all with all, if it was at the present settings."""
    if entry is None:
        return {}
    said = {"duplicate": f"{entry.detail}; of {entry.kept_key}" if entry.reason == "duplicate" else ""}
    if "duplicate" not in chosen(rules):
        said = {}
    return said | ({SURPLUS: entry.detail} if entry.reason == SURPLUS else {})


def _drops(name: str, rules: Rules, probes: "Probes", *compare: "Compare") -> "Iterator[Drop]":
    """What a filter drops of probes; one that compares pictures is told how."""
    craft: Any = crafts.load("filters", name)
    drops: Iterator[Drop] = craft.drops(probes, crafts.settings_of("filters", "filter", name, rules.tables), *compare)
    return drops


def _copy_of(alone: "Probes", here: "Probes", earlier: "Sequence[Probes]", case: Case) -> str:
    """Of which better picture this one is a copy, and why."""
    from gravurekit.filters import Compare

    knobs: Any = crafts.settings_of("filters", "filter", "duplicate", case.rules.tables)
    reach = 256 if case.thorough else knobs.candidate_distance
    near = [_in_memory(other.take(_within(alone, other, reach))) for other in (*earlier, here)]
    together = replace(_together([*near, alone]), earlier=sum(len(other) for other in near[:-1]))
    comparing = Here(knobs.max_color_difference, knobs.monochrome_residual)
    drops = _drops("duplicate", case.rules, together, Compare(comparing.proofs, case.thorough, case.apart))
    mine = (drop for drop in drops if drop.key == alone.records[0].key)
    return next((f"{drop.detail}; of {drop.kept_key}" for drop in mine), "")


def _cuts(scores: Mapping[str, float], rules: Rules) -> dict[str, str]:
    """What cuts of relevance say of the picture."""
    return {
        f"least {name}": f"{name} {scores[name]:.3f}, below {cut:g}" if scores[name] < cut else ""
        for name, cut in rules.cuts.items()
        if name in scores
    }


def _figure(alone: "Probes") -> Scores:
    from gravurekit.stages._relevance import figure_scores

    return figure_scores(alone)


def _nearest(alone: "Probes", others: "Sequence[Probes]") -> tuple[Neighbour, ...]:
    """The pictures whose codes are nearest, nearest first."""
    import numpy as np

    duplicate: Any = crafts.load("filters", "duplicate")
    distances = np.concatenate([_distances(alone, other) for other in others])
    places = [(other, row) for other in others for row in range(len(other))]
    found = []
    for place in np.argsort(distances, kind="stable")[:NEAREST].tolist():
        other, row = places[place]
        like = duplicate.compared(alone.look(np.array([0]))[0], other.look(np.array([row]))[0])
        item, colors = other.records[row], (round(like.color, 1), round(like.patch, 1))
        found.append(Neighbour(item.key, item.file_name, int(distances[place]), round(like.correlation, 3), *colors))
    return tuple(found)


# ---- probes ----------------------------------------------------------------------------------------------


def _rows(probes: "Probes", wanted: Callable[[Record], bool]) -> "np.ndarray":
    import numpy as np

    return np.array([row for row, item in enumerate(probes.records) if wanted(item)], np.int64)


def _distances(alone: "Probes", others: "Probes") -> "np.ndarray":
    """(N,) int64: the least distance of any two codes."""
    import numpy as np

    ours, theirs = alone.figures["codes"][0], others.figures["codes"]
    found = np.full(len(others), 256, np.int64)
    for code in ours:
        found = np.minimum(
            found, np.bitwise_count(theirs ^ code).sum(axis=-1, dtype=np.int64).min(axis=-1, initial=256)
        )
    return found


def _within(alone: "Probes", others: "Probes", reach: int) -> "np.ndarray":
    import numpy as np

    return np.flatnonzero(_distances(alone, others) <= reach)


def _in_memory(probes: "Probes") -> "Probes":
    """With thumbs of its own."""
    import numpy as np

    rows = np.arange(len(probes))
    return replace(probes, thumbs=probes.look(rows), places=rows)


def _figures(parts: "Sequence[Probes]") -> "np.ndarray":
    import numpy as np

    return np.concatenate([part.figures for part in parts])


def _together(parts: "Sequence[Probes]") -> "Probes":
    """All of them, each in memory."""
    import numpy as np

    starts = np.cumsum([0, *(len(part.roots) for part in parts)])
    return replace(
        parts[-1],
        records=[item for part in parts for item in part.records],
        figures=_figures(parts),
        thumbs=np.concatenate([part.thumbs for part in parts]),
        places=np.arange(sum(len(part) for part in parts)),
        roots=tuple(root for part in parts for root in part.roots),
        homes=np.concatenate([part.homes + start for part, start in zip(parts, starts, strict=False)]),
    )
