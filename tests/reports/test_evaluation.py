"""The page of an evaluation: rows are those of the report, cases those that were kept; other files have no page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import EVIL, Page, check_closed
from workspace import patchwork

from gravurekit import images, storage
from gravurekit.errors import DataError, GravurekitError, UsageError
from gravurekit.executor import Serial
from gravurekit.progress import SILENT
from gravurekit.reports import Report, evaluation
from gravurekit.reports.pages import files_of
from gravurekit.stages._evaluation import CASES, Case, write_cases

FIGURE = {"value": -1.5, "low": -2.0, "high": 1.0}


def row(name: str, subject: str = "colors") -> dict[str, Any]:
    return {"name": name, "pictures": 7, **dict.fromkeys(evaluation.COLUMNS[subject], FIGURE), "grey": None}


def said(path: Path, **more: Any) -> Path:
    """What `evaluate colors` writes, made by hand."""
    gains = {"network": {"grey": {"delta_e": FIGURE}}}
    points = [{"saturation": s, "colourfulness_ratio": {"value": s}, "delta_e": {"value": 9 - s}, "seen_delta_e": None}
              for s in (0.5, 1.0)]  # fmt: skip
    part = {"rows": [row("network"), row("grey")], "gains": gains, "curve": {"network": points}, "pictures": []}
    found = {
        "kind": "gravurekit evaluate colors", "samples": part, "prints": {"": part, "a book": part},
        "doubts": ["it rains"], "settings": {"samples": 7, "seed": 0},
    }  # fmt: skip
    storage.write_json(path, found | more)
    return path


def look(source: Path) -> tuple[Report, Page]:
    made = evaluation.write(source, source.parent / "page.html", False, Serial(), SILENT)
    return made, Page((source.parent / "page.html").read_text("utf-8"))


def case(number: int, key: str = "") -> Case:
    seen = {name: np.full((8, 12, 3), number, np.uint8) for name in ("truth", "network")}
    return Case(key or f"{number:016x}", "dress", {"ΔE, network": float(number), "ΔE, grey": 1.0}, seen)


def test_rows_beside_baselines_and_what_speaks_against_them(tmp_path: Path) -> None:
    made, page = look(said(tmp_path / "run-colors.json"))
    check_closed(page)
    words = " ".join(page.words.split())
    for word in ("Held-back samples", "Real prints: a book", "ΔE as seen", "−1.50 (−2.00 to 1.00)", "Mind: it rains.",
                 "By how much ΔE alone is less", "run-colors", "seed0"):  # fmt: skip
        assert word in words, word
    ours = [attrs for tag, attrs in page.tags if tag == "tr" and attrs.get("class") == "ours"]
    assert len(ours) == 4 and made.facts == {"subject": "colors", "rows": 7, "cases": 0}
    assert len([attrs for attrs in page.all("svg") if attrs.get("class") == "plot"]) == 3  # none is as seen


def test_the_best_and_the_worst_cases_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "run-colors.json"
    cases = write_cases(path, {"held-back samples": [case(n) for n in range(40)], "real prints": [case(50)]})
    page = look(said(path, cases=cases))[1]
    check_closed(page)
    groups: dict[str, list[int]] = {}
    for item in page.items:
        groups.setdefault(item["group"], []).append(int(item["key"], 16))
        assert item["shots"] == ["truth", "network"] and item["facets"]["label"] == ["dress"]
    assert groups == {
        "held-back samples, best": list(range(CASES)), "held-back samples, worst": list(range(39, 39 - CASES, -1)),
        "real prints, best": [50],
    }  # fmt: skip
    assert page.data["figures"] == ["ΔE, network", "ΔE, grey"]


def test_cases_of_an_earlier_evaluation_go_and_other_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "run-colors.json"
    write_cases(path, {"held-back samples": [case(n) for n in range(8)]})
    storage.write_text(files_of(path) / "mine.txt", "mine")
    cases = write_cases(path, {"held-back samples": [case(n) for n in range(3)]})
    named = {name for some in cases["held-back samples"].values() for one in some for _, name in one["files"]}
    assert {file.name for file in files_of(path).iterdir()} == named | {"mine.txt"} and len(named) == 4


def test_no_word_becomes_part_of_the_page_and_no_other_file_is_shown(tmp_path: Path) -> None:
    patchwork(tmp_path / "private", 1)
    path = tmp_path / "run-colors.json"
    cases = write_cases(path, {EVIL: [case(1, EVIL), case(2)]})
    for name in ("../private/0.png", str(tmp_path / "private/0.png"), "\0"):
        cases[EVIL]["worst"][0]["files"].append([EVIL, name])
    made, page = look(said(path, cases=cases, doubts=[EVIL], settings={EVIL: EVIL}))
    check_closed(page)
    assert EVIL in page.words and len(page.pictures) == 4 and made.facts["cases"] == 2
    assert "<script>alert" not in (tmp_path / "page.html").read_text("utf-8")


def test_a_style_is_shown_beside_controls_and_books(tmp_path: Path) -> None:
    rows = [row(name, "style") for name in ("styled", "photo", "a book")]
    deviations = [
        {"name": name, "value": value, "least": 0.0, "most": 1.0} for name, value in (("grain", 2.0), ("LBP 3", 0.5))
    ]
    storage.write_json(tmp_path / "styled-style.json", {
        "kind": "gravurekit evaluate style", "style": rows[0], "controls": rows[1:2], "books": rows[2:],
        "deviations": deviations, "doubts": ["photo"], "settings": {},
    })  # fmt: skip
    page = look(tmp_path / "styled-style.json")[1]
    assert "grain" in page.words and "LBP 3" not in page.words and "'photo' does as well as a book" in page.words


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("{", DataError, "can't be read"),
        ("[]", UsageError, "no report of `gravurekit evaluate`"),
        ('{"kind": "gravurekit evaluate taste"}', UsageError, "no report of"),
        ('{"kind": "gravurekit evaluate colors"}', DataError, "damaged"),
        ('{"kind": "gravurekit evaluate colors", "samples": {"rows": 7}, "prints": {}}', DataError, "damaged"),
    ],
)
def test_other_files_are_refused(text: str, kind: type[GravurekitError], what: str, tmp_path: Path) -> None:
    storage.write_text(tmp_path / "x.json", text)
    with pytest.raises(kind, match=what):
        look(tmp_path / "x.json")
    assert not (tmp_path / "page.html").exists()


def test_pictures_of_cases_are_those_that_were_kept(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "x.json", {"a": [case(7)]})
    (name,) = [name for caption, name in cases["a"]["best"][0]["files"] if caption == "truth"]
    assert abs(images.read(files_of(tmp_path / "x.json") / name).pixels.astype(int) - 7).max() <= 1
