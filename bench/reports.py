"""How long a report of a large folder takes, how large its page is, and how soon a browser shows something.

    nice -n -12 python bench/reports.py DATA [--pictures 20000]

DATA: a folder of pictures of any kind. They come again, each time a little darker, until there are so many: a crawl's
folder with a Record each, in which no two small pictures are the same. First paint is what Chromium says of the page
when it is opened from disk, the median of five; "not measured" without a browser.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from filter_goals import Goal, at_most, not_measured, say, table

from gravurekit import foreign, images, storage
from gravurekit.errors import PictureError
from gravurekit.metadata import DROPPED, MARKER, METADATA, file_sha256, write_lines
from gravurekit.receipt import RECEIPT, Plan, Receipt
from gravurekit.record import Record

OPENED = 5
PAINT = """() => new Promise((done) => new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    if (entry.name === 'first-contentful-paint') done(entry.startTime); })).observe({type: 'paint', buffered: true}))"""


def crawled(data: Path, out: Path, count: int) -> None:
    """A folder of so many pictures, as a crawl leaves it."""
    names = foreign.picture_files(data)
    storage.write_text(out / MARKER, "crawl\n")
    storage.make_folder(out / "images")
    jobs = [(str(data / names[number % len(names)]), str(out), number, number // len(names)) for number in range(count)]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = [item for item in pool.map(drawn, jobs, chunksize=64) if item]
    write_lines(out / METADATA, found)
    write_lines(out / DROPPED, [])
    plan = Plan(stage="crawl", revision=1, settings={}, inputs={})
    sums = {name: file_sha256(out / name) for name in (METADATA, DROPPED)}
    receipt = Receipt(plan=plan, counts={"in": len(found), "kept": len(found)}, outputs=sums)
    storage.write_json(out / RECEIPT, receipt.model_dump(mode="json"))


def drawn(job: tuple[str, str, int, int]) -> Record | None:
    """The picture of that number: that of a file, at its own size, made a little darker each time that it comes."""
    source, out, number, turn = job
    try:
        pixels = images.read(Path(source)).pixels
    except PictureError:
        return None
    key = f"{number:016x}"
    data = images.encode_jpeg(np.maximum(pixels, turn) - np.uint8(turn), 90)
    Path(out, "images", f"{key}.jpg").write_bytes(data)
    label = Path(source).parent.name
    return Record(
        key=key, file_name=f"images/{key}.jpg", sha256=hashlib.sha256(data).hexdigest(), width=pixels.shape[1],
        height=pixels.shape[0], source="folder", labels=(label,), keywords=(label,),
        title=f"{Path(source).stem} {number}",
        url=f"https://museum.example/pictures/{number}.jpg", page_url=f"https://museum.example/{number}",
        creator="Somebody", license="CC0-1.0", rank=number + 1,
    )  # fmt: skip


def painted(page: Path) -> float | None:
    """Seconds until the browser shows something, the median; None without one."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if not (chromium := shutil.which("chromium")):
        return None
    seconds = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(OPENED):
            view = browser.new_page()
            view.goto(page.as_uri(), wait_until="commit")
            seconds.append(view.evaluate(PAINT) / 1000)
            view.close()
        browser.close()
    say(f"first paint, seconds: {', '.join(f'{one:.2f}' for one in seconds)}")
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        crawled(given.data, Path(scratch, "raw"), given.pictures)
        say(f"{given.pictures} pictures of {given.data}, {given.jobs} processes")
        line = [sys.executable, "-m", "gravurekit", "-C", scratch, "report", "raw", "--quiet", "--json"]
        began = time.perf_counter()
        told = subprocess.run(
            [*line, "--executor", "local", "--jobs", str(given.jobs)], check=True, capture_output=True
        )
        seconds = time.perf_counter() - began
        page = Path(scratch, json.loads(told.stdout)["out"])
        beside = [path for path in page.with_name("report_files").rglob("*") if path.is_file()]
        megabytes = page.stat().st_size / 1e6
        weight = sum(path.stat().st_size for path in beside) / 1e6
        say(f"page {megabytes:.1f} MB; {len(beside)} files beside it, {weight:.0f} MB")
        say(f"memory of the largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MB")
        paint = painted(page)
    goals: list[Goal] = [
        at_most("reports", "seconds to write it", seconds, 60, " s"),
        at_most("reports", "size of the page", megabytes, 50, " MB"),
        not_measured("reports", "first paint", "≤ 2 s")
        if paint is None
        else at_most("reports", "first paint", paint, 2, " s"),
    ]
    table(goals)


if __name__ == "__main__":
    main()
