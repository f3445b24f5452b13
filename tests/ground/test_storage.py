"""What stands under a final name is whole, whatever happens on the way."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from gravurekit import storage
from gravurekit.errors import StorageError

WRITERS: dict[str, Callable[[Path, Path], None]] = {
    "write_bytes": lambda source, target: storage.write_bytes(target, source.read_bytes()),
    "write_text": lambda source, target: storage.write_text(target, source.read_text()),
    "write_lines": lambda source, target: storage.write_lines(target, source.read_text().splitlines()),
    "write_json": lambda source, target: storage.write_json(target, source.read_text()),
    "link_or_copy": storage.link_or_copy,
    "copy": storage.copy,
}
BY_HAND = [name for name in WRITERS if name.startswith("write")]

FAULTS = {
    errno.ENOSPC: "make room and run the same command again",
    errno.EDQUOT: "make room and run the same command again",
    errno.EROFS: "choose another output folder",
    errno.EACCES: "change its permissions",
    errno.EIO: os.strerror(errno.EIO),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("new content\n")
    return path


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.endswith(storage.ASIDE)]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize("writer", BY_HAND)
def test_a_write_that_fails_leaves_the_old_content_and_no_trace(
    writer: str, code: int, call: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "target"
    storage.write_text(target, "old content")
    monkeypatch.setattr(os, call, failing(code))
    with pytest.raises(StorageError) as caught:
        WRITERS[writer](source, target)
    assert str(target) in str(caught.value) and FAULTS[code] in str(caught.value)
    assert target.read_text() == "old content"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("writer", ["link_or_copy", "copy"])
@pytest.mark.parametrize("call", ["os.replace", "shutil.copyfile"])
def test_a_copy_that_fails_leaves_the_old_content_and_no_trace(
    writer: str, call: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "target"
    storage.write_text(target, "old content")
    monkeypatch.setattr("os.link", failing(errno.EXDEV))
    monkeypatch.setattr(call, failing(errno.ENOSPC))
    with pytest.raises(StorageError, match="make room") as caught:
        WRITERS[writer](source, target)
    assert str(target) in str(caught.value)
    assert target.read_text() == "old content"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_new_bytes_are_on_the_disk_before_they_get_their_name(
    writer: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("replace"), replace(*names))[1])
    WRITERS[writer](source, tmp_path / "target")
    assert calls == ["fsync", "replace"]


def test_an_interrupted_write_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    storage.write_text(tmp_path / "target", "old content")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.write_text(tmp_path / "target", "new content")
    assert (tmp_path / "target").read_text() == "old content"
    assert leftovers(tmp_path) == []


def test_a_kill_leaves_only_whole_files_under_final_names(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from gravurekit import storage\n"
        "for n in range(10**6):\n"
        "    storage.write_bytes(Path(sys.argv[1], f'{n % 7}.bin'), bytes([n % 251]) * 300_000)\n"
        "    print(n, flush=True)\n"
    )
    for stop in (3, 17):
        writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        with writer.stdout as lines:
            for line in lines:
                if int(line) == stop:
                    break
            writer.send_signal(signal.SIGKILL)
            assert writer.wait(30) == -signal.SIGKILL
    whole = [path for path in tmp_path.iterdir() if path.suffix == ".bin"]
    assert len(whole) == 7
    for path in whole:
        data = path.read_bytes()
        assert len(data) == 300_000 and data == data[:1] * 300_000
    assert all(path in whole or path.name.endswith(storage.ASIDE) for path in tmp_path.iterdir())


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_where_a_folder_is_needed_is_explained(writer: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match="a file stands where a folder is needed: choose another output folder"):
        WRITERS[writer](source, tmp_path / "out" / "target")
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize("writer", BY_HAND)
def test_a_read_only_folder_is_explained(
    writer: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # root is never refused
        monkeypatch.setattr("tempfile.mkstemp", failing(errno.EACCES))
    with pytest.raises(StorageError, match="permission denied: choose another output folder"):
        WRITERS[writer](source, folder / "target")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_is_as_open_as_the_umask_says(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        storage.write_bytes(tmp_path / "target", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("torn", "whole"),
    [("", []), ('{"n": 1}\n', [1]), ('{"n": 1}\n{"n": 2', [1]), ('{"n"', []), ('{"n": 1}\n{"t": "\u00e9'[:-1], [1])],
)
def test_a_torn_line_never_swallows_the_next(torn: str, whole: list[int], tmp_path: Path) -> None:
    journal = tmp_path / "new" / "journal.jsonl"
    storage.write_bytes(journal, torn.encode())
    storage.append_line(journal, '{"n": 7}')
    storage.append_line(journal, '{"n": 8}')
    assert [entry["n"] for entry in storage.read_json_lines(journal)] == [*whole, 7, 8]


def test_a_journal_begins_with_its_folder(tmp_path: Path) -> None:
    storage.append_line(tmp_path / "a" / "b" / "journal.jsonl", "{}")
    assert (tmp_path / "a" / "b" / "journal.jsonl").read_text() == "{}\n"


def test_lines_that_are_no_whole_object_are_left_out(tmp_path: Path) -> None:
    lines = [b'{"n": 1}', b"", b'{"n": 2', b"[1]", b"7", b'{"n": "\xff"}', '{"n": "\u0131\u2028"}'.encode()]
    (tmp_path / "journal").write_bytes(b"\n".join(lines))
    assert storage.read_json_lines(tmp_path / "journal") == [{"n": 1}, {"n": "\u0131\u2028"}]
    assert storage.read_json_lines(tmp_path / "absent") == []


def test_a_link_is_the_same_file(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "target"
    storage.link_or_copy(source, target)
    assert target.samefile(source) and source.read_text() == "new content\n"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_where_no_link_is_possible_a_copy_is_made(
    code: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    storage.link_or_copy(source, tmp_path / "target")
    assert not (tmp_path / "target").samefile(source)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_put_onto_itself_or_its_link_stays(
    linked: bool, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.link_or_copy(source, tmp_path / "target")
    if not linked:
        monkeypatch.setattr(os, "link", failing(errno.EXDEV))
    for one, other in [(source, tmp_path / "target"), (source, source)]:
        storage.link_or_copy(one, other)
        assert source.read_text() == (tmp_path / "target").read_text() == "new content\n"
    assert leftovers(tmp_path) == []


def test_a_copy_doesnt_follow_its_source(source: Path, tmp_path: Path) -> None:
    storage.copy(source, tmp_path / "target")
    source.write_text("changed")
    assert (tmp_path / "target").read_text() == "new content\n"


def test_removing_takes_the_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    storage.write_text(tmp_path / "precious" / "a", "kept")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    for name in ("link", "absent"):
        storage.remove(tmp_path / name)
    assert not (tmp_path / "link").exists() and (tmp_path / "precious" / "a").read_text() == "kept"
    storage.remove(tmp_path / "precious")
    assert not (tmp_path / "precious").exists()


def test_json_is_written_for_people_and_for_diffs(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "x.json", {"b": "kırmızı", "a": [1]})
    assert (tmp_path / "x.json").read_bytes() == '{\n  "a": [\n    1\n  ],\n  "b": "kırmızı"\n}\n'.encode()
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1], "b": "kırmızı"}


def test_a_line_that_a_full_disk_tore_never_swallows_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = storage.LineFile(tmp_path / "journal")
    journal.add('{"n": 1}')

    class Full:
        """The file, whose disk has room for five bytes more."""

        def __init__(self, file: IO[bytes]) -> None:
            self.write = lambda data: file.write(data[:5])
            self.close = file.close

    assert journal._file is not None
    journal._file = Full(journal._file)  # type: ignore[assignment]
    with pytest.raises(StorageError, match="disk is full"):
        journal.add('{"n": 2}')
    journal.add('{"n": 3}')
    journal.close()
    assert [entry["n"] for entry in storage.read_json_lines(tmp_path / "journal")] == [1, 3]


def test_an_arrival_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    with storage.arriving(tmp_path / "in") as file:
        file.write(b"x")
        sha256 = file.keep()
    storage.write_bytes(tmp_path / "like", b"x")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "in" / sha256, tmp_path / "like")}
    assert len(modes) == 1


def test_an_arrival_that_isnt_kept_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), storage.arriving(tmp_path) as file:
        file.write(b"x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("put", [storage.link_or_copy, storage.copy])
def test_the_same_file_put_by_many_at_once_is_whole_and_spares_its_sources(
    put: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    sources = [tmp_path / f"{n}.png" for n in range(8)]
    for path in sources:
        storage.write_bytes(path, bytes(2_000_000))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            (tmp_path / "out" / "same").unlink(missing_ok=True)
            list(pool.map(lambda path: put(path, tmp_path / "out" / "same"), sources))
            assert {path.stat().st_size for path in [*sources, tmp_path / "out" / "same"]} == {2_000_000}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["same"]


def test_other_lines_in_the_place_of_a_file_leave_it_its_time(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\nb\n")
    os.utime(path, ns=(10**18, 10**18 + 7))
    storage.replace_lines(path, [b"b"])
    assert path.read_bytes() == b"b\n" and path.stat().st_mtime_ns == 10**18 + 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["lines"]
    with pytest.raises(StorageError):
        storage.replace_lines(tmp_path / "absent", [b"b"])
