"""Defaults lose to the file, the file to flags; whatever is wrong is named with its table and key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from knobs import (
    CLASSES,
    KNOBS,
    alone,
    any_value,
    in_a_file,
    is_valid,
    limits,
    on_the_command_line,
    settings_of,
    values,
    wishes,
)
from typer.testing import Result

from gravurekit import pipeline, reference
from gravurekit.errors import UsageError
from gravurekit.folder import Summary
from gravurekit.reference import literal
from gravurekit.settings import did_you_mean, digest, layered, parse_assignments, read_toml

TABLES = sorted(table for table, kind in CLASSES.items() if kind.model_fields)
with_files = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- default < file < flag -----------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_default_loses_to_file_and_file_to_flag(table: str, key: str) -> None:
    kind = CLASSES[table]
    default, (one, other) = kind.model_fields[key].default, values(kind, key)
    cases = [({}, {}, default), ({key: one}, {}, one), ({}, {key: one}, one), ({key: one}, {key: other}, other),
             ({key: one}, {key: default}, one if isinstance(default, dict) else default)]  # fmt: skip
    if "." not in table:  # what --set doesn't say isn't there
        cases.append(({key: one}, {key: None}, one))
    for file, flags, expected in cases:
        found = settings_of(table, wishes(table, file, flags))
        assert found == alone(table, {key: expected})  # and no other knob has moved


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, pipeline.Wishes]]:
    """What the command line asked the pipeline for: each stage, and the wishes that it was to run with."""
    asked: list[tuple[str, pipeline.Wishes]] = []

    def run_stage(stage: str, said: pipeline.Wishes, watch: object) -> Summary:
        asked.append((stage, said))
        return Summary(stage, Path("out"), 0, 0)

    def hand_over(said: pipeline.Wishes, *about: object) -> Summary:
        return run_stage("export", said, about[-1])

    monkeypatch.setattr(pipeline, "run_stage", run_stage)
    monkeypatch.setattr(pipeline, "hand_over", hand_over)
    return asked


Asked = list[tuple[str, pipeline.Wishes]]
Run = Callable[..., Result]


@pytest.mark.parametrize(("table", "key"), [knob for knob in KNOBS if knob[0] != "paths"])
def test_a_flag_wins_over_the_file_that_wins_over_the_default(
    table: str, key: str, captured: Asked, gravurekit: Run
) -> None:
    kind = CLASSES[table]
    default, (one, other) = kind.model_fields[key].default, values(kind, key)
    cases = [(other, None, other), (default if one == other else other, one, one)]
    if default != ():  # an empty list can't be said by a flag
        cases.append((one, default, default))
    verb = "crawl" if table == "machine" else table.partition(".")[0]
    for in_file, flag, _ in cases:
        Path("gravurekit.toml").write_text(in_a_file(table, {key: in_file}), "utf-8")
        words = [] if flag is None else on_the_command_line(table, key, flag)
        places = ("webdataset", "raw", "out") if verb == "export" else ()  # which has no defaults for them
        result = gravurekit(verb, *places, *words, "--json")
        assert result.exit_code == 0, f"{result.output}{result.exception}"
    found = [settings_of(table, said) for _, said in captured]
    assert {stage for stage, _ in captured} == {verb}
    assert found == [alone(table, {key: expected}) for _, _, expected in cases]  # and no other knob has moved


PATHS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("crawl", "a.txt", "red dress"), {"keywords": ("a.txt", "red dress")}),
    (("crawl", "--source", "sample", "--source", "bing"), {"sources": ("sample", "bing")}),
    (("crawl", "--source", "folder:x"), {"sources": ("folder:x",), "keywords": ()}),
    (("crawl", "--out", "x"), {"raw": "x"}),
    (("crawl", "--endpoint", "bing=http://x:1"), {"endpoints": {"bing": "http://x:1"}}),
    (("filter", "x", "y"), {"raw": "x", "clean": "y"}),
    (("filter", "--decisions", "x"), {"decisions": "x"}),
    (("filter", "--against", "x", "--against", "y"), {"against": ("x", "y")}),
    (("filter", "--like", "x", "--unlike", "y"), {"like": "x", "unlike": "y"}),
    (("filter", "--clip-weights", "x"), {"clip_weights": "x"}),
    (("stylize", "x", "y"), {"clean": "x", "styled": "y"}),
    (("stylize", "x", "--out", "y"), {"clean": "x", "styled": "y", "preview": "y", "preset": "y"}),
    (("stylize", "--style-image", "x", "--style-image", "y"), {"style_images": ("x", "y")}),
    (("stylize", "--features", "model:x"), {"features": "model:x"}),
    (("shard", "x", "y"), {"styled": "x", "shards": "y"}),
    (("shard", "--photographs", "x", "--splits", "y"), {"photographs": "x", "splits": "y"}),
    (("train", "x", "--runs", "y"), {"shards": "x", "runs": "y"}),
    (("train", "--init", "x", "--watch", "y"), {"init": "x", "watch": "y"}),
    (("colorize", "x", "--out", "y"), {"prints": ("x",), "coloured": "y"}),
    (("colorize", "--model", "x", "--runs", "y"), {"model": "x", "runs": "y"}),
    (("colorize", "--like", "x", "--save-like", "y"), {"manner": ("x",), "mood": "y"}),
]


@pytest.mark.parametrize(("words", "expected"), PATHS, ids=[" ".join(words) for words, _ in PATHS])
def test_named_paths_win_over_those_of_the_file(
    words: tuple[str, ...], expected: dict[str, Any], captured: Asked, gravurekit: Run
) -> None:
    kind = CLASSES["paths"]
    file = {key: values(kind, key)[0] for key in kind.model_fields}
    Path("gravurekit.toml").write_text(in_a_file("paths", file), "utf-8")
    for arguments in (words[:1], words):
        assert gravurekit(*arguments, "--json").exit_code == 0
    assert [said.settings("paths").model_dump() for _, said in captured] == [file, file | expected]


def test_every_path_has_a_word_on_the_command_line() -> None:
    assert {key for _, expected in PATHS for key in expected} == set(CLASSES["paths"].model_fields)


# ---- any values, and anything else ---------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
@with_files
def test_any_valid_values_in_a_file_are_read_as_they_are(table: str, data: st.DataObject, tmp_path: Path) -> None:
    kind = CLASSES[table]
    said = data.draw(st.fixed_dictionaries({}, optional={key: any_value(kind, key) for key in kind.model_fields}))
    path = tmp_path / "gravurekit.toml"
    path.write_text(in_a_file(table, said), "utf-8")
    found = read_toml(path)
    for name in table.split("."):
        found = found[name]
    assert layered(kind, table, found).model_dump() == alone(table, said).model_dump()


SCALARS = st.booleans() | st.integers() | st.floats() | st.text()
GARBAGE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def names_of(stage: str) -> list[str]:
    """The keys and crafts of a stage, and the keys of its crafts: words that may stand in its table."""
    tables = [table for table in CLASSES if table.partition(".")[0] == stage]
    return [word for table in tables for word in (*CLASSES[table].model_fields, *table.split(".")[1:])]


@pytest.mark.parametrize("stage", pipeline.TABLES)
@given(data=st.data())
@with_files
def test_anything_in_a_table_loads_or_is_refused_by_its_table(stage: str, data: st.DataObject, tmp_path: Path) -> None:
    words = st.sampled_from(names_of(stage)) | st.text()
    inner = GARBAGE | st.dictionaries(words, GARBAGE, max_size=3)
    said = {stage: data.draw(st.dictionaries(words, inner, max_size=4))}
    path = tmp_path / "gravurekit.toml"
    path.write_text(in_a_file(stage, said[stage]), "utf-8")
    try:
        found = reference.in_force(pipeline.Wishes(pipeline.read_wishes(path)))
    except UsageError as error:
        assert all(f"[{stage}" in line for line in str(error).splitlines() if line.startswith("["))
        assert f"[{stage}" in str(error)
        return
    assert {(knob.table, knob.key) for knob in found} == set(KNOBS)


@given(tables=st.dictionaries(st.sampled_from(list(CLASSES)) | st.text(), GARBAGE, max_size=3))
@with_files
def test_anything_at_the_top_of_a_file_loads_or_is_refused_by_its_name(tables: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "gravurekit.toml"
    path.write_text("\n".join(f"{literal(key)} = {literal(value)}" for key, value in tables.items()), "utf-8")
    try:
        assert pipeline.read_wishes(path).keys() == tables.keys()
    except UsageError as error:
        assert any(f"[{key}]" in str(error) for key in tables)
    try:
        reference.in_force(pipeline.Wishes(tables))
    except UsageError as error:
        assert any(f"[{key}" in str(error) for key in tables)


PIECES = ["[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", '"', "'", '"""', "#", "\\", "\\u", "\0", "\r", " ", "_",
          "crawl", "bing", "size", "1", "0x", "1e9", "nan", "true", "1979-05-27", "ş"]  # fmt: skip


@given(content=st.binary() | st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode()))
@example(content=b"[crawl]\nper_keyword = " + b"9" * 5000)
@example(content=b"[crawl]\nper_keyword = 0x" + b"f" * 5000)
@example(content=b"[crawl]\nper_keyword = " + b"[" * 5000 + b"]" * 5000)
@example(content=b"[crawl.bing]\n" + b".".join([b"a"] * 3000) + b" = 1")
@example(content=b"[stylize.cartoon]\nthreshold_offset = nan")
@settings(with_files, max_examples=200)
def test_any_bytes_are_tables_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gravurekit.toml"
    path.write_bytes(content)
    try:
        assert isinstance(read_toml(path), dict)
        reference.in_force(pipeline.Wishes(pipeline.read_wishes(path)))
    except UsageError as error:
        assert str(error)


@given(said=st.lists(st.text() | st.lists(st.sampled_from([*PIECES, "cartoon"])).map("".join)))
@example(said=["cartoon.median=" + "9" * 5000, "cartoon.median=" + "[" * 5000])
@settings(deadline=None)
def test_any_assignments_are_tables_or_refused(said: list[str]) -> None:
    try:
        found = parse_assignments(said)
    except UsageError as error:
        assert "--set" in str(error)
    else:
        assert all(craft and isinstance(knobs, dict) and all(knobs) for craft, knobs in found.items())


# ---- what is wrong is named ----------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_beyond_a_limit_names_table_key_and_limit(table: str, key: str) -> None:
    kind = CLASSES[table]
    step = {Ge: -1, Gt: 0, Le: 1, Lt: 0}
    for limit, bound in limits(kind, key).items():
        with pytest.raises(UsageError) as caught:
            layered(kind, table, {key: bound + step[limit]})
        assert f"[{table}] {key} = " in str(caught.value) and (
            str(bound) if isinstance(bound, int) else f"{bound:g}"
        ) in str(caught.value)


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_a_value_of_another_type_names_table_and_key(table: str, key: str) -> None:
    kind = CLASSES[table]
    for wrong in ("no such value", 1.5, True, ["a", 7], {"a": 1}):
        fits = {str: str, float: float, bool: bool, tuple[float, float]: float}.get(kind.model_fields[key].annotation)  # type: ignore[arg-type]
        if fits is None or not isinstance(wrong, fits) or not is_valid(kind, key, wrong):
            with pytest.raises(UsageError, match=rf"\[{table}\] {key}"):
                layered(kind, table, {key: wrong})


@pytest.mark.parametrize(("table", "key"), [knob for knob in KNOBS if len(knob[1]) > 4])
def test_a_slip_of_the_pen_is_answered_with_the_right_key(table: str, key: str) -> None:
    slip = key[:2] + key[3:]
    with pytest.raises(UsageError) as caught:
        layered(CLASSES[table], table, {slip: 1})
    assert str(caught.value) == f"[{table}] unknown key {slip!r}; did you mean {key!r}?"


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        layered(pipeline.STAGE_SETTINGS["train"], "train", {"steps": 0, "batch": "many", "zzz": 1})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and any("zzz" in line and "known: " in line for line in lines)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("table", "key"), [k for k in KNOBS if CLASSES[k[0]].model_fields[k[1]].annotation is float])
def test_a_number_is_a_finite_number(table: str, key: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"\[{table}\] {key}"):
        layered(CLASSES[table], table, {key: float(value)})


def test_a_date_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[train]\nsteps = 1979-05-27\n")
    with pytest.raises(UsageError, match=r"\[train\]"):
        layered(pipeline.STAGE_SETTINGS["train"], "train", read_toml(tmp_path / "x.toml")["train"])


def test_settings_dont_change() -> None:
    knobs = pipeline.STAGE_SETTINGS["shard"]()
    with pytest.raises(ValueError, match="frozen"):
        knobs.size = 64  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "parsed"),
    [
        (["cartoon.median=5"], {"cartoon": {"median": 5}}),
        (["cartoon.median = 5", "cartoon.x=1.5", "y.z=true"], {"cartoon": {"median": 5, "x": 1.5}, "y": {"z": True}}),
        (["a.b=word"], {"a": {"b": "word"}}),
        (["a.b='5'"], {"a": {"b": "5"}}),
        (["a.b=[1, 2]"], {"a": {"b": [1, 2]}}),
        (["a.b=x=y"], {"a": {"b": "x=y"}}),
        (["a.b="], {"a": {"b": ""}}),
        (["a.b=1", "a.b=2"], {"a": {"b": 2}}),
        ([], {}),
    ],
)
def test_assignments_are_toml_values_or_text(said: list[str], parsed: dict[str, Any]) -> None:
    assert parse_assignments(said) == parsed


@pytest.mark.parametrize("said", ["median=5", "cartoon.median", ".median=5", "cartoon.=5", "", "="])
def test_an_assignment_of_another_form_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="CRAFT.KNOB=VALUE"):
        parse_assignments([said])


@pytest.mark.parametrize("content", [None, b"[train\n", b"a = \xff\n", b"a = 1\na = 2\n"])
def test_a_settings_file_that_is_none_is_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "gravurekit.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"gravurekit\.toml"):
        read_toml(path)


def test_an_unknown_table_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[stylise]\nshort_side = 64\n")
    with pytest.raises(UsageError, match=r"\[stylise\]; did you mean 'stylize'"):
        pipeline.read_wishes(tmp_path / "x.toml")


def test_the_nearest_word_is_meant_and_without_one_all_are_known() -> None:
    assert did_you_mean("shart", ["shard", "train"]) == "; did you mean 'shard'?"
    assert did_you_mean("zz", ["shard", "crawl"]) == "; known: crawl, shard"
    assert did_you_mean("zz", []) == "; known: none"


def test_a_digest_is_of_what_is_said_and_not_of_its_order() -> None:
    assert digest({"a": 1, "b": ["ı"]}) == digest({"b": ["ı"], "a": 1}) != digest({"a": 1, "b": ["i"]})
