"""The command: where it listens, how it ends, what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from prints import photograph
from studio_server import Client
from workspace import is_alive, run_here, until

from gravurekit import images

MORE_ENDINGS = ((signal.SIGINT, 0), (signal.SIGTERM, -15))
PROGRAM = [sys.executable, "-m", "gravurekit"]


@contextmanager
def started(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """`gravurekit studio` as a process, once it answers."""
    process = subprocess.Popen(
        [*PROGRAM, "-C", str(folder), "studio", "--port", "0", "--jobs", "2", "--json", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout
        yield process, Client(json.loads(process.stdout.readline())["address"])
    finally:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]


def working(process: subprocess.Popen[str], client: Client) -> list[int]:
    """Have it start its workers."""
    assert client.upload(images.encode_png(photograph(1))).status_code == 200
    pids = children(process.pid)
    assert len(pids) >= 2
    return pids


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who is whose child")
@pytest.mark.parametrize(
    ("kind", "code"),
    [(signal.SIGKILL, -9), *(pytest.param(kind, code, marks=pytest.mark.slow) for kind, code in MORE_ENDINGS)],
)
def test_whatever_ends_it_nothing_stays(tmp_path: Path, kind: signal.Signals, code: int) -> None:
    with started(tmp_path) as (process, client):
        pids = working(process, client)
        process.send_signal(kind)
        assert process.wait(30) == code
        assert until(lambda: not any(is_alive(pid) for pid in pids))
        assert process.stderr and "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == [], "a look at a workspace writes nothing into it"


def test_it_works_in_an_empty_workspace(tmp_path: Path) -> None:
    with started(tmp_path) as (_, client):
        page = client.get("/")
        assert page.status_code == 200 and tmp_path.name in page.text
        assert client.get("/api/colorize").json()["runs"] == []
        answer = client.get("/api/colorize/none")
        assert answer.status_code == 404 and "gravurekit train" in answer.json()["error"]


def test_it_says_where_it_is_and_how_it_is_ended(tmp_path: Path) -> None:
    words = [*PROGRAM, "-C", str(tmp_path), "studio", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "Ctrl-C" in said and process.returncode == 0


def test_quiet_json_is_all_that_is_written(tmp_path: Path) -> None:
    words = [*PROGRAM, "-C", str(tmp_path), "studio", "--port", "0", "--json", "--quiet"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    told = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "") and process.returncode == 0
    assert told.keys() == {"address"} and told["address"].startswith("http://127.0.0.1:")


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = run_here("-C", str(tmp_path), "studio", "--port", str(other.getsockname()[1]))
    assert result.exit_code == 2 and "--port" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "no.such.host.invalid"), "can't listen"),
        (("--host", "192.0.2.1"), "can't listen"),
        (("--port", "99999"), "65535"),
        (("--max-upload", "0"), "max-upload"),
    ],
)
def test_what_cant_be_listened_at_is_told(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    result = run_here("-C", str(tmp_path), "studio", "--port", "0", *words)
    assert result.exit_code == 2 and said in f"{result.exception} {result.output}"


def resident(pids: list[int]) -> int:
    """Bytes of memory that processes have."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids if is_alive(pid)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how much memory a process has")
def test_ten_people_at_once_are_served_in_turn(painting: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    plates = [images.encode_png(photograph(n).repeat(2, axis=0).repeat(2, axis=1)) for n in range(10)]
    with started(painting) as (process, client):
        working(process, client)

        def person(n: int) -> list[dict[str, Any]]:
            own = Client(client.address)
            said: list[dict[str, Any]] = []
            for round_ in range(2):
                upload = own.upload(plates[n], f"{n}.png").json()["id"]
                knobs = {"saturation": 1 + round_ / 10}
                said += own.work("/api/colorize", {"upload": upload, "run": "loud", "knobs": knobs})
                said += own.work("/api/stylize", {"upload": upload, "seed": round_})
            return said

        with ThreadPoolExecutor(10) as people:
            before = resident([process.pid])
            told = list(people.map(person, range(10)))
        assert resident([process.pid]) - before < 600_000_000
        assert process.poll() is None and client.get("/").status_code == 200
    assert all(sum("done" in line for line in lines) == 4 for lines in told)
    assert max(line.get("ahead", 0) for lines in told for line in lines) >= 3, (
        "they were told how many were before them"
    )


def test_more_than_can_wait_are_asked_to_come_again(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with started(tmp_path, "--jobs", "1", "--waiting", "1") as (_, client):
        upload = client.upload(images.encode_png(photograph(2))).json()["id"]

        def ask(n: int) -> str:
            own = requests.post(
                f"{client.root}/api/stylize", json={"upload": upload, "seed": n, "side": 1024},
                headers={"X-Gravurekit": "studio"}, timeout=60,
            )  # fmt: skip
            return own.text.splitlines()[-1]

        with ThreadPoolExecutor(8) as people:
            said = list(people.map(ask, range(8)))
    assert any("try again in a minute" in line for line in said) and any('"done"' in line for line in said)
