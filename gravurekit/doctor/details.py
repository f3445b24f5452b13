"""How far a crawl or a training is: what the crawl's journal and the training's saved state tell beyond the audit."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open

from gravurekit import storage
from gravurekit.audit import Fault
from gravurekit.doctor.diagnosis import in_units
from gravurekit.doctor.trouble import MISSHAPEN, reason
from gravurekit.receipt import Receipt
from gravurekit.stages._journal import INCOMING
from gravurekit.stages.crawl import JOURNAL

# names that a training has; model/trainer.py and model/checkpoint.py define them, but need torch
STATE, EARLIER, BEST = "state.safetensors", "earlier", "best.safetensors"
LOG, KEY = "log.jsonl", "gravurekit"


def of(stage: str, path: Path, faults: list[Fault], receipt: Receipt | None) -> tuple[list[Fault], str]:
    """More faults than those that are known, and how far the work is, in words; both may be empty."""
    kinds = {fault.kind for fault in faults if not fault.minor}
    if stage == "crawl":
        return _crawl(path, kinds, receipt)
    return _train(path, kinds, receipt) if stage == "train" else ([], "")


def _crawl(path: Path, kinds: set[str], receipt: Receipt | None) -> tuple[list[Fault], str]:
    """A crawl that only added to a folder leaves its old receipt there when it is ended."""
    journal = path / JOURNAL
    if receipt and not journal.exists():
        todo = "put it back, or run `gravurekit crawl` again: what is there stays, and its keywords are searched anew"
        return [Fault("journal", f"{journal}, the crawl's memory, is missing", todo)], ""
    more = []
    if receipt and not kinds and (path / INCOMING).exists():
        what = f"the last crawl into {path} was ended before its end"
        more = [Fault("unfinished", what, "run `gravurekit crawl` again, which goes on")]
    waiting = _unfetched(journal) if more or kinds & {"unfinished", "running"} else 0
    return more, f"{waiting} links aren't fetched yet" if waiting else ""


def _unfetched(journal: Path) -> int:
    """How many links were found and not tried; 0 if nobody can tell."""
    try:
        entries = storage.read_json_lines(journal)
        found = {item["url"] for entry in entries for item in entry.get("results", [])}
        return len(found - {entry.get("url") for entry in entries})
    except MISSHAPEN:
        return 0


def _train(path: Path, kinds: set[str], receipt: Receipt | None) -> tuple[list[Fault], str]:
    if receipt:
        return [], _finished(path, receipt)
    running, logged = "running" in kinds, _last_step(path / LOG)
    faults, found = [], None
    for state in _states(path):
        try:
            found = state, *_saved(state)
            break
        except (SafetensorError, *MISSHAPEN) as error:
            faults.append(f"{state} is damaged ({reason(error)})")
    if found:
        state, step, steps = found
        todo = f"nothing; the next run goes on from {state}"
        told = [Fault("state", fault, todo, minor=True) for fault in faults]
        return told, f"step {max(step, logged) if running else step} of {steps}"
    if faults:
        these = f"{path / STATE} and {path / EARLIER}" if (path / EARLIER).exists() else f"{path / STATE}"
        return [Fault("state", faults[0], f"remove {these} to train from the beginning")], ""
    return [], (f"step {logged}" if running else f"step {logged}, but no state is saved yet") if logged else ""


def _finished(path: Path, receipt: Receipt) -> str:
    """The steps there were, and what of the folder nobody needs any more."""
    facts = receipt.measured.get("facts")
    steps = facts.get("steps") if isinstance(facts, dict) else None
    steps = steps or receipt.plan.settings.get("steps")
    said = [f"{steps} steps"] if steps else []
    if left := [path / name for name in (STATE, BEST) if (path / name).is_file()]:  # only to mend it, should it be hurt
        size = in_units(sum(file.stat().st_size for file in left))
        said.append(f"{' and '.join(file.name for file in left)} ({size}) could be removed")
    return "; ".join(said)


def _states(path: Path) -> Iterator[Path]:
    """The states of a training that are there, whatever they are, the newest first."""
    if os.path.lexists(path / STATE):
        yield path / STATE
    names = os.listdir(path / EARLIER) if (path / EARLIER).is_dir() else []
    numbers = {name: int(stem) for name in names if (stem := name.removesuffix(".safetensors")).isdecimal()}
    yield from (path / EARLIER / name for name in sorted(numbers, key=numbers.__getitem__, reverse=True))


def _saved(path: Path) -> tuple[int, int]:
    """The step of a saved state, and the steps there will be; only the file's header is read."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise ValueError("it is no file")
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()[KEY])["about"]
    return int(about["step"]), int(about["identity"]["recipe.steps"])


def _last_step(log: Path) -> int:
    """The last step in a training's log; 0 if there is none."""
    try:
        entries = storage.read_json_lines(log) if log.is_file() else []
        return next((int(entry["step"]) for entry in reversed(entries) if "step" in entry), 0)
    except MISSHAPEN:
        return 0
