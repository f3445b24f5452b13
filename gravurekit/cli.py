"""The command line's front door: the list of verbs, exit codes, and nothing that takes time to import.

Only this file turns errors into exit codes (errors.py lists them). The verbs themselves are in `commands.py`, which is
imported when one of them is used, so that `gravurekit --help` answers at once.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gravurekit import __version__, streams, usage
from gravurekit.errors import FailedElsewhere, GravurekitError, Interrupted, NobodyReads, UsageError
from gravurekit.model.ranks import place

GROUPS = {
    "The chain, in its order": {
        "init": "Make a workspace: gravurekit.toml with every knob, and keywords/.",
        "crawl": "Find pictures by keyword, download them, note where they are from.",
        "filter": "Drop duplicates and unusable pictures, each with its reason.",
        "stylize": "Draw photographs as coloured engravings, ink apart from wash.",
        "shard": "Write CIE Lab tensors for training, each traceable to its picture.",
        "train": "Train the colorization network; run again to go on.",
        "colorize": "Colour prints of any size with a trained network.",
        "run": "The whole chain; stages that are fresh are skipped.",
    },
    "Looking and measuring": {
        "report": "Write a page to look at: pictures, shards, a run, an evaluation.",
        "studio": "A page on this machine to review, draw and colour by hand.",
        "evaluate": "Measure how print-like a style is, how true a network's colours.",
    },
    "Handing over, giving credit": {
        "export": "Write pictures, shards or a network for other programs.",
        "credits": "Write who made the pictures, under which licence, where they are.",
        "forget": "Take pictures and their copies out of the workspace, for good.",
    },
    "The workshop": {
        "settings": "Show the settings in force, and where each comes from.",
        "doctor": "What is installed, what answers, what is unfinished or damaged.",
    },
}
VERBS = {name: said for verbs in GROUPS.values() for name, said in verbs.items()}
COMPLETE = "_GRAVUREKIT_COMPLETE"  # where a shell says that it wants a word completed
Refusal: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class Verbs(typer.core.TyperGroup):
    """The verbs in the order of the chain, each made when it is asked for."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """The program. Ends the process with the exit code of what happened. Raises GravurekitError, also for what
        Typer refuses."""
        said = os.environ.get(COMPLETE, "")
        if said.startswith("complete_"):
            from gravurekit.completion import answer

            sys.exit(answer(said.removeprefix("complete_"), os.environ))
        words = sys.argv[1:] if args is None else list(args)
        _refuse_bytes(words)
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except Refusal as refusal:
            _explain(refusal)
        sys.exit(code if isinstance(code, int) else 0)

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

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The verbs, group by group, without making any; then the flags before them."""
        for heading, verbs in GROUPS.items():
            usage.write_section(formatter, heading, [(f"{name:8}", said) for name, said in verbs.items()])
        usage.write_section(formatter, "Flags before the verb", [usage.row_of(item) for item in self.get_params(ctx)])


def _refuse_bytes(words: Sequence[str]) -> None:
    """Raises UsageError for a word that isn't text: what a file is called must be told in receipts, which are UTF-8."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise UsageError(
                f"{shown} isn't UTF-8, and names of files and folders must be: rename it (`convmv -f latin1 -t utf-8 "
                "--notest` does so), or name the folder that it lies in"
            ) from None


def _explain(refusal: Any) -> NoReturn:
    """Raises UsageError: what Typer refused, said as all our errors are. Help that nobody asked for is shown."""
    if type(refusal).__name__ == "NoArgsIsHelpError":
        refusal.show()
        sys.exit(refusal.exit_code)
    said = " ".join(refusal.format_message().split()).rstrip(".")
    command = refusal.ctx.command_path if getattr(refusal, "ctx", None) else "gravurekit"
    verb = command.partition(" ")[2]
    raise UsageError(f"{verb and f'{verb}: '}{said[:1].lower()}{said[1:]}; see `{command} --help`") from None


app = typer.Typer(
    name="gravurekit",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes twice as long to import as everything else here
    context_settings={"max_content_width": usage.WIDEST},
    help="From a list of words to a coloured engraving: crawl → filter → stylize → shard → train → colorize.",
    epilog="A verb's flags: `gravurekit VERB --help`. To begin: `gravurekit init`, or `gravurekit doctor`.",
)


def _version(ctx: typer.Context, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        sys.stdout.write(f"gravurekit {__version__}\n")
        raise typer.Exit


@app.callback()
def start(
    folder: Annotated[
        Path | None,
        typer.Option(
            "-C", "--folder", metavar="PATH", help="Work in this folder, made if missing, as if started there."
        ),
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
    streams.prepare()
    _watch_interrupts()
    try:
        # of several processes one answers
        with streams.delivered(), nullcontext() if place().leads else redirect_stdout(io.StringIO()):
            app()
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)
    except (FailedElsewhere, NobodyReads) as error:
        sys.exit(error.exit_code)
    except GravurekitError as error:
        from gravurekit import screen

        screen.complain(str(error))
        sys.exit(error.exit_code)
