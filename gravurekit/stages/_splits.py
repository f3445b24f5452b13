"""Who trains and who is held back. A split is for life: pictures that come later move nobody.

The table `splits.jsonl` of a shards folder (a first line with the shares, then a line for each name) holds every
picture that ever was put into a split, and every cluster. What it knows stays; a new picture goes with the cluster that
it joins; a new cluster goes where its name and the seed say.
A picture that is a near copy of two that lie in different splits would leak from one into the other: it is left out.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gravurekit import settings as base
from gravurekit import shards
from gravurekit.errors import DataError
from gravurekit.metadata import file_sha256
from gravurekit.receipt import RECEIPT
from gravurekit.record import Record

REASON = "bridges-splits"
Table = dict[str, str]  # by key of a picture, or name of a cluster: the split


@dataclass(frozen=True)
class Shares:
    """How new clusters are dealt out."""

    val: float
    test: float
    seed: int


def read_table(path: Path, sha256: str | None = None) -> tuple[Table, Shares | None]:
    """The table of an earlier run, and how it dealt out new clusters; empty and None if there is none. Raises DataError
    if it is damaged, or isn't the file of this `sha256`: no other table would be noticed, and held-back pictures would
    train."""
    try:
        if sha256 is not None and file_sha256(path) != sha256:
            raise _damaged(path, "it isn't the file that was written")
        with open(path, "rb") as lines:
            shares = Shares(**json.loads(next(lines)))
            found = {str(entry["key"]): str(entry["split"]) for entry in map(json.loads, lines)}
    except (FileNotFoundError, NotADirectoryError):
        if sha256 is not None:
            raise _damaged(path, "it is missing") from None
        return {}, None
    except (OSError, ValueError, KeyError, TypeError, StopIteration, RecursionError) as error:
        raise _damaged(path, f"{error!r:.80}") from None
    if not set(found.values()) <= set(shards.SPLITS):
        raise _damaged(path, f"splits {sorted(set(found.values()))}")
    return found, shares


def _damaged(path: Path, fault: str) -> DataError:
    todo = f"put it back, or remove it and {RECEIPT}, and all pictures are dealt out anew, some that were held back too"
    return DataError(f"{path} is damaged ({fault}): {todo}")


def table_lines(table: Mapping[str, str], shares: Shares) -> Iterator[str]:
    """The lines of `splits.jsonl`."""
    yield json.dumps(asdict(shares))
    yield from (json.dumps({"key": key, "split": split}) for key, split in sorted(table.items()))


def split_of(cluster: str, shares: Shares) -> str:
    """The split of a new cluster: by its name and the seed alone."""
    point = int(base.digest([shares.seed, cluster])[:13], 16) / 16**13
    if point < shares.test:
        return "test"
    return "val" if point < shares.test + shares.val else "train"


def assign(
    found: Sequence[Record], before: Mapping[str, str], twins: Mapping[str, Sequence[str]], shares: Shares
) -> tuple[list[str], Table]:
    """The split of each Record, in order, "" for one that bridges two; and the table as it is from now on.

    `twins`: by key, the pictures that were dropped as copies of it.
    """
    own = [_names(item, twins) for item in found]
    splits = [""] * len(found)
    table = dict(before)
    for places in _kin([names | {cluster_of(item)} for item, names in zip(found, own, strict=True)]):
        clusters = {cluster_of(found[place]) for place in places}
        met = {before[name] for place in places for name in own[place] | clusters if name in before}
        common = next(iter(met)) if len(met) == 1 else "" if met else split_of(min(clusters), shares)
        for place in places:
            theirs = {before[name] for name in own[place] if name in before}
            splits[place] = common or (next(iter(theirs)) if len(theirs) == 1 else "")
            if splits[place]:
                table.update(dict.fromkeys(own[place], splits[place]))
        if common:
            table.update(dict.fromkeys(clusters, common))
    return splits, table


def _names(item: Record, twins: Mapping[str, Sequence[str]]) -> set[str]:
    """The keys by which the table may know a picture: its own, and those of copies that were dropped in its favour."""
    keys = {item.key, item.photo_key} - {""}
    return keys | {twin for key in keys for twin in twins.get(key, ())}


def _kin(names: Sequence[set[str]]) -> list[list[int]]:
    """The places of those that have a name in common, directly or through others, in order."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for mine in names:
        first, *others = sorted(mine)
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[str, list[int]] = {}
    for place, mine in enumerate(names):
        groups.setdefault(root(min(mine)), []).append(place)
    return list(groups.values())


def cluster_of(item: Record) -> str:
    """The name of the group of near copies that a picture belongs to; a picture alone is a group of its own."""
    return item.cluster or item.photo_key or item.key
