"""This process as part of a Ray cluster: one that is there, or one of its own on this machine that ends with it.

Nothing waits for ever: who doesn't answer, or refuses us, is told at once, with what to do.
"""

import atexit
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from gravurekit import storage
from gravurekit.errors import MissingExtra, UsageError

KNOCK = 5.0  # seconds in which the head of a cluster opens its door
ANSWER = 15.0  # seconds in which a cluster says whether we may join it
JOIN = 120.0  # seconds in which we have joined it, or started one
TOKEN = secrets.token_hex(32)  # of clusters of our own: who else is on this machine can't run anything on them
STORE = 500_000_000  # bytes of results that wait in memory, on this machine; more of them wait on the disk

# of a cluster on this machine: nothing is told to Ray's makers, workers see the GPU as those of `local` do, and memory
# is watched by our own limits
OWN = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_memory_monitor_refresh_ms": "0",
}


def package() -> ModuleType:
    """Ray. Raises MissingExtra where it isn't installed."""
    try:
        import ray
    except ImportError:
        raise MissingExtra("--executor ray", "ray") from None
    return ray


_joined: list[tuple[str, int]] = []  # the cluster that this process is part of
_left = threading.Event()  # is set, and made anew, when it is so no more


def join(address: str, jobs: int) -> ModuleType:
    """Ray, with this process on that cluster; it stays there to its end, whatever else is to be done."""
    ray = package()
    wanted = (address, 0 if address else jobs)
    if ray.is_initialized() and (_joined == [wanted] or not _joined):  # or by whoever uses us as a library
        return ray
    leave()
    if address:
        _ask(address)
        _kept(lambda: ray.init(address=address, logging_level="ERROR", log_to_driver=False), f"the cluster {address}")
    else:
        cpus = jobs or os.cpu_count() or 1
        with _surroundings({**OWN, "RAY_AUTH_TOKEN": TOKEN, "PYTHONPATH": os.pathsep.join(sys.path)}):
            _kept(lambda: _start(ray, cpus), "a cluster on this machine")
    ray._private.worker._worker_logs_enabled = False  # else it prints what becomes of nodes, and to stdout
    _joined.append(wanted)
    return ray


def _start(ray: ModuleType, cpus: int) -> None:
    ray.init(
        address="local", num_cpus=cpus, include_dashboard=False, object_store_memory=STORE, logging_level="ERROR",
        log_to_driver=False,
    )  # fmt: skip
    atexit.register(leave)


def leave() -> None:
    """Leave the cluster, and end it if it is ours alone."""
    ray = sys.modules.get("ray")
    if not _joined or ray is None:
        return
    address, _ = _joined.pop()
    logs = None
    with suppress(AttributeError):  # not for others to ask
        logs = None if address else Path(ray._private.worker._global_node.get_session_dir_path())
    ray.shutdown(wait_for_processes=True)
    if logs is not None:
        storage.remove(logs)
    _left.set()


def _kept(enter: Callable[[], object], what: str) -> None:
    """Join in a thread that is there to the end: on Linux the processes of a cluster end with the thread that started
    them, so that none outlives us however we die; and one that doesn't answer can be given up."""
    global _left
    done, failures, _left = threading.Event(), list[BaseException](), threading.Event()
    left = _left

    def keep() -> None:
        try:
            enter()
        except BaseException as error:  # noqa: BLE001 (told below)
            failures.append(error)
        done.set()
        left.wait()

    threading.Thread(target=keep, daemon=True, name="keeper of the cluster").start()
    if not done.wait(JOIN):
        raise UsageError(f"{what} can't be joined: no answer within {JOIN:.0f} s. {_TODO}")
    if failures:
        raise UsageError(f"{what} can't be joined: {failures[0]}. {_TODO}")


_TODO = (
    "Run on one of its nodes (`ray start --address=HOST:PORT --num-cpus=0` makes this machine one), with the same "
    "versions of Python and Ray; `--executor local` needs no cluster"
)


def check_address(address: str) -> None:
    """Raises UsageError for what can't be the address of a cluster, MissingExtra if Ray isn't installed; nobody is
    asked."""
    if find_spec("ray") is None:
        raise MissingExtra("--executor ray", "ray")
    if "://" in address:
        raise UsageError(
            f"{address}: Ray Client isn't supported. Run on a node of the cluster with --ray-address auto, or send the "
            "command there with `ray job submit` (docs/cluster.md)"
        )
    host, _, port = address.rpartition(":")
    if address not in ("", "auto") and (not host or not port.isdecimal() or not 0 < int(port) < 65536):
        raise UsageError(f"--ray-address {address!r} is neither HOST:PORT nor auto")


def _ask(address: str) -> None:
    """Ray's own question whether a cluster is well, in a process that may hang or be aborted; this one mayn't."""
    check_address(address)
    if address != "auto":
        _knock(address)
    where = [] if address == "auto" else ["--address", address]
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", *where]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=ANSWER, check=False)
    except subprocess.TimeoutExpired:
        raise UsageError(_SILENT.format(address)) from None
    if done.returncode:
        raise UsageError(_refused(address, done.stdout + done.stderr))


_SILENT = (
    "the Ray cluster {} doesn't answer: is it up (`ray status` there), is that the port of its head (6379 by default), "
    "does a firewall let it through?"
)


def _knock(address: str) -> None:
    """Raises UsageError if nobody listens there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except OSError as error:
        raise UsageError(f"{_SILENT.format(address)} ({error})") from None


def _refused(address: str, said: str) -> str:
    """Why a cluster can't be joined, by what Ray said."""
    if "InvalidAuthToken" in said or "authentication token" in said:
        return (
            f"the Ray cluster {address} asks for a token, and there is none here, or another: set RAY_AUTH_MODE=token "
            "and RAY_AUTH_TOKEN_PATH to a file that holds it (docs/cluster.md)"
        )
    if "Could not find any running Ray instance" in said or "ConnectionError" in said:
        return f"no Ray cluster is to be found as {address}: give --ray-address HOST:PORT, or none for one of our own"
    last = said.strip().rsplit("\n", 1)[-1]
    return f"the Ray cluster {address} can't be joined: {last or 'it says it is not well'}"


@contextmanager
def _surroundings(variables: Mapping[str, str]) -> Iterator[None]:
    """What a cluster of our own inherits; Ray's own changes of it are undone as well."""
    before = dict(os.environ)
    os.environ |= variables
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ |= before
