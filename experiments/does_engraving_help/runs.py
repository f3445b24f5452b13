"""One network: trained, tested, and written down in one small JSON, named by the digest of its settings.

A result that is there is never made again. It holds no picture and no name of one: figures by picture, in the order of
the hashes of the pictures' keys, so that two networks can be compared picture by picture.
"""

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

from gravurekit import storage
from material import Material, gravurekit, say
from plan import BASE, Entry

RESULTS = Path(__file__).parent / "results"
FIGURES = ("delta_e", "seen_delta_e", "colourfulness", "chroma", "grey")
PRINTS = "prints_coloured"
DIGITS = 4


def path_of(entry: Entry) -> Path:
    """Where its result is."""
    return RESULTS / f"{entry.name}-{entry.seed}-{entry.digest}.json"


def made(entry: Entry, material: Material, threads: int) -> Path:
    """The result of a network, which is trained and tested if it isn't there."""
    path = path_of(entry)
    if path.exists():
        return path
    run = trained(entry, material, threads)
    tests = {name: tested(run, material, name, threads) for name in entry.tests}
    result = {
        "name": entry.name, "seed": entry.seed, "digest": entry.digest, "shards": entry.shards,
        "train": [*BASE, *entry.train], "sharded": list(entry.sharded), "tests": tests, **_log_of(run),
    }  # fmt: skip
    storage.make_folder(RESULTS)
    storage.write_text(path, as_text(result))
    say(f"{path.name} is there")
    return path


def trained(entry: Entry, material: Material, threads: int) -> Path:
    """The folder of the finished training."""
    shards = material.shards(entry.shards, *entry.sharded)
    flags = (*BASE, *entry.train, "--seed", entry.seed)
    done = gravurekit("train", shards, "--runs", material.work / "runs" / entry.name, *flags, threads=threads)
    return Path(done["out"])


def tested(run: Path, material: Material, name: str, threads: int) -> dict[str, Any]:
    """What came of one test: held-back pictures drawn in one way; and with the first also the coloured prints."""
    out = material.work / "reports" / run.parent.name / run.name / f"{name}.json"
    if not out.exists():
        flags = ("--samples", 1000, "--resamples", 10, "--out", out)
        prints = ("--prints", material.data / PRINTS) if name == "etching" else ()
        gravurekit("evaluate", "colors", "--model", run, "--shards", material.shards(name), *prints, *flags,
                   threads=threads)  # fmt: skip
    report = json.loads(out.read_bytes())
    found = {"held back": _of_pictures(report["samples"]["pictures"])}
    for folder, part in report["prints"].items():
        if folder:
            found[folder] = _of_pictures(part["pictures"])
    return found


def _of_pictures(pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """By row and figure, the values of all pictures; and a digest of which pictures these were."""
    pictures = sorted(pictures, key=lambda item: hashlib.sha256(item["key"].encode()).hexdigest())
    names = hashlib.sha256(" ".join(item["key"] for item in pictures).encode()).hexdigest()[:12]
    rows = {
        row: {figure: [float(f"{item[figure][row]:.{DIGITS}g}") for item in pictures] for figure in FIGURES}
        for row in pictures[0]["delta_e"]
    }
    return {"pictures": len(pictures), "which": names, "rows": rows}


def _log_of(run: Path) -> dict[str, Any]:
    """The losses at the end, the rate, and the machine's kind."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    training = [line for line in lines if line["kind"] == "train"]
    validation = [line for line in lines if line["kind"] == "validation"]
    last = {name: value for name, value in (validation or [{}])[-1].items() if isinstance(value, float)}
    return {
        "samples_per_second": round(training[-1]["samples_per_second"], 1),
        "validation": {name: float(f"{value:.{DIGITS}g}") for name, value in last.items()},
        "machine": platform.machine(),
    }


def as_text(result: dict[str, Any]) -> str:
    """JSON in which a list of numbers is one line."""
    text = json.dumps(result, indent=1, ensure_ascii=False, sort_keys=True)
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        if inside:
            lines[-1] += line.strip()
        else:
            lines.append(line)
        inside = line.rstrip().endswith("[") if not inside else not line.strip().startswith("]")
    return "\n".join(lines) + "\n"
