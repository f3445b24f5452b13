"""The command line's front door: the list of verbs, exit codes, and nothing that takes time to import.

Only this file turns errors into exit codes (errors.py lists them). The verbs themselves are in `commands.py`, which is
imported when one of them is used, so that `gravurekit --help` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gravurekit import __version__
from gravurekit.errors import GravurekitError

VERBS = {
    "crawl": "Find pictures by keyword, download them, remember where they came from.",
    "filter": "Drop duplicates and unusable pictures, each with its reason.",
    "stylize": "Draw photographs as coloured engravings, ink and wash kept apart.",
    "shard": "Write CIE Lab tensors for training, each traceable to its picture.",
    "train": "Train the colorization network; run again to go on.",
    "colorize": "Colour prints of any size with a trained network.",
    "run": "The whole chain; stages that are fresh are skipped.",
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


def main() -> None:
    """The program; ends the process with the exit code of what happened."""
    try:
        app()
    except GravurekitError as error:
        from gravurekit import terminal

        terminal.complain(str(error))
        sys.exit(error.exit_code)
