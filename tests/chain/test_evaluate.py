"""evaluate style: the verb on drawn photographs and drawn books."""

import json
from collections.abc import Callable
from pathlib import Path

import prints
import pytest
from typer.testing import Result
from workspace import digests

from gravurekit import images
from gravurekit.errors import UsageError
from gravurekit.measures.controls import CONTROLS
from gravurekit.metadata import file_sha256
from gravurekit.stages._style_cast import cast
from gravurekit.storage import write_bytes

Run = Callable[..., Result]
QUICK = ("--pictures", "4", "--book-pictures", "4", "--lessons", "6", "--patches", "48", "--epochs", "4",
         "--resamples", "10")  # fmt: skip
ASK = ("evaluate", "style", "styled", "--photos", "photos", "--prints", "prints")


@pytest.mark.slow
def test_the_report_and_its_sheet(gravurekit: Run) -> None:
    prints.write(Path(), photos=12, pages=4)
    assert gravurekit("stylize", "photos", "styled", "--style", "cartoon", "--short-side", "208").exit_code == 0
    done = gravurekit(*ASK, *QUICK)
    assert done.exit_code == 0, done.output
    for name in ("styled", *CONTROLS, *prints.BOOKS):
        assert name in done.stdout
    report = json.loads(Path("reports/styled-style.json").read_text())
    assert report["style"]["pictures"] == 4 and set(report["style"]["to_books"]) == set(prints.BOOKS)
    assert [item["name"] for item in report["controls"]] == list(CONTROLS)
    assert report["style"]["wash_hue"]["value"] < 4 and report["style"]["judged"]["value"] <= 1
    photo = next(item for item in report["controls"] if item["name"] == "photo")
    assert photo["tone"]["value"] > report["style"]["tone"]["value"]
    assert {"gravurekit", "numpy", "opencv", "torch"} == set(report["versions"])
    assert images.read(Path("reports/styled-style.png")).height > 500

    judges = digests(Path(".gravurekit-cache"))
    again = gravurekit(*ASK, *QUICK, "--quiet", "--json")
    assert judges and digests(Path(".gravurekit-cache")) == judges
    assert json.loads(again.stdout)["style"]["texture"] == pytest.approx(report["style"]["texture"], abs=1e-5)
    same = json.loads(Path("reports/styled-style.json").read_text())
    assert all(same[name] == report[name] for name in ("inputs", "judges", "settings"))


@pytest.mark.slow
def test_a_plain_folder_goes_by_the_names_of_its_files(gravurekit: Run) -> None:
    prints.write(Path(), photos=12, pages=4)
    drawn = [path.name for path in sorted(Path("photos").iterdir(), key=file_sha256)]
    for name, page in zip(drawn, prints.book("alpha", 12), strict=True):
        write_bytes(Path("styled", name), images.encode_png(page))
    write_bytes(Path("styled", drawn[0]), b"\x89PNG\r\n torn")
    assert gravurekit(*ASK, *QUICK, "--quiet", "--out", "told.json").exit_code == 0
    report = json.loads(Path("told.json").read_text())
    assert report["style"]["pictures"] == 3 and report["style"]["print_hue"] is None
    assert report["style"]["tone"] is not None  # its photographs were found


@pytest.mark.parametrize("count", [12, 7, 3])
def test_what_is_measured_was_no_lesson_and_lessons_are_the_same_for_every_style(count: int, tmp_path: Path) -> None:
    prints.write(tmp_path, photos=12, pages=2)
    order = sorted((tmp_path / "photos").iterdir(), key=file_sha256)
    for path in order[:count]:
        write_bytes(tmp_path / "styled" / path.name, path.read_bytes())
    chosen = cast(tmp_path / "styled", tmp_path / "photos", tmp_path / "prints", 10, 2, 10)
    assert chosen.lessons == order[1::2]
    assert chosen.controls == [item.photo for item in chosen.drawings] == order[:count][::2]
    assert {name: len(files) for name, files in chosen.books.items()} == dict.fromkeys(prints.BOOKS, 2)


def test_drawings_of_lessons_only_are_refused_and_those_of_nobody_knows_what_are_measured(tmp_path: Path) -> None:
    prints.write(tmp_path, photos=12, pages=2)
    order = sorted((tmp_path / "photos").iterdir(), key=file_sha256)
    write_bytes(tmp_path / "styled" / order[1].name, order[1].read_bytes())
    with pytest.raises(UsageError, match="draw more"):
        cast(tmp_path / "styled", tmp_path / "photos", tmp_path / "prints", 10, 2, 10)
    write_bytes(tmp_path / "strange" / "a.png", images.encode_png(prints.engraving(1, 4, True)))
    found = cast(tmp_path / "strange", tmp_path / "photos", tmp_path / "prints", 4, 2, 10)
    assert [item.photo for item in found.drawings] == [None] and found.controls == order[:8:2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda: Path("prints", "alpha").rename("alpha") and Path("prints", "beta").rename("beta"),
            "two are the least",
        ),
        (lambda: [path.unlink() for path in sorted(Path("photos").iterdir())[3:]], "at least 8"),
        (lambda: Path("photos").rename("elsewhere"), "no such folder"),
        (lambda: Path("reports").mkdir() or Path("reports", "styled-style.json").write_text("{}"), "no report of ours"),
    ],
)
def test_what_cant_be_measured_is_told_at_once(change: Callable[[], object], said: str, gravurekit: Run) -> None:
    prints.write(Path(), photos=9, pages=2)
    prints.write(Path("other"), photos=0, pages=2)
    Path("other", "prints", "alpha").rename("styled")
    change()
    done = gravurekit(*ASK)
    assert done.exit_code == 2 and said in str(done.exception)
    assert not Path(".gravurekit-cache").exists()
