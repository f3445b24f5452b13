"""Near duplicates that others have labelled: the stage itself over DATA/neardup, judged by its GROUND_TRUTH.csv. Every
picture that isn't in the cluster of its group is listed with the reason, and every cluster of two groups."""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filter_goals import Goal, none, say

from gravurekit import crafts
from gravurekit.metadata import file_sha256
from gravurekit.record import key_of

# Why a picture may lie outside its cluster, by its relation; those that aren't read give their own reason
EXPLAINED = {
    "hflip": "mirrored: --thorough finds it",
    "rotation": "turned by 30° into black corners: to 5° is what --thorough finds",
    "encoding-svg": "SVG isn't read: it is no picture, but a drawing to be made",
}
# The table's mistake: "alone", but ukbench00120 itself, saved as PNG with an alpha channel that is opaque throughout
# (mean difference 0.7 grey levels; seen by eye)
REALLY = {"single-alpha_channel_image": "ukbench00120"}
FOUND_BY_THOROUGH = {"hflip"}


class Member(NamedTuple):
    """A picture of the table, and what became of it: the cluster it is in; or why it is in none."""

    group: str
    file: str
    relation: str
    cluster: str
    why: str


def run(data: Path) -> list[Goal]:
    """Both ways; print what isn't as the table has it."""
    root, goals = data / "neardup", []
    with tempfile.TemporaryDirectory() as scratch:
        for thorough in (False, True):
            began = time.perf_counter()
            records = filtered(root, Path(scratch) / "clean", thorough)
            goals += judged(list(members(root, records)), thorough, time.perf_counter() - began)
    return goals


def filtered(root: Path, out: Path, thorough: bool) -> dict[str, dict]:
    """All Records that the stage leaves, by key. Filters that look at one picture are left out: what they drop is
    compared with nothing."""
    command = [sys.executable, "-m", "gravurekit", "filter", str(root), str(out), "--quiet"]
    command += ["--for", "prints", "--relevance", "none", *["--thorough"] * thorough]
    for name in crafts.names("filters"):
        if not crafts.load("filters", name).COMPARES:
            command += ["--skip", name]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr[-3000:]}")
    lines = [line for name in ("metadata", "dropped") for line in (out / f"{name}.jsonl").read_text().splitlines()]
    return {item["key"]: item for item in map(json.loads, lines)}


def members(root: Path, records: dict[str, dict]) -> Iterator[Member]:
    with open(root / "GROUND_TRUTH.csv", newline="") as file:
        for row in csv.DictReader(file):
            found = records.get(key_of(file_sha256(root / row["file"])))
            relation = row["relation"]
            if found is None:
                yield Member(row["group"], row["file"], relation, "", EXPLAINED.get(relation, ""))
            elif found.get("reason") in (None, "duplicate"):
                cluster = found.get("cluster", found["key"])
                yield Member(row["group"], row["file"], relation, cluster, EXPLAINED.get(relation, ""))
            else:
                yield Member(row["group"], row["file"], relation, "", f"{found['reason']}: {found['detail']}")


def judged(found: list[Member], thorough: bool, seconds: float) -> list[Goal]:
    groups: dict[str, list[Member]] = defaultdict(list)
    mixed: dict[str, set[str]] = defaultdict(set)
    for member in found:
        groups[REALLY.get(member.group, member.group)].append(member)
        if member.cluster:
            mixed[member.cluster].add(REALLY.get(member.group, member.group))
    missed = [member for group in groups.values() for member in outside(group)]
    pairs = sum(len(group) * (len(group) - 1) // 2 for group in groups.values())
    lost = sum(lost_pairs(group) for group in groups.values())
    how = "thorough" if thorough else "default"
    say(f"truth, {how}: {pairs - lost} of {pairs} pairs of {len(groups)} groups found, {seconds:.0f} s")
    unexplained = 0
    for member in missed:
        why = member.why if not (thorough and member.relation in FOUND_BY_THOROUGH) else ""
        unexplained += not why
        say(f"  missed: {member.file} ({member.group}, {member.relation}): {why or 'NOT EXPLAINED'}")
    wrong = [names for names in mixed.values() if len(names) > 1]
    for names in wrong:
        say(f"  in one cluster, but of several groups: {', '.join(sorted(names))}")
    return [
        none("truth", f"misses without explanation, {how} ({len(missed)} explained)", unexplained),
        none("truth", f"false clusters, {how}", len(wrong)),
    ]


def outside(group: list[Member]) -> list[Member]:
    """Those that aren't in the cluster that most of the group are in."""
    if len(group) == 1:
        return []
    clusters = Counter(member.cluster for member in group if member.cluster)
    main = clusters.most_common(1)[0][0] if clusters else ""
    return [member for member in group if not member.cluster or member.cluster != main]


def lost_pairs(group: list[Member]) -> int:
    """Pairs of a group that aren't in one cluster."""
    clusters = Counter(member.cluster for member in group if member.cluster)
    together = sum(count * (count - 1) // 2 for count in clusters.values())
    return len(group) * (len(group) - 1) // 2 - together
