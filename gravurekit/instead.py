"""Flags that ask a verb for something else than its work: to look, to explain, to draw one picture."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gravurekit import answers, pipeline, terminal
from gravurekit.figures import number
from gravurekit.options import keyword
from gravurekit.pipeline import Wishes
from gravurekit.progress import Watch
from gravurekit.stages.crawl import Prospect


@dataclass(frozen=True)
class Instead:
    """A flag that asks for something else than the verb's work: `do(wishes, value of the flag, watch)`, and how what
    comes of it is shown, as JSON or not."""

    flag: inspect.Parameter
    do: Callable[[Wishes, Any, Watch], Any]
    show: Callable[[Any, bool], None]


def _searched(wishes: Wishes, wanted: bool, watch: Watch) -> Iterator[Prospect]:
    """What a crawl would fetch, and at the end a note of how many results there were of which kind."""
    states: Counter[str] = Counter()
    for prospect in pipeline.preview(wishes, wanted, watch):
        states[prospect.state] += 1
        yield prospect
    said = ", ".join(f"{number(count)} {state}" for state, count in states.items())
    watch.note(f"{number(states.total())} results: {said}")


DRY_RUN = Instead(
    keyword(
        "dry_run",
        Annotated[bool, typer.Option("--dry-run", help="Only search, and list what would be downloaded.")],
        False,
    ),
    _searched,
    terminal.show_results,
)
EXPLAIN = Instead(
    keyword(
        "explain",
        Annotated[
            str | None,
            typer.Option(metavar="PICTURE", help="Only tell why a picture is kept or dropped: a file or key."),
        ],
    ),
    pipeline.explain,
    answers.show_explanation,
)
CALIBRATE = Instead(
    keyword(
        "calibrate",
        Annotated[
            str | None,
            typer.Option(metavar="RAW", help="Only tell which edited copies of the pictures in RAW would be found."),
        ],
    ),
    pipeline.calibrate,
    answers.show_calibration,
)
PREVIEW = Instead(
    keyword(
        "preview",
        Annotated[
            str | None,
            typer.Option(
                metavar="PICTURE", help="Only draw this picture, on a sheet: photograph | ink | wash | print."
            ),
        ],
    ),
    pipeline.preview_style,
    terminal.show_made,
)
MATCH = Instead(
    keyword(
        "match",
        Annotated[
            str | None,
            typer.Option(metavar="PRINTS", help="Only fit the style to a folder of real prints; writes a preset."),
        ],
    ),
    pipeline.match_style,
    answers.show_match,
)
VERIFY = Instead(
    keyword(
        "verify",
        Annotated[
            str | None,
            typer.Option(metavar="SHARDS", help="Only prove these shards, sample by sample, and name what is damaged."),
        ],
    ),
    pipeline.verify_shards,
    answers.show_verification,
)
