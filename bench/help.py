"""Wall time of `gravurekit --help` beside `import typer, rich`: the best of runs taken in turn, and the ratio."""

import subprocess
import sys
import time

ROUNDS = 12
COMMANDS = {
    "import typer, rich": [sys.executable, "-c", "import typer, rich"],
    "gravurekit --help": [sys.executable, "-m", "gravurekit", "--help"],
}


def main() -> None:
    """Print both times in milliseconds, and the ratio."""
    best = dict.fromkeys(COMMANDS, 60.0)
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            best[name] = min(best[name], time.perf_counter() - began)
    for name, seconds in best.items():
        sys.stdout.write(f"{name:20} {1000 * seconds:6.0f} ms\n")
    peer, ours = best.values()
    sys.stdout.write(f"{'ratio':20} {ours / peer:6.2f}\n")


if __name__ == "__main__":
    main()
