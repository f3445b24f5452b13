"""Trainings as the studio lists and draws them: what is said is what their reports say, however they stand; a log that
grows isn't read again; nothing outside of a run is read."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_made import KNOBS, SHARDS, made, panel_at, step
from training import narrow
from workspace import patchwork, run_here

from gravurekit import images, storage
from gravurekit.errors import DataError, PictureError
from gravurekit.metadata import LOCK, MARKER
from gravurekit.receipt import RECEIPT
from gravurekit.reports import _run, _runlog
from gravurekit.reports._run import LOG
from gravurekit.studio._following import Followed, follow
from gravurekit.studio._run_page import draw, panel
from gravurekit.studio._trainings import Glance, Known, look_over, signature_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of eight steps, by the command. Look, don't touch."""
    place = tmp_path_factory.mktemp("trained")
    patchwork(place / "photos/kaftan", 8)
    with narrow():
        for words in (*SHARDS, ("train", "shards", "--steps", "8", "--validate-every", "4", *KNOBS)):
            assert run_here("-C", str(place), *words).exit_code == 0, words
    (run,) = (place / "runs").iterdir()
    return run


def look(folder: Path, known: dict[str, Known] | None = None) -> dict[str, Known]:
    return dict(look_over(Glance(folder, known or {})).known)


def conditions(folder: Path) -> dict[str, str]:
    return {name: found.training.condition for name, found in look(folder).items()}


# ---- a log that is followed ----------------------------------------------------------------------------

VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, None, True, "1", 1e31])
ENTRIES = st.fixed_dictionaries(
    {"kind": st.sampled_from(["train", "validation", "start", "spoilt", "other"]), "step": st.integers(0, 12)},
    optional={"score": VALUES},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(ENTRIES | st.just("torn"), max_size=12), max_size=4))
def test_what_is_followed_is_what_the_report_says(tmp_path_factory: Any, bits: list[list[Any]]) -> None:
    path = tmp_path_factory.mktemp("log") / LOG
    told = Followed()
    for bit in bits:
        for entry in bit:
            storage.append_line(path, entry if isinstance(entry, str) else json.dumps(entry))
        told = follow(path, told)
        whole = _runlog.read(path)
        score = whole.curve("validation", "score")
        assert told.best == (score.least if score else None)
        assert told.spoilt == bool(whole.spoilt)
        assert told == follow(path)


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    run = made(tmp_path / "run", *(step(n) for n in range(1, 50)))
    told = follow(run / LOG)
    size = (run / LOG).stat().st_size
    assert (told.step, told.read) == (49, size)
    with open(run / LOG, "r+b") as file:  # what was read may become anything
        file.write(b"x" * size)
    storage.append_line(run / LOG, json.dumps(step(50, "validation", score=2.5)))
    assert (follow(run / LOG, told).step, follow(run / LOG, told).best) == (50, (50, 2.5))


def test_half_a_line_waits_for_the_rest(tmp_path: Path) -> None:
    run = made(tmp_path / "run", step(1))
    with open(run / LOG, "ab") as file:
        file.write(b'{"kind": "train", "st')
        file.flush()
        told = follow(run / LOG)
        assert told.step == 1
        file.write(b'ep": 2}\n')
    assert follow(run / LOG, told).step == 2


def test_another_log_in_its_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    run = made(tmp_path / "run", *(step(n, "validation", score=n) for n in range(1, 9)))
    told = follow(run / LOG)
    made(run, *(step(n) for n in range(1, 900)))  # as long and longer, and another file
    assert follow(run / LOG, told) == follow(run / LOG)
    with open(run / LOG, "r+b") as file:
        file.truncate(0)
    assert follow(run / LOG, told) == replace(Followed(), inode=told.inode and (run / LOG).stat().st_ino)


# ---- the list ------------------------------------------------------------------------------------------


def test_a_finished_training_says_how_it_went(trained: Path) -> None:
    ((name, found),) = look(trained.parent).items()
    content = _run.read(trained)
    assert content.best
    row = found.training
    assert (name, row.name, row.condition) == (trained.name, trained.name, "finished")
    assert (row.step, row.steps) == (8, 8) and row.best == (content.best[0], _run.figure(content.best[1]))
    assert row.moved == max((trained / file).stat().st_mtime for file in (LOG, RECEIPT, "panels", "data.json"))


def newer(run: Path) -> None:
    storage.write_json(run / RECEIPT, {"format": 99})


def torn(run: Path) -> None:
    storage.write_text(run / RECEIPT, "{")


def without_model(run: Path) -> None:
    receipt = {"plan": {"stage": "train", "revision": 2, "settings": {}, "inputs": {}}, "counts": {}, "outputs": {}}
    storage.write_json(run / RECEIPT, receipt | {"files": {"model.safetensors": "f00"}})


def with_a_file_elsewhere(run: Path) -> None:
    without_model(run)
    storage.write_text(run.parent / "model.safetensors", "")
    os.symlink(run.parent / "model.safetensors", run / "model.safetensors")


@pytest.mark.parametrize(
    ("how", "condition"),
    [(newer, "newer"), (torn, "damaged"), (without_model, "damaged"), (with_a_file_elsewhere, "damaged")],
)
def test_what_is_wrong_with_a_training_is_its_condition(how: Any, condition: str, tmp_path: Path) -> None:
    how(made(tmp_path / "runs/a", step(3)))
    assert conditions(tmp_path / "runs") == {"a": condition}


def test_one_that_is_written_runs_until_its_process_lets_go(tmp_path: Path) -> None:
    run = made(tmp_path / "runs/a", step(1))
    before = look(tmp_path / "runs")
    with storage.locked(run / LOCK):
        during = look(tmp_path / "runs", before)
        drawn = draw(run)
        assert during["a"].training.condition == drawn.condition == "running"
        assert not drawn.faults and not drawn.wrong
    after = look(tmp_path / "runs", during)
    assert after["a"].training.condition == before["a"].training.condition == "unfinished"
    assert len({found["a"].signature for found in (before, during)}) == 2
    assert draw(run).wrong and "gravurekit train" in draw(run).faults[0]


def test_one_whose_loss_was_no_number_is_spoilt_until_it_goes_on(tmp_path: Path) -> None:
    run = made(tmp_path / "runs/a", step(1), step(2, "spoilt", pictures=["a.jpg"]))
    assert conditions(tmp_path / "runs") == {"a": "spoilt"} and draw(run).condition == "spoilt"
    storage.append_line(run / LOG, json.dumps(step(1, "start")))
    assert conditions(tmp_path / "runs") == {"a": "unfinished"} and draw(run).condition == "unfinished"


def test_those_that_moved_last_come_first_and_what_is_no_training_does_not(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for number, name in enumerate(("old", "new", "middle")):
        run = made(runs / name, step(1))
        for path in (run / LOG, run):
            os.utime(path, (0, (0, 2000, 1000)[number]))
    made(runs / ".hidden", step(1))
    made(runs / "in\u202eorder", step(1))
    storage.write_text(runs / "notes.txt", "mine")
    storage.write_text(runs / "pictures" / MARKER, "filter\n")
    os.symlink(made(tmp_path / "elsewhere", step(1)), runs / "linked")
    with_a_link = made(runs / "evil", step(1))
    (with_a_link / LOG).unlink()
    os.symlink(tmp_path / "elsewhere" / LOG, with_a_link / LOG)
    assert list(look(runs)) == ["new", "middle", "old"]
    assert look(tmp_path / "nowhere") == {}
    with pytest.raises(DataError, match="link out of its folder"):
        draw(with_a_link)


def test_what_has_not_changed_is_not_looked_at_again(tmp_path: Path) -> None:
    run = made(tmp_path / "runs/a", step(1))
    first = look(tmp_path / "runs")
    assert look(tmp_path / "runs", first)["a"] is first["a"]
    storage.append_line(run / LOG, json.dumps(step(2)))
    second = look(tmp_path / "runs", first)
    assert second["a"].training.step == 2 and second["a"].signature != first["a"].signature


# ---- one training --------------------------------------------------------------------------------------


def test_a_training_is_drawn_as_its_report_shows_it(trained: Path) -> None:
    drawn = draw(trained)
    content = _run.read(trained)
    assert drawn.condition == "finished" and drawn.signature == signature_of(trained)
    assert drawn.headline == content.headline and drawn.knobs == list(content.knobs.items())
    assert (drawn.faults, drawn.wrong) == ([], False)
    titles = [chart.title for chart in drawn.charts]
    assert titles[0] == "Loss" and "Score" in titles and len({chart.name for chart in drawn.charts}) == len(titles)
    assert all(chart.svg.startswith("<svg") for chart in drawn.charts)
    assert [sheet.step for sheet in drawn.panels] == [4, 8] and drawn.panels[0].said.startswith("step 4 (score ")
    assert drawn.validated == drawn.panels[1].said and drawn.rows and drawn.seconds > 0
    found = panel((trained, 8))
    assert images.decode(found.jpeg).width == found.width <= 1200


@pytest.fixture
def with_panels(tmp_path: Path) -> Path:
    run = made(tmp_path / "runs/a", step(1))
    for number in (200, 400):
        panel_at(run, number)
    return run


def test_panels_that_cannot_be_shown_say_why(with_panels: Path) -> None:
    run = with_panels
    before = draw(run).panels
    assert [(sheet.step, sheet.said) for sheet in before] == [(200, "step 200"), (400, "step 400")]
    storage.write_text(run / "panels/0000400.png", "half")
    assert draw(run).panels[1].made != before[1].made
    os.symlink(run / "panels/0000200.png", run / "panels/0000500.png")
    os.symlink("/etc/hostname", run / "panels/0000600.png")
    os.symlink("nothing", run / "panels/0000700.png")
    assert [sheet.step for sheet in draw(run).panels] == [200, 400, 500, 600, 700]
    assert panel((run, 500)).width == 9
    for number, why in ((400, "can't be read"), (600, "it is a link"), (700, "no file"), (9, "no file")):
        with pytest.raises(PictureError, match=why):
            panel((run, number))


def test_where_a_run_lies_is_not_said(tmp_path: Path) -> None:
    run = made(tmp_path / "runs/a", "torn", step(1, loss=math.nan))
    assert not any(str(tmp_path) in fault for fault in draw(run).faults)
    assert any(fault.startswith("1 line of log.jsonl") for fault in draw(run).faults)
    assert any(fault.startswith("a isn't finished") for fault in draw(run).faults)
