"""What the filter tells when it is asked, and what it says of flags that do nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filtering import QUICK, drawn, put
from typer.testing import Result
from workspace import digests

from gravurekit import images

Run = Callable[..., Result]


@pytest.fixture
def explained(gravurekit: Run) -> Callable[..., dict[str, Any]]:
    """What `--explain` tells of a picture."""

    def told(word: str, *flags: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(gravurekit("filter", "--explain", word, "--json", *QUICK, *flags).stdout)
        return found

    return told


def test_a_picture_is_explained(
    raw: dict[str, str], gravurekit: Run, explained: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    put(tmp_path, "new.jpg", images.resize(drawn(2), 215, 287), 70)
    before = gravurekit("filter", "--explain", "new.jpg", *QUICK)
    assert before.exit_code == 0 and "not judged yet" in before.stdout and not (tmp_path / "clean").exists()
    gravurekit("filter", *QUICK)
    whole = digests(tmp_path)

    copy = explained(raw["small copy"][:8])
    assert (copy["verdict"], copy["reason"], copy["kept_key"]) == ("dropped", "duplicate", raw["0"])
    assert copy["nearest"][0]["key"] == raw["0"]
    assert [name for name, said in copy["now"].items() if said] == ["duplicate"]
    assert copy["now"]["duplicate"].endswith(raw["0"])
    assert explained(raw["0"])["copies"] == [raw["small copy"]] and not any(explained(raw["0"])["now"].values())
    assert explained("raw/a/blank.jpg")["now"]["blank"]
    assert explained(f"clean/images/{raw['4']}.jpg")["verdict"] == "kept"
    assert explained("raw/c/torn.jpg")["reason"] == "unreadable"
    new = explained("new.jpg")
    assert new["verdict"] == "not judged yet" and new["now"]["duplicate"].endswith(raw["2"])
    told = gravurekit("filter", "--explain", raw["small copy"], "--set", "too_small.min_side=230", *QUICK).stdout
    assert "shorter side below 230" in told and "that was before: settings changed" in told
    assert gravurekit("filter", "--explain", "no such", *QUICK).exit_code == 2
    assert digests(tmp_path) == whole


@pytest.mark.slow
def test_a_calibration_tells_what_would_be_found(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gravurekit import edits

    monkeypatch.setattr(edits, "EDITS", {name: edits.EDITS[name] for name in ("jpeg 30", "scale 0.5", "crop 5%")})
    whole = digests(tmp_path)
    result = gravurekit("filter", "--calibrate", "raw", "--json", "--executor", "serial")
    found = json.loads(result.stdout)
    assert found["pictures"] == 5 and {(row["found"], row["wrong"]) for row in found["recalls"]} == {(5, 0)}
    assert {pair["file"] for pair in found["twins"]} == {"a/small.jpg", "b/cropped.jpg"}
    assert "scale 0.5" in gravurekit("filter", "--calibrate", "raw", "--executor", "serial").stdout
    assert digests(tmp_path) == whole


def test_what_cant_be_calibrated_or_explained_is_refused(gravurekit: Run, tmp_path: Path) -> None:
    put(tmp_path / "raw", "flat.jpg", np.full((300, 260, 3), 244, np.uint8))
    result = gravurekit("filter", "--calibrate", "raw", "--executor", "serial")
    assert result.exit_code == 5 and "nothing can be calibrated" in str(result.exception)
    assert gravurekit("filter", "--explain", "", *QUICK).exit_code == 2
    assert not (tmp_path / "clean").exists()


def test_it_is_explained_with_all_that_the_run_would_know(
    raw: dict[str, str], gravurekit: Run, explained: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    put(tmp_path / "before", "x.jpg", images.resize(drawn(3), 230, 307), 70)
    put(tmp_path / "before", "y.jpg", drawn(17))
    gravurekit("filter", "before", "earlier", *QUICK)
    put(tmp_path, "mirrored.jpg", drawn(4)[:, ::-1])
    (tmp_path / "by-hand.jsonl").write_text(json.dumps({"key": raw["4"], "keep": False}))
    gravurekit("filter", *QUICK)
    assert not explained(raw["3"])["now"]["duplicate"]
    assert explained(raw["3"], "--against", "earlier")["now"]["duplicate"]
    assert not explained("mirrored.jpg")["now"]["duplicate"]
    assert "mirrored" in explained("mirrored.jpg", "--thorough")["now"]["duplicate"]
    assert explained(raw["4"], "--decisions", "by-hand.jsonl")["now"]["by-hand"] == "the decisions file says: drop"


def test_it_says_how_many_pictures_are_new(
    raw: dict[str, str], gravurekit: Run, explained: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    gravurekit("filter", *QUICK)
    assert explained(raw["3"])["unmeasured"] == 0  # the torn one is known to be
    key = put(tmp_path / "raw", "new.jpg", drawn(29))
    put(tmp_path / "raw", "newer.jpg", drawn(30))
    assert explained(raw["3"])["unmeasured"] == 2 and explained(key)["unmeasured"] == 1


def test_one_question_at_a_time(raw: dict[str, str], gravurekit: Run) -> None:
    result = gravurekit("filter", "--explain", raw["3"], "--calibrate", "raw")
    assert result.exit_code == 2 and "at once" in str(result.exception)


IDLE = [
    (("--min-figure", "0.3"), "--min-figure 0.3 drops nothing: --relevance none"),
    (("--min-clip", "0.3"), "--min-clip 0.3 drops nothing: --relevance none"),
    (("--like", "raw"), "without --relevance examples"),
    (("--clip-weights", "some"), "without --relevance clip"),
]


@pytest.mark.parametrize(("flags", "said"), IDLE, ids=lambda value: value if isinstance(value, str) else "")
def test_flags_that_do_nothing_are_told(
    flags: tuple[str, ...], said: str, raw: dict[str, str], gravurekit: Run
) -> None:
    result = gravurekit("filter", *QUICK, *flags)
    assert result.exit_code == 0 and said in result.stderr


def test_other_files_are_told_and_pictures_of_other_names_are_found(gravurekit: Run, tmp_path: Path) -> None:
    keys = {put(tmp_path / "raw", name, drawn(seed)) for seed, name in enumerate(("a.jpg", "b", "c.jpg~", "d.dat"))}
    for name in ("labels.csv", "notes.txt"):
        (tmp_path / "raw" / name).write_text("BM is no picture")
    result = gravurekit("filter", *QUICK)
    assert {path.stem for path in (tmp_path / "clean" / "images").iterdir()} == keys
    assert "2 files passed over" in result.stderr
