"""evaluate style: the verb on drawn photographs and drawn books."""

import json
from collections.abc import Callable
from pathlib import Path

import prints
import pytest
from typer.testing import Result
from workspace import digests

from gravurekit import images
from gravurekit.measures.controls import CONTROLS

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


def test_a_plain_folder_goes_by_the_names_of_its_files(gravurekit: Run) -> None:
    prints.write(Path(), photos=12, pages=4)
    Path("styled").mkdir()
    for n, page in enumerate(prints.book("alpha", 3)):
        Path("styled", f"{n:02}.png").write_bytes(images.encode_png(page))
    Path("styled", "03.png").write_bytes(b"\x89PNG\r\n torn")
    assert gravurekit(*ASK, *QUICK, "--quiet", "--out", "told.json").exit_code == 0
    report = json.loads(Path("told.json").read_text())
    assert report["style"]["pictures"] == 3 and report["style"]["print_hue"] is None
    assert report["style"]["tone"] is not None  # its photographs were found


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
