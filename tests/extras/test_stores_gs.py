"""Folders on a server that speaks Google's storage protocol, on loopback: the same bytes as on a disk."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import digests, patchwork

pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")

PROGRAM = [sys.executable, "-m", "gravurekit"]
SERVE = (
    "import sys, threading; from gcp_storage_emulator.server import create_server\n"
    "create_server('127.0.0.1', int(sys.argv[1]), in_memory=True, default_bucket='plates').start()\n"
    "print('up', flush=True); threading.Event().wait()"
)


@pytest.mark.slow
def test_the_same_bytes_as_on_a_disk(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}",
        "FSSPEC_GS_TOKEN": "anon",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # it asks by another protocol what kind of bucket it is
        "GRAVUREKIT_CACHE": str(tmp_path / "cache"),
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [*PROGRAM, *words], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    patchwork(tmp_path / "photos", 5)
    quick = ("--short-side", "64", "--style", "cartoon")
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == "up\n"
            run("stylize", "photos", "gs://plates/styled", *quick)
            assert "[fresh]" in run("stylize", "photos", "gs://plates/styled", *quick)
            run("shard", "gs://plates/styled", "gs://plates/shards", "--size", "32")
            assert "0 faults" in run("shard", "--verify", "gs://plates/shards")
            run("shard", "gs://plates/styled", "there", "--size", "32")
        finally:
            server.kill()
    run("stylize", "photos", "styled", *quick)
    run("shard", "styled", "here", "--size", "32")
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
