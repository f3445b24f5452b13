"""The report of a training: its curves are those of the log, whatever the log looks like, and the page fetches
nothing."""

import json
import math
import os
import random
import re
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import EVIL, Page, check_closed
from workspace import run_here

from gravurekit import images, storage
from gravurekit.errors import DataError, UsageError
from gravurekit.metadata import MARKER, METADATA
from gravurekit.model.log import read_log
from gravurekit.progress import SILENT
from gravurekit.receipt import RECEIPT, Plan, Receipt
from gravurekit.reports import Report, _plots, _runlog, training
from gravurekit.reports._plots import Line, Marks
from gravurekit.reports._runlog import BUCKETS, HIGHEST


def lines(steps: Iterable[int], kind: str = "train", **figures: Any) -> list[dict[str, Any]]:
    """Lines of a log; a figure may be a function of the step."""
    said = {name: value if callable(value) else (lambda step, value=value: value) for name, value in figures.items()}
    return [{"kind": kind, "step": step} | {name: value(step) for name, value in said.items()} for step in steps]


def run_of(path: Path, log: Iterable[dict[str, Any] | str] | None, finished: bool = False, **about: Any) -> Path:
    """A training's folder, made by hand. `log`: what is in it; a text is a line as it stands."""
    storage.write_text(path / MARKER, "train\n")
    if log is not None:
        storage.write_lines(path / training.LOG, (item if isinstance(item, str) else json.dumps(item) for item in log))
    if "card" in about:
        storage.write_json(path / training.CARD, about["card"])
    if finished:
        knobs = {"steps": 100, "batch": 8, "recipe": "default"} | about.get("knobs", {})
        plan = Plan(stage="train", revision=2, settings=knobs, inputs={"manifest": "f00"})
        receipt = Receipt(plan=plan, counts={"in": 7, "kept": 7}, outputs={}, measured={"seconds": 61.5})
        storage.write_json(path / RECEIPT, receipt.model_dump(mode="json"))
    return path


def tally(**counts: Any) -> dict[str, Any]:
    return {"samples": 7, "pictures": 7, "variants": 1, "labels": {"dress": 7}, "licenses": {"CC0-1.0": 7},
            "sources": {"met": 7}} | counts  # fmt: skip


def look(run: Path, panels: int = 24) -> tuple[Report, Page]:
    out = run.parent / f"{run.name}.html"
    made = training.write(run, out, panels, False, SILENT)
    return made, Page(out.read_text("utf-8"))


# ---- the curves are those of the log -------------------------------------------------------------------

STEPS = st.integers(0, 12)
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, None, True, "1", 1e31])
ENTRIES = st.fixed_dictionaries(
    {"kind": st.sampled_from(["train", "validation", "start", "other"]), "step": STEPS},
    optional={"loss": VALUES, "score": VALUES},
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ENTRIES, max_size=40))
def test_what_a_resumption_did_again_replaces_what_was_there(tmp_path_factory: Any, log: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("log")
    storage.write_lines(folder / training.LOG, map(json.dumps, log))
    found = _runlog.read(folder / training.LOG)
    kept = read_log(folder)
    for kind in _runlog.KINDS:
        for name in ("loss", "score"):
            said = [(line["step"], line.get(name)) for line in kept if line["kind"] == kind]
            there = [(step, value) for step, value in said if type(value) in (int, float)]
            finite = [(step, value) for step, value in there if abs(value) <= HIGHEST]
            curve = found.curve(kind, name)
            assert (curve is None) == (not finite)
            gone = [step for step, value in there if not abs(value) <= HIGHEST]
            lost = [(item.steps, item.first) for item in found.lost if (item.kind, item.name) == (kind, name)]
            assert lost == ([(len(gone), gone[0])] if gone else [])
            if curve:
                assert [point for point in curve.points if point[1] == point[1]] == finite
                assert [point[0] for point in curve.points] == [step for step, _ in there]
                assert (curve.first, curve.last) == (finite[0], finite[-1])
                assert curve.least[1] == min(value for _, value in finite) and curve.least in finite
                assert curve.most[1] == max(value for _, value in finite) and curve.most in finite
    assert found.begun == sum(line["kind"] == "start" for line in log)


@settings(max_examples=30, deadline=None)
@given(st.integers(2 * BUCKETS + 1, 6 * BUCKETS), st.integers(0, 1 << 30))
def test_a_long_log_is_reduced_and_no_spike_is_lost(tmp_path_factory: Any, count: int, seed: int) -> None:
    chance = random.Random(seed)
    values = [chance.gauss(0, 1) for _ in range(count)]
    for _ in range(3):
        values[chance.randrange(count)] = chance.choice([1e6, -1e6, math.nan])
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    storage.write_lines(path, map(json.dumps, lines(range(count), loss=values.__getitem__)))
    curve = _runlog.read(path).curve("train", "loss")
    assert curve and len(curve.points) <= 3 * BUCKETS + 5 and len(curve.smooth) <= 3 * BUCKETS + 5
    there = [(step, value) for step, value in enumerate(values) if value == value]
    drawn = [point for point in curve.points if point[1] == point[1]]
    assert set(drawn) <= set(there) and drawn == sorted(drawn)
    assert {min(there, key=lambda point: point[1])[1], max(there, key=lambda point: point[1])[1]} <= {
        value for _, value in drawn
    }
    assert drawn[0] == there[0] and drawn[-1] == there[-1] and (curve.first, curve.last) == (there[0], there[-1])
    gaps = [step for step, value in enumerate(values) if value != value]
    assert not gaps or any(value != value for _, value in curve.points)


@pytest.mark.slow
def test_hundreds_of_thousands_of_lines_need_little_memory_and_make_a_small_page(tmp_path: Path) -> None:
    count = 100_000
    chance = random.Random(0)
    figures = {name: lambda step: chance.random() for name in ("colour_loss", "class_loss", "waiting", "a", "b")}
    log = (line for step in range(count) for line in lines([step], **figures))
    run = run_of(tmp_path / "run", log)
    tracemalloc.start()
    made, page = look(run)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.facts["step"] == count - 1 and most < 60e6
    assert (tmp_path / "run.html").stat().st_size < 1_000_000 and len(plots(page)) == made.facts["charts"]


# ---- drawing -------------------------------------------------------------------------------------------

FINITE = st.floats(-HIGHEST, HIGHEST) | st.floats(-1, 1) | st.sampled_from([0.0, 1.0, 1e-30, 5e-324, HIGHEST])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(FINITE | st.just(math.nan), min_size=1, max_size=12).filter(lambda found: any(v == v for v in found)),
    st.booleans(), st.booleans(), st.sampled_from([None, (1.0, "as the truth")]),
)  # fmt: skip
def test_whatever_the_values_are_they_can_be_drawn(values: list[float], zero: bool, wide: bool, rule: Any) -> None:
    line = Line("a", ("held", "-"), list(enumerate(values)))
    plot = _plots.curves("t", "t", "", [line], len(values) - 1, Marks(rule), "", zero, wide)
    assert plot.svg().startswith("<svg") and plot.png().startswith(b"\x89PNG")


def paths(svg: str, colour: str) -> list[str]:
    """What is drawn in a colour."""
    return re.findall(rf'd="([^"]*)"[^>]*style="[^"]*stroke: var\(--{colour}\)', svg)


def test_a_gap_is_a_gap_and_a_lonely_point_a_dot() -> None:
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 1.5), (4, math.nan), (5, 1.0), (6, 2.0)]
    svg = _plots.curves("t", "t", "", [Line("a", ("held", "-"), points)], 6).svg()
    drawn = max(paths(svg, "held"), key=len)
    assert drawn.count("M") == 3  # two runs, and the lonely point, which as a line can't be seen
    assert svg.count("<use") > _plots.curves("t", "t", "", [Line("a", ("held", "-"), points[:2])], 6).svg().count(
        "<use"
    )


def test_values_far_apart_are_drawn_by_their_logarithm_where_they_may_be() -> None:
    far = [Line("a", ("held", "-"), [(0, 1.0), (9, 1000.0)])]
    powers = _plots.curves("t", "t", "", far, 9, wide=True).svg()
    assert powers != _plots.curves("t", "t", "", far, 9).svg()
    near = [Line("a", ("held", "-"), [(0, 1.0), (9, 2.0)])]
    assert _plots.curves("t", "t", "", near, 9, wide=True).svg() == _plots.curves("t", "t", "", near, 9).svg()


def test_words_are_words_and_colours_are_those_of_the_page() -> None:
    lines = [Line("$x^2$ <script>", ("learnt", "-"), [(0, 1.0), (9, 2.0)])]
    svg = _plots.curves("t", f"{EVIL} $a_b$", "", lines, 9).svg()
    assert "$x^2$ &lt;script" in svg and "<script" not in svg and "var(--learnt)" in svg
    assert not re.search("#[0-9a-f]{6}", svg) and "url(#t-" in svg and 'id="t-' in svg


# ---- the page ------------------------------------------------------------------------------------------

VALIDATION = dict(
    loss=0.1, colour_loss=0.1, class_loss=1.0, ab_error=9.0, delta_e=lambda step: 12 - step / 20, delta_e_palette=7.0,
    delta_e_grey=9.0, delta_e_own_mean=8.8, chroma_ratio=0.5, top1=0.25, augmented_delta_e=11.0, train_delta_e=8.0,
    score=lambda step: abs(step - 60) / 100 + 1, unheard_of=3.0,
)  # fmt: skip
TRAIN = dict(colour_loss=0.2, class_loss=2.0, lightness_loss=0.05, learning_rate=1e-3, samples_per_second=36.0,
             waiting=0.015)  # fmt: skip


def plots(page: Page) -> list[dict[str, str]]:
    return [attrs for attrs in page.all("svg") if attrs.get("class") == "plot"]


def whole_log() -> list[dict[str, Any] | str]:
    start = {"kind": "start", "step": 0, "device": "cpu", "precision": "bf16"}
    return [start, *lines(range(1, 101), **TRAIN), *lines(range(20, 101, 20), "validation", **VALIDATION)]


def test_a_finished_training_is_told_whole(tmp_path: Path) -> None:
    # in a log lines are in order; here the validations come last, which a resumption would take for done again
    log = sorted((line for line in whole_log() if isinstance(line, dict)), key=lambda line: line["step"])
    card = {"splits": {"train": tally(), "val": tally(samples=2, licenses={"": 1, "CC-BY-4.0": 1})}}
    made, page = look(run_of(tmp_path / "run", log, True, card=card))
    check_closed(page)
    words = " ".join(page.words.split())
    assert made.facts | {"step": 100, "steps": 100, "best_step": 60, "panels": 0} == made.facts
    for said in ("100 of 100", "pictures seen700", "each of 7 samples100.0 times", "60 (score 1)", "36 pictures/s",
                 "1.5 %", "cpu, bf16", "61.5 s", "best: 1 at step 60", "as the truth", "own palette given 7",
                 "own mean 8.8", "grey 9", "unheard_of", "CC-BY-4.0", "recipedefault"):  # fmt: skip
        assert said in words, said
    titles = ["Loss", "Colour loss", "Class loss", "Lightness loss", "Colour difference", "ab error", "Chroma ratio",
              "Score", "Class right", "Learning rate", "Speed", "Time spent waiting for pictures"]  # fmt: skip
    titles.append("unheard_of")
    assert [attrs["aria-label"].partition(". ")[0] for attrs in plots(page)] == titles
    assert made.facts["charts"] == len(titles)
    names = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(names) == len(set(names))
    assert "wrong" not in words and "To know" not in words


@pytest.mark.parametrize(
    ("knobs", "steps"),
    [({}, 100), ({"epochs": 0.0}, 100), ({"epochs": 20.0}, 20), ({"epochs": 2.5, "batch": 2}, 9), ({"epochs": 1.5}, 2)],
)
def test_how_many_steps_there_are_follows_from_the_settings(knobs: Any, steps: int, tmp_path: Path) -> None:
    card = {"splits": {"train": tally()}}
    assert look(run_of(tmp_path / "run", lines([1], loss=1), True, card=card, knobs=knobs))[0].facts["steps"] == steps


def test_the_same_bytes_again(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", whole_log())
    pages = []
    for _ in range(2):
        look(run)
        pages.append((tmp_path / "run.html").read_bytes())
    assert pages[0] == pages[1]


DEEP = "[" * 100_000
ODD: dict[str, tuple[list[dict[str, Any] | str] | None, int, str]] = {
    "no log": (None, 0, "No step is logged yet"),
    "empty": ([], 0, "No step is logged yet"),
    "only begun": ([{"kind": "start", "step": 0}], 0, "No step is logged yet"),
    "one point": (lines([7], colour_loss=0.5), 7, "Colour loss"),
    "step 0 alone": (lines([0], colour_loss=0.5), 0, "Colour loss"),
    "level": (lines(range(9), class_loss=0.0), 8, "Class loss"),
    "torn": ([*lines(range(9), colour_loss=0.5), '{"kind": "train", "step": 9, "col'], 8, "1 line of"),
    "other things": (
        ["null", "[]", "7", '"x"', "{}", '{"step": 1}', DEEP, "\x00\x01", *lines([3], loss=1)], 3, "7 lines",
    ),
    "odd steps": (
        [*lines([5], loss=1), *lines([True, -1, 1.5, "8", None, 1 << 60], loss=9)], 5, "6 lines",  # type: ignore[list-item]
    ),
    "odd values": (
        lines([1, 2], loss=1, a=True, b=None, c="1", d=[1], e={"f": 1}, g=10**400), 2, "g (train) was no finite number",
    ),
    "not finite": (
        ['{"kind": "train", "step": 1, "colour_loss": NaN}', *lines([2, 3], colour_loss=1.0),
         '{"kind": "train", "step": 4, "colour_loss": -Infinity}'],
        4, "colour_loss (train) was no finite number at 2 logged steps, first at step 1",
    ),
    "never finite": (['{"kind": "train", "step": 1, "colour_loss": NaN}'], 1, "first at step 1"),
    "spoilt": (
        [*lines([1, 2], loss=1), {"kind": "spoilt", "step": 3, "pictures": ["a.jpg (http://a/a.jpg)"] * 9}],
        2, "were no finite numbers at step 3, which saw a.jpg (http://a/a.jpg), a.jpg",
    ),
    "spoilt, of no pictures": ([{"kind": "spoilt", "step": 3, "pictures": 7}], 0, "no finite numbers at step 3"),
    "long line": (
        [*lines([1], loss=1), '{"kind": "train", "step": 2, "x": "' + "y" * 200_000 + '"}', *lines([3], loss=2)],
        3, "1 line of",
    ),
    "many names": ([{"kind": "train", "step": 1} | {f"name {n}": n for n in range(3000)}], 1, "name 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_whatever_the_log_looks_like_there_is_a_page(name: str, tmp_path: Path) -> None:
    log, step, said = ODD[name]
    made, page = look(run_of(tmp_path / "run", log))
    check_closed(page)
    assert made.facts["step"] == step and said in page.words and "isn't finished" in page.words
    assert (tmp_path / "run.html").stat().st_size < 400_000


def test_a_training_that_goes_on_is_no_longer_spoilt(tmp_path: Path) -> None:
    log = [*lines([1], loss=1), {"kind": "spoilt", "step": 2, "pictures": []}, {"kind": "start", "step": 1}]
    assert "no finite numbers" not in look(run_of(tmp_path / "run", log))[1].words


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(run_of(tmp_path / "run", None, True) / training.LOG)
    assert "log.jsonl is missing" in look(tmp_path / "run")[1].words


def test_no_word_becomes_part_of_the_page(tmp_path: Path) -> None:
    card = {"splits": {"train": tally(labels={EVIL: 3}, licenses={EVIL: 2}, sources={EVIL: 1}), EVIL: tally()}}
    log = [{"kind": "start", "step": 0, "device": EVIL, "precision": EVIL}, *lines([1, 2], **{EVIL: 1.0, "delta_e": 1})]
    log += lines([2], "validation", **{EVIL: 1.0, f"delta_e_{EVIL}": 2.0})
    run = run_of(tmp_path / "run", log, True, card=card, knobs={EVIL: EVIL})
    storage.write_lines(run / "panels" / training.ROWS, [json.dumps({"key": EVIL, "label": EVIL})])
    storage.write_bytes(run / "panels/0000002.png", images.encode_png(np.zeros((8, 8, 3), np.uint8)))
    page = look(run)[1]
    check_closed(page)
    assert EVIL in page.words and len(page.pictures) == 1


def test_where_it_began_again_is_marked_and_counted(tmp_path: Path) -> None:
    start = {"kind": "start", "step": 0}
    log = [start, *lines(range(1, 61), loss=2.0), start | {"step": 40}, *lines(range(41, 101), loss=1.0)]
    made, page = look(run_of(tmp_path / "run", log))
    assert made.facts["step"] == 100 and page.words.count("Dotted uprights") == made.facts["charts"]
    assert "begun again1 time" in page.words


def test_a_card_that_tells_nothing_is_passed_over(tmp_path: Path) -> None:
    odd: list[Any] = [7, {"train": 7}, {"train": {"samples": "7"}}, {"train": tally(labels=7)}]
    for number, text in enumerate(["{", "[]", "7", DEEP, *(json.dumps({"splits": splits}) for splits in odd)]):
        run = run_of(tmp_path / str(number), lines([1], loss=1))
        storage.write_text(run / training.CARD, text)
        page = look(run)[1]
        assert "Where the pictures came from" not in page.words
        assert ("data.json can't be read" in page.words) == (number < 4)


def test_an_unfinished_training_says_its_settings_by_its_saved_state(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", lines([1, 2], colour_loss=1))
    about = {"step": 2, "seen": 32, "identity": {"recipe.steps": 50, "recipe.batch": 16, "network.head": EVIL}}
    header = {"__metadata__": {"gravurekit": json.dumps({"about": about})}}
    data = json.dumps(header).encode()
    storage.write_bytes(run / training.STATE, len(data).to_bytes(8, "little") + data)
    made, page = look(run)
    check_closed(page)
    assert made.facts["steps"] == 50 and "2 of 50" in page.words and "pictures seen32" in page.words
    for damage in (b"", b"half", len(data).to_bytes(8, "little") + b"[" * len(data)):
        storage.write_bytes(run / training.STATE, damage)
        assert look(run)[0].facts["steps"] == 0


# ---- panels --------------------------------------------------------------------------------------------


def test_panels_are_shown_in_order_small_enough_and_damage_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [*lines([1], loss=1), *lines([200, 600], "validation", score=1.5)])
    for step in (200, 400, 600, 12_345_678):
        storage.write_bytes(run / f"panels/{step:07d}.png", images.encode_png(np.zeros((9, 4000, 3), np.uint8)))
    storage.write_bytes(run / "panels/0000400.png", b"half")
    for name in ("notes.png", "0000900.png.x.gravurekit.part", "pictures.jsonl"):
        storage.write_text(run / "panels" / name, "{}")
    made, page = look(run)
    check_closed(page)
    assert made.facts["panels"] == 4 and [one.get("width") for one in page.data] == [1200, None, 1200, 1200]
    assert [one["said"] for one in page.data] == [
        "step 200 (score 1.5)", "step 400", "step 600 (score 1.5)", "step 12,345,678",
    ]  # fmt: skip
    assert "The panel of step 400 isn't shown: it can't be read" in page.data[1]["fault"]
    made, page = look(run, panels=2)
    assert [one["said"] for one in page.data] == ["step 400", "step 12,345,678"]


def test_whose_pictures_the_panels_show_is_said(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", lines([1], loss=1))
    storage.write_bytes(run / "panels/0000200.png", images.encode_png(np.zeros((9, 9, 3), np.uint8)))
    rows = [{"key": "0123456789abcdef", "label": "dress"}, {"file": "plate.png", "key": "fedcba9876543210"}]
    storage.write_lines(run / "panels" / training.ROWS, [*map(json.dumps, rows), "torn"])
    words = look(run)[1].words
    assert "0123456789abcdef, dress" in words and "fedcba9876543210, plate.png" in words


# ---- which folders, and where it is written ------------------------------------------------------------

LOG_LINE = json.dumps({"kind": "start", "step": 0})


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({MARKER: "train\n"}, True),
        ({MARKER: "filter\n", "log.jsonl": LOG_LINE}, False),
        ({"log.jsonl": LOG_LINE}, True),
        ({"log.jsonl": "2026 started"}, False),
        ({"log.jsonl": '{"kind": "tweet"}'}, False),
        ({METADATA: "{}"}, False),
        ({}, False),
    ],
)
def test_a_run_is_known_by_its_marker_or_its_log(files: dict[str, str], expected: bool, tmp_path: Path) -> None:
    for name, text in files.items():
        storage.write_text(tmp_path / name, text)
    assert training.fits(tmp_path) == expected


def test_a_run_is_known_by_its_receipt(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", None, finished=True)
    (run / MARKER).unlink()
    assert training.fits(run)


def newer(run: Path) -> None:
    storage.write_json(run / RECEIPT, {"format": 99})


def theirs(run: Path) -> None:
    storage.write_text(run.parent / "run.html", "<html>mine</html>")


@pytest.mark.parametrize(
    ("how", "kind", "said"), [(newer, DataError, "newer gravurekit"), (theirs, UsageError, "no report")]
)
def test_what_has_no_page_says_why(how: Callable[[Path], None], kind: type, said: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", lines([1], loss=1))
    how(run)
    before = (tmp_path / "run.html").read_bytes() if (tmp_path / "run.html").exists() else None
    with pytest.raises(kind, match=said):
        look(run)
    after = (tmp_path / "run.html").read_bytes() if (tmp_path / "run.html").exists() else None
    assert before == after


def test_the_verb_writes_a_page_on_a_run_and_on_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_of(tmp_path / "runs/a", whole_log())
    told = run_here("report", "runs/a", "--json", "--quiet")
    assert told.exit_code == 0 and json.loads(told.stdout)["out"] == "reports/a/report.html"
    told = run_here("report", "runs/a", "--out", "b.html", "--quiet")
    assert told.exit_code == 0 and "step 100, best at 60; " in told.stdout and "b.html" in told.stdout
    assert run_here("report", "nowhere", "--quiet").exit_code == 2
    storage.write_text(tmp_path / "mine.html", "mine")
    assert run_here("report", "runs/a", "--out", "mine.html", "--quiet").exit_code == 2
    newer(tmp_path / "runs/a")
    assert run_here("report", "runs/a", "--quiet").exit_code == 5
