"""Whatever became of a folder since it was written is recognised, and said with what to do about it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gravurekit import audit, folder, metadata, storage
from gravurekit.errors import DataError
from gravurekit.progress import SILENT
from gravurekit.receipt import FORMAT, NewerReceipt, Plan, differences
from gravurekit.record import Record

PLAN = Plan(stage="look", revision=1, settings={"side": 64}, inputs={"records": "abc"})


@pytest.fixture
def made(tmp_path: Path, png: Callable[[int], bytes]) -> Path:
    """A finished folder of three pictures, one of which has ink and wash."""
    import hashlib

    out = tmp_path / "made"
    with folder.opened(out, "look", (), SILENT):
        kept = []
        for n in range(3):
            sha256 = hashlib.sha256(png(n)).hexdigest()
            kept.append(Record(key=sha256[:16], file_name=f"images/{sha256[:16]}.png", sha256=sha256))
            storage.write_bytes(out / kept[n].file_name, png(n))
        ink = f"plain/{kept[0].key}.png"
        storage.write_bytes(out / ink, png(7))
        kept[0] = kept[0].but(plain_file_name=ink, plain_sha256=hashlib.sha256(png(7)).hexdigest())
        folder.finish(out, PLAN, kept, [Record(key="f" * 16, reason="too-small")], 0.1)
    return out


def first(made: Path, room: str = "images") -> Path:
    return sorted((made / room).iterdir())[0]


def tear(path: Path, count: int = 9) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def spoil(path: Path) -> None:
    """Other bytes, as many as before, some time later."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(time.time_ns() + 10**9,) * 2)


def edit_receipt(made: Path, **changes: object) -> None:
    path = made / "receipt.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


AGAIN = "run `gravurekit look` again"
DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a picture gone": (lambda made: first(made).unlink(), "missing", AGAIN),
    "ink gone": (lambda made: first(made, "plain").unlink(), "missing", AGAIN),
    "a picture changed": (lambda made: spoil(first(made)), "changed", AGAIN),
    "ink changed": (lambda made: spoil(first(made, "plain")), "changed", AGAIN),
    "a picture emptied": (lambda made: first(made).write_bytes(b""), "changed", AGAIN),
    "a folder in a picture's place": (lambda made: (first(made).unlink(), (made / "images").rename(made / "i")),
                                      "missing", AGAIN),
    "a last line torn": (lambda made: tear(made / "metadata.jsonl"), "torn", AGAIN),
    "lines of zeros": (lambda made: (made / "metadata.jsonl").write_bytes(b"\0" * 99), "torn", AGAIN),
    "metadata gone": (lambda made: (made / "metadata.jsonl").unlink(), "missing", AGAIN),
    "metadata edited": (lambda made: (made / "metadata.jsonl").write_bytes(
        (made / "metadata.jsonl").read_bytes().replace(b'"key"', b'"labels":["x"],"key"', 1)), "edited",
        "keep the edit: remove"),
    "a line taken out": (lambda made: (made / "metadata.jsonl").write_bytes(
        (made / "metadata.jsonl").read_bytes().partition(b"\n")[2]), "edited", "keep the edit: remove"),
    "dropped gone": (lambda made: (made / "dropped.jsonl").unlink(), "missing", AGAIN),
    "receipt gone": (lambda made: (made / "receipt.json").unlink(), "unfinished", AGAIN),
    "receipt torn": (lambda made: tear(made / "receipt.json"), "receipt", "run the stage again"),
    "receipt of a newer gravurekit": (lambda made: edit_receipt(made, format=FORMAT + 1), "receipt",
                                      "pip install --upgrade gravurekit"),
    "a newer receipt of another form": (lambda made: (made / "receipt.json").write_text('{"format": 99, "x": 1}'),
                                        "receipt", "pip install --upgrade gravurekit"),
    "a file that no line names": (lambda made: (made / "images" / "holiday.jpg").write_bytes(b"x"), "unnamed",
                                  "gravurekit crawl --source folder:PATH"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_became_of_a_folder_is_recognised_with_what_to_do(damage: str, made: Path) -> None:
    assert audit.inspect(made).faults == [] and len(folder.read(made)) == 3
    do, kind, todo = DAMAGES[damage]
    do(made)
    grave = audit.inspect(made).grave
    assert kind in {fault.kind for fault in grave}
    assert todo in next(str(fault) for fault in grave if fault.kind == kind)
    with pytest.raises(DataError) as caught:
        folder.read(made)
    assert todo in str(caught.value) and str(made) in str(caught.value)
    if "newer" in damage:
        for use in (lambda: folder.look(made, PLAN), lambda: folder.claim(made, "look")):
            with pytest.raises(NewerReceipt):
                use()
    elif kind == "unnamed":  # making the folder anew wouldn't help
        assert folder.look(made, PLAN).done
    else:
        assert folder.look(made, PLAN).done is None and folder.look(made, PLAN).reasons


def test_an_old_file_of_other_bytes_shows_to_who_looks_deeply(made: Path) -> None:
    path = first(made)
    before = path.stat().st_mtime_ns
    spoil(path)
    os.utime(path, ns=(before, before))
    assert audit.inspect(made).faults == []
    assert [fault.kind for fault in audit.inspect(made, deep=True).faults] == ["changed"]


@pytest.mark.parametrize("name", ["images/.DS_Store", "images/Thumbs.db", "notes.txt", "images/notes.txt", ".hidden"])
def test_files_that_are_no_pictures_disturb_nobody(name: str, made: Path) -> None:
    (made / name).write_bytes(b"x")
    assert audit.inspect(made).faults == [] and folder.look(made, PLAN).done


def test_what_an_ended_run_left_is_named_and_disturbs_nobody(made: Path) -> None:
    (made / "images" / "0123456789abcdef.png").write_bytes(b"x")
    (made / "images" / "0123456789abcdef.png.xyz.gravurekit.part").write_bytes(b"x")
    (made / "parts").mkdir()
    (made / ".gravurekit.lock").write_text('{"pid": 999999999, "host": "' + os.uname().nodename + '"}')
    assert sorted(fault.kind for fault in audit.inspect(made).faults) == ["left-over", "stale-lock"]
    assert len(folder.read(made)) == 3 and folder.look(made, PLAN).done


def test_an_edit_is_kept_when_the_folder_is_made_ones_own(made: Path) -> None:
    """As the message says: the receipt and the marker go, and the edited lines are read as they are."""
    DAMAGES["metadata edited"][0](made)
    (made / "receipt.json").unlink()
    (made / ".gravurekit").unlink()
    assert ("x",) in {item.labels for item in folder.read(made)}
    (made / "images" / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="add a line for it, or move it out"):
        folder.read(made)
    (made / "images" / "holiday.jpg").unlink()
    first(made).unlink()
    with pytest.raises(DataError, match="put it back, or take its line out"):
        folder.read(made)


def test_files_of_others_survive_a_run(made: Path) -> None:
    (made / "images" / "thesis.txt").write_text("years of work")
    (made / "images" / "holiday.jpg").write_bytes(b"x")
    (made / "images" / "0123456789abcdef.png").write_bytes(b"of an earlier run")
    with folder.opened(made, "look", (), SILENT):
        folder.finish(made, PLAN, folder_records(made), [], 0.1)
    assert {"thesis.txt", "holiday.jpg"} <= {path.name for path in (made / "images").iterdir()}
    assert not (made / "images" / "0123456789abcdef.png").exists()


def folder_records(made: Path) -> list[Record]:
    return metadata.read_lines(made / "metadata.jsonl")


@pytest.mark.parametrize(
    ("changes", "causes"),
    [
        ({}, []),
        ({"settings": {"pitch": 6, "[engrave]": {"ink": 1}}}, ["settings changed: pitch 5 → 6"]),
        ({"settings": {"pitch": 5, "[engrave]": {"ink": 2}}}, ["settings changed: engrave.ink 1 → 2"]),
        ({"settings": {"pitch": 5}}, ["settings changed: engrave.ink 1 → none"]),
        ({"settings": {"pitch": 5, "[engrave]": {"ink": 1}, "new": [1]}}, ["settings changed: new none → [1]"]),
        ({"revision": 2}, ["gravurekit does it otherwise now: revision 1 → 2"]),
        ({"seed": 1}, ["settings changed: seed 0 → 1"]),
        ({"inputs": {"records": "abd"}}, ["the pictures that go in changed"]),
        ({"inputs": {"records": "abc", "decisions": "x"}}, ["side input changed: decisions"]),
        ({"stage": "filter"}, ["it holds what look made"]),
        ({"seed": 1, "inputs": {"records": "x"}}, ["settings changed: seed 0 → 1", "the pictures that go in changed"]),
    ],
)  # fmt: skip
def test_why_a_folder_isnt_what_is_asked_for(changes: dict, causes: list[str]) -> None:
    old = PLAN.model_copy(update={"settings": {"pitch": 5, "[engrave]": {"ink": 1}}})
    assert differences(old, old.model_copy(update=changes)) == causes


def test_lists_are_compared_by_what_came_and_went() -> None:
    old = PLAN.model_copy(update={"settings": {"keywords": ["a", "b", "c"]}})
    new = PLAN.model_copy(update={"settings": {"keywords": ["c", "b", "d"]}})
    turned = PLAN.model_copy(update={"settings": {"keywords": ["c", "b", "a"]}})
    assert differences(old, new) == ["settings changed: keywords +d -a"]
    assert differences(old, turned) == ["settings changed: keywords in another order"]


@pytest.mark.parametrize("name", ["decisions", "preset", "style_picture", "weights"])
@pytest.mark.parametrize("in_a_folder", [False, True])
def test_a_side_input_that_changed_is_noticed(name: str, in_a_folder: bool, tmp_path: Path) -> None:
    place = tmp_path / "side"
    file = place / "a" if in_a_folder else place
    storage.write_text(file, "one")
    plans = [PLAN.model_copy(update={"inputs": folder.inputs([], **{name: place})})]
    storage.write_text(file, "two")
    plans.append(PLAN.model_copy(update={"inputs": folder.inputs([], **{name: place})}))
    plans.append(PLAN.model_copy(update={"inputs": folder.inputs([])}))
    assert [differences(a, b) for a, b in zip(plans, plans[1:], strict=False)] == [[f"side input changed: {name}"]] * 2


HOSTILE = {
    "a pipe for metadata": lambda made: ((made / "metadata.jsonl").unlink(), os.mkfifo(made / "metadata.jsonl")),
    "a pipe for a receipt": lambda made: ((made / "receipt.json").unlink(), os.mkfifo(made / "receipt.json")),
    "a folder for metadata": lambda made: ((made / "metadata.jsonl").unlink(), (made / "metadata.jsonl").mkdir()),
    "a folder for a receipt": lambda made: ((made / "receipt.json").unlink(), (made / "receipt.json").mkdir()),
    "a receipt of many brackets": lambda made: (made / "receipt.json").write_text("[" * 100_000),
    "a lock of brackets": lambda made: (
        (made / ".gravurekit.lock").write_text("[" * 100_000), (made / "receipt.json").unlink()),
    "a lock of infinity": lambda made: (
        (made / ".gravurekit.lock").write_text('{"pid": Infinity, "host": "x"}'), (made / "receipt.json").unlink()),
    "a name that no disk can have": lambda made: (made / "metadata.jsonl").write_text(
        Record(key="ab", file_name="im\0ages/x.png").to_json() + "\n"),
    "a name that leads away": lambda made: (made / "metadata.jsonl").write_text(
        Record(key="ab", file_name="../../../etc/passwd").to_json() + "\n"),
}  # fmt: skip


@pytest.mark.parametrize("damage", HOSTILE)
def test_hostile_contents_are_faults_too(damage: str, made: Path) -> None:
    HOSTILE[damage](made)
    assert audit.inspect(made).grave
    with pytest.raises(DataError):
        folder.read(made)


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png"])
def test_metadata_of_ones_own_leads_to_no_file_outside(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"x")
    storage.write_text(tmp_path / "mine" / "metadata.jsonl", Record(key="ab", file_name=name).to_json() + "\n")
    with pytest.raises(DataError, match="leads out of the folder"):
        folder.read(tmp_path / "mine")
