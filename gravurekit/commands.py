"""The verbs of the command line: words in, words out. No decision about pictures is made here; `making.py` makes verbs
of functions.
"""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gravurekit import crafts, doctor, pipeline, reference, storage, studio, subjects, terminal, workspace
from gravurekit.errors import DataError, UsageError
from gravurekit.instead import CALIBRATE, DRY_RUN, EXPLAIN, MATCH, PREVIEW, VERIFY
from gravurekit.making import (
    CRAFT,
    MACHINE,
    SHARED,
    Assign,
    Config,
    Json,
    Paths,
    Quiet,
    add,
    app,
    finish,
    named,
    simple,
    verb,
)
from gravurekit.options import flags_of, said
from gravurekit.pipeline import ORDER, Wishes
from gravurekit.reports import credits, pages
from gravurekit.settings import layered, parse_assignments

__all__ = ["app"]


@simple("init")
def init(
    folder: Annotated[Path, typer.Argument(help="The folder, made if missing.", show_default="here")] = Path("."),
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A workspace to start in."""
    terminal.show_files(workspace.init(folder), json)


@verb("crawl", crafts=True, parallel=True, instead=[DRY_RUN])
def crawl(
    keywords: Annotated[
        list[str] | None, typer.Argument(help="Keyword files (.txt) or keywords.", show_default="keywords/dresses.txt")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Where from: NAME, folder:PATH, urls:FILE (gravurekit doctor lists them). Several: one each.",
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(help="The folder that is filled.", show_default="raw")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="NAME=URL", help="Another address of a source: NAME=http://HOST:PORT.")
    ] = None,
) -> Paths:
    """Keywords → raw/."""
    if source and not keywords and all(name.startswith(("folder", "urls")) for name in source):
        keywords = []  # these are asked for no keyword
    return {"keywords": keywords, "sources": source or None, "raw": out, "endpoints": _endpoints(endpoint)}


@verb("filter", crafts=True, parallel=True, instead=[EXPLAIN, CALIBRATE])
def filter_(
    source: Annotated[str | None, typer.Argument(help="A folder of pictures.", show_default="raw")] = None,
    out: Annotated[str | None, typer.Argument(help="The folder that is filled.", show_default="clean")] = None,
    decisions: Annotated[
        str | None, typer.Option(help='What people decided by hand: {"key": "3f2a…", "keep": false} a line.')
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="An earlier folder: copies of its pictures are dropped. May be repeated.")
    ] = None,
    like: Annotated[str | None, typer.Option(help="Pictures as they are wanted, for --relevance examples.")] = None,
    unlike: Annotated[str | None, typer.Option(help="Pictures as they aren't wanted.")] = None,
    clip_weights: Annotated[
        str | None, typer.Option(metavar="NAME", help="A CLIP or SigLIP for --relevance clip: a folder, or a name.")
    ] = None,
) -> Paths:
    """raw/ → clean/."""
    side = {"decisions": decisions, "against": against or None, "like": like, "unlike": unlike}
    return {"raw": source, "clean": out, "clip_weights": clip_weights, **side}


@verb("stylize", crafts=True, parallel=True, instead=[PREVIEW, MATCH])
def stylize(
    source: Annotated[str | None, typer.Argument(help="A folder of pictures.", show_default="clean")] = None,
    out: Annotated[str | None, typer.Argument(help="The folder that is filled.", show_default="styled")] = None,
    made: Annotated[
        str | None,
        typer.Option(
            "--out", help="The same; with --preview the sheet, with --match the preset.", show_default="styled"
        ),
    ] = None,
    style_image: Annotated[
        list[str] | None, typer.Option(help="A print, or a folder of them, to take after. May be repeated.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:WHICH",
            help="What prints are compared by: random:SEED, model:RUN, vgg19:FILE, vgg19:torchvision.",
            show_default="random:0",
        ),
    ] = None,
) -> Paths:
    """clean/ → styled/."""
    if out and made:
        raise UsageError(f"{out} and --out {made}: name one folder")
    side = {"style_images": style_image or None, "features": features}
    return {"clean": source, "styled": out or made, "preview": made, "preset": made, **side}


@verb("shard", parallel=True, instead=[VERIFY])
def shard(
    source: Annotated[str | None, typer.Argument(help="A styled folder.", show_default="styled")] = None,
    out: Annotated[str | None, typer.Argument(help="The folder that is filled.", show_default="shards")] = None,
    photographs: Annotated[
        str | None,
        typer.Option(help="What the drawings were drawn from.", show_default="the folder that SOURCE names"),
    ] = None,
    splits: Annotated[
        str | None, typer.Option(help="A shards folder whose splits are kept.", show_default="OUT itself")
    ] = None,
) -> Paths:
    """styled/ → shards/."""
    return {"styled": source, "shards": out, "photographs": photographs, "splits": splits}


@verb("train")
def train(
    source: Annotated[str | None, typer.Argument(help="A shards folder.", show_default="shards")] = None,
    runs: Annotated[str | None, typer.Option(help="Where trainings lie.", show_default="runs")] = None,
    init: Annotated[
        str | None, typer.Option(help="A run, or a model file, to begin from.", show_default="nothing")
    ] = None,
    watch: Annotated[
        str | None,
        typer.Option(metavar="PRINTS", help="A folder of real prints, shown in the panels.", show_default="none"),
    ] = None,
) -> Paths:
    """shards/ → runs/."""
    return {"shards": source, "runs": runs, "init": init, "watch": watch}


@verb("colorize")
def colorize(
    prints: Annotated[
        list[str] | None, typer.Argument(help="Pictures, or folders of them.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The run that colours.", show_default="the newest finished run")
    ] = None,
    out: Annotated[str | None, typer.Option(help="The folder that is filled.", show_default="coloured")] = None,
    runs: Annotated[str | None, typer.Option(help="Where trainings lie.", show_default="runs")] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(help="Colour in the manner of this picture, or of a kept mood; of several in their mean's."),
    ] = None,
    save_like: Annotated[
        str | None, typer.Option(help="Keep the mood of --like in this file, for the next time.")
    ] = None,
) -> Paths:
    """Prints → coloured/."""
    steered = {"manner": like or None, "mood": save_like}
    return {"prints": prints or None, "model": model, "coloured": out, "runs": runs, **steered}


def run(
    config: Annotated[Path | None, typer.Argument(help="The settings file.", show_default="gravurekit.toml")] = None,
    first: Annotated[
        str, typer.Option("--from", metavar="STAGE", help=f"The first stage: {', '.join(ORDER)}.")
    ] = "crawl",
    last: Annotated[str, typer.Option("--to", metavar="STAGE", help=f"The last stage: {', '.join(ORDER)}.")] = "shard",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run, and why.")] = False,
    keywords: Annotated[
        list[str] | None, typer.Option(help="Keyword file or keyword, in place of the settings file's.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Source, in place of the settings file's.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Results a keyword, in place of the settings file's.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    **values: Any,
) -> None:
    """The chain."""
    flags: dict[str, dict[str, Any]] = {
        "paths": {"keywords": keywords or None, "sources": source or None},
        "crawl": {"per_keyword": limit},
        "machine": said(pipeline.Machine, values),
    }
    wishes = Wishes(pipeline.read_wishes(terminal.workspace_file(config)), flags)
    if dry_run:
        for prospect in pipeline.foresee(wishes, first, last):
            terminal.show_prospect(prospect, json)
        return
    finish(lambda watch: pipeline.run_chain(wishes, first, last, watch), json, quiet, table=True)


add(run, "run", [*named(run), *MACHINE], "Which part of the chain")


def evaluate(
    what: Annotated[Literal["style", "colors"], typer.Argument(help="What is measured: style, or colors.")],
    styled: Annotated[
        Path | None,
        typer.Argument(help="style: what it drew: styled/, or any folder of pictures.", show_default=False),
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(help="style: the photographs that it was drawn of, and others.")
    ] = None,
    prints: Annotated[
        Path | None,
        typer.Option(help="style: real prints: each folder in it is a book; colors: real coloured prints."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="colors: the run that is measured.", show_default="the newest finished run")
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="colors: samples, some of which are held back.", show_default="shards")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The report; its sheet is a PNG beside it.",
            show_default="reports/STYLED-style.json, reports/RUN-colors.json",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="style: where trained judges are kept.", show_default=".gravurekit-cache beside STYLED"),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    **values: Any,
) -> None:
    """Is it taken for a print; how near are the colours?"""
    words = {"styled": styled, "photos": photos, "prints": prints, "model": model, "shards": shards, "cache": cache}
    subjects.evaluate(what, words, out, values, json, quiet)


add(evaluate, "evaluate", [*named(evaluate), *flags_of(*subjects.SETTINGS.values())])


def report(
    folder: Annotated[
        Path,
        typer.Argument(help="raw/, clean/, styled/, shards/, coloured/, any pictures; a run; what evaluate wrote."),
    ],
    out: Annotated[Path | None, typer.Option(help="The page.", show_default="reports/FOLDER/report.html")] = None,
    png: Annotated[bool, typer.Option("--png", help="Also write its plots as PNG, beside it.")] = False,
    **values: Any,
) -> None:
    """A page to look at."""
    folder = storage.place(folder)
    out = out or pages.default_out(folder)
    knobs = layered(pages.Settings, "report", said(pages.Settings, values))
    machine = said(pipeline.Machine, values)
    wishes = Wishes(pipeline.read_wishes(terminal.workspace_file(values["config"])), {"machine": machine})
    with terminal.watching(values["quiet"]) as watch:
        with closing(pipeline.executor_of(wishes)) as executor:
            made = pages.write(folder, out, knobs, png, executor, watch)
    terminal.show_report(made, values["json"])


add(report, "report", [*named(report), *flags_of(pages.Settings), *SHARED, *MACHINE])


def open_studio(
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False, **values: Any
) -> None:
    """A page to work in."""
    knobs = layered(studio.Settings, "studio", said(studio.Settings, values))
    wishes = Wishes(pipeline.read_wishes(terminal.workspace_file(values["config"])))
    studio.serve(wishes, knobs, lambda address: terminal.show_studio(address, show, values["json"], values["quiet"]))


add(open_studio, "studio", [*named(open_studio), *flags_of(studio.Settings), *SHARED], "What is done besides")


@simple("credits")
def give_credit(
    folder: Annotated[Path, typer.Argument(help="raw/, clean/, styled/, shards/, or a run: what it learned from.")],
    out: Annotated[
        Path | None, typer.Option(help="Where CREDITS.md and CREDITS.csv go.", show_default="the folder itself")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Who made the pictures."""
    with terminal.watching(quiet) as watch:
        watch.begin("credits", None)
        made = credits.write(storage.place(folder), out or storage.place(folder))
    terminal.show_credits(made, json)


def export(
    format: Annotated[str, typer.Argument(metavar="FORMAT", help=f"One of {', '.join(crafts.names('exports'))}.")],
    source: Annotated[
        Path,
        typer.Argument(help="raw/, clean/, styled/, coloured/, shards/, or a folder of pictures; for onnx a training."),
    ],
    out: Annotated[Path, typer.Argument(help="The folder that is filled.")],
    **values: Any,
) -> None:
    """Pictures, tensors or a network for other programs."""
    machine = said(pipeline.Machine, values)
    file = pipeline.read_wishes(terminal.workspace_file(values["config"]))
    wishes = Wishes(file, {"machine": machine}, parse_assignments(values["assign"] or []))
    finish(lambda watch: [pipeline.hand_over(wishes, format, source, out, watch)], values["json"], values["quiet"])


add(export, "export", [*named(export), *SHARED, CRAFT, *MACHINE])


@simple("forget", "What is forgotten")
def forget(
    pictures: Annotated[list[str] | None, typer.Argument(help="Keys, or links.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of them: one a line, # before comments.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """An opt-out."""
    wishes = Wishes(pipeline.read_wishes(terminal.workspace_file(config)))
    with terminal.watching(quiet) as watch:
        made = pipeline.take_out(wishes, pictures or [], file, dry_run, watch)
    terminal.show_forgotten(made, json)
    if made.damaged:
        raise typer.Exit(DataError.exit_code)


@simple("settings")
def settings(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables, as in stylize or stylize.cartoon.", show_default="all")
    ] = None,
    config: Config = None,
    assign: Assign = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The settings in force, as a settings file, with the origin of each in a comment."""
    wishes = Wishes(pipeline.read_wishes(terminal.workspace_file(config)), {}, parse_assignments(assign or []))
    knobs = reference.in_force(wishes, tables or [])
    pipeline.check_preset(wishes)
    terminal.show_knobs(knobs, json)


@simple("doctor", "How far it looks")
def examine(
    config: Config = None,
    deep: Annotated[bool, typer.Option("--deep", help="Take the sha256 of every file.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no engine that needs the network.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What is here, what works, what is unfinished or damaged."""
    with terminal.watching(quiet) as watch:
        watch.begin("doctor", None)
        diagnosis = doctor.examine(Wishes(), deep, not offline, config)
    terminal.show_diagnosis(diagnosis, json)
    raise typer.Exit(diagnosis.exit_code)


def _endpoints(given: list[str] | None) -> dict[str, str] | None:
    pairs = [text.partition("=") for text in given or []]
    found: dict[str, str] = {}
    for name, equals, address in pairs:
        if not (name and equals and address):
            raise UsageError(f"--endpoint {name}{equals}{address}: write it as NAME=http://HOST:PORT")
        if name in found:
            raise UsageError(f"--endpoint {name} is given twice: a source has one address")
        found[name] = address
    return found or None


def work_in(folder: Path) -> None:
    """Go on as if started in `folder`, which is made if it is missing. Raises StorageError if that can't be."""
    storage.make_folder(folder)
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(f"can't work in {folder}: {error.strerror}") from None
