"""Functions for tasks on a Ray cluster, where workers import them by name; and nodes, real ones, on this machine."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workspace import until

HERE = Path(__file__).parent
TOKEN = "0123456789abcdef" * 4
# a machine whose clock is wrong: what a worker writes has times of another day
WRONG_CLOCK = """
import os, time
def replace(source, target, *, _replace=os.replace, **further):
    _replace(source, target, **further)
    if os.path.isfile(target):
        os.utime(target, (time.time() + {seconds},) * 2)
os.replace = replace
"""


def noted_try(folder: Path, number: int) -> int:
    """How often a task was tried before."""
    before = len(list(folder.glob(f"{number}.*")))
    (folder / f"{number}.{before}").touch()
    return before


def misbehave(task: tuple[str, str, int]) -> int:
    """Numbers of ten or more do what the word says; others are squared."""
    folder, word, number = task
    before = noted_try(Path(folder), number)
    if number >= 10:
        if word == "crash":
            ctypes.string_at(0)
        if word == "hang":
            signal.pause()
        if word == "grow":
            hoard = [bytes(50_000_000) + os.urandom(1) for _ in range(40)]
            time.sleep(60)
            return len(hoard)
        if word == "kill the worker" and not before:
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()
    return number * number


def large(megabytes: int) -> bytearray:
    return bytearray(megabytes * 1_000_000)


def wait_for_file(task: tuple[str, int]) -> int:
    """Waits until there is a file of that name."""
    name, number = task
    noted_try(Path(name).parent, number)
    while not Path(name).exists():
        time.sleep(0.02)
    return number


def where(_: int) -> tuple[str, list[str | None]]:
    from gravurekit.workers import SURROUNDINGS

    return os.getcwd(), [os.environ.get(name) for name in SURROUNDINGS]


# ---- nodes ---------------------------------------------------------------------------------------------


@dataclass
class Nodes:
    """A cluster of `ray start` processes on loopback, which asks for a token. Its head does no tasks."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen] = field(default_factory=list)

    def environment(self, **further: str) -> dict[str, str]:
        """What programs of this cluster need to know."""
        paths = [str(self.folder), str(HERE), str(HERE / "ground")]
        ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
        return {
            **os.environ,
            **ours,
            "PYTHONPATH": os.pathsep.join(paths),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
            **further,
        }

    def start(self) -> None:
        """The head."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._run(["--head", f"--port={port}", "--include-dashboard=false", "--num-cpus=0"], (), {})

    def add(self, clock: int = 0, inside: Sequence[str] = ()) -> subprocess.Popen:
        """One more node with one CPU, `clock` seconds ahead; `inside`: a command that runs it."""
        place = self.folder / f"clock {clock}"
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=clock) if clock else "")
        path = os.pathsep.join([str(place), self.environment()["PYTHONPATH"]])
        return self._run([f"--address={self.address}", "--num-cpus=1"], inside, {"PYTHONPATH": path})

    def _run(self, words: Sequence[str], inside: Sequence[str], further: Mapping[str, str]) -> subprocess.Popen:
        common = ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--block", "--disable-usage-stats"]
        command = [*inside, sys.executable, "-m", "ray.scripts.scripts", "start", *words, *common]
        said = self.folder / f"node {len(self.processes)}"
        for _ in range(3):  # on a machine that has much to do some of Ray's processes give up waiting for one another
            with said.open("w") as file:
                process = subprocess.Popen(
                    command,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=self.environment(**further),
                )
            self.processes.append(process)
            until(lambda p=process: p.poll() is not None or "Ray runtime started" in said.read_text())  # type: ignore[misc]
            if process.poll() is None:
                return process
            self.kill(process)
        raise AssertionError(said.read_text())

    def kill(self, process: subprocess.Popen) -> None:
        """All that runs on a node is killed at once, as when its power fails."""
        kill_session(process.pid)
        process.wait()

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                self.kill(process)


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def kill_session(session: int) -> None:
    while found := members(session):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def outcomes(found: Any) -> list[tuple[int, Any, str]]:
    return sorted((outcome.index, outcome.value, outcome.lost) for outcome in found)
