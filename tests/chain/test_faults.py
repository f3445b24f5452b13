"""Bad input and bad luck: one clear message, its exit code, nothing lost, nothing half-written under a final name."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from training import narrow
from typer.testing import Result
from workspace import patchwork, run_here, until

from gravurekit import folder, metadata, receipt, storage
from gravurekit.sample import figures
from gravurekit.storage import write_bytes, write_text

Run = Callable[..., Result]


def photographs(root: Path, count: int = 3, height: int = 360) -> Path:
    """A plain folder of drawn photographs."""
    from gravurekit import images

    for n in range(count):
        write_bytes(root / f"{n}.png", images.encode_png(figures.draw_figure("dress", None, n, height)))
    return root


def message(result: Result) -> str:
    return str(result.exception)


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def is_gone(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    "words, code, says",
    [
        (("filter", "nowhere", "out"), 2, "nowhere: no such folder"),
        (("stylize", "nowhere", "out"), 2, "nowhere: no such folder"),
        (("shard", "nowhere", "out"), 2, "nowhere: no such folder"),
        (("train", "nowhere"), 5, "run `gravurekit shard`"),
        (("colorize",), 2, "name a picture"),
        (("colorize", "nowhere.jpg"), 2, "nowhere.jpg: no such picture"),
        (("filter", "empty", "out"), 5, "empty: no picture in it"),
        (("crawl", "--source", "folder:nowhere"), 4, "no such folder"),
        (("crawl", "--source", "folder:empty"), 4, "found nothing"),
        (("crawl", "--source", "folder"), 2, "--source folder:PATH"),
        (("crawl", "nothing.txt", "--source", "sample"), 2, "nothing.txt"),
        (("crawl", "blank.txt", "--source", "sample"), 2, "holds no keyword"),
        (("crawl", "latin.txt", "--source", "sample"), 2, "isn't UTF-8"),
        (("crawl", "dress", "--source", "bong"), 2, "did you mean 'bing'?"),
        (("crawl", "spaceship", "--source", "sample"), 4, "found nothing"),
        (("crawl", "dress", "--source", "sample", "--set", "bnig.size=large"), 2, "did you mean 'bing'?"),
        (("crawl", "dress", "--source", "sample", "--endpoint", "bing"), 2, "NAME=http://HOST:PORT"),
        (("stylize", "empty", "out", "--style", "cartoons"), 2, "did you mean 'cartoon'?"),
        (("stylize", "empty", "out", "--set", "cartoon.medain=5"), 2, "did you mean 'median'?"),
        (("stylize", "empty", "out", "--set", "cartoon.median=4"), 2, "must be odd"),
        (("shard", "empty", "out", "--size", "100"), 2, "multiple of 8"),
        (("run", "nowhere.toml"), 2, "no such settings file"),
        (("filter", "--config", "typo.toml"), 2, "[filter] unknown key 'subjekt'; did you mean 'subject'?"),
        (("filter", "--config", "table.toml"), 2, "did you mean 'filter'?"),
        (("filter", "--config", "broken.toml"), 2, "can't be read as TOML"),
        (("run", "typo.toml"), 2, "did you mean 'subject'?"),
    ],
)
def test_wrong_words_end_with_a_message_and_a_code(
    gravurekit: Run, tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    storage.make_folder(tmp_path / "empty")
    write_text(tmp_path / "blank.txt", "# nothing\n\n")
    write_bytes(tmp_path / "latin.txt", "kürk\n".encode("latin-1"))
    write_text(tmp_path / "typo.toml", '[filter]\nsubjekt = "prints"\n')
    write_text(tmp_path / "table.toml", '[fitler]\nsubject = "prints"\n')
    write_text(tmp_path / "broken.toml", "[filter\n")
    before = {path.name for path in tmp_path.iterdir()}
    result = gravurekit(*words)
    assert (result.exit_code, says in message(result)) == (code, True), message(result)
    assert {path.name for path in tmp_path.iterdir()} - before <= {"raw"}


def test_an_engine_out_of_reach_is_one_clear_error(gravurekit: Run) -> None:
    address = f"bing=http://127.0.0.1:{closed_port()}"
    result = gravurekit("crawl", "dress", "--source", "bing", "--endpoint", address, "--allow-private-addresses")
    assert result.exit_code == 4
    assert "no source could be reached" in message(result) and "bing" in message(result)
    assert "--source sample" in message(result)


def test_a_loopback_endpoint_needs_permission(gravurekit: Run) -> None:
    result = gravurekit("crawl", "dress", "--source", "bing", "--endpoint", "bing=http://127.0.0.1:1")
    assert result.exit_code == 4 and "isn't a public address" in message(result)


def test_an_error_is_one_message_on_stderr_not_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gravurekit", "-C", str(tmp_path), "filter", "nowhere", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == "gravurekit: nowhere: no such folder"


@pytest.mark.parametrize("words", [("stylize", "photos", "out"), ("filter", "photos", "out")])
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    photographs(tmp_path / "photos")
    room, fsync = [4], os.fsync

    def nearly_full(handle: int) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", nearly_full)
    result = gravurekit(*words, "--executor", "serial")
    assert result.exit_code == 5 and "the disk is full: make room" in message(result)
    assert not list(tmp_path.rglob("*.part")) and not (tmp_path / "out" / receipt.RECEIPT).exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert gravurekit(*words, "--executor", "serial").exit_code == 0
    assert len(folder.read(tmp_path / "out")) == 3


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    patchwork(tmp_path / "photos", 140)
    command = [sys.executable, "-m", "gravurekit", "-C", str(tmp_path), "stylize", "photos", "out", "--jobs", "2",
               "--style", "cartoon"]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    assert until(lambda: process.poll() is not None or list((tmp_path / "out" / "plain").glob("*.png")))
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130 and "run the same command again" in stderr
    assert until(lambda: is_gone(process.pid))  # no worker outlives it; the pool's resource tracker ends a little later
    assert subprocess.run([*command, "--quiet"], check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert len(folder.read(tmp_path / "out")) == 140 and not list(tmp_path.rglob("*.part"))


def test_a_folder_of_somebody_else_is_left_alone(gravurekit: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    write_text(tmp_path / "out" / "thesis.txt", "years of work")
    result = gravurekit("stylize", "photos", "out")
    assert result.exit_code == 2 and "holds other files" in message(result)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_picture_that_cant_be_read_is_a_record_with_a_reason(gravurekit: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    write_bytes(tmp_path / "photos" / "torn.png", (tmp_path / "photos" / "0.png").read_bytes()[:2000])
    write_text(tmp_path / "photos" / "page.jpg", "<!DOCTYPE html><p>no picture")
    for verb in ("filter", "stylize"):
        assert gravurekit(verb, "photos", verb).exit_code == 0
        reasons = {item.reason for item in metadata.read_lines(tmp_path / verb / metadata.DROPPED)}
        assert reasons == {"unreadable", "not-an-image"}
        assert len(folder.read(tmp_path / verb)) == 3


@pytest.fixture(scope="session")
def trained(world: Path) -> Path:
    """A run of few steps on the shared workspace; the path of its folder."""
    train = ("-C", str(world), "train", "--steps", "3", "--head", "average", "--batch", "4", "--json", "--quiet")
    with narrow():  # a fixture of the session begins before that of the module, if a test that needs it comes first
        result = run_here(*train)
    assert result.exit_code == 0
    return world / json.loads(result.stdout)["out"]


def test_colorize_without_a_run_names_train(gravurekit: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "photos", 1)
    result = gravurekit("colorize", "photos")
    assert result.exit_code == 5 and "gravurekit train" in message(result)


def test_training_again_is_fresh(world: Path, trained: Path) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    again = run_here(
        "-C", str(world), "train", "--steps", "3", "--head", "average", "--batch", "4", "--json", "--quiet"
    )
    assert json.loads(again.stdout)["fresh"] and (trained / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_damaged_model_and_a_state_of_another_shape_are_refused(
    trained: Path, world: Path, gravurekit: Run, tmp_path: Path
) -> None:
    photographs(tmp_path / "photos", 1)
    data = (trained / "model.safetensors").read_bytes()
    write_bytes(tmp_path / "damaged" / "model.safetensors", data[: len(data) // 2])
    result = gravurekit("colorize", "photos", "--model", "damaged")
    assert result.exit_code == 5 and "damaged" in message(result)
    # a state that belongs to another training lies where this one's should be
    train = ("train", str(world / "shards"), "--head", "average", "--batch", "4", "--steps")
    first = json.loads(gravurekit(*train, "1", "--json", "--quiet").stdout)
    other = tmp_path / "runs" / f"{Path(first['out']).name}"
    second = json.loads(gravurekit(*train, "2", "--json", "--quiet").stdout)
    place = tmp_path / "runs" / Path(second["out"]).name
    (place / receipt.RECEIPT).unlink()
    storage.copy(other / "state.safetensors", place / "state.safetensors")
    result = gravurekit(*train, "2", "--quiet")
    assert result.exit_code == 5 and "steps" in message(result)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (411, 230)])
def test_prints_of_any_size_are_coloured_at_their_own_size(
    trained: Path, gravurekit: Run, tmp_path: Path, size: tuple[int, int]
) -> None:
    import numpy as np

    from gravurekit import images

    ink = np.random.default_rng(1).integers(0, 255, size, np.uint8)
    write_bytes(tmp_path / "print.png", images.encode_png(ink))
    for options in ((), ("--photo",)):
        result = gravurekit("colorize", "print.png", "--panel", "--model", str(trained), *options)
        assert result.exit_code == 0 and "coloured/print.png" in result.stdout
        assert images.read(tmp_path / "coloured" / "print.png").pixels.shape == (*size, 3)
        assert (tmp_path / "coloured" / "print-panel.png").is_file()


def test_photo_keeps_the_lightness(trained: Path, gravurekit: Run, tmp_path: Path) -> None:
    import numpy as np

    from gravurekit import color, images

    photographs(tmp_path, 1)
    gravurekit("colorize", "0.png", "--photo", "--saturation", "3", "--model", str(trained))
    before, after = (color.rgb_to_lab(images.read(tmp_path / name).pixels) for name in ("0.png", "coloured/0.png"))
    assert np.abs(before[..., 0] - after[..., 0]).mean() < 0.5
    assert np.abs(before[..., 1:] - after[..., 1:]).mean() > 0.5


def test_an_output_of_another_picture_is_not_overwritten(trained: Path, gravurekit: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "one", 1)
    photographs(tmp_path / "two", 2)
    storage.copy(tmp_path / "two" / "1.png", tmp_path / "two" / "0.png")
    colour = ("colorize", "--model", str(trained))
    assert gravurekit(*colour, "one/0.png").exit_code == 0
    before = (tmp_path / "coloured" / "0.png").read_bytes()
    assert gravurekit(*colour, "one/0.png").exit_code == 0  # the same picture: made again
    result = gravurekit(*colour, "two/0.png")
    assert result.exit_code == 2 and "--overwrite" in message(result)
    assert (tmp_path / "coloured" / "0.png").read_bytes() == before
    assert gravurekit(*colour, "two/0.png", "--overwrite").exit_code == 0
    assert (tmp_path / "coloured" / "0.png").read_bytes() != before
    write_text(tmp_path / "page.jpg", "<html>")
    assert gravurekit(*colour, "one/0.png", "page.jpg", "--overwrite").exit_code == 3
    assert gravurekit(*colour, "page.jpg").exit_code == 5


def test_a_colorize_that_was_ended_goes_on(
    trained: Path, gravurekit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs(tmp_path / "prints", 3)
    write, colour = storage.write_bytes, ("colorize", "prints", "--model", str(trained))

    def ended(path: Path, data: bytes) -> None:
        if path.name == "1.png":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(storage, "write_bytes", ended)
    assert gravurekit(*colour).exit_code == 130
    monkeypatch.setattr(storage, "write_bytes", write)
    assert gravurekit(*colour).exit_code == 0
    assert {path.name for path in (tmp_path / "coloured").glob("*.png")} == {"0.png", "1.png", "2.png"}


def test_a_panel_never_takes_the_name_of_a_picture(trained: Path, gravurekit: Run, tmp_path: Path) -> None:
    photographs(tmp_path / "prints", 2)
    storage.copy(tmp_path / "prints" / "1.png", tmp_path / "prints" / "0-panel.png")
    assert gravurekit("colorize", "prints", "--panel", "--model", str(trained)).exit_code == 0
    assert len(list((tmp_path / "coloured").glob("*.png"))) == 2 * 2  # 1.png and 0-panel.png are one picture


def test_nothing_is_coloured_into_a_folder_of_another_stage(trained: Path, world: Path, gravurekit: Run) -> None:
    result = gravurekit("colorize", str(world / "raw"), "--out", str(world / "clean"), "--model", str(trained))
    assert result.exit_code == 2 and "was made by filter" in message(result)
