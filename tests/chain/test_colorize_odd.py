"""colorize and what can go wrong: odd prints, damaged models, files in the way, a full disk, kills, opt-outs."""

import errno
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from colouring import bytes_of, coloured, engraved, lines_of, pixels_of, put, put_prints, refused, texts_of, write_run
from odd_pictures import BAD, GOOD, animated, drawn
from training import NARROW, retold
from workspace import copied, run_here, until

from gravurekit import audit, folder, images, metadata, receipt, storage
from gravurekit.storage import write_bytes

MODEL = ("--model", "run")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prints, and a run."""
    place = tmp_path_factory.mktemp("made")
    put_prints(place / "prints")
    write_run(place / "run")
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(made, tmp_path / "here", monkeypatch)


# ---- prints --------------------------------------------------------------------------------------------


def blank(height: int, width: int, rgb: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    return np.full((height, width, 3), rgb, np.uint8)


def bordered() -> np.ndarray:
    """A scan on black."""
    return np.pad(engraved(3), ((20, 12), (9, 30), (0, 0)))


def painted() -> np.ndarray:
    """A print that was coloured by hand."""
    pixels = engraved(5)
    pixels[30:80, 25:60, 1:] //= 2
    return pixels


ODD: dict[str, Callable[[], np.ndarray]] = {
    "1x1": lambda: blank(1, 1, (130, 120, 90)),
    "one-row": lambda: blank(1, 400, (130, 120, 90)),
    "white": lambda: blank(80, 60),
    "black": lambda: blank(80, 60, (0, 0, 0)),
    "toned": lambda: engraved(2, paper=(200, 180, 120)),
    "bordered": bordered,
    "painted": painted,
    "noise": lambda: np.random.default_rng(1).integers(0, 255, (70, 50, 3), np.uint8),
}


@pytest.mark.parametrize("how", [("--layers",), ("--photo",), ("--paper", "white"), ("--paper", "tint")])
def test_any_picture_is_coloured_at_its_own_size(here: Path, how: tuple[str, ...]) -> None:
    for name, draw in ODD.items():
        put(here / "odd" / f"{name}.png", draw())
    coloured("odd", "--palette", "red", "--hint", "0,0,blue", *how, *MODEL)
    for name, draw in ODD.items():
        found = pixels_of(here / "coloured" / f"{name}.png")
        assert found.shape == draw().shape
        if name == "black":
            assert found.max() <= 40
    if how == ("--layers",):
        assert np.array_equal(pixels_of(here / "coloured/bordered.png")[:20, 60:], bordered()[:20, 60:])


def test_a_strip_of_thirty_thousand_pixels(here: Path) -> None:
    put(here / "strip.png", np.tile(engraved(1, 200, 300), (1, 100, 1)))
    coloured("strip.png", *MODEL)
    assert pixels_of(here / "coloured/strip.png").shape == (200, 30_000, 3)


def test_every_kind_of_file_is_coloured_by_its_first_frame_and_upright(here: Path) -> None:
    kinds = GOOD | {"animated.png": (lambda: animated("PNG"), "png", (96, 64))}
    for name, (data, _, _) in kinds.items():
        if len(name) < 200:
            write_bytes(here / "kinds" / name, data())
    coloured("kinds", "--hint", "5,60,red", *MODEL)
    for name, (_, _, size) in kinds.items():
        if len(name) < 200:
            names = [f"{Path(name).stem}{end}.png" for end in ("", "-2", "-3")]
            sizes = [pixels_of(here / "coloured" / n).shape for n in names if (here / "coloured" / n).exists()]
            assert (*size[::-1], 3) in sizes, name
    turned = images.size_in(GOOD["turned.jpg"][0]())
    assert turned == (64, 96)


def test_what_is_no_picture_is_told_and_the_others_are_coloured(here: Path) -> None:
    for name, (data, _) in BAD.items():
        write_bytes(here / "bad" / name, data())
    result = run_here("colorize", "bad", "prints", "--hint", "5,5,red", *MODEL)
    assert result.exit_code == 3 and result.stderr.count("can't be coloured") == len(BAD) - 1
    dropped = metadata.read_lines(here / "coloured" / metadata.DROPPED)
    assert {item.title: item.reason for item in dropped} == {
        name: reason for name, (_, reason) in BAD.items() if name != "too-big.jpg"
    }
    assert len(bytes_of(here / "coloured")) == 3 + 1  # what only was too big to be crawled can be coloured


def test_nothing_but_what_is_no_picture(here: Path) -> None:
    coloured("prints", *MODEL)
    before = {path.name: path.read_bytes() for path in (here / "coloured").iterdir()}
    storage.write_text(here / "page.jpg", "<html>")
    assert "none of 1 pictures could be coloured" in refused(5, "page.jpg", *MODEL)
    assert {path.name: path.read_bytes() for path in (here / "coloured").iterdir()} == before
    assert "no such picture" in refused(2, "nowhere.jpg", *MODEL)
    (here / "empty").mkdir()
    refused(5, "empty", *MODEL)


# ---- models --------------------------------------------------------------------------------------------


def test_a_model_that_cant_be_used_changes_nothing(here: Path) -> None:
    coloured("prints", *MODEL)
    before = {path.name: path.read_bytes() for path in (here / "coloured").iterdir()}
    data = (here / "run/model.safetensors").read_bytes()
    for name, content in {"torn": data[:-900], "empty": b"", "foreign": b"\x80\x04pickle" * 99}.items():
        write_bytes(here / name / "model.safetensors", content)
    write_bytes(here / "later/model.safetensors", data)
    retold(here / "later/model.safetensors", {"version": 99})
    write_bytes(here / "unstyled/model.safetensors", data)
    retold(here / "unstyled/model.safetensors", {"about": {"style": {"name": "woodcut", "settings": {}}}})
    for name, said in {
        "torn": "damaged", "empty": "damaged", "foreign": "damaged", "later": "version 99", "nowhere": "no model file",
        "unstyled": "can't be drawn by this gravurekit",
    }.items():  # fmt: skip
        assert said in refused(5, "prints", "--model", name), name
        assert {path.name: path.read_bytes() for path in (here / "coloured").iterdir()} == before
    coloured("prints", "--model", "unstyled", "--feed", "tone", "--out", "tone")


# ---- files in the way ----------------------------------------------------------------------------------


def test_names_that_would_meet_are_told_apart(here: Path) -> None:
    for n, name in enumerate(("a", "a-wash", "a-sample-1", "a-samples", "a-sample-1-panel")):
        put(here / "many" / f"{name}.png", engraved(n, 100 + n))
    put(here / "others/a.png", engraved(8, 140))
    write_bytes(here / "others/a.jpg", drawn(1))
    coloured("many", "others", "--panel", *MODEL)
    assert len(bytes_of(here / "coloured")) == 7 * 2
    coloured("many", "others", "--as", "kaftan", "--samples", "2", *MODEL, "--out", "samples")
    assert len(bytes_of(here / "samples")) == 7 * 3
    heights = sorted(pixels_of(here / "coloured" / name).shape[0] for name in lines_of(here / "coloured"))
    assert heights == [64, 100, 101, 102, 103, 104, 140]


def test_a_long_name_is_cut(here: Path) -> None:
    for n, name in enumerate(("x" * 250, "x" * 249 + "y", "ü" * 120)):
        put(here / "short.png", engraved(n + 4)).rename(here / "prints" / f"{name}.png")
    coloured("prints", "--layers", "--as", "kaftan", "--samples", "2", *MODEL)
    assert len(bytes_of(here / "coloured")) == 6 * (2 * 4 + 1)


@pytest.mark.parametrize("name", ["0-wash.png", "0-ink.png", "0-paper.png", "0-panel.png"])
def test_a_file_beside_is_anothers_and_stays(here: Path, name: str) -> None:
    put(here / "more" / name, engraved(5))
    coloured(f"more/{name}", *MODEL)
    before = bytes_of(here / "coloured")
    ask = ("prints/0.png", "--layers", "--panel", *MODEL)
    assert f"{name} is there already" in refused(2, *ask)
    assert bytes_of(here / "coloured") == before
    coloured(*ask, "--overwrite")
    assert set(lines_of(here / "coloured")) == {"0.png"}  # what was overwritten is no more
    assert audit.inspect(here / "coloured").grave == [] and len(bytes_of(here / "coloured")) == 5


def test_what_lay_beside_an_overwritten_result_goes_with_it(here: Path) -> None:
    put(here / "more/0.png", engraved(5))
    coloured("prints/0.png", "--layers", *MODEL)
    refused(2, "more/0.png", *MODEL)
    coloured("more/0.png", "--overwrite", *MODEL)
    assert set(bytes_of(here / "coloured")) == {"0.png"}


def test_the_sheet_of_another(here: Path) -> None:
    put(here / "more/0-samples.png", engraved(5))
    coloured("more/0-samples.png", *MODEL)
    refused(2, "prints/0.png", "--as", "kaftan", "--samples", "2", *MODEL)


def test_results_are_no_prints(here: Path) -> None:
    coloured("prints", *MODEL)
    before = bytes_of(here / "coloured")
    for words in (("coloured",), ("coloured/0.png", "--overwrite"), ("prints", "coloured/0.png")):
        assert "is a result" in refused(2, *words, *MODEL)
    assert bytes_of(here / "coloured") == before
    put(here / "pile/9.png", engraved(9))
    for _ in range(2):
        coloured("pile", *MODEL, "--out", "pile/coloured")
        assert set(bytes_of(here / "pile/coloured")) == {"9.png"}


def test_the_folder_of_somebody_else_is_left_alone(here: Path) -> None:
    put(here / "holiday/1.png", engraved(5))
    assert "holds other files" in refused(2, "prints", *MODEL, "--out", "holiday")
    assert [path.name for path in (here / "holiday").iterdir()] == ["1.png"]


# ---- ended in the middle -------------------------------------------------------------------------------


@pytest.mark.parametrize("room", (2, 9))
def test_a_disk_that_fills_leaves_nothing_half_written_and_with_room_it_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    ask = ("prints", "--layers", "--as", "kaftan", "--like", "prints/1.png", "--save-like", "kept.safetensors", *MODEL)
    coloured(*ask, "--out", "whole")
    storage.remove(here / "kept.safetensors")
    left, fsync = [room], os.fsync

    def nearly_full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", nearly_full)
        assert "the disk is full: make room" in refused(5, *ask)
    assert not list(here.rglob("*.part")) and not (here / "coloured" / receipt.RECEIPT).exists()
    for path in (here / "coloured").glob("*.png"):
        assert path.read_bytes() == (here / "whole" / path.name).read_bytes()
    coloured(*ask)
    assert bytes_of(here / "coloured") == bytes_of(here / "whole")
    assert lines_of(here / "coloured") == lines_of(here / "whole") and (here / "kept.safetensors").is_file()


def test_a_print_that_changes_meanwhile_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(path: Path, sha256: str) -> bytes:
        if path.name == "1.png":
            path.write_bytes(b"other")
        return contents_of(path, sha256)

    contents_of = images.contents_of
    monkeypatch.setattr(images, "contents_of", meanwhile)
    result = run_here("colorize", "prints", *MODEL)
    assert result.exit_code == 3 and "changed meanwhile" in result.stderr
    assert set(bytes_of(here / "coloured")) == {"0.png", "2.png"}


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(here: Path) -> None:
    put_prints(here / "prints", 12)
    words = ["prints", "--panel", "--layers", "--as", "kaftan", "--samples", "2", *MODEL]
    coloured(*words, "--out", "whole")
    whole = bytes_of(here / "whole")
    command = [*NARROW, "-C", str(here), "colorize", *words, "--quiet"]
    chance, hits = random.Random(9), 0
    for moment in sorted(chance.randrange(1, len(whole) - 5) for _ in range(3)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda p=process, m=moment: p.poll() is not None or len(list((here / "coloured").glob("*.png"))) >= m)
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
        for path in (here / "coloured").glob("*.png"):
            assert texts_of(path)  # whole
    assert hits
    coloured(*words)
    assert bytes_of(here / "coloured") == whole and lines_of(here / "coloured") == lines_of(here / "whole")
    assert not list((here / "coloured").glob("*.part"))


# ---- opt-outs ------------------------------------------------------------------------------------------


def gone(here: Path, *prints: str) -> set[str]:
    """Forget these; the files that went."""
    before = set(bytes_of(here / "coloured"))
    keys = [metadata.file_sha256(here / name)[:16] for name in prints]
    result = run_here("forget", *keys, "--quiet")
    assert result.exit_code == 0, result.output
    return before - set(bytes_of(here / "coloured"))


@pytest.mark.parametrize("words", [
    ("--panel", "--layers"), ("--as", "kaftan", "--samples", "3", "--layers", "--panel"),
])  # fmt: skip
def test_all_that_came_of_a_print_is_forgotten_with_it(here: Path, words: tuple[str, ...]) -> None:
    coloured("prints", *words, *MODEL)
    of_one = {name for name in bytes_of(here / "coloured") if name.startswith("1")}
    assert len(of_one) in (5, 3 * 5 + 1)
    assert gone(here, "prints/1.png") == of_one
    assert {name[0] for name in lines_of(here / "coloured")} == {"0", "2"}
    assert audit.inspect(here / "coloured").grave == [] and folder.read(here / "coloured")


def test_what_only_is_named_alike_stays(here: Path) -> None:
    for n, name in enumerate(("a", "a-wash", "a-samples", "a-sample-1")):
        put(here / "more" / f"{name}.png", engraved(n + 4))
    for name in ("a-wash", "a-samples", "a-sample-1", "a"):  # one run would have told them apart
        coloured(f"more/{name}.png", *MODEL)
    assert gone(here, "more/a.png") == {"a.png"}
    assert gone(here, "more/a-sample-1.png") == {"a-sample-1.png"}
    assert gone(here, "more/a-wash.png") == {"a-wash.png"}
