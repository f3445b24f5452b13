"""The data card of a training: of what its network learns, in numbers that outlive the shards.

    data.json            the manifest's sha256; how the samples were made; of each split the samples, the distinct
                         pictures, the drawings of one picture at most, and the counts by label, licence and source
    learned_from.jsonl   a line for each sample of the training split: whose picture it is

Nobody's name is in the card: those are in the list, whose sha256 it holds.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gravurekit import metadata, shards, storage
from gravurekit.errors import DataError
from gravurekit.shards import index

CARD = "data.json"
FORMAT = 1
FACTS = ("size", "fit", "input", "target", "style", "classes")  # of the manifest, as far as it knows them


@dataclass
class _Tally:
    """What is counted of a split."""

    samples: int = 0
    pictures: set[str] = field(default_factory=set)
    variants: set[int | None] = field(default_factory=set)
    labels: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count a line of the index."""
        self.samples += 1
        self.pictures.add(entry["photo_key"] or entry["key"])
        self.variants.add(entry["variant"])
        self.labels[str((entry["labels"] or [""])[0])] += 1
        self.licenses[str(entry["license"])] += 1
        self.sources[str(entry["source"])] += 1

    def numbers(self) -> dict[str, Any]:
        """The counts, as JSON."""
        counters = {"labels": self.labels, "licenses": self.licenses, "sources": self.sources}
        counts = {name: dict(sorted(counter.items())) for name, counter in counters.items()}
        return {"samples": self.samples, "pictures": len(self.pictures), "variants": len(self.variants), **counts}


def write(source: Path, out: Path, manifest: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    """Write the card and the list into the run `out` that learns from the shards in `source`, whose `manifest` has the
    digest `sha256`; the card. Raises DataError if the index doesn't tell of each sample, or isn't the manifest's."""
    tallies = {split: _Tally() for split in shards.SPLITS}
    storage.write_lines(out / shards.LEARNED, _learned_from(source / shards.INDEX, manifest, tallies))
    card = {
        "format": FORMAT,
        "manifest": sha256,
        "shards": {"format": manifest["format"], **{name: manifest[name] for name in FACTS if name in manifest}},
        "splits": {split: tally.numbers() for split, tally in tallies.items()},
        "learned_from": metadata.file_sha256(out / shards.LEARNED),
    }
    storage.write_json(out / CARD, card)
    return card


def _learned_from(path: Path, manifest: Mapping[str, Any], tallies: Mapping[str, _Tally]) -> Iterator[str]:
    """The lines of the index that belong to the training split, each split counted on the way. The run keeps them, so
    that it can give credit when the shards are long gone."""
    for entry in index.read(path, ("split", "key", "photo_key", "variant", "labels", "license", "source")):
        if entry["split"] in tallies:
            tallies[entry["split"]].add(entry)
        if entry["split"] == "train":
            yield json.dumps(entry, ensure_ascii=False)
    expected = dict.fromkeys(tallies, 0)
    for shard in manifest["shards"]:
        expected[shard["split"]] += shard["samples"]
    if expected != {split: tally.samples for split, tally in tallies.items()}:
        raise DataError(f"{path} doesn't tell of the samples in the shards: run `gravurekit shard` again")
    written = manifest.get("files", {}).get(shards.INDEX)
    if written and metadata.file_sha256(path) != written:
        raise DataError(f"{path} isn't the file that was written: run `gravurekit shard` again")


def called(run: Path, manifest: Mapping[str, Any], numbers: Sequence[int]) -> list[str]:
    """What samples of the training split are called in messages, by their numbers: key and link; or "sample" and the
    number of one that the list in `run` doesn't tell of."""
    first, begins = 0, {}
    for shard in manifest["shards"]:
        if shard["split"] == "train":
            begins[shard["file"]] = first
            first += shard["samples"]
    wanted = set(numbers)
    found: dict[int, str] = {}
    try:
        for entry in index.read(run / shards.LEARNED, ("shard", "row", "key")):
            number = begins.get(entry["shard"], -1) + entry["row"]
            if entry["shard"] in begins and number in wanted:
                found[number] = f"{entry['key']} ({entry['url']})" if entry.get("url") else entry["key"]
    except DataError:  # what went wrong with the training is what has to be told
        pass
    return [found.get(number, f"sample {number}") for number in numbers]


def manifest_of(run: Path) -> str:
    """The digest of the manifest that a run learns from; empty if it has no card that says so."""
    try:
        found = json.loads((run / CARD).read_bytes())["manifest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""
