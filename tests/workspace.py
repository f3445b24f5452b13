"""Running the command line in the tests' own process."""

from typer.testing import CliRunner, Result

from gravurekit.cli import app
from gravurekit.errors import GravurekitError

KEYWORDS = "kaftan\nsalvar: şalvar\ndress: red dress\n"


def run_here(*arguments: str) -> Result:
    """Run the command line in this folder; errors of ours become exit codes and text as in a process of its own."""
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, GravurekitError):
        result.exit_code = result.exception.exit_code
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
