"""What is said of the Settings is what they are: the commented gravurekit.toml, the page, the values in force."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from knobs import CLASSES, KNOBS, in_a_file, limits, settings_of, values, wishes

import gravurekit
from gravurekit import pipeline, reference, storage
from gravurekit.commands import app
from gravurekit.errors import UsageError
from gravurekit.reference import EXAMPLE, literal

REPOSITORY = Path(gravurekit.__file__).parents[1]
TABLES = [table for table, kind in CLASSES.items() if kind.model_fields]


def in_tables(knobs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """{"crawl.bing": {…}} → {"crawl": {"bing": {…}}}, as a TOML file is read: lists for tuples."""
    found: dict[str, Any] = {}
    for table, said in knobs.items():
        inner = found
        for name in table.split("."):
            inner = inner.setdefault(name, {})
        inner |= {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
    return found


def every_table(said: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`said`, with an empty table for each that says nothing: a commented gravurekit.toml has all the headings."""
    return in_tables({table: said.get(table, {}) for table in TABLES})


def uncommented(text: str) -> str:
    """The file after somebody took away the "# " before every `key = value`."""
    return re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)


def defaults() -> dict[str, dict[str, Any]]:
    return {table: CLASSES[table]().model_dump() for table in TABLES}


# ---- gravurekit.toml -----------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_what_is_active_is_said_and_all_else_is_a_comment_with_its_default(table: str) -> None:
    kind = CLASSES[table]
    active = {key: values(kind, key)[0] for key in kind.model_fields}
    text = reference.toml(in_tables({table: active}))
    assert tomllib.loads(text) == every_table({table: active})
    assert tomllib.loads(uncommented(text)) == every_table(defaults() | {table: active})


def test_with_nothing_active_every_line_is_a_comment_or_a_heading() -> None:
    text = reference.toml({})
    assert tomllib.loads(text) == every_table({})
    assert tomllib.loads(uncommented(text)) == every_table(defaults())
    assert all(not line or line[0] in "#[" for line in text.splitlines())
    assert re.findall(r"^\[(.*)\]$", text, re.MULTILINE) == TABLES


@pytest.mark.parametrize(("table", "key"), KNOBS)
def test_a_knobs_comment_has_its_meaning_its_choices_and_its_limits(table: str, key: str) -> None:
    field = CLASSES[table].model_fields[key]
    section = reference.toml({}).partition(f"\n[{table}]\n")[2].partition("\n[")[0]
    entry = next(part for part in section.split("\n\n") if f"\n# {key} = " in part)
    words = " ".join(line.removeprefix("# ") for line in entry.splitlines())
    assert str(field.description) in words
    assert all(
        f"{bound:g}" in words.replace(str(bound), f"{bound:g}") for bound in limits(CLASSES[table], key).values()
    )
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    assert all(literal(choice) in words for choice in choices)
    assert all(len(line) <= 120 for line in entry.splitlines() if " = " not in line)


def test_a_value_that_isnt_the_default_names_the_default() -> None:
    assert "Default: 16.\nconnections = 3\n" in reference.toml({"crawl": {"connections": 3}})
    assert "Default" not in reference.toml({"crawl": {"connections": 16}})


@pytest.mark.parametrize(
    ("active", "complaint"),
    [
        ({"crawll": {}}, r"unknown table \[crawll\]; did you mean 'crawl'"),
        ({"crawl": {"bong": {}}}, r"\[crawl.bong\] is the table of no source; did you mean 'bing'"),
        ({"crawl": {"connection": 3}}, r"\[crawl\] unknown key 'connection'; did you mean 'connections'"),
        ({"train": {"steps": 0}}, r"\[train\] steps = 0: "),
    ],
)
def test_what_isnt_valid_isnt_written(active: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        reference.toml(active)


def test_the_example_is_valid_and_says_little() -> None:
    said = tomllib.loads(reference.toml(EXAMPLE))
    assert said == every_table({}) | {
        "paths": {"keywords": ["keywords/dresses.txt"], "sources": ["bing"]},
        "crawl": every_table({})["crawl"] | {"per_keyword": 100, "bing": {"type": "photo"}},
        "filter": every_table({})["filter"] | {"min_figure": 0.5},
    }


# ---- values as TOML ------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=VALUES)
@settings(deadline=None, max_examples=200)
def test_a_value_is_read_as_it_was_written(value: Any) -> None:
    found = tomllib.loads(f"value = {literal(value)}")["value"]
    assert found == value and repr(found) == repr(value)  # 1 isn't 1.0 nor True, and -0.0 isn't 0.0


def test_control_characters_of_a_text_cant_reach_the_terminal() -> None:
    everything = "".join(map(chr, range(0x250))) + "ş\u2028😀"
    assert tomllib.loads(f"value = {literal(everything)}")["value"] == everything
    assert not re.search("[\0-\x1f\x7f-\x9f]", literal(everything))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((), "[]"),
        (("a", 'b"'), r'["a", "b\""]'),
        ({}, "{}"),
        ({"a-b_1": 1, "c d": {"": "x"}, "ş": 2.5}, '{ a-b_1 = 1, "c d" = { "" = "x" }, "ş" = 2.5 }'),
        (True, "true"),
        (1e-05, "1e-05"),
        (float("-inf"), "-inf"),
    ],
)
def test_values_look_as_people_write_them(value: Any, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize("value", [None, [None], {"a": None}, object(), b"x"])
def test_what_toml_doesnt_have_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="TOML has no"):
        literal(value)


# ---- docs/settings.md ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text"), [("docs/settings.md", reference.markdown), ("gravurekit.toml", None)])
def test_the_generated_files_are_current(name: str, text: Any) -> None:
    made = text() if text else reference.toml(EXAMPLE)
    assert (REPOSITORY / name).read_text("utf-8") == made, f"{name} isn't what the Settings say: make reference"


def rows(table: str) -> dict[str, dict[str, str]]:
    """The rows of a table of the page: {key: {column: cell}}."""
    section = reference.markdown().partition(f"\n## [{table}]\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, rule, *body = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert set(rule) == {"---"} and all(len(cells) == len(head) for cells in body)
    return {cells[0].strip("`"): dict(zip(head, cells, strict=True)) for cells in body}


@pytest.mark.parametrize("table", TABLES)
def test_the_page_has_a_row_for_each_knob(table: str) -> None:
    kind = CLASSES[table]
    found = rows(table)
    assert list(found) == list(kind.model_fields)
    for key, row in found.items():
        field = kind.model_fields[key]
        assert row["default"] == f"`{literal(field.default)}`"
        assert row["meaning"].replace("\\|", "|").replace("&lt;", "<") == field.description
        assert row["value"]
        assert bool(row["limits"]) == bool(limits(kind, key))


@pytest.mark.parametrize("table", [table for table in TABLES if table != "paths"])
def test_the_flags_of_the_page_are_those_of_the_command_line(table: str) -> None:
    stage, _, craft = table.partition(".")
    command = typer.main.get_group(app).commands["crawl" if table == "machine" else stage]
    known = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    for key, row in rows(table).items():
        flag = row["flag"].strip("`")
        assert set(flag.split()[0].split("/")) <= known
        assert not craft or flag == f"--set {craft}.{key}=VALUE"


def test_limits_in_words() -> None:
    assert rows("crawl")["tries"]["limits"] == "1 to 10"
    assert rows("crawl")["timeout"]["limits"] == "above 0"
    assert rows("shard")["val_share"]["limits"] == "at least 0, below 1"
    assert rows("train")["learning_rate"]["limits"] == "above 0, at most 10"
    assert rows("filter")["skip"]["value"] == "list of texts"
    assert rows("filter")["subject"]["value"] == '`"photos"`, `"prints"`'


# ---- the values in force -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_a_value_in_force_says_where_it_comes_from(table: str) -> None:
    kind = CLASSES[table]
    for key in kind.model_fields:
        one, other = values(kind, key)
        cases = [({}, {}, "default"), ({key: one}, {}, "file"), ({key: one}, {key: other}, "flag")]
        for file, flags, origin in cases:
            said = wishes(table, file, flags)
            found = {(knob.table, knob.key): knob for knob in reference.in_force(said)}
            assert list(found) == KNOBS
            knob = found.pop((table, key))
            assert (knob.value, knob.origin) == (getattr(settings_of(table, said), key), origin)
            assert {other.origin for other in found.values()} == {"default"}


def test_a_default_that_the_file_says_is_the_files() -> None:
    said = pipeline.Wishes(file={"crawl": {"per_keyword": 100}}, flags={"crawl": {"per_keyword": None}})
    assert reference.in_force(said, ["crawl"])[0] == reference.Knob("crawl", "per_keyword", 100, "file")


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (["train"], ["train"]),
        (["stylize"], ["stylize", "stylize.cartoon"]),
        (["stylize.cartoon", "machine"], ["machine", "stylize.cartoon"]),
        ([], TABLES),
    ],
)
def test_tables_can_be_asked_for_by_name(tables: list[str], expected: list[str]) -> None:
    found = dict.fromkeys(knob.table for knob in reference.in_force(pipeline.Wishes(), tables))
    assert [table for table in found if not tables or table in expected] == expected
    assert all(table.partition(".")[0] in tables or table in expected for table in found)


@pytest.mark.parametrize(
    ("said", "tables", "complaint"),
    [
        (pipeline.Wishes(), ["stylise"], r"no table is called \[stylise\]; did you mean 'stylize'"),
        (pipeline.Wishes(file={"stylise": {}}), [], r"unknown table \[stylise\]; did you mean 'stylize'"),
        (pipeline.Wishes(file={"crawl": 5}), [], r"\[crawl\] isn't a table"),  # type: ignore[dict-item]
        (pipeline.Wishes(file={"crawl": {"bing": 5}}), [], r"\[crawl\] unknown key 'bing'"),
        (pipeline.Wishes(file={"crawl": {"bing": {"sise": 5}}}), [], r"\[crawl.bing\] unknown key 'sise'; .* 'size'"),
        (pipeline.Wishes(file={"stylize": {"cartoom": {}}}), [], r"\[stylize.cartoom\] is the table of no style"),
        (pipeline.Wishes(file={"train": {"steps": {"a": 1}}}), ["crawl"], r"\[train\] steps = "),
        (pipeline.Wishes(file={"train": {"net": {}}}), [], r"\[train\] unknown key 'net'"),
        (pipeline.Wishes(file={"machine": {"net": {}}}), [], r"\[machine\] unknown key 'net'"),
        (pipeline.Wishes(crafts={"cartoom": {"median": 5}}), [], "--set cartoom: .*did you mean 'cartoon'"),
        (pipeline.Wishes(crafts={"cartoon": {"median": 6}}), [], r"\[stylize.cartoon\] median = 6: .*odd"),
        (pipeline.Wishes(crafts={"cartoon": {"medium": 5}}), [], r"\[stylize.cartoon\] unknown key 'medium'"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_said(said: pipeline.Wishes, tables: list[str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        reference.in_force(said, tables)


@pytest.mark.parametrize("table", TABLES)
def test_what_is_shown_is_a_settings_file_that_gives_the_same(table: str, tmp_path: Path) -> None:
    kind = CLASSES[table]
    path = tmp_path / "gravurekit.toml"
    path.write_text(in_a_file(table, {key: values(kind, key)[0] for key in kind.model_fields}), "utf-8")
    before = reference.in_force(pipeline.Wishes(pipeline.read_wishes(path)))
    path.write_text(reference.shown(before), "utf-8")
    after = reference.in_force(pipeline.Wishes(pipeline.read_wishes(path)))
    assert [(knob.key, knob.value) for knob in after] == [(knob.key, knob.value) for knob in before]
    assert {knob.origin for knob in after} == {"file"}


def test_what_is_shown_says_the_origin_of_each() -> None:
    said = pipeline.Wishes(file={"shard": {"size": 128}}, flags={"shard": {"seed": 3}})
    lines = [line.split() for line in reference.shown(reference.in_force(said, ["shard"])).splitlines()]
    assert lines[:2] == [["[shard]"], ["size", "=", '"128"', "#", "file"]]
    assert ["fit", "=", '"pad"', "#", "default"] in lines and ["seed", "=", "3", "#", "flag"] in lines
    assert reference.shown([]) == ""


# ---- make reference -----------------------------------------------------------------------------------


def test_both_files_of_a_repository_are_written_anew(tmp_path: Path) -> None:
    storage.write_text(tmp_path / "pyproject.toml", "")
    storage.write_text(tmp_path / "gravurekit.toml", "old")
    reference.main(tmp_path)
    assert (tmp_path / "docs" / "settings.md").read_text("utf-8") == reference.markdown()
    assert (tmp_path / "gravurekit.toml").read_text("utf-8") == reference.toml(EXAMPLE)


def test_the_gravurekit_toml_of_a_workspace_isnt_written_anew(tmp_path: Path) -> None:
    storage.write_text(tmp_path / "gravurekit.toml", "mine")
    with pytest.raises(UsageError, match="isn't the root of the repository"):
        reference.main(tmp_path)
    assert (tmp_path / "gravurekit.toml").read_text("utf-8") == "mine"
