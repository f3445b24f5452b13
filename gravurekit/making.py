"""How a verb is made of a function: with the flags of its Settings, and those that all verbs share, and its end.

A verb of the chain says which words are its paths; `commands.py` has them all.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gravurekit import pipeline, terminal
from gravurekit.cli import VERBS
from gravurekit.errors import QUARANTINED, SourceError, UsageError
from gravurekit.folder import Summary
from gravurekit.instead import Instead
from gravurekit.options import KNOBS, flags_of, keyword, said
from gravurekit.pipeline import STAGE_SETTINGS, Wishes
from gravurekit.progress import Watch
from gravurekit.settings import parse_assignments
from gravurekit.usage import FOLDERS, OUTPUT, SOMETHING_ELSE, WIDEST, Verb, under

app = typer.Typer(rich_markup_mode=None)

Paths = dict[str, Any]  # fields of pipeline.Paths; None is "not said"

IN_FILE = "also in gravurekit.toml, [{}]"

Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Settings file; ./gravurekit.toml is read if it is there.")
]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON, an object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes: results and errors only.")]
Assign = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="CRAFT.KNOB=VALUE", help="A craft's own knob, as in cartoon.median=5. May be repeated."
    ),
]

SHARED = under(OUTPUT, [keyword("config", Config), keyword("json", Json, False), keyword("quiet", Quiet, False)])
(CRAFT,) = under(OUTPUT, [keyword("assign", Assign)])
MACHINE = flags_of(pipeline.Machine, heading=f"Machine ({IN_FILE.format('machine')})")


def verb(
    stage: str, *, crafts: bool = False, parallel: bool = False, instead: Sequence[Instead] = ()
) -> Callable[[Callable[..., Paths]], None]:
    """Make a command of a function that turns its arguments into paths. `crafts`: the stage has crafts, whose knobs
    `--set` reaches; `parallel`: it works in tasks, so an executor can be chosen; `instead`: what else it can do."""
    knobs = f"{KNOBS} ({IN_FILE.format(stage)})"
    more = [
        *flags_of(STAGE_SETTINGS[stage], heading=knobs),
        *under(SOMETHING_ELSE, [item.flag for item in instead]),
        *(MACHINE if parallel else []),
        *([CRAFT] if crafts else []),
        *SHARED,
    ]

    def decorate(paths_of: Callable[..., Paths]) -> None:
        own = named(paths_of)

        def command(**values: Any) -> None:
            paths = paths_of(**{parameter.name: values[parameter.name] for parameter in own})
            machine = said(pipeline.Machine, values) if parallel else {}
            flags = {"paths": paths, stage: said(STAGE_SETTINGS[stage], values), "machine": machine}
            file = pipeline.read_wishes(terminal.workspace_file(values["config"]))
            wishes = Wishes(file, flags, parse_assignments(values.get("assign") or []))
            # an empty word is asked for as well, and refused
            others = [other for other in instead if values.get(other.flag.name) not in (None, False)]
            if len(others) > 1:
                names = " and ".join(f"--{other.flag.name.replace('_', '-')}" for other in others)
                raise UsageError(f"{names} can't be had at once: ask for one of them")
            for other in others:
                with terminal.watching(values["quiet"]) as watch:
                    watch.begin(other.flag.name.replace("_", " "), None)
                    found = other.do(wishes, values[other.flag.name], watch)
                    watch.rest()
                    other.show(found, values["json"])
                return
            finish(lambda watch: [pipeline.run_stage(stage, wishes, watch)], values["json"], values["quiet"])

        add(command, stage, [*own, *more])

    return decorate


def named(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function that have names of their own."""
    found = inspect.signature(function).parameters.values()
    return [parameter for parameter in found if parameter.kind is not inspect.Parameter.VAR_KEYWORD]


def add(
    command: Callable[..., None], name: str, parameters: Sequence[inspect.Parameter], heading: str = FOLDERS
) -> None:
    """Make `command` a verb with these parameters; `heading` is above those that have none in its help."""
    command.__signature__ = inspect.Signature(under(heading, parameters))  # type: ignore[attr-defined]
    wide = {"max_content_width": WIDEST}
    app.command(name=name, cls=Verb, help=VERBS[name], context_settings=wide)(command)


def finish(work: Callable[[Watch], Iterable[Summary]], json: bool, quiet: bool, table: bool = False) -> None:
    """Do the work with somebody watching, and show what came of each stage: at once, or, if a `table` is wanted, all
    together at the end. Exit 4 if a source failed or a keyword brought nothing, 3 if a picture killed its process, or a
    print that was named couldn't be coloured."""
    done: list[Summary] = []
    try:
        with terminal.watching(quiet) as watch:
            for summary in work(watch):
                watch.rest()
                done.append(summary)
                if json or not table:
                    terminal.show(summary, json)
    finally:
        if table and done and not json:  # also of a chain that was ended: what is done is done
            terminal.show_table(done)
    lost = any("quarantined" in item.dropped or (item.stage == "colorize" and item.dropped) for item in done)
    if any(item.facts.get("failed sources") or item.facts.get("nothing for") for item in done):
        raise typer.Exit(SourceError.exit_code)
    if lost:
        raise typer.Exit(QUARANTINED)


def simple(name: str, heading: str = FOLDERS) -> Callable[[Callable[..., None]], None]:
    """Make a verb of a function, with its parameters and no others."""
    return lambda command: add(command, name, named(command), heading)
