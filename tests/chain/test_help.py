"""`--help`: the verbs in the order of the chain, the flags of a verb under headings, no line that breaks badly."""

import re
from collections.abc import Callable

import pytest
import typer
from typer.testing import Result

from gravurekit import cli

Run = Callable[..., Result]
COMMAND = typer.main.get_command(cli.app)


def helped(*verb: str, columns: int) -> list[str]:
    """What --help writes on a terminal of so many columns."""
    command = cli.Verbs.get_command(COMMAND, None, *verb) if verb else COMMAND
    context = typer.Context(command, info_name=" ".join(("gravurekit", *verb)), terminal_width=columns - 2)
    return str(command.get_help(context)).splitlines()


def test_the_verbs_stand_in_the_order_of_the_chain_a_line_each() -> None:
    lines = helped(columns=80)
    listed = [line.split()[0] for line in lines if re.match(r"  [a-z]+ +[A-Z]", line)]
    assert listed == list(cli.VERBS), "each on one line at 80 columns"
    headings = [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == [*cli.GROUPS, "Flags before the verb"]
    assert {"-C, --folder PATH", "--install-completion"} <= {line[2:24].strip() for line in lines}


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_fits_the_terminal_and_breaks_no_flag(verb: str, columns: int) -> None:
    lines = helped(verb, columns=columns)
    assert max(map(len, lines)) <= columns
    assert not [line for line in lines if re.search(r"(?:--?|Default:|\[(?:at least|default:))$", line)]
    assert not set("\u00a0\u2011") & set("".join(lines))
    assert lines[-1].lstrip().startswith("--help") or lines[-1].startswith("  ")


def test_flags_stand_under_headings() -> None:
    lines = helped("filter", columns=120)
    headings = [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        "Arguments",
        "Folders and files",
        "Knobs (also in gravurekit.toml, [filter])",
        "Something else instead",
        "Machine (also in gravurekit.toml, [machine])",
        "Settings and output",
    ]
    text = " ".join(" ".join(lines).split())
    for said in (
        "SOURCE A folder of pictures. [default: raw]",
        "--for photos|prints What the pictures are",
        "--min-figure X Least score of a figure that is kept; 0: all. Default: 0. [0 to 1]",
        "--explain PICTURE Only tell why",
        "--jobs N Tasks at once; 0: one for each core. Default: 0. [0 to 65536]",
        "--set CRAFT.KNOB=VALUE",
        "--quiet No progress and no notes",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("filter", "--foo"), "filter: no such option: --foo"),
        (("filter", "--jobs", "many"), "filter: invalid value for '--jobs'"),
        (("filter", "--for", "paintings"), "'photos'"),
        (("filter", "a", "b", "c"), "unexpected extra argument"),
        (("evaluate",), "missing argument 'WHAT'. Choose from: style, colors; see `gravurekit evaluate --help`"),
        (("--foo",), "; see `gravurekit --help`"),
        (("filer",), "no verb is called 'filer'; did you mean 'filter'?"),
        (("filter", "caf\udce9"), "caf\\xe9 isn't UTF-8"),
        (("report", "caf\udce9"), "rename it"),
    ],
)
def test_what_is_typed_wrong_is_told_on_one_line_with_what_to_do(
    words: tuple[str, ...], said: str, gravurekit: Run
) -> None:
    result = gravurekit(*words)
    told = str(result.exception)
    assert result.exit_code == 2 and said in told and "\n" not in told and result.output == ""
    assert "--help`" in told or "did you mean" in told or "rename" in told


def test_without_a_word_there_is_help(gravurekit: Run) -> None:
    result = gravurekit()
    assert result.exit_code == 2 and "The chain, in its order:" in result.stderr
    assert gravurekit("--version").stdout.startswith("gravurekit ")
