"""What has not changed isn't made again; what has is, and what follows; and the chain says why."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result
from workspace import copied, digests, patchwork, run_here

from gravurekit import folder, metadata, receipt, storage

Run = Callable[..., Result]
TOML = """
[paths]
keywords = ["kaftan"]
sources = ["sample"]
decisions = "decisions.jsonl"
[crawl]
per_keyword = 9
[filter]
relevance = "none"
[stylize]
style = "cartoon"
short_side = 64
[shard]
size = 32
[train]
head = "average"
steps = 1
batch = 2
"""
STAGES = ("crawl", "filter", "stylize", "shard", "train")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the chain has run up to a training."""
    place = tmp_path_factory.mktemp("finished")
    (place / "gravurekit.toml").write_text(TOML)
    (place / "decisions.jsonl").write_text("")
    assert run_here("-C", str(place), "run", "--to", "train").exit_code == 0
    return place


@pytest.fixture
def workspace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(finished, tmp_path / "workspace", monkeypatch)


def foreseen(*words: str) -> dict[str, list[str]]:
    """What `run --dry-run` says, by stage: the reasons to run."""
    result = run_here("run", "--dry-run", "--json", *words)
    assert result.exit_code == 0
    return {entry["stage"]: entry["reasons"] for entry in map(json.loads, result.stdout.splitlines())}


def ran(*words: str) -> list[str]:
    """The stages that a run really went through."""
    result = run_here("run", "--to", "train", "--json", *words)
    assert result.exit_code == 0
    entries = map(json.loads, result.stdout.splitlines())
    return [entry["stage"] for entry in entries if not entry["fresh"]]


def test_a_finished_chain_is_fresh_and_a_dry_run_touches_nothing(workspace: Path) -> None:
    before = digests(workspace)
    assert foreseen("--to", "train") == {stage: [] for stage in STAGES}
    assert ran() == [] and digests(workspace) == before
    shutil.rmtree(workspace / "raw")
    before = digests(workspace)
    assert foreseen("--to", "train")["crawl"] == ["not made yet"] and digests(workspace) == before


@pytest.mark.parametrize(
    ("knob", "other", "stage", "reason"),
    [
        pytest.param("per_keyword = 9", "per_keyword = 11", "crawl", "settings changed: per_keyword 9 → 11",
                     marks=pytest.mark.slow),
        ("[stylize]", "[filter.too_small]\nmin_side = 100\n[stylize]", "filter",
         "settings changed: too_small.min_side 200 → 100"),
        ("short_side = 64", "short_side = 72", "stylize", "settings changed: short_side 64 → 72"),
        pytest.param("[shard]", "[stylize.cartoon]\nmedian = 5\n[shard]", "stylize",
                     "settings changed: cartoon.median 7 → 5", marks=pytest.mark.slow),
        ("size = 32", "size = 40", "shard", "settings changed: size 32 → 40"),
        ("steps = 1", "steps = 2", "train", "settings changed: steps 1 → 2 (since runs/shards-"),
    ],
)  # fmt: skip
def test_a_changed_knob_costs_its_stage_and_what_follows(
    knob: str, other: str, stage: str, reason: str, workspace: Path
) -> None:
    (workspace / "gravurekit.toml").write_text(TOML.replace(knob, other))
    reasons = foreseen("--to", "train")
    before, after = STAGES[: STAGES.index(stage)], STAGES[STAGES.index(stage) + 1 :]
    assert [reasons[name] for name in before] == [[]] * len(before)
    assert reasons[stage][0].startswith(reason)
    assert [reasons[name] for name in after] == [[f"what it works on is made anew by {stage}"]] * len(after)
    done = ran()
    assert done[0] == stage and set(done) <= {stage, *after}
    if stage in ("stylize", "shard", "train"):  # the earlier two may come to the same pictures
        assert set(done) == {stage, *after}
    assert ran() == []


OUTPUTS = ("raw/images/*", "clean", "styled/wash/*", "shards/manifest.json", "runs/*/model.safetensors")
OTHERS = (
    "raw", "raw/metadata.jsonl", "raw/dropped.jsonl", "raw/receipt.json", "clean/images/*", "styled/images/*",
    "styled/plain/*", "styled/metadata.jsonl", "shards/index.jsonl", "shards/train-00000-*.safetensors", "runs",
)  # fmt: skip


@pytest.mark.parametrize("pattern", [*OUTPUTS, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_what_is_deleted_is_made_again_with_the_same_bytes(pattern: str, workspace: Path) -> None:
    but = ("journal.jsonl", "log.jsonl")
    before = digests(workspace, but=but)
    storage.remove(sorted(workspace.glob(pattern))[0])
    assert any(foreseen("--to", "train").values())
    assert ran()
    assert digests(workspace, but=but) == before
    assert ran() == []


@pytest.mark.parametrize("name", ["raw/images", "clean/images", "styled/images", "styled/wash", "shards"])
def test_what_is_changed_in_place_is_made_again(name: str, workspace: Path) -> None:
    but = ("journal.jsonl", "log.jsonl")
    before = digests(workspace, but=but)
    path = sorted(path for path in (workspace / name).iterdir() if path.suffix in (".jpg", ".png", ".safetensors"))[0]
    data = path.read_bytes()
    path.unlink()  # not through a hard link
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert ran()
    assert digests(workspace, but=but) == before


@pytest.mark.slow
def test_a_changed_side_input_is_noticed(workspace: Path) -> None:
    kept = sorted(item.key for item in folder.read(workspace / "clean"))
    doomed = json.dumps({"key": kept[0], "keep": False})
    dropped = metadata.read_lines(workspace / "clean" / metadata.DROPPED)
    saved = json.dumps({"key": dropped[0].key, "keep": True})
    (workspace / "decisions.jsonl").write_text(f"{doomed}\n{saved}\n")
    assert foreseen()["filter"] == ["side input changed: decisions"]
    assert ran() == ["filter", "stylize", "shard", "train"]
    now = {item.key for item in folder.read(workspace / "clean")}
    assert now == {*kept[1:], dropped[0].key}
    again = {item.key: item.reason for item in metadata.read_lines(workspace / "clean" / metadata.DROPPED)}
    assert again[kept[0]] == "by-hand"


@pytest.mark.parametrize("line", ['{"key": "ab"}', '{"key": "ab", "keep": "yes"}', "[]", "{", '"ab"', "\xff"])
def test_a_decision_that_is_none_is_named_by_its_line(line: str, workspace: Path) -> None:
    good = json.dumps({"key": "ab", "keep": False})
    (workspace / "decisions.jsonl").write_bytes(f"{good}\n{line}\n".encode("latin-1"))
    result = run_here("filter", "--decisions", "decisions.jsonl")
    assert result.exit_code == 2 and "decisions.jsonl, line 2, is no decision" in str(result.exception)
    assert run_here("filter", "--decisions", "nowhere.jsonl").exit_code == 2


def test_a_stage_takes_part_of_the_chain(workspace: Path) -> None:
    shutil.rmtree(workspace / "styled")
    shutil.rmtree(workspace / "raw")
    assert list(foreseen("--from", "stylize", "--to", "shard")) == ["stylize", "shard"]
    assert ran("--from", "stylize") == ["stylize"]  # the same came out: shards are fresh
    assert not (workspace / "raw").exists()


@pytest.mark.slow
def test_other_weights_colour_anew_and_the_same_ones_dont(workspace: Path) -> None:
    patchwork(workspace / "prints", 2)
    colour = ("colorize", "prints", "--panel", "--json", "--quiet")
    first = json.loads(run_here(*colour).stdout)
    assert (first["fresh"], first["facts"]["files"]) == (False, ["0.png", "0-panel.png", "1.png", "1-panel.png"])
    assert json.loads(run_here(*colour).stdout)["fresh"]
    for name in ("0.png", "1-panel.png"):
        before = (workspace / "coloured" / name).read_bytes()
        (workspace / "coloured" / name).unlink()
        assert not json.loads(run_here(*colour).stdout)["fresh"]
        assert (workspace / "coloured" / name).read_bytes() == before
    assert run_here("train", "--head", "average", "--batch", "2", "--steps", "2", "--quiet").exit_code == 0
    result = run_here(*colour[:-1])
    assert not json.loads(result.stdout)["fresh"] and "side input changed: model" in result.stderr


def test_prints_that_were_coloured_before_are_kept_beside_new_ones(workspace: Path) -> None:
    patchwork(workspace / "prints", 3)
    for name in ("0.png", "1.png", "2.png"):
        assert run_here("colorize", f"prints/{name}").exit_code == 0
    made = {path.name: path.stat().st_mtime_ns for path in (workspace / "coloured").glob("*.png")}
    assert run_here("colorize", "prints").exit_code == 0
    assert {path.name: path.stat().st_mtime_ns for path in (workspace / "coloured").glob("*.png")} == made


def test_a_grown_input_is_drawn_where_it_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    patchwork(tmp_path / "photos", 5)
    draw = ("stylize", "photos", "styled", "--short-side", "64", "--style", "cartoon")
    assert run_here(*draw).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "styled").glob("*/*")}
    patchwork(tmp_path / "photos", 7)
    storage.remove(tmp_path / "photos" / "0.png")
    result = run_here(*draw, "--json")
    assert json.loads(result.stdout)["facts"] == {"drawn before": 4}
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "styled").glob("*/*")}
    assert len(after) == 18 and len(after.items() & before.items()) == 12
    run_here("stylize", "photos", "anew", "--short-side", "64", "--style", "cartoon")
    assert digests(tmp_path / "styled") == digests(tmp_path / "anew")


def test_a_file_replaced_under_its_name_is_crawled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    patchwork(tmp_path / "photos", 2)
    crawl = ("crawl", "--source", "folder:photos")
    assert run_here(*crawl).exit_code == 0
    old = {item.url: item.key for item in folder.read(tmp_path / "raw")}
    patchwork(tmp_path / "others", 3)
    storage.copy(tmp_path / "others" / "2.png", tmp_path / "photos" / "0.png")
    result = run_here(*crawl)
    assert result.exit_code == 0 and "side input changed: folder:photos" in result.stderr
    new = {item.url: item.key for item in folder.read(tmp_path / "raw")}
    assert new["folder:photos/0.png"] == metadata.file_sha256(tmp_path / "photos" / "0.png")[:16]
    assert new["folder:photos/1.png"] == old["folder:photos/1.png"]
    assert len(list((tmp_path / "raw" / "images").iterdir())) == 2


def test_what_a_message_says_mends_the_folder(workspace: Path) -> None:
    """Damage raw/, be told by filter, do what it says, go on."""
    before = digests(workspace / "clean")
    sorted((workspace / "raw" / "images").iterdir())[0].unlink()
    for _ in range(2):
        result = run_here("filter")
        assert result.exit_code == 5 and "run `gravurekit crawl` again" in str(result.exception)
    assert run_here("run", "--to", "crawl").exit_code == 0  # this workspace's crawl
    assert run_here("filter", "--decisions", "decisions.jsonl").exit_code == 0
    assert digests(workspace / "clean") == before


def test_the_table_shows_what_happened(workspace: Path) -> None:
    (workspace / "gravurekit.toml").write_text(TOML.replace("size = 32", "size = 40"))
    lines = run_here("run").stdout.splitlines()
    assert lines[0].split() == ["stage", "in", "kept", "took", "rate", "out", "dropped"]
    counts = receipt.read_receipt(workspace / "clean").counts  # type: ignore[union-attr]
    came, kept = counts.pop("in"), counts.pop("kept")
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    assert lines[2].split()[:3] == ["filter", str(came), str(kept)]
    assert lines[2].split()[3:5] == ["fresh", "clean"] and lines[2].endswith(f"  {came - kept}: {reasons}")
    assert lines[4].split()[0] == "shard" and lines[4].split()[-2:] == ["shards", "0"]


def test_a_chain_that_ends_early_still_shows_what_was_done(workspace: Path) -> None:
    (workspace / "gravurekit.toml").write_text(TOML.replace("[shard]\n", "[shard]\nval_share = 0.99\ntest_share = 0\n"))
    result = run_here("run")
    assert result.exit_code == 5 and [line.split()[0] for line in result.stdout.splitlines()] == [
        "stage", "crawl", "filter", "stylize"]  # fmt: skip
