"""The verbs of the command line: words in, words out. No decision about pictures is made here."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gravurekit import pipeline, storage, terminal
from gravurekit.cli import VERBS
from gravurekit.errors import QUARANTINED, UsageError
from gravurekit.folder import Summary
from gravurekit.options import with_settings
from gravurekit.pipeline import ORDER, Wishes
from gravurekit.settings import parse_assignments

app = typer.Typer(rich_markup_mode=None)

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; ./gravurekit.toml is read if it is there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="A craft's own knob: CRAFT.KNOB=VALUE, as in cartoon.median=5."),
]
Executor = Annotated[str | None, typer.Option("--executor", help="serial, or local: a pool of processes.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=0, help="Processes of the pool; 0: one for each core.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]


@app.command(help=VERBS["crawl"])
@with_settings(pipeline.STAGE_SETTINGS["crawl"])
def crawl(
    keywords: Annotated[
        list[str] | None,
        typer.Argument(help="Keyword files (.txt) or keywords.", show_default="keywords/dresses.txt"),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Where from: bing, sample, folder:PATH. May be given several times."),
    ] = None,
    out: Annotated[str | None, typer.Option("--out", help="The folder that is filled.", show_default="raw")] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option("--endpoint", help="Another address of a source: NAME=http://HOST:PORT."),
    ] = None,
    assign: Set = None,
    config: Config = None,
    executor: Executor = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    flags: dict[str, Any],
) -> None:
    if source and not keywords and all(name.startswith("folder") for name in source):
        keywords = []  # a folder is asked for no keyword
    paths = {"keywords": keywords, "sources": source or None, "raw": out, "endpoints": _endpoints(endpoint)}
    _run("crawl", config, paths, flags, (executor, jobs), assign, json, quiet)


@app.command(name="filter", help=VERBS["filter"])
@with_settings(pipeline.STAGE_SETTINGS["filter"])
def filter_(
    source: Annotated[str | None, typer.Argument(help="A folder of pictures.", show_default="raw")] = None,
    out: Annotated[str | None, typer.Argument(help="The folder that is filled.", show_default="clean")] = None,
    assign: Set = None,
    config: Config = None,
    executor: Executor = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    flags: dict[str, Any],
) -> None:
    _run("filter", config, {"raw": source, "clean": out}, flags, (executor, jobs), assign, json, quiet)


@app.command(help=VERBS["stylize"])
@with_settings(pipeline.STAGE_SETTINGS["stylize"])
def stylize(
    source: Annotated[str | None, typer.Argument(help="A folder of pictures.", show_default="clean")] = None,
    out: Annotated[str | None, typer.Argument(help="The folder that is filled.", show_default="styled")] = None,
    assign: Set = None,
    config: Config = None,
    executor: Executor = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    flags: dict[str, Any],
) -> None:
    _run("stylize", config, {"clean": source, "styled": out}, flags, (executor, jobs), assign, json, quiet)


@app.command(help=VERBS["shard"])
@with_settings(pipeline.STAGE_SETTINGS["shard"])
def shard(
    source: Annotated[str | None, typer.Argument(help="A styled folder.", show_default="styled")] = None,
    out: Annotated[str | None, typer.Argument(help="The folder that is filled.", show_default="shards")] = None,
    config: Config = None,
    executor: Executor = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    flags: dict[str, Any],
) -> None:
    _run("shard", config, {"styled": source, "shards": out}, flags, (executor, jobs), None, json, quiet)


@app.command(help=VERBS["train"])
@with_settings(pipeline.STAGE_SETTINGS["train"])
def train(
    source: Annotated[str | None, typer.Argument(help="A shards folder.", show_default="shards")] = None,
    runs: Annotated[str | None, typer.Option("--runs", help="Where trainings lie.", show_default="runs")] = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    flags: dict[str, Any],
) -> None:
    _run("train", config, {"shards": source, "runs": runs}, flags, (None, None), None, json, quiet)


@app.command(help=VERBS["colorize"])
@with_settings(pipeline.STAGE_SETTINGS["colorize"])
def colorize(
    prints: Annotated[
        list[str] | None, typer.Argument(help="Pictures, or folders of them.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The run that colours.", show_default="the newest finished run"),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", help="The folder that is filled.", show_default="coloured")
    ] = None,
    runs: Annotated[str | None, typer.Option("--runs", help="Where trainings lie.", show_default="runs")] = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    flags: dict[str, Any],
) -> None:
    paths = {"prints": prints or None, "model": model, "coloured": out, "runs": runs}
    _run("colorize", config, paths, flags, (None, None), None, json, quiet)


@app.command(help=VERBS["run"])
def run(
    config: Annotated[Path | None, typer.Argument(help="The settings file.", show_default="gravurekit.toml")] = None,
    to: Annotated[str, typer.Option("--to", help=f"The last stage: {', '.join(ORDER)}.")] = "shard",
    keyword: Annotated[
        list[str] | None, typer.Option("--keywords", help="Keyword file or keyword, for the file's.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Source, for the file's.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Results a keyword, for the file's.")] = None,
    executor: Executor = None,
    jobs: Jobs = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    paths = {"keywords": keyword or None, "sources": source or None}
    flags: dict[str, dict[str, Any]] = {
        "paths": paths,
        "crawl": {"per_keyword": limit},
        "machine": {"executor": executor, "jobs": jobs},
    }
    wishes = Wishes(pipeline.read_wishes(terminal.workspace_file(config)), flags)
    summaries: list[Summary] = []

    def done(summary: Summary) -> None:
        summaries.append(summary)
        terminal.show(summary, json)

    with terminal.watching(quiet) as watch:
        pipeline.run_chain(wishes, to, watch, done)
    _exit(summaries)


def _endpoints(given: list[str] | None) -> dict[str, str] | None:
    pairs = [text.partition("=") for text in given or []]
    for name, equals, address in pairs:
        if not (name and equals and address.startswith(("http://", "https://"))):
            raise UsageError(f"--endpoint {name}{equals}{address}: write it as NAME=http://HOST:PORT")
    return {name: address for name, _, address in pairs} or None


def _run(
    stage: str, config: Path | None, paths: dict[str, Any], flags: dict[str, Any],
    machine: tuple[str | None, int | None], assign: list[str] | None, json: bool, quiet: bool,
) -> None:  # fmt: skip
    layers = {"paths": paths, stage: flags, "machine": dict(zip(("executor", "jobs"), machine, strict=True))}
    file = pipeline.read_wishes(terminal.workspace_file(config))
    wishes = Wishes(file, layers, parse_assignments(assign or []))
    with terminal.watching(quiet) as watch:
        summary = pipeline.run_stage(stage, wishes, watch)
    terminal.show(summary, json)
    _exit([summary])


def _exit(summaries: list[Summary]) -> None:
    """Exit 3 if a picture killed its process, or a print that was named couldn't be coloured."""
    if any("quarantined" in item.dropped or (item.stage == "colorize" and item.dropped) for item in summaries):
        raise typer.Exit(QUARANTINED)


def work_in(folder: Path) -> None:
    """Go on as if started in `folder`, which is made if it is missing. Raises StorageError if that can't be."""
    storage.make_folder(folder)
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(f"can't work in {folder}: {error.strerror}") from None
