"""A short training on a GPU with --deterministic, for the part exact of bench/train.py: what its model's bytes are.

    python bench/train_exact.py SHARDS off|graph STOP FOLDER

STOP: after so many steps it is stopped, and then gone on with; 0: it isn't.
"""

import hashlib
import json
import sys
from pathlib import Path

from train_ours import FIELDS, Kind

from gravurekit.model.trainer import MODEL, train
from gravurekit.shards.reader import ShardSet

STEPS = 24


def main() -> None:
    source, how, stop, folder = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    kind, seen = Kind("default", 224, 16), [0]
    recipe = kind.recipe("cuda", STEPS, compile=how, deterministic=True)
    samples, told = ShardSet(source, "train", fields=FIELDS), []

    def hear(report: dict[str, object]) -> None:
        told.append(str(report.get("said", "")))
        seen[0] += report["kind"] == "train"

    for ends in (stop, 0)[0 if stop else 1 :]:
        train(samples, None, kind.config(), recipe, folder, hear, lambda ends=ends: 0 < ends <= seen[0])
    digest = hashlib.sha256((folder / MODEL).read_bytes()).hexdigest()
    told = [said for said in told if "steps" in said]
    sys.stdout.write(json.dumps({"sha256": digest[:16], "told": "; ".join(told)}))


if __name__ == "__main__":
    main()
