"""Running `shard` in tests, and looking at what it wrote."""

import json
from pathlib import Path
from typing import Any

from typer.testing import Result
from workspace import run_here

from gravurekit import shards
from gravurekit.shards.reader import ShardSet


def index_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / shards.INDEX).read_text("utf-8").splitlines()]


def everything(folder: Path, fields: tuple[str, ...] = ("L", "wash", "label", "box")) -> dict[str, dict[str, Any]]:
    """All samples by key and variant."""
    found = {}
    for split in shards.SPLITS:
        samples = ShardSet(folder, split, fields)
        entries = [entry for entry in index_of(folder) if entry["split"] == split]
        assert len(samples) == len(entries)
        for n, entry in enumerate(entries):
            found[f"{entry['key']}-{entry['variant']}"] = samples[n] | {"split": split}
    return found


def sharded(*words: str) -> Result:
    result = run_here("shard", "--executor", "serial", *words)
    assert result.exit_code == 0, result.output + str(result.exception)
    return result
