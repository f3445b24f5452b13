"""One network: trained, tested, and written down in one small JSON, named by the digest of its settings.

What is there is never made again. A result holds no picture and no name of one: figures by picture, in the order of
the hashes of the pictures' keys, so that two networks can be compared picture by picture. What those say who know no
network is the same beside all of them, and lies in a file for each test.

It tells of the manifests of the shards that it was learnt from (`learnt_from`) and tested on (`of`), and of all
settings of the training, so that results of other pictures, or of drawings drawn otherwise, aren't mixed with these.
"""

import hashlib
import json
import platform
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from material import Material, gravurekit, say
from plan import BASE, TESTED, Entry

from gravurekit import storage
from gravurekit.metadata import file_sha256

RESULTS = Path(__file__).parent / "results"  # those of the page
FIGURES = ("delta_e", "seen_delta_e", "colourfulness", "chroma", "grey")
PRINTS = "prints_coloured"
ASKED = ("network", "told its palette", "told hints")  # rows of a network
KNOWN = ("grey", "mean of the training", "own mean", "nearest training picture", "truth")  # of nobody
DIGITS = 4
MODEL = "model.safetensors"
ELSEWHERE = "take another --results and --work"


def path_of(entry: Entry, results: Path) -> Path:
    """Where its result is."""
    return results / f"{_short(entry)}-{entry.seed}-{entry.digest}.json"


def known_of(test: str, results: Path) -> Path:
    """Where the rows of a test are that are the same beside all networks."""
    return results / "known" / f"{test}.json"


def _short(entry: Entry) -> str:
    return entry.name.replace(",", "").replace(" %", "").replace(" ", "-")


def missing(entry: Entry, tests: Collection[str], results: Path) -> list[str]:
    """Those of the tests whose results aren't there."""
    path = path_of(entry, results)
    known = json.loads(path.read_bytes())["tests"] if path.exists() else {}
    return [name for name in tests if name in entry.tests and name not in known]


def make(entry: Entry, material: Material, threads: int, tests: Collection[str], results: Path) -> None:
    """Train the network, unless that is done, and write down what is missing of these tests. Raises SystemExit if the
    results that are there are of other pictures, or of another network."""
    path = path_of(entry, results)
    if not (waiting := missing(entry, tests, results)):
        return
    known = json.loads(path.read_bytes()) if path.exists() else {}
    run = of_model(known.get("model", ""), material.work) or trained(entry, material, threads)
    plan = json.loads((run / "receipt.json").read_bytes())["plan"]
    result = known or {
        "name": entry.name, "seed": entry.seed, "digest": entry.digest, "shards": entry.shards,
        "learnt_from": plan["inputs"]["manifest"], "settings": plan["settings"], "train": list(entry.train),
        "sharded": list(entry.sharded), "patch": entry.patch, "tests": {},
        "model": file_sha256(run / MODEL), **_log_of(run),
    }  # fmt: skip
    if result["model"] != file_sha256(run / MODEL):
        raise SystemExit(f"{path} tells of another network than {run}, of other data, machine or version: {ELSEWHERE}")
    for name in waiting:
        result["tests"][name] = tested(run, entry.patch, material, name, threads, results)
    storage.make_folder(results)
    storage.write_text(path, as_text(result))
    say(f"{path.name}: {', '.join(waiting)}")


def of_model(sha256: str, work: Path) -> Path | None:
    """The folder of the training that made a network; a later version would train it anew, to other bytes."""
    found = [path.parent for path in sorted((work / "runs").glob(f"*/*/{MODEL}")) if file_sha256(path) == sha256]
    return found[0] if found else None


def trained(entry: Entry, material: Material, threads: int) -> Path:
    """The folder of the finished training."""
    shards = material.shards(entry.shards, *entry.sharded)
    flags = (*BASE, *entry.train, "--seed", entry.seed)
    place = material.work / "runs" / _short(entry)
    done = gravurekit("train", shards, "--runs", place, *flags, threads=threads, patch=entry.patch)
    return Path(done["out"])


def tested(run: Path, patch: str, material: Material, name: str, threads: int, results: Path) -> dict[str, Any]:
    """What came of one test: held-back pictures drawn in one way; and with the first also the coloured prints. Raises
    SystemExit if what is known of it is of other pictures."""
    out = material.work / "reports" / run.parent.name / run.name / f"{name}.json"
    inputs = {"shards": file_sha256(material.shards(name) / "manifest.json"), "model": file_sha256(run / MODEL)}
    if not out.exists() or not inputs.items() <= json.loads(out.read_bytes())["inputs"].items():
        flags = ("--samples", TESTED, "--resamples", 10, "--out", out)
        prints = ("--prints", material.data / PRINTS) if name == "etching" else ()
        gravurekit("evaluate", "colors", "--model", run, "--shards", material.shards(name), *prints, *flags,
                   threads=threads, patch=patch)  # fmt: skip
    report = json.loads(out.read_bytes())
    parts = {folder: (part["pictures"], report["inputs"]["prints"]) for folder, part in report["prints"].items()}
    parts.pop("", None)
    parts["held back"] = (report["samples"]["pictures"], report["inputs"]["shards"])
    told = {part: {"of": of, "revision": report["revision"]} for part, (_, of) in parts.items()}
    _know(name, {part: told[part] | _of_pictures(parts[part][0], KNOWN) for part in parts}, results)
    return {part: told[part] | _of_pictures(parts[part][0], ASKED) for part in parts}


def _know(name: str, found: dict[str, Any], results: Path) -> None:
    """Keep what those say who know no network."""
    path = known_of(name, results)
    if path.exists():
        before = json.loads(path.read_bytes())
        if any(before[part].get("of") != found[part]["of"] for part in before.keys() & found.keys()):
            raise SystemExit(f"{path} tells of other pictures, or of these drawn otherwise: {ELSEWHERE}")
        found = before | found
    storage.make_folder(path.parent)
    storage.write_text(path, as_text(found))


def _of_pictures(pictures: list[dict[str, Any]], rows: Sequence[str]) -> dict[str, Any]:
    """By row and figure, the values of all pictures; and a digest of which pictures these were."""
    pictures = sorted(pictures, key=lambda item: hashlib.sha256(item["key"].encode()).hexdigest())
    names = hashlib.sha256(" ".join(item["key"] for item in pictures).encode()).hexdigest()[:12]
    found = {
        row: {figure: [float(f"{item[figure][row]:.{DIGITS}g}") for item in pictures] for figure in FIGURES}
        for row in rows
        if row in pictures[0]["delta_e"]
    }
    return {"pictures": len(pictures), "which": names, "rows": found}


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
