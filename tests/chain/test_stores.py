"""Folders on an object store: the same bytes as on a disk. On fsspec's own store in memory, which is real in all but
the distance; tests/extras has them on a server."""

import errno
import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stores import digests_of
from typer.testing import Result
from workspace import digests, run_here

from gravurekit import metadata, objects, storage
from gravurekit.errors import DataError, StorageError
from gravurekit.storage import _fetched, _locks

Run = Callable[..., Result]
JOURNALS = ("journal.jsonl",)
HERE = ("--executor", "serial")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a folder of its own; a cache of its own as well."""
    monkeypatch.setenv("GRAVUREKIT_CACHE", str(tmp_path / "cache"))
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    objects.remove_below(url)


def chain(root: str, words: Path) -> None:
    """As `world` of conftest, but every folder is on the store."""
    for arguments in (
        ("crawl", str(words), "--source", "sample", "--per-keyword", "22", "--out", f"{root}/raw"),
        ("filter", f"{root}/raw", f"{root}/clean", "--relevance", "none"),
        ("stylize", f"{root}/clean", f"{root}/styled", "--short-side", "128", "--style", "cartoon"),
        ("shard", f"{root}/styled", f"{root}/shards", "--size", "64"),
    ):
        result = run_here(*arguments, *HERE)
        assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_the_chain_ends_in_the_same_bytes(root: str, world: Path, tmp_path: Path) -> None:
    chain(root, world / "words.txt")
    for name in ("raw", "clean", "styled", "shards"):
        assert digests_of(f"{root}/{name}", tmp_path / name, but=JOURNALS) == digests(world / name, but=JOURNALS)
    assert not list((tmp_path / "cache").rglob(f"*{storage.ASIDE}"))
    assert not {name for name in objects.below(root) if ".lock" in name or "/parts/" in name or "/incoming/" in name}


def test_a_second_run_is_fresh_and_another_machine_knows_it(
    root: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_up(world / "clean", f"{root}/clean")
    drawing = ("stylize", f"{root}/clean", f"{root}/styled", "--short-side", "64", "--style", "cartoon", *HERE)
    assert "[fresh]" not in run_here(*drawing).stdout
    assert "[fresh]" in run_here(*drawing).stdout
    monkeypatch.setenv("GRAVUREKIT_CACHE", str(tmp_path / "elsewhere"))
    assert "[fresh]" in run_here(*drawing).stdout
    more = run_here(*drawing, "--variants", "2", "--json").stdout
    assert '"drawn before"' in more, "what was drawn is kept, wherever it was drawn"


def copy_up(folder: Path, url: str) -> None:
    """Put a folder of this disk on the store."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        objects.write(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def test_a_plain_folder_of_pictures_will_do(root: str, world: Path, tmp_path: Path) -> None:
    names = sorted((world / "raw" / "images").iterdir())[:4]
    for number, path in enumerate(names):
        objects.write(f"{root}/mine/robes/{number}{path.suffix}", path.read_bytes())
        storage.copy(path, tmp_path / "mine" / "robes" / f"{number}{path.suffix}")
    quick = ("--short-side", "64", "--style", "cartoon", *HERE)
    for source, out in ((f"{root}/mine", f"{root}/styled"), (str(tmp_path / "mine"), str(tmp_path / "styled"))):
        assert run_here("stylize", source, out, *quick).exit_code == 0
    assert digests_of(f"{root}/styled", tmp_path / "taken") == digests(tmp_path / "styled")


def test_what_was_damaged_or_lost_there_is_told_and_made_anew(root: str, world: Path, tmp_path: Path) -> None:
    copy_up(world / "clean", f"{root}/clean")
    drawing = ("stylize", f"{root}/clean", f"{root}/styled", "--short-side", "64", "--style", "cartoon", *HERE)
    sharding = ("shard", f"{root}/styled", f"{root}/shards", "--size", "32", *HERE)
    assert run_here(*drawing).exit_code == 0
    before = digests_of(f"{root}/styled", tmp_path / "before")
    names = sorted(name for name in objects.below(f"{root}/styled") if name.startswith("plain/"))
    objects.write(f"{root}/styled/{names[0]}", b"not what was written")
    objects.remove(f"{root}/styled/{names[1]}")
    result = run_here(*sharding)
    assert result.exit_code == 5 and "isn't the file that was written" in str(result.exception)
    assert run_here(*drawing).exit_code == 0
    assert digests_of(f"{root}/styled", tmp_path / "after") == before
    assert run_here(*sharding).exit_code == 0


def test_what_somebody_else_put_there_meanwhile_is_seen(root: str, world: Path) -> None:
    """Metadata in the mirror is that of the store, not that of the last time."""
    copy_up(world / "clean", f"{root}/clean")
    drawing = ("stylize", f"{root}/clean", f"{root}/styled", "--short-side", "64", "--style", "cartoon", *HERE)
    assert run_here(*drawing).exit_code == 0
    lines = (objects.read(f"{root}/clean/{metadata.METADATA}") or b"").splitlines(keepends=True)
    objects.write(f"{root}/clean/{metadata.METADATA}", b"".join(lines[:-1]))
    for name in (metadata.MARKER, "receipt.json"):  # it is theirs now
        objects.remove(f"{root}/clean/{name}")
    kept = objects.below(f"{root}/styled")
    assert run_here(*drawing).exit_code == 0
    assert len(objects.below(f"{root}/styled")) == len(kept) - 3


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://plates", "is a whole bucket: name a folder in it"),
        ("s3://", "names no folder"),
        ("s3://plates/../other", "names no folder"),
        ("ftp://host/folder", "folders lie on a disk, or on s3://, gs://, memory://"),
        ("memory://a//b", "names no folder"),
        ("s3://plates/a\nb", "names no folder"),
        ("s3://plates/incoming/raw", "incoming is what gravurekit calls a folder in its own"),
        ("s3://plates/parts", "parts is what gravurekit calls a folder in its own"),
        ("s3:///plates/a", "names no folder"),
        ("S3://plates", "is a whole bucket: name a folder in it, s3://"),
        ("s3://plates/a?versionId=3", "names no folder"),
    ],
)
def test_urls_that_name_no_folder_are_refused(url: str, said: str, gravurekit: Run) -> None:
    result = gravurekit("stylize", url, "styled")
    assert result.exit_code == 2 and said in str(result.exception)


def test_memory_is_seen_by_one_process_only(root: str, world: Path) -> None:
    copy_up(world / "clean", f"{root}/clean")
    result = run_here("stylize", f"{root}/clean", f"{root}/styled", "--executor", "local", "--jobs", "2")
    assert result.exit_code == 2 and "lives in one process: add --executor serial" in str(result.exception)


def test_other_folders_stay_on_this_disk(gravurekit: Run) -> None:
    result = gravurekit("colorize", "print.jpg", "--out", "s3://plates/coloured")
    assert result.exit_code == 2 and "must be on this disk" in str(result.exception)


@pytest.mark.parametrize("name", ["../evil.jpg", "images/../../evil.jpg", "a//b.jpg", "./b.jpg", "a?versionId=3"])
def test_keys_that_would_lie_elsewhere_are_refused(
    name: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {f"{root.removeprefix('memory:/')}/mine/{name}": {"type": "file", "size": 3, "created": 1.0}}
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.find", lambda *_, **__: {
        f"{key}": value | {"name": key} for key, value in listed.items()
    })  # fmt: skip
    with pytest.raises(Exception, match="holds a key that no file can have"):
        storage.pull_all(storage.place(f"{root}/mine"))
    assert not list(tmp_path.rglob("evil.jpg"))


def test_what_lies_there_is_handed_over_and_reported(root: str, world: Path, gravurekit: Run, tmp_path: Path) -> None:
    copy_up(world / "clean", f"{root}/clean")
    for source, out in ((f"{root}/clean", "there"), (str(world / "clean"), "here")):
        assert gravurekit("export", "imagefolder", source, out, *HERE).exit_code == 0
        assert gravurekit("credits", source, "--out", f"credits {out}").exit_code == 0
        assert gravurekit("report", source, "--out", f"{out}.html", *HERE).exit_code == 0
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
    assert digests(tmp_path / "credits there") == digests(tmp_path / "credits here")


def test_other_files_are_left_there_and_keep_us_out(root: str, world: Path, gravurekit: Run, tmp_path: Path) -> None:
    objects.write(f"{root}/theirs/backup.tar", b"large")
    result = gravurekit("stylize", str(world / "clean"), f"{root}/theirs", *HERE)
    assert result.exit_code == 2 and "holds other files (backup.tar, …)" in str(result.exception)
    assert not list((tmp_path / "cache").rglob("backup.tar"))


def test_messages_name_urls(root: str, gravurekit: Run) -> None:
    result = gravurekit("stylize", f"{root}/nothing", "styled")
    assert result.exit_code == 2
    assert objects.shown(str(result.exception)) == f"{root}/nothing: no such folder"


def test_what_is_fetched_is_bounded(root: str, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least used goes first, and what goes is fetched again."""
    copy_up(world / "raw", f"{root}/raw")
    monkeypatch.setenv("GRAVUREKIT_CACHE_GB", "0.00002")
    monkeypatch.setattr(_fetched, "YOUNG", 0.0)
    found = metadata.read_lines(storage.place(f"{root}/raw") / metadata.METADATA)
    for _ in range(2):
        for item in found:
            path = storage.at_hand(objects.mirror_of(f"{root}/raw") / item.file_name, item.sha256)
            assert metadata.file_sha256(path) == item.sha256
    kept = [path.stat().st_size for path in (objects.cache_folder() / "fetched").rglob("*") if path.is_file()]
    assert len(kept) < 3 and 100_000 < sum((world / "raw" / item.file_name).stat().st_size for item in found)


@pytest.mark.slow
def test_forgetting_reaches_the_store(root: str, world: Path, gravurekit: Run, tmp_path: Path) -> None:
    chain(root, world / "words.txt")
    lines = [f'{name} = "{root}/{name}"' for name in ("raw", "clean", "styled", "shards")]
    Path("gravurekit.toml").write_text("\n".join(["[paths]", *lines]), "utf-8")
    key = metadata.read_lines(storage.place(f"{root}/clean") / metadata.METADATA)[0].key
    result = gravurekit("forget", key)
    assert result.exit_code == 0 and f"{root}/shards" in result.output, result.output
    left = {name: objects.read(f"{root}/{name}") or b"" for name in objects.below(root)}
    assert not [name for name, data in left.items() if key in name or key.encode() in data]
    assert not [path for path in (tmp_path / "cache").rglob("*") if key in path.name]
    assert gravurekit("shard", "--verify", f"{root}/shards", *HERE).exit_code == 0


@pytest.mark.parametrize("name", ["raw*", "raw[12]", "raw?"])
def test_what_is_removed_is_no_pattern(name: str, root: str) -> None:
    for folder in ("raw1", "raw2", name):
        objects.write(f"{root}/{folder}/parts/0.jsonl", b"x")
    objects.remove_below(f"{root}/{name}/parts")
    assert sorted(objects.below(root)) == ["raw1/parts/0.jsonl", "raw2/parts/0.jsonl"]


@pytest.mark.parametrize("size", [3, 2**24 + 1])
def test_a_kept_file_that_was_damaged_is_fetched_anew(size: int, root: str) -> None:
    whole = bytes(size)
    objects.write(f"{root}/raw/images/a.png", whole)
    path, sha256 = objects.mirror_of(f"{root}/raw") / "images" / "a.png", hashlib.sha256(whole).hexdigest()
    kept = storage.at_hand(path, sha256)
    storage.write_bytes(kept, b"\1" + whole[1:])
    assert storage.at_hand(path, sha256).read_bytes() == whole


def test_somebodys_files_in_the_cache_stay(root: str) -> None:
    objects.write(f"{root}/raw/images/a.png", b"a")
    kept = storage.at_hand(objects.mirror_of(f"{root}/raw") / "images" / "a.png")
    storage.write_bytes(kept.with_name("mine.txt"), b"mine")
    storage.forget_fetched()
    assert [path.name for path in kept.parent.iterdir()] == ["mine.txt"]


def test_messages_name_urls_wherever_the_cache_lies(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAVUREKIT_CACHE", str(tmp_path / "my own cache"))
    assert objects.shown(f"can't write {objects.mirror_of(root)}/a b: no") == f"can't write {root}/a b: no"


def test_keys_that_change_places_with_folders_are_followed(root: str) -> None:
    place = storage.place(f"{root}/mine")
    for before, after in (("a", "a/b"), ("a/b", "a")):
        objects.remove_below(f"{root}/mine")
        objects.write(f"{root}/mine/{before}", b"x")
        storage.pull_all(place)
        objects.remove_below(f"{root}/mine")
        objects.write(f"{root}/mine/{after}", b"y")
        storage.pull_all(place)
        assert (place / after).read_bytes() == b"y"


def test_a_key_of_a_name_too_long_for_a_file_is_told(root: str) -> None:
    objects.write(f"{root}/mine/{'l' * 255}", b"x")
    storage.pull_all(storage.place(f"{root}/mine"))
    objects.write(f"{root}/mine/{'l' * 256}", b"x")
    with pytest.raises(DataError, match="is a key that no file can have"):
        storage.pull_all(objects.mirror_of(f"{root}/mine"))


def test_a_full_cache_is_told_as_such(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects.write(f"{root}/raw/images/a.png", b"a")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.get_file", full)
    with pytest.raises(StorageError, match="make room in .*cache, or set GRAVUREKIT_CACHE"):
        storage.at_hand(objects.mirror_of(f"{root}/raw") / "images" / "a.png")


def test_a_lock_that_another_machine_left_keeps_no_reader_out(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_locks, "BEAT", 0.05)
    objects.write(f"{root}/raw/{metadata.LOCK}", b'{"pid": 1, "host": "another"}')
    found = storage.lock_holder(objects.mirror_of(f"{root}/raw") / metadata.LOCK)
    assert found is not None and not found[1]


def test_a_cache_that_cant_be_written_is_told(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAVUREKIT_CACHE", str(tmp_path / "file"))
    objects.write(f"{root}/raw/metadata.jsonl", b"")
    with pytest.raises(StorageError, match="can't write .*/file for .* set GRAVUREKIT_CACHE to another folder"):
        storage.place(f"{root}/raw")


def test_where_the_cache_lies_decides_nothing(
    root: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if it is called as a folder of ours."""
    monkeypatch.setenv("GRAVUREKIT_CACHE", str(tmp_path / "incoming" / "parts"))
    copy_up(world / "clean", f"{root}/clean")
    drawing = ("stylize", f"{root}/clean", f"{root}/styled", "--short-side", "64", "--style", "cartoon", *HERE)
    assert run_here(*drawing).exit_code == 0
    assert {"receipt.json", metadata.METADATA} <= objects.below(f"{root}/styled").keys()
