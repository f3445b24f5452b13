"""Does learning from engravings colour engravings better? Trains, tests, and writes table and plots.

    python experiments/does_engraving_help DATA [--results DIR] [--work DIR] [--seeds N] [--only NAME …] …

DATA holds `photos`, garments in a folder for each class; `figures`, photographs of dressed people; `prints` and
`prints_coloured`, real prints by book. What is made of them lies in the work folder; the repository gets figures
alone: a JSON a network in `results/`, and from all of these the tables and plots of docs/experiments.

A network whose result is there is skipped, so this can be ended and begun again. The results of the page are there: to
have them made anew, of the same photographs or of others, name another folder, `--results DIR`, and that for report.py
as well. Each network takes about 16 minutes on one core, with its tests, and all drawings an hour; `--at-once 2
--threads 1` is quicker on two cores than one after the other on both.
"""

import argparse
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import runs
from material import Material, say
from plan import PRIMARY, Entry, ablations, arms


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--results", type=Path, default=runs.RESULTS)
    parser.add_argument("--work", type=Path, default=Path("build/does-engraving-help"))
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each arm")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="arms, ablations, or networks by name")
    parser.add_argument("--at-once", type=int, default=2, help="networks at once")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    asked = parser.parse_args()
    entries = chosen(asked.seeds, asked.only)
    material = Material(asked.data.resolve(), asked.work.resolve())
    first = {*PRIMARY, *(name for entry in ablations() for name in entry.tests)}  # what answers the question
    for tests in (first, {name for entry in entries for name in entry.tests}):
        work(entries, tests, material, asked.results, asked.at_once, asked.threads)


def chosen(seeds: int, only: Sequence[str] | None) -> list[Entry]:
    """All networks, or those asked for; raises SystemExit for a name that none has."""
    groups = {"arms": arms(seeds), "ablations": ablations()}
    every = [entry for group in groups.values() for entry in group]
    if not only:
        return every
    if unknown := set(only) - set(groups) - {entry.name for entry in every}:
        raise SystemExit(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(groups)}, "
                         f"{', '.join(dict.fromkeys(entry.name for entry in every))}")  # fmt: skip
    return [entry for name, group in groups.items() for entry in group if name in only or entry.name in only]


def work(
    entries: list[Entry], tests: Collection[str], material: Material, results: Path, at_once: int, threads: int
) -> None:
    """Make what is missing of these tests, and the networks for it."""
    waiting = {entry: found for entry in entries if (found := runs.missing(entry, tests, results))}
    say(f"{len(waiting)} of {len(entries)} networks aren't trained, or lack a test")
    for entry, names in waiting.items():  # before any training: two of them would make the same
        material.shards(entry.shards, *entry.sharded)
        for name in names:
            material.shards(name)
    with ThreadPoolExecutor(at_once) as pool:
        begun = [pool.submit(runs.make, entry, material, threads, tests, results) for entry in waiting]
        for done in as_completed(begun):
            if failed := done.exception():
                say(f"{failed}: no more are begun, and those that are go on to their end")
                pool.shutdown(wait=False, cancel_futures=True)
            done.result()


if __name__ == "__main__":
    main()
