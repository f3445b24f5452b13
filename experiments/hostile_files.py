"""Crawls a folder of broken, oversized, lying and odd files over HTTP, and compares what became of each with a table.

    python experiments/hostile_files.py FOLDER

FOLDER holds expected.csv with the columns `file` (below FOLDER) and `opens` (yes: a picture; else it must be refused,
with a reason). Every file must end as one or the other, and nothing may hang or crash.
"""

import csv
import functools
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from gravurekit import metadata


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def main() -> None:
    root = Path(sys.argv[1])
    with open(root / "expected.csv", newline="", encoding="utf-8") as file:
        expected = {row["file"]: row["opens"] == "yes" for row in csv.DictReader(file)}
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as place:
        links = Path(place, "links.txt")
        links.write_text("".join(f"http://127.0.0.1:{server.server_port}/{quote(name)}\n" for name in expected))
        command = [sys.executable, "-m", "gravurekit", "crawl", "--source", f"urls:{links}", "--out", f"{place}/raw"]
        began = time.monotonic()
        done = subprocess.run([*command, "--allow-private-addresses"], capture_output=True, text=True, timeout=600)
        say(f"{done.stdout}{time.monotonic() - began:.1f} s, exit code {done.returncode}")
        compare(expected, Path(place, "raw"))


def compare(expected: dict[str, bool], raw: Path) -> None:
    """Print what became of the files otherwise than expected, and the reasons."""
    kept = {name_of(item.url): item for item in metadata.read_lines(raw / metadata.METADATA)}
    dropped = {name_of(item.url): item for item in metadata.read_lines(raw / metadata.DROPPED)}
    lost = len(expected.keys() - kept.keys() - dropped.keys())
    say(f"{len(expected)} files: {len(kept)} kept, {len(dropped)} dropped, {lost} lost")
    say(str(dict(Counter(item.reason for item in dropped.values()).most_common())))
    for name, opens in expected.items():
        if name in kept and not opens:
            say(f"  kept, though it was expected to be refused: {name}")
        if opens and name not in kept and dropped[name].reason != "same-bytes":
            say(f"  refused, though it was expected to open: {name}: {dropped[name].reason}: {dropped[name].detail}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def name_of(url: str) -> str:
    return unquote(urlsplit(url).path).lstrip("/")


if __name__ == "__main__":
    main()
