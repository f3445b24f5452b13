"""The command line's front door: the list of verbs, exit codes, and nothing that takes time to import.

Only this file turns errors into exit codes (errors.py lists them). The verbs themselves are in `commands.py`, which is
imported when one of them is used, so that `gravurekit --help` answers at once.
"""

import io
import os
import signal
import sys
import threading
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from gravurekit import __version__
from gravurekit.errors import FailedElsewhere, GravurekitError, Interrupted, UsageError
from gravurekit.model.ranks import place

VERBS = {
    "init": "Make a workspace: gravurekit.toml with every knob explained, and keywords/.",
    "crawl": "Find pictures by keyword, download them, remember where they came from.",
    "filter": "Drop duplicates and unusable pictures, each with its reason.",
    "stylize": "Draw photographs as coloured engravings, ink and wash kept apart.",
    "shard": "Write CIE Lab tensors for training, each traceable to its picture.",
    "train": "Train the colorization network; run again to go on.",
    "colorize": "Colour prints of any size with a trained network.",
    "run": "The whole chain; stages that are fresh are skipped.",
    "evaluate": "Measure: is a style taken for a print; how near are a network's colours to the true ones.",
    "report": "Write a page to look at: what was kept, dropped and why; a style; tensors; a training; an evaluation.",
    "credits": "Write who made the pictures of a folder or run, under which licence, and where they are.",
    "export": "Write pictures or shards for other programs (webdataset, parquet, imagefolder), or a training (onnx).",
    "forget": "Take pictures and their copies out of the whole workspace, for good: an opt-out.",
    "settings": "Show the settings in force, and where each comes from.",
    "doctor": "What is installed, what answers, what is unfinished or damaged.",
}


class Verbs(typer.core.TyperGroup):
    """The verbs in the order of the chain, each made when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the chain."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        from gravurekit.commands import app as verbs

        return typer.main.get_group(verbs).commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed. Raises UsageError with the nearest one if there is none of that name."""
        if args and args[0] not in VERBS:
            from gravurekit.settings import did_you_mean

            raise UsageError(f"no verb is called {args[0]!r}{did_you_mean(args[0], VERBS)}")
        if args and args[0] != "train" and place().world > 1:
            raise UsageError(f"{args[0]} works in one process: torchrun is for train only")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of verbs, without making any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(
    name="gravurekit",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes twice as long to import as everything else here
    help="From a list of words to a coloured engraving: crawl → filter → stylize → shard → train → colorize.",
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"gravurekit {__version__}\n")
        raise typer.Exit


@app.callback()
def start(
    folder: Annotated[
        Path | None,
        typer.Option("-C", "--folder", help="Work in this folder, made if missing, as if started there."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a list of words to a coloured engraving: crawl → filter → stylize → shard → train → colorize."""
    if folder is not None:
        from gravurekit.commands import work_in

        work_in(folder)


def _watch_interrupts() -> None:
    """The first Ctrl-C ends a run in good order; see to it that a second one ends it at once.

    The system writes each signal into a pipe at once, and a thread reads it there: Python itself looks at signals only
    between its own steps, and a step of torch can take many seconds.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # a shell's background job ignores Ctrl-C
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def wait() -> None:
        left = 2
        while left:
            left -= os.read(reading, 1)[0] == signal.SIGINT
        _end_at_once()

    threading.Thread(target=wait, daemon=True).start()


def _end_at_once() -> None:
    """Workers first, so that none outlives this process. What is half done is done again next time."""
    if "multiprocessing" in sys.modules:
        for process in sys.modules["multiprocessing"].active_children():
            process.kill()
    os.write(2, b"gravurekit: ended at once; run the same command again to go on\n")
    os._exit(Interrupted.exit_code)


def main() -> None:
    """The program; ends the process with the exit code of what happened. Ctrl-C ends it in good order, a second one at
    once."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our arrows is no reason to fail
    _watch_interrupts()
    try:
        with nullcontext() if place().leads else redirect_stdout(io.StringIO()):  # of several processes one answers
            app()
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)
    except FailedElsewhere as error:
        sys.exit(error.exit_code)
    except GravurekitError as error:
        from gravurekit import terminal

        terminal.complain(str(error))
        sys.exit(error.exit_code)
