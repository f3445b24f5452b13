"""What people decide by hand: the file, and what the filter makes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filtering import QUICK, drawn, put, reasons, records
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from gravurekit import images
from gravurekit.errors import UsageError
from gravurekit.stages import _decisions as decisions
from gravurekit.stages._decisions import Decisions, pair, read, set_apart, set_keep
from gravurekit.storage import locked

Run = Callable[..., Result]


def line(**entry: Any) -> str:
    return json.dumps(entry) + "\n"


# ---- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keep", "apart"),
    [
        ("", {}, []),
        ("\n  \n", {}, []),
        ('{"key": "a", "keep": true}', {"a": True}, []),
        ('{"key": "a", "keep": true}\r\n{"key": "a", "keep": false}\n', {"a": False}, []),
        ('{"key": "b", "not_copy_of": "a"}\n{"key": "a", "not_copy_of": "b"}', {}, [("a", "b")]),
        ('{"key": "a", "keep": true, "who": "me"}\n{"key": "a", "not_copy_of": "c"}', {"a": True}, [("a", "c")]),
    ],
)
def test_a_file_is_read(text: str, keep: dict[str, bool], apart: list[decisions.Pair], tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(text.encode())
    assert read(tmp_path / "d.jsonl") == Decisions(keep, frozenset(apart))


WRONG = [
    '{"key": "a"}', '{"key": "a", "keep": 1}', '{"key": "a", "keep": null}', '{"key": 5, "keep": true}', "[]", "{",
    '"a"',
    '{"key": "a", "not_copy_of": "a"}', '{"key": "a", "not_copy_of": 1}', '{"not_copy_of": "a"}', "\xff",
    '{"key": "a", "not_copy_of": "b", "keep": true}', '{"key": "a", "keep": true, "not_copy_of": null}',
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_line_that_is_none_is_named_and_the_file_left_alone(wrong: str, tmp_path: Path) -> None:
    path, data = tmp_path / "d.jsonl", f"{line(key='a', keep=True)}{wrong}\n".encode("latin-1")
    path.write_bytes(data)
    for use in (read, lambda path: set_keep(path, "b", True), lambda path: set_apart(path, "a", "b", False)):
        with pytest.raises(UsageError, match="line 2, is no decision: write"):
            use(path)
    assert path.read_bytes() == data


def test_a_file_that_isnt_there_is_made_by_the_first_decision(tmp_path: Path) -> None:
    path = tmp_path / "new" / "d.jsonl"
    with pytest.raises(UsageError, match="No such file"):
        read(path)
    assert set_keep(path, "a", None) == Decisions() and not path.exists()
    assert set_apart(path, "b", "a", True) == Decisions(apart=frozenset([("a", "b")]))
    assert path.read_text() == line(key="b", not_copy_of="a")
    with pytest.raises(UsageError, match="itself"):
        set_apart(path, "a", "a", True)


def test_what_a_change_doesnt_touch_stays_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'{"keep":false,  "key":"a"}\r\n\n{"key": "b", "keep": true}\r\n{"key": "c", "keep": true}')
    before = path.stat().st_mtime_ns
    set_keep(path, "a", False)  # as it is
    assert path.stat().st_mtime_ns == before
    set_keep(path, "b", False)
    assert path.read_bytes() == (
        b'{"keep":false,  "key":"a"}\r\n\n{"key": "c", "keep": true}\n{"key": "b", "keep": false}\n'
    )
    set_keep(path, "b", None)
    assert path.read_bytes() == b'{"keep":false,  "key":"a"}\r\n\n{"key": "c", "keep": true}\n'


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "true")
    set_keep(tmp_path / "link", "a", True)
    assert (tmp_path / "link").is_symlink() and read(tmp_path / "true").keep == {"a": True}


def test_who_writes_waits_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "WAIT", 0.05)
    with locked(tmp_path / ".d.jsonl.lock"), pytest.raises(UsageError, match="at work"):
        set_keep(tmp_path / "d.jsonl", "a", True)
    set_keep(tmp_path / "d.jsonl", "a", True)
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


KEYS = st.sampled_from(["a", "b", "c", "ü", '"', "\ud800"])
KEPT = st.tuples(st.just("keep"), KEYS, st.sampled_from([True, False, None]))
APART = st.tuples(st.just("apart"), st.tuples(KEYS, KEYS).filter(lambda both: both[0] != both[1]), st.booleans())
STARTS = st.sampled_from(["", " \n", line(key="z", keep=True).strip()])
TIMES = iter(range(10**9))


@given(changes=st.lists(KEPT | APART, max_size=12), start=STARTS)
def test_what_is_written_is_read(
    changes: list[tuple[str, Any, bool | None]], start: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{next(TIMES)}.jsonl"
    path.write_text(start)
    keep: dict[str, bool] = {"z": True} if start.strip() else {}
    apart: set[decisions.Pair] = set()
    for kind, about, value in changes:
        if kind == "apart":
            (apart.add if value else apart.discard)(pair(*about))
            now = set_apart(path, *about, bool(value))
        else:
            keep.pop(about, None)
            keep |= {} if value is None else {about: value}
            now = set_keep(path, about, value)
        assert now == read(path) == Decisions(keep, frozenset(apart))
    assert path.read_text().startswith(start) and len(path.read_text().split()) <= 4 * (len(keep) + len(apart))


# ---- what the filter makes of it -------------------------------------------------------------------------


def explained(gravurekit: Run, word: str, *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        gravurekit("filter", "--explain", word, "--json", *QUICK, "--decisions", "d.jsonl", *flags).stdout
    )
    return found


@pytest.mark.parametrize("turned", [False, True])
def test_a_copy_that_is_set_apart_comes_back(
    turned: bool, raw: dict[str, str], gravurekit: Run, tmp_path: Path
) -> None:
    gravurekit("filter", *QUICK)
    copy, twin = raw["small copy"], raw["0"]
    set_apart(tmp_path / "d.jsonl", *((twin, copy) if turned else (copy, twin)), apart=True)
    foreseen = explained(gravurekit, copy)  # before it is done
    assert not foreseen["now"]["duplicate"] and foreseen["now"]["by-hand"].endswith(f"no copy of {twin}")
    assert "side input changed: decisions" in foreseen["stale"]

    result = gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    assert result.exit_code == 0 and "d.jsonl" not in result.stderr
    found = records(tmp_path / "clean")
    assert not found[copy].reason and found[copy].cluster == copy and found[twin].cluster == twin
    assert found[raw["cropped copy"]].reason == "duplicate"  # everything else is judged as ever
    assert (tmp_path / "clean" / found[copy].file_name).exists()
    assert explained(gravurekit, copy)["verdict"] == "kept" and not explained(gravurekit, copy)["now"]["duplicate"]
    assert explained(gravurekit, raw["cropped copy"])["now"]["duplicate"].endswith(raw["1"])

    set_apart(tmp_path / "d.jsonl", copy, twin, apart=False)
    gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    assert reasons(tmp_path / "clean")[copy] == "duplicate"


def test_it_may_be_the_copy_of_a_third_one(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    """Which is a copy of the first, unless that is set apart as well; copies aren't chained."""
    third = put(tmp_path / "raw", "third.jpg", images.resize(drawn(0), 232, 309), 80)
    set_apart(tmp_path / "d.jsonl", raw["small copy"], raw["0"], apart=True)
    gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    assert raw["small copy"] not in reasons(tmp_path / "clean") and third in reasons(tmp_path / "clean")
    set_apart(tmp_path / "d.jsonl", third, raw["0"], apart=True)
    gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    found = records(tmp_path / "clean")
    assert not found[third].reason and found[raw["small copy"]].kept_key == found[raw["small copy"]].cluster == third
    assert explained(gravurekit, raw["small copy"])["now"]["duplicate"].endswith(third)


def test_whoever_has_its_pixels_is_set_apart_with_it(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    """And those two can't be."""
    data = (tmp_path / "raw" / "a" / "small.jpg").read_bytes()
    (tmp_path / "raw" / "again.jpg").write_bytes(data[:2] + b"\xff\xfe\x00\x05odd" + data[2:])  # with a comment
    gravurekit("filter", *QUICK)
    again = next(key for key, item in records(tmp_path / "clean").items() if item.file_name.endswith("again.jpg"))
    assert reasons(tmp_path / "clean").keys() >= {again, raw["small copy"]}
    set_apart(tmp_path / "d.jsonl", again, raw["0"], apart=True)
    assert not explained(gravurekit, raw["small copy"])["now"]["duplicate"].endswith(raw["0"])
    result = gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    first, second = records(tmp_path / "clean")[again], records(tmp_path / "clean")[raw["small copy"]]
    assert sorted([first.reason, second.reason]) == ["", "duplicate"] and first.cluster == second.cluster
    assert first.cluster in (again, raw["small copy"]) and "same pixels" not in result.stderr

    set_apart(tmp_path / "d.jsonl", again, raw["small copy"], apart=True)
    result = gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    said = " ".join(result.stderr.split())
    assert "1 pair can't be set apart, the same pixels" in said
    now = records(tmp_path / "clean")
    assert (now[again], now[raw["small copy"]]) == (first, second)


@pytest.mark.parametrize("flags", [(), ("--thorough",)], ids=["plain", "thorough"])
def test_one_of_them_may_be_in_an_earlier_folder(
    flags: tuple[str, ...], raw: dict[str, str], gravurekit: Run, tmp_path: Path
) -> None:
    pixels = images.resize(drawn(3), 230, 307)
    earlier = put(tmp_path / "earlier", "x.jpg", pixels[:, ::-1] if flags else pixels, 70)
    told = ("--decisions", "d.jsonl", "--against", "earlier", *flags, *QUICK)
    set_apart(tmp_path / "d.jsonl", raw["4"], earlier, apart=True)
    gravurekit("filter", *told)
    assert records(tmp_path / "clean")[raw["3"]].kept_key == earlier
    set_apart(tmp_path / "d.jsonl", raw["3"], earlier, apart=True)
    assert not explained(gravurekit, raw["3"], "--against", "earlier", *flags)["now"]["duplicate"]
    result = gravurekit("filter", *told)
    assert raw["3"] not in reasons(tmp_path / "clean") and "aren't in" not in result.stderr


def test_decisions_on_pictures_that_arent_there_are_told(raw: dict[str, str], gravurekit: Run, tmp_path: Path) -> None:
    entries = [("a", None), ("b", "c"), (raw["0"], "c"), (raw["0"], raw["1"])]
    lines = [{"key": key} | ({"not_copy_of": other} if other else {"keep": True}) for key, other in entries]
    (tmp_path / "d.jsonl").write_text("".join(line(**entry) for entry in lines))
    said = " ".join(gravurekit("filter", "--decisions", "d.jsonl", *QUICK).stderr.split())
    assert "3 decisions on pictures that aren't in raw" in said


def test_who_is_set_apart_from_its_old_cluster_has_its_own(
    raw: dict[str, str], gravurekit: Run, tmp_path: Path
) -> None:
    set_keep(tmp_path / "d.jsonl", raw["small copy"], True)
    gravurekit("filter", "--decisions", "d.jsonl", *QUICK)
    assert records(tmp_path / "clean")[raw["small copy"]].cluster == raw["0"]
    set_apart(tmp_path / "d.jsonl", raw["small copy"], raw["0"], apart=True)
    gravurekit("filter", "clean", "again", "--decisions", "d.jsonl", *QUICK)
    assert records(tmp_path / "again")[raw["small copy"]].cluster == raw["small copy"]
