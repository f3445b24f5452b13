"""Why a picture was kept or dropped: what was written down, what each filter says of it now, what looks like it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import crafts, metadata
from gravurekit import record as records
from gravurekit.errors import PictureError, UsageError
from gravurekit.metadata import DROPPED, METADATA
from gravurekit.record import Record
from gravurekit.stages._comparing import Here
from gravurekit.stages._judge import Rules, Scores, chosen, measured
from gravurekit.stages._probes import Shelf, known

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    from gravurekit.probe import Probes

NEAREST = 3
SHORTEST = 4  # digits of a key that is cut off


@dataclass(frozen=True)
class Neighbour:
    """A picture that looks like the one in question: distance of codes (of 256), correlation of thumbs, mean distance
    in the a,b plane."""

    key: str
    file: str
    distance: int
    correlation: float
    color: float


@dataclass(frozen=True)
class Explanation:
    """All that is known of one picture. `verdict`: kept, dropped, or not judged yet; `now`: what each filter says of it
    at the present settings, "" if it lets it pass; `stale`: why the output isn't of the present settings."""

    key: str
    file: str
    verdict: str
    reason: str
    detail: str
    kept_key: str
    kept_file: str
    cluster: str
    scores: Mapping[str, float]
    now: Mapping[str, str]
    nearest: tuple[Neighbour, ...]
    stale: tuple[str, ...]


def explained(
    word: str, source: Path, out: Path, found: Sequence[Record], rules: Rules, stale: Sequence[str]
) -> Explanation:
    """Explain the picture that `word` names: a file, or the beginning of a key. Nothing is written.

    Raises UsageError if there is no such picture, or if it can't be read.
    """
    judged = _judged(out)
    item = _named(word, source, found, judged)
    entry = judged.get(item.key)
    files = {other.key: other.file_name for other in found}
    probes = known(Shelf(source, found), out)
    row, probes = _with(item, source, probes, entry)
    now: dict[str, str] = {}
    nearest: tuple[Neighbour, ...] = ()
    scores: Mapping[str, float] = entry.scores if entry else {}
    if row is not None:
        from gravurekit.stages._relevance import figure_scores

        alone = probes.take(_one(row))
        columns = figure_scores(alone)
        scores = dict(scores) | dict(next(measured(alone, columns)).scores)
        now = {name: _says(name, probes, item.key, rules) for name in chosen(rules) if not _compares(name)}
        now |= _cuts(columns, scores, rules)
        if entry is None and "duplicate" in chosen(rules):
            now["duplicate"] = _copy_of(probes, row, rules)
        nearest = _nearest(probes, row)
    verdict = "not judged yet" if entry is None else "dropped" if entry.reason else "kept"
    told = entry or item
    return Explanation(
        item.key, files.get(item.key, item.file_name), verdict, told.reason, told.detail, told.kept_key,
        files.get(told.kept_key, ""), told.cluster, scores, now, nearest, tuple(stale) if entry else (),
    )  # fmt: skip


def _judged(out: Path) -> dict[str, Record]:
    """The Records of the output, kept and dropped, by key."""
    lines = [out / METADATA, out / DROPPED]
    return {item.key: item for path in lines if path.is_file() for item in metadata.read_lines(path)}


def _named(word: str, source: Path, found: Sequence[Record], judged: Mapping[str, Record]) -> Record:
    """The Record of the picture that is meant; one made for a file that isn't in the folder."""
    everything = {item.key: item for item in [*judged.values(), *found]}
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
        f"--explain {word}: no file of that name, and no picture of {source} has that name or a key that begins so"
    )


def _with(item: Record, source: Path, probes: "Probes", entry: Record | None) -> "tuple[int | None, Probes]":
    """The row of the picture, and the probes with it; None if it can't be read, which the folder has written down."""
    import numpy as np

    from gravurekit import images, probe

    for row, other in enumerate(probes.records):
        if other.key == item.key:
            return row, probes
    path = source / item.file_name
    try:
        data = images.contents(path)
        figures, thumbs = probe.measure(images.decode(data), metadata.file_sha256(path), len(data), figures_too=True)
    except PictureError as error:
        if entry is None:
            raise UsageError(f"{path} can't be judged: {error.detail}") from None
        return None, probes
    more = replace(
        probes,
        records=[*probes.records, item],
        figures=np.concatenate([probes.figures, figures[None]]),
        thumbs=np.concatenate([probes.look(np.arange(len(probes))), thumbs[None]]),
        places=np.arange(len(probes) + 1),
        homes=np.zeros(len(probes) + 1, np.int64),
    )
    return len(probes), more


def _one(row: int) -> Any:
    import numpy as np

    return np.array([row], np.int64)


def _compares(name: str) -> bool:
    return bool(crafts.load("filters", name).COMPARES)


def _says(name: str, probes: "Probes", key: str, rules: Rules) -> str:
    """What a filter says of the picture, among all others."""
    craft: Any = crafts.load("filters", name)
    knobs = crafts.settings_of("filters", "filter", name, rules.tables)
    return next((drop.detail for drop in craft.drops(probes, knobs) if drop.key == key), "")


def _copy_of(probes: "Probes", row: int, rules: Rules) -> str:
    """Of which picture of the folder this one, which isn't in it, would be a copy, and why."""
    import numpy as np

    from gravurekit.filters import Compare

    craft: Any = crafts.load("filters", "duplicate")
    knobs: Any = crafts.settings_of("filters", "filter", "duplicate", rules.tables)
    others = [other for other in range(len(probes)) if other != row]
    ordered = replace(probes.take(np.array([*others, row], np.int64)), earlier=len(others))
    here = Here(knobs.max_color_difference, knobs.monochrome_residual)
    for drop in craft.drops(ordered, knobs, Compare(here.proofs)):
        return f"{drop.detail}; of {drop.kept_key}"
    return ""


def _cuts(columns: Scores, scores: Mapping[str, float], rules: Rules) -> dict[str, str]:
    """What cuts of relevance say of the picture."""
    known_scores = {name: scores[name] for name in rules.cuts if name in scores}
    return {
        f"least {name}": f"{name} {score:.3f}, below {rules.cuts[name]:g}" if score < rules.cuts[name] else ""
        for name, score in known_scores.items()
    }


def _nearest(probes: "Probes", row: int) -> tuple[Neighbour, ...]:
    """The pictures whose codes are nearest, nearest first."""
    import numpy as np

    from gravurekit.filters import _frames as frames

    codes = probes.figures["codes"][:, :2]
    distances = np.bitwise_count(codes[row][None, :, None] ^ codes[:, None, :]).sum(axis=-1).min(axis=(1, 2))
    order = [int(other) for other in np.lexsort((np.arange(len(probes)), distances)) if other != row][:NEAREST]
    found = []
    for other in order:
        ours, theirs = probes.look(_one(row)), probes.look(_one(other))
        allowed = np.ones((1, 2, 2), bool)
        correlation = frames.correlations(ours["luma"], theirs["luma"], allowed)[0]
        color = frames.color_differences(ours["ab"], theirs["ab"], allowed)[0]
        item = probes.records[other]
        values = int(distances[other]), round(float(correlation), 3), round(float(color), 1)
        found.append(Neighbour(item.key, item.file_name, *values))
    return tuple(found)
