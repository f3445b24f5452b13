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
    assert result.exit_code == 0 and json.loads(result.stdout)["out"] == f"reports/{name}.html"
    page = (tmp_path / "reports" / f"{name}.html").read_text("utf-8")
    assert page.startswith("<!doctype html>") and "data:image/jpeg;base64," in page
    if name == "clean":  # a dropped picture is found where it came from
        assert "monochrome" in page and page.count("kept instead") >= 1


def test_a_doctor_finds_what_is_damaged_and_ends_with_5(gravurekit: Run, world: Path, tmp_path: Path) -> None:
    assert gravurekit("doctor", "--offline").exit_code == 0
    gravurekit("filter", str(world / "raw"), "clean")
    assert json.loads(gravurekit("doctor", "--offline", "--json").stdout)["findings"] == []
    sorted((tmp_path / "clean" / "images").iterdir())[0].unlink()
    result = gravurekit("doctor", "--offline")
    assert result.exit_code == 5 and "run `gravurekit filter` again" in " ".join(result.stdout.split())
