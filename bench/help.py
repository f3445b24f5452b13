"""Wall time of `gravurekit --help`, of a verb's help and of a word completed by Tab, beside the start of Python and
`import typer, rich`: the best of runs taken in turn, and how many times the latter --help takes."""

import os
import subprocess
import sys
import time

ROUNDS = 12
PROGRAM = [sys.executable, "-m", "gravurekit"]
PEER, OURS = "import typer, rich", "gravurekit --help"
TAB = {
    "_GRAVUREKIT_COMPLETE": "complete_bash",
    "COMP_WORDS": "gravurekit\nstylize\n--set\nengrave.p",
    "COMP_CWORD": "3",
}
COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "python": ([sys.executable, "-c", "pass"], {}),
    PEER: ([sys.executable, "-c", "import typer, rich"], {}),
    OURS: ([*PROGRAM, "--help"], {}),
    "gravurekit filter --help": ([*PROGRAM, "filter", "--help"], {}),
    "stylize --set engrave.p Tab": (PROGRAM, TAB),
}


def main() -> None:
    """Print the times in milliseconds, and the ratio."""
    best = dict.fromkeys(COMMANDS, 60.0)
    for _ in range(ROUNDS):
        for name, (command, environment) in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | environment)
            best[name] = min(best[name], time.perf_counter() - began)
    for name, seconds in best.items():
        sys.stdout.write(f"{name:28} {1000 * seconds:6.0f} ms\n")
    sys.stdout.write(f"{'ratio':28} {best[OURS] / best[PEER]:6.2f}\n")


if __name__ == "__main__":
    main()
