"""Folders: what is read is what was written, and a receipt proves it."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gravurekit import folder, foreign, metadata, storage
from gravurekit.errors import DataError, StorageError, UsageError
from gravurekit.progress import SILENT
from gravurekit.receipt import Plan
from gravurekit.record import Record

Png = Callable[[int], bytes]
PLAN = Plan(stage="look", revision=1, settings={"side": 64, "names": ["ı"]}, inputs={"records": "abc"}, seed=3)
DROPPED = [
    Record(key="f" * 16, url="http://b", reason="http-404"),
    Record(key="e" * 16, url="http://a", reason="too-small", detail="3 × 4"),
    Record(key="f" * 16, url="http://a", reason="http-404"),
]


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def opened(path: Path, stage: str = "look", source: Path | None = None) -> None:
    """Begin and end work in a folder."""
    with folder.opened(path, stage, (), SILENT, source):
        pass


@pytest.fixture
def make(tmp_path: Path, png: Png) -> Callable[..., folder.Summary]:
    """`make(numbers)`: the folder `out/`, made as a stage makes it, with these pictures."""

    def made(numbers: range = range(3), plan: Plan = PLAN, dropped: list[Record] = DROPPED) -> folder.Summary:
        out = tmp_path / "out"
        opened(out)
        (out / "parts").mkdir()
        kept = []
        for n in numbers:
            sha256 = hashlib.sha256(png(n)).hexdigest()
            kept.append(Record(key=sha256[:16], file_name=f"images/{sha256[:16]}.png", sha256=sha256, title=f"№ {n}"))
            put(out, {kept[-1].file_name: png(n)})
        return folder.finish(out, plan, reversed(kept), dropped, 1.25, {"said": 1})

    return made


def test_a_plain_folder_gives_records(tmp_path: Path, png: Png) -> None:
    names = ["a.png", "red dress/b c.JPG", "red dress/deep/çarşaf ı.png", "Ünlü/x.webp", "test/d.tiff"]
    put(tmp_path, {name: png(n) for n, name in enumerate(names)})
    put(tmp_path, {"notes.txt": b"x", ".hidden.png": png(90), ".git/e.png": png(91), "README": b"x"})
    found = folder.read(tmp_path)
    by_name = {item.file_name: item for item in found}
    assert sorted(by_name) == sorted(names) == foreign.picture_files(tmp_path)
    assert [item.key for item in found] == sorted(item.key for item in found)
    assert [by_name[name].labels for name in names] == [(), ("red dress",), ("deep",), ("Ünlü",), ("test",)]
    for n, name in enumerate(names):
        item = by_name[name]
        assert item.sha256 == hashlib.sha256(png(n)).hexdigest() and item.key == item.sha256[:16]
        assert (item.source, item.url) == ("folder", f"folder:{name}")


def test_the_same_bytes_twice_are_one_picture_with_both_labels(tmp_path: Path, png: Png) -> None:
    put(tmp_path, {"b/2.png": png(1), "a/1.png": png(1), "c/other.png": png(2), "a/again.png": png(1)})
    same = next(item for item in folder.read(tmp_path) if item.file_name != "c/other.png")
    assert (same.file_name, same.labels) == ("a/1.png", ("a", "b"))


def test_what_a_folder_gives_doesnt_depend_on_where_it_lies(tmp_path: Path, png: Png) -> None:
    digests = set()
    for place in ("one", "another place"):
        put(tmp_path / place, {"a/1.png": png(1), "b/2.png": png(2)})
        digests.add(metadata.input_digest(folder.read(tmp_path / place)))
    assert len(digests) == 1


def test_a_name_that_is_no_unicode_is_a_picture_like_others_or_refused_by_name(tmp_path: Path, png: Png) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(png(1))
    except OSError:
        pytest.skip("this disk takes Unicode names only")
    put(tmp_path, {"a.png": png(2)})
    try:
        found = folder.read(tmp_path)
    except DataError as error:
        assert "caf" in str(error)
    else:
        assert len(found) == 2 and len(metadata.input_digest(found)) == 64


@pytest.mark.parametrize(
    ("files", "kind", "code", "complaint"),
    [
        (None, UsageError, 2, "no such folder"),
        ({}, DataError, 5, "no picture in it"),
        ({"notes.txt": b"x"}, DataError, 5, "no picture in it"),
        ({"metadata.jsonl": b""}, DataError, 5, "holds no picture"),
        ({"metadata.jsonl": b'{"key": "a"}\n{"key"\n'}, DataError, 5, "line 2"),
        ({".gravurekit": b"look\n", "parts/look/plan": b"x"}, DataError, 5, "isn't finished: run `gravurekit look`"),
        ({".gravurekit": b"crawl\n", "journal.jsonl": b"{}\n", "a.png": b"x"}, DataError, 5, "isn't finished"),
    ],
    ids=["missing", "empty", "no picture", "all dropped", "torn", "parts", "journal"],
)
def test_a_folder_that_cant_be_read_says_why(
    files: dict[str, bytes] | None, kind: type[UsageError], code: int, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "in"
    if files is not None:
        path.mkdir()
        put(path, files)
    with pytest.raises(kind, match=complaint) as caught:
        folder.read(path)
    assert str(path) in str(caught.value) and caught.value.exit_code == code


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        folder.read(put(tmp_path, {"a.png": b"x"}) / "a.png")


def test_a_finished_folder_is_read_as_it_was_written(make: Callable, tmp_path: Path) -> None:
    summary = make()
    kept, dropped = folder.read(tmp_path / "out"), metadata.read_lines(tmp_path / "out" / "dropped.jsonl")
    assert [item.key for item in kept] == sorted(item.key for item in kept)
    assert sorted(item.title for item in kept) == ["№ 0", "№ 1", "№ 2"]
    assert [(item.key[0], item.url) for item in dropped] == [("e", "http://a"), ("f", "http://a"), ("f", "http://b")]
    assert (summary.came, summary.kept, summary.dropped) == (6, 3, {"http-404": 2, "too-small": 1})
    assert summary.came == summary.kept + sum(summary.dropped.values()) and not summary.fresh


def test_the_same_plan_is_fresh(make: Callable, tmp_path: Path) -> None:
    made = make()
    found = folder.look(tmp_path / "out", PLAN.model_copy()).done
    assert found and found.fresh
    facts = ("stage", "out", "came", "kept", "dropped", "seconds", "facts")
    assert [getattr(found, fact) for fact in facts] == [getattr(made, fact) for fact in facts]


def test_the_same_plan_writes_the_same_bytes(make: Callable, tmp_path: Path) -> None:
    def contents() -> dict[str, bytes]:
        files = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
        return {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files}

    make()
    first = contents()
    make()
    assert contents() == first and len(first) == 7


@pytest.mark.parametrize(
    "change",
    [{"stage": "other"}, {"revision": 2}, {"settings": {"side": 65, "names": ["ı"]}}, {"settings": {"side": 64}},
     {"inputs": {"records": "abd"}}, {"inputs": {"records": "abc", "style": "x"}}, {"seed": 4}],
)  # fmt: skip
def test_another_plan_is_not_fresh(change: dict, make: Callable, tmp_path: Path) -> None:
    make()
    assert folder.look(tmp_path / "out", PLAN.model_copy(update=change)).done is None


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace("№ 1".encode(), "№ 9".encode()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda out: sorted((out / "images").iterdir())[1].unlink(),
        lambda out: edit(out / "metadata.jsonl"),
        lambda out: (out / "metadata.jsonl").unlink(),
        lambda out: (out / "dropped.jsonl").write_bytes(b""),
        lambda out: (out / "dropped.jsonl").unlink(),
        lambda out: (out / "receipt.json").unlink(),
    ],
    ids=["a picture gone", "metadata edited", "metadata gone", "dropped emptied", "dropped gone", "receipt gone"],
)
def test_what_was_touched_is_not_fresh(damage: Callable[[Path], None], make: Callable, tmp_path: Path) -> None:
    make()
    damage(tmp_path / "out")
    assert folder.look(tmp_path / "out", PLAN).done is None


def test_times_and_facts_are_no_part_of_what_makes_a_folder_fresh(make: Callable, tmp_path: Path) -> None:
    make()
    receipt = json.loads((tmp_path / "out" / "receipt.json").read_text())
    receipt["measured"] = {}
    storage.write_json(tmp_path / "out" / "receipt.json", receipt)
    assert folder.look(tmp_path / "out", PLAN).done


def test_a_folder_that_was_never_made_is_not_fresh(tmp_path: Path) -> None:
    assert folder.look(tmp_path / "absent", PLAN).done is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"plan": {}}', b"\xff\xfe", b"counts: {}", b"parts: 7"],
    ids=["empty", "torn", "list", "null", "no plan", "no text", "no counts", "plan a number"],
)
def test_a_damaged_receipt_is_refused_by_readers_and_made_anew_by_its_stage(
    content: bytes, make: Callable, tmp_path: Path
) -> None:
    make()
    path = tmp_path / "out" / "receipt.json"
    if content.startswith(b"counts"):
        content = json.dumps(json.loads(path.read_text()) | {"counts": {}}).encode()
    elif content.startswith(b"parts"):
        content = json.dumps(json.loads(path.read_text()) | {"plan": 7}).encode()
    path.write_bytes(content)
    assert folder.look(tmp_path / "out", PLAN) == folder.State(None, ("receipt.json is damaged",))
    with pytest.raises(DataError, match=r"receipt\.json is damaged: run the stage again"):
        folder.read(tmp_path / "out")


def test_a_kill_between_the_receipt_and_the_clearing_leaves_no_folder_in_between(
    make: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = storage.remove

    def killed(path: Path) -> None:
        if path.name == "parts":
            raise KeyboardInterrupt
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            make()
    # the next run of the stage either says that all is done, and then it can be read, or does it again
    if folder.look(tmp_path / "out", PLAN).done is None:
        opened(tmp_path / "out")
    else:
        assert len(folder.read(tmp_path / "out")) == 3


@pytest.mark.parametrize("files", [{"thesis.txt": b"x"}, {"images/holiday.jpg": b"x"}, {"a.png": b"x", "b.png": b"x"}])
def test_a_folder_of_other_files_is_never_written_into(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "out", files)
    with pytest.raises(UsageError, match="holds other files .*: choose a new or empty folder"):
        opened(tmp_path / "out")
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in files.items())


def test_an_empty_or_new_folder_or_one_of_ours_is_taken(make: Callable, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/deep"):
        opened(tmp_path / name)
    make()
    opened(tmp_path / "out")
    assert not (tmp_path / "out" / "receipt.json").exists() and (tmp_path / "out" / "images").exists()
    assert folder.look(tmp_path / "out", PLAN).done is None


@pytest.mark.parametrize("count", [2, 1, 0])
def test_a_smaller_run_removes_what_the_larger_one_left(count: int, make: Callable, tmp_path: Path) -> None:
    make(range(3))
    make(range(count))
    named = {item.file_name for item in metadata.read_lines(tmp_path / "out" / "metadata.jsonl")}
    there = {f"images/{path.name}" for path in (tmp_path / "out" / "images").glob("*")}
    assert there == named and len(named) == count


def test_two_pictures_of_one_key_are_refused(tmp_path: Path) -> None:
    opened(tmp_path / "out")
    twins = [Record(key="a" * 16, sha256=digit * 64, url=f"http://{digit}") for digit in "bc"]
    with pytest.raises(DataError, match="share the key a+: http://b and http://c"):
        folder.finish(tmp_path / "out", PLAN, twins, [], 0.0)
    variants = [item.but(variant=n) for n, item in enumerate(twins)]
    assert folder.finish(tmp_path / "out", PLAN, variants, [], 0.0).kept == 2


def test_a_full_disk_leaves_a_folder_that_isnt_finished(
    make: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(aside: str, target: Path) -> None:
        if Path(target).name == "receipt.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(aside, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="make room"):
        make()
    assert folder.look(tmp_path / "out", PLAN).done is None
    with pytest.raises(DataError, match="isn't finished"):
        folder.read(tmp_path / "out")


@pytest.mark.parametrize("out", ["in", "in/styled", ".", "./in/../in"])
def test_an_output_in_around_or_at_its_input_is_refused(out: str, tmp_path: Path, png: Png) -> None:
    put(tmp_path / "in", {"a.png": png(1)})
    with pytest.raises(UsageError, match="must be folders apart"):
        opened(tmp_path / out, "look", tmp_path / "in")
    assert (tmp_path / "in" / "a.png").read_bytes() == png(1)


def test_the_folder_of_another_stage_is_refused(make: Callable, tmp_path: Path) -> None:
    make()
    with pytest.raises(UsageError, match="was made by look: choose another folder for filter"):
        opened(tmp_path / "out", "filter")
    assert len(folder.read(tmp_path / "out")) == 3


def test_metadata_of_another_program_makes_no_folder_of_ours(tmp_path: Path, png: Png) -> None:
    put(tmp_path / "in", {"metadata.jsonl": b'{"file_name": "a.png", "text": "a dress"}\n', "a.png": png(1)})
    assert [item.file_name for item in folder.read(tmp_path / "in")] == ["a.png"]
    with pytest.raises(UsageError, match="holds other files"):
        opened(tmp_path / "in")
