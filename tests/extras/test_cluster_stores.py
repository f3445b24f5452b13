"""A cluster whose nodes share nothing but a bucket: each has a disk of its own for what it fetches."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_tasks import Nodes
from stores import digests_of, running
from workspace import digests, patchwork

from gravurekit import objects

for package in ("ray", "moto", "flask", "flask_cors", "s3fs"):
    pytest.importorskip(package)

PROGRAM = [sys.executable, "-m", "gravurekit"]
DISK = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
CHAIN = {
    "raw": ("crawl", "--source", "folder:photos", "--out", "{}/raw"),
    "clean": ("filter", "{}/raw", "{}/clean", "--skip", "too_small", "--relevance", "none"),
    "styled": ("stylize", "{}/clean", "{}/styled", "--short-side", "64", "--style", "cartoon"),
    "shards": ("shard", "{}/styled", "{}/shards", "--size", "32", "--photo"),
}


@pytest.mark.slow
def test_the_chain_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    if not shutil.which("unshare") or subprocess.run([*DISK, str(cache), "true"], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    patchwork(tmp_path / "photos", 40)

    def run(words: tuple[str, ...], root: str, *further: str, environment: dict[str, str] | None = None) -> None:
        command = [*PROGRAM, *(word.format(root) for word in words), *further, "--quiet"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=300
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{command}: {done.stderr[-3000:]}"

    with running(cache) as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        objects.forget_stores()
        nodes = Nodes(tmp_path)
        try:
            nodes.start()
            for _ in range(2):
                nodes.add(inside=[*DISK, str(cache)])
            on = ("--executor", "ray", "--ray-address", nodes.address)
            for words in CHAIN.values():
                run(words, "s3://plates/x", *on, environment=nodes.environment())
        finally:
            nodes.stop()
        for name, words in CHAIN.items():
            run(words, ".", "--executor", "serial")
            there = digests_of(f"s3://plates/x/{name}", tmp_path / "taken" / name, but=("journal.jsonl",))
            assert there == digests(tmp_path / name, but=("journal.jsonl",))
    objects.forget_stores()
