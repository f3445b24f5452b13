"""docs/cli.md says what the command line has, and nothing else."""

import re
from pathlib import Path

import pytest
import typer
from manuscript import DOCS

import gravurekit
from gravurekit import cli, errors, manual, pipeline, storage
from gravurekit.commands import app
from gravurekit.errors import UsageError
from gravurekit.reference import limits, literal
from gravurekit.settings import flag_of

PACKAGE = Path(gravurekit.__file__).parent
COMMANDS = typer.main.get_group(app).commands


def section(name: str) -> str:
    return manual.markdown().partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def rows(name: str) -> dict[str, list[str]]:
    """The cells of all tables of a section, by the first one."""
    lines = [line for line in section(name).splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {first.strip("`"): others for first, *others in cells}


def test_the_page_is_current() -> None:
    assert (DOCS / "cli.md").read_text("utf-8") == manual.markdown(), (
        "docs/cli.md isn't what the verbs say: make reference"
    )


def test_the_verbs_stand_in_the_order_of_the_chain() -> None:
    verbs = re.findall(r"^## (\w+)$", manual.markdown(), re.M)
    assert verbs == ["gravurekit", *cli.VERBS, "Environment"]


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_word_of_a_verb_is_there(verb: str) -> None:
    assert cli.VERBS[verb] in section(verb)
    shared = rows(manual.MACHINE)
    words = rows(verb) | {name: cells for name, cells in shared.items() if f"`{name}`" in section(verb)}
    options = [item for item in COMMANDS[verb].params if item.opts[0].startswith("-")]
    flags = {"/".join([", ".join(item.opts), *item.secondary_opts]) for item in options}
    assert {word for word in words if word.startswith("-")} == flags
    assert len(words) == len(COMMANDS[verb].params)
    for name, field in kind.model_fields.items() if (kind := pipeline.TABLES.get(verb)) else ():
        cells = words[flag_of(name, field)]
        assert f"`{literal(field.default)}`" in cells
        assert limits(field) in cells or not limits(field)


def test_every_exit_code_is_there() -> None:
    kinds = [errors.GravurekitError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {str(code) for code in ({kind.exit_code for kind in kinds} | {0, errors.QUARANTINED})} == set(
        rows("Exit codes")
    )


def test_every_variable_that_the_code_asks_for_is_there() -> None:
    asked = {
        name for path in PACKAGE.rglob("*.py") for name in re.findall(r"\bGRAVUREKIT_[A-Z_]+", path.read_text("utf-8"))
    }
    named = set(re.findall(r"GRAVUREKIT_[A-Z_]+", section("Environment")))
    assert asked == named != set()


def test_only_the_repository_has_the_page(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="isn't the root of the repository"):
        manual.main(tmp_path)
    storage.write_text(tmp_path / "pyproject.toml", "")
    manual.main(tmp_path)
    assert (tmp_path / "docs" / "cli.md").read_text("utf-8") == manual.markdown()
