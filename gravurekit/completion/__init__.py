"""What a shell may put in the place of a word that isn't finished: verbs, flags, values, by Tab.

It answers from flags.json, which `python -m gravurekit.completion` makes of the commands and crafts, because to import
them takes a second: verbs.py reads the command line as far as it is typed, values.py knows what a value may be,
shells.py speaks with bash, zsh, fish and PowerShell as Typer's scripts do (`gravurekit --show-completion`).
"""

import os
import sys
from collections.abc import Mapping

from gravurekit.completion import shells, verbs


def answer(shell: str, environment: Mapping[str, str]) -> int:
    """Write what the shell is to offer on stdout: the exit code. Whatever goes wrong, nothing is written between the
    words that somebody is typing."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    asked = shells.read(shell, environment)
    found = verbs.complete(asked.words, asked.current)
    told, code = shells.tell(shell, asked, found, environment)
    sys.stdout.write(told)
    return code
