"""How long a metadata.jsonl of a million Records takes to write and to read, and with how much memory; beside the
standard library's json, which proves nothing about a line.

    python bench/metadata.py [COUNT]

The limit is what the disk and a single pass over the bytes take: sha256 of the file is measured beside it.
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gravurekit import metadata
from gravurekit.record import Record


def records(count: int) -> Iterator[Record]:
    """Records as a filter leaves them, no two alike."""
    chance = random.Random(0)
    for n in range(count):
        sha256, pixels = f"{chance.getrandbits(256):064x}", f"{chance.getrandbits(256):064x}"
        key = sha256[:16]
        yield Record(
            key=key, file_name=f"images/{key}.jpg", sha256=sha256, width=800, height=600 + n % 400,
            labels=("dress", "kaftan"), keywords=("red dress",), source="bing",
            url=f"https://pictures.example.org/collection/{n}/full/{key}.jpg",
            page_url=f"https://www.example.org/pages/{n}", title=f"A woman in a red dress, № {n}",
            pixels_sha256=pixels, phash=pixels[:16], phash_algorithm="imagehash.phash 4.3.2",
            scores={"chroma_residual": chance.random(), "grey_spread": chance.random()}, cluster=key,
        )  # fmt: skip


def part(what: str, path: Path, count: int) -> dict[str, float]:
    """One measurement, in this process: seconds, and by how much the peak of memory grew, in GB."""
    before = _peak()
    if what == "write":
        made = list(records(count))
        before = _peak()
        began = time.perf_counter()
        metadata.write_lines(path, made)
    elif what == "write, json":
        made = [json.loads(item.to_json()) for item in records(count)]
        before = _peak()
        began = time.perf_counter()
        path.write_text("".join(json.dumps(item) + "\n" for item in made))
    else:
        began = time.perf_counter()
        if what == "read":
            assert len(metadata.read_lines(path)) == count
        elif what == "read, json":
            with open(path, "rb") as file:
                assert len([json.loads(line) for line in file]) == count
        else:
            metadata.file_sha256(path)
    return {"seconds": time.perf_counter() - began, "GB": _peak() - before}


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    if len(sys.argv) == 4:  # a part, in a process of its own so that memory is its own
        sys.stdout.write(json.dumps(part(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))) + "\n")
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as place:
        path, found = Path(place) / "metadata.jsonl", {}
        for what in ("write", "write, json", "write", "read", "read, json", "sha256"):
            command = [sys.executable, __file__, what, str(path), str(count)]
            found[what] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            sys.stdout.write(f"{what:12} {found[what]['seconds']:6.1f} s   {found[what]['GB']:5.2f} GB more\n")
        sys.stdout.write(f"{count:,} Records, {path.stat().st_size / 1e6:.0f} MB\n")
        for verb in ("write", "read"):
            ratio = found[verb]["seconds"] / found[f"{verb}, json"]["seconds"]
            sys.stdout.write(f"{verb}: {ratio:.2f} × json's time\n")


if __name__ == "__main__":
    main()
