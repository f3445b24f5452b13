"""Near duplicates: how many edited copies of real pictures are found, and which different pictures are taken for one.

Ours is measured as `gravurekit filter --calibrate` does it, by the stage's own code. Its peers (filter_peers.py) are
given the very same edited pictures. A copy is found if it is matched with its original. False pairs: of all pairs of
different pictures in the three folders those that are taken for one; for ours also edited copies that are taken for
copies of another picture.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import filter_peers
import numpy as np
from filter_goals import Goal, least, none, say

from gravurekit import crafts, edits, folder, images
from gravurekit.executor import Executor, make_executor
from gravurekit.probe import Probes
from gravurekit.progress import SILENT
from gravurekit.stages._calibrate import Calibration, Recall, calibrated
from gravurekit.stages._probes import Shelf, probed

FOLDERS = ("figures", "photos", "prints")
PLAIN = tuple(name for name in edits.EDITS if name not in edits.THOROUGH)
LEAST = {  # of the edits that begin so; the first that fits. All others: every one
    "watermark": ("watermark", 0.99),
    "caption bar": ("caption bar", 0.97),
    "crop 5%": ("crop to 10 %", 0.95),
    "crop 10%": ("crop to 10 %", 0.95),
    "crop": ("thorough: crop to 25 %", 0.90),
    "mirror": ("thorough: mirror", 0.90),
    "turn": ("thorough: turn to 5°", 0.90),
}
OTHERS = ("JPEG, scale, squash, grey, gamma, blur, border, letterbox", 1.0)
Task = tuple[str, str, tuple[str, ...]]  # a picture's file and key, and the edits


def run(data: Path, sample: int) -> list[Goal]:
    """Measure; print the recall of each edit."""
    executor = make_executor("local", os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        probes = all_probes(data, Path(scratch), executor)
        say(f"near: {len(probes)} pictures of {', '.join(FOLDERS)}, probed in {time.perf_counter() - began:.0f} s")
        knobs = crafts.settings_of("filters", "filter", "duplicate", {})
        goals, found, twins = [], {}, set()
        for thorough, names in ((False, PLAIN), (True, edits.THOROUGH)):
            began = time.perf_counter()
            seen = calibrated(probes, knobs, thorough, sample, names, executor, SILENT)
            found |= {recall.edit: recall for recall in seen.recalls}
            twins |= {(pair.file, pair.kept) for pair in seen.twins}
            goals += reached(seen, thorough)
            how = "thorough" if thorough else "as it is set by default"
            say(f"  {how}: {len(names)} edits of {seen.pictures} pictures, {time.perf_counter() - began:.0f} s")
        chosen = sampled(probes, knobs.min_spread, {file for file, _ in twins}, sample)  # type: ignore[attr-defined]
        table(found, len(twins), *peers(probes, chosen, executor))
    return goals


def all_probes(data: Path, scratch: Path, executor: Executor) -> Probes:
    """Those of all three folders, by key."""
    shelves = [Shelf(data / name, folder.read(data / name)) for name in FOLDERS]
    first, *others = probed(shelves, scratch, executor, SILENT)
    together = first.probes
    for more in others:
        together = more.probes.after(together)
    together = dataclasses.replace(together, earlier=0)
    return together.take(np.argsort([item.key for item in together.records]))


def sampled(probes: Probes, min_spread: float, copies: set[str], sample: int) -> Probes:
    """Those that `calibrated` edits."""
    lively = np.flatnonzero(probes.figures["spread"] >= min_spread).tolist()
    single = [row for row in lively if probes.records[row].file_name not in copies]
    return probes.take(np.array(single[:sample], np.int64))


def reached(seen: Calibration, thorough: bool) -> list[Goal]:
    """The goals, each for the worst of its edits; prints what went wrong."""
    worst: dict[tuple[str, float], Recall] = {}
    for recall in seen.recalls:
        goal = next((goal for start, goal in LEAST.items() if recall.edit.startswith(start)), OTHERS)
        worst[goal] = min(worst.get(goal, recall), recall, key=lambda recall: recall.share)
        if recall.missed and not thorough:
            say(f"  missed after {recall.edit}: {', '.join(recall.missed[:8])}{' …' * (len(recall.missed) > 8)}")
    for twins in seen.twins:
        say(f"  taken for one: {twins.file} and {twins.kept}, {twins.detail}")
    wrong = sum(recall.wrong for recall in seen.recalls)
    goals = [
        least("near", what + (f" (worst: {recall.edit})" if recall.share < 1 else ""), recall.share, wanted)
        for (what, wanted), recall in worst.items()
    ]
    return [*goals, none("near", "false pairs" + ", thorough" * thorough, len(seen.twins) + wrong)]


# ---- peers ---------------------------------------------------------------------------------------------


def hashed(task: Task) -> list[np.ndarray]:
    """For each peer the hashes of a picture, (1 + E, B) uint8: first as it is, then after each edit."""
    path, key, names = task
    pixels = images.read(Path(path)).pixels
    rows = []
    for name in ("", *names):
        seen = edits.edited(pixels, name, key) if name else pixels
        rows.append([peer.of(seen) for peer in filter_peers.peers()])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def peers(
    probes: Probes, chosen: Probes, executor: Executor
) -> tuple[dict[str, dict[str, float]], dict[str, int], int]:
    """Recall by peer and edit; false pairs by peer; of how many pairs. In tasks of one picture, so that no more than a
    few are in memory."""
    began = time.perf_counter()
    asked = {item.key for item in chosen.records}
    tasks: list[Task] = [
        (str(probes.path(row)), item.key, tuple(edits.EDITS) if item.key in asked else ())
        for row, item in enumerate(probes.records)
    ]
    made = {outcome.index: outcome.value for outcome in executor.map(hashed, tasks)}
    codes = [made[row] for row in range(len(tasks))]
    recalls, false = {}, {}
    for n, peer in enumerate(filter_peers.peers()):
        edited = np.stack([row[n] for row in codes if row is not None and len(row[n]) > 1])  # (S, 1 + E, B)
        near = filter_peers.distances(edited[:, 1:], edited[:, :1]) <= peer.limit
        recalls[peer.name] = dict(zip(edits.EDITS, near.mean(axis=0).tolist(), strict=True))
        false[peer.name] = filter_peers.pairs_within(np.stack([row[n][0] for row in codes if row]), peer.limit)
    say(f"  peers, on the same edited pictures: {time.perf_counter() - began:.0f} s")
    if not filter_peers.hashing():
        say(filter_peers.HINT)
    return recalls, false, len(probes) * (len(probes) - 1) // 2


def table(
    ours: dict[str, Recall], our_false: int, theirs: dict[str, dict[str, float]], false: dict[str, int], pairs: int
) -> None:
    """Recall in percent, a line an edit; a column a method."""
    limits = {peer.name: peer.limit for peer in filter_peers.peers()}
    heads: Sequence[Sequence[str]] = [
        ("", "", "ours"),
        *((*name.split(" ", 1), f"≤ {limits[name]}") for name in theirs),
    ]
    say("\nfound, % (ours: --thorough from crop 15% on)")
    for line in range(3):
        say(f"{'':20}" + "".join(f"{head[line]:>12}" for head in heads))
    for name, recall in ours.items():
        shares = [recall.share, *(column[name] for column in theirs.values())]
        say(f"{name:20}" + "".join(f"{100 * share:12.1f}" for share in shares))
    counts = [our_false, *false.values()]
    say(f"{'false pairs':20}" + "".join(f"{count:12,}" for count in counts) + f"   of {pairs:,}")
    wrong = sum(recall.wrong for recall in ours.values())
    say(f"edited copies that ours took for those of another picture: {wrong}\n")
