"""The verbs that look and explain, as they are typed: init, settings, report, doctor."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result
from workspace import run_here

Run = Callable[..., Result]


def test_a_new_workspace_is_ready_to_run(gravurekit: Run, tmp_path: Path) -> None:
    result = gravurekit("init", "here")
    assert result.stdout.splitlines() == [
        "here/gravurekit.toml",
        "here/keywords/dresses.txt",
        "here/keywords/gravures.txt",
    ]
    foreseen = run_here("-C", str(tmp_path / "here"), "run", "--dry-run")
    assert foreseen.exit_code == 0 and foreseen.stdout.splitlines()[0] == "crawl     would run: not made yet"
    again = run_here("-C", str(tmp_path), "init", "here")
    assert again.exit_code == 2 and "there already" in str(again.exception)


def test_settings_say_where_each_value_comes_from(gravurekit: Run, tmp_path: Path) -> None:
    (tmp_path / "gravurekit.toml").write_text("[stylize]\nshort_side = 64\n[stylize.cartoon]\nmedian = 5\n")
    result = gravurekit("settings", "stylize", "--set", "cartoon.downscalings=1")
    said = {line.split(" = ")[0]: line.rsplit("# ", 1)[1] for line in result.stdout.splitlines() if " = " in line}
    assert (said["short_side"], said["median"], said["downscalings"], said["seed"]) == (
        "file",
        "file",
        "flag",
        "default",
    )
    assert tomllib.loads(result.stdout)["stylize"]["cartoon"]["median"] == 5
    lines = [json.loads(line) for line in gravurekit("settings", "--json").stdout.splitlines()]
    assert {"table": "stylize", "key": "short_side", "value": 64, "origin": "file"} in lines


@pytest.mark.parametrize("name", ["raw", "clean", "styled"])
def test_a_report_is_written_beside_the_folders(name: str, world: Path, gravurekit: Run, tmp_path: Path) -> None:
    result = gravurekit("report", str(world / name), "--limit", "2", "--json", "--quiet")
    assert result.exit_code == 0 and json.loads(result.stdout)["out"] == f"reports/{name}/report.html"
    page = (tmp_path / "reports" / name / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>") and "data:image/jpeg;base64," in page
    if name == "clean":  # a dropped picture is found where it came from
        assert "monochrome" in page and page.count("kept instead") >= 1


@pytest.mark.slow
def test_a_doctor_finds_what_is_damaged_and_ends_with_5(gravurekit: Run, world: Path, tmp_path: Path) -> None:
    assert gravurekit("doctor", "--offline").exit_code == 0
    gravurekit("filter", str(world / "raw"), "clean")
    assert json.loads(gravurekit("doctor", "--offline", "--json").stdout)["findings"] == []
    sorted((tmp_path / "clean" / "images").iterdir())[0].unlink()
    result = gravurekit("doctor", "--offline")
    assert result.exit_code == 5 and "run `gravurekit filter` again" in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", ["clean/metadata.jsonl", "picture.jpg", "a folder"])
def test_a_report_takes_no_other_files_place(name: str, world: Path, gravurekit: Run, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if name == "a folder" else path.write_text("precious")
    result = gravurekit("report", str(world / "clean"), "--out", name)
    assert result.exit_code == 2 and "is there already, and no report" in str(result.exception)
    assert gravurekit("report", str(world / "clean"), "--out", "mine.html", "--limit", "1").exit_code == 0
    assert gravurekit("report", str(world / "raw"), "--out", "mine.html", "--limit", "1").exit_code == 0


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[stylize.cartoon]\nmedian = 4", "must be odd"),
        ("[stylize.nope]\nx = 1", "[stylize.nope] is the table of no style"),
        ('[filter]\nskip = ["nope"]', "no filter is called 'nope'"),
        ('[stylize]\nstyle = "../x"', "no style is called '../x'"),
        ("[machine]\njobs = 99999", "[machine] jobs"),
        ('[paths]\nclean = "raw"', "must be folders apart"),
        ('[paths]\ndecisions = "nowhere.jsonl"', "decisions nowhere.jsonl: No such file"),
        ("[shard.oil]\nx = 1", "[shard] unknown key 'oil'"),
        ('[paths]\nclean = "mine"', "mine holds other files"),
    ],
)
def test_what_is_wrong_in_a_later_stage_is_told_before_the_first(
    toml: str, says: str, gravurekit: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "gravurekit.toml").write_text(toml + "\n")
    for dry in ((), ("--dry-run",)):
        result = gravurekit("run", "--keywords", "kaftan", "--source", "sample", *dry)
        assert result.exit_code == 2 and says in str(result.exception), result.exception
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("name", ["local", "serial"])
def test_the_address_of_a_cluster_that_isnt_asked_for_is_told(name: str, gravurekit: Run, tmp_path: Path) -> None:
    words = ("--keywords", "kaftan", "--source", "sample", "--ray-address", "auto", "--executor", name)
    result = gravurekit("run", *words)
    assert result.exit_code == 2 and f"--ray-address is for --executor ray, not for {name}" in str(result.exception)
    assert not (tmp_path / "raw").exists()


def test_a_chain_to_colorize_wants_prints_before_it_begins(gravurekit: Run) -> None:
    result = gravurekit("run", "--to", "colorize", "--keywords", "kaftan", "--source", "sample")
    assert result.exit_code == 2 and "name a picture" in str(result.exception)


def searches(place: Path) -> int:
    """How many searches the journal tells of."""
    return (place / "raw" / "journal.jsonl").read_text().count('{"feed"')


@pytest.mark.slow
def test_other_knobs_of_a_source_ask_it_again(gravurekit: Run, tmp_path: Path) -> None:
    from gravurekit.sample.engine import Engine

    with Engine() as engine:
        crawl = ("crawl", "kaftan", "--source", "bing", "--per-keyword", "6", "--endpoint", f"bing={engine.address}",
                 "--allow-private-addresses")  # fmt: skip
        assert gravurekit(*crawl, "--out", "all").exit_code == 0
        sizes = sorted(path.stat().st_size for path in (tmp_path / "all" / "images").iterdir())
        small = ("--max-bytes", str(sizes[len(sizes) // 2]))
        assert gravurekit(*crawl, *small).exit_code == 0
        first = (tmp_path / "raw" / "metadata.jsonl").read_text().count("\n")
        assert searches(tmp_path) == 1
        assert gravurekit(*crawl, *small, "--set", "bing.type=linedrawing").exit_code == 0
        assert searches(tmp_path) == 2
        assert gravurekit(*crawl).exit_code == 0  # a larger limit: what was too big is fetched now
        assert (tmp_path / "raw" / "metadata.jsonl").read_text().count("\n") > first
        assert "too-big" not in (tmp_path / "raw" / "dropped.jsonl").read_text()


@pytest.mark.slow
def test_a_pipe_among_the_pictures_keeps_nobody_waiting(gravurekit: Run, tmp_path: Path) -> None:
    import os

    from workspace import patchwork

    patchwork(tmp_path / "photos", 2)
    os.mkfifo(tmp_path / "photos" / "p.jpg")
    assert gravurekit("crawl", "--source", "folder:photos").exit_code == 0
    assert gravurekit("stylize", "photos", "styled", "--short-side", "64").exit_code == 0
    assert gravurekit("report", "photos").exit_code == 0


@pytest.mark.slow
def test_a_terminal_without_our_arrows_is_no_reason_to_fail(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    for words in (["--help"], ["settings", "--json"], ["run", "--dry-run", "--keywords", "ç", "--source", "sample"]):
        done = subprocess.run(
            [sys.executable, "-m", "gravurekit", *words], cwd=tmp_path, capture_output=True, check=False,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")


def test_files_of_others_in_output_folders_survive_a_new_run(world: Path, gravurekit: Run, tmp_path: Path) -> None:
    (tmp_path / "styled").mkdir()
    draw = ("stylize", str(world / "clean"), "styled", "--style", "cartoon", "--short-side")
    shard = ("shard", "styled", "shards", "--size")
    assert gravurekit(*draw, "64").exit_code == gravurekit(*shard, "32").exit_code == 0
    for name in ("styled/mine.part", "styled/images/mine.txt", "shards/notes.safetensors"):
        (tmp_path / name).write_text("x")
    (tmp_path / "styled" / "dir.part").mkdir()
    assert gravurekit(*draw, "72").exit_code == gravurekit(*shard, "40").exit_code == 0
    for name in ("styled/mine.part", "styled/images/mine.txt", "shards/notes.safetensors", "styled/dir.part"):
        assert (tmp_path / name).exists()
