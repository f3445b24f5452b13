"""How long `gravurekit crawl` takes beside its peers, and with how much memory, on a loopback host that answers each
request after 50 ms (bench/crawl_server.py). All contestants in turn, each a process of its own from start to end.

    python bench/crawl.py [--connections N …] [--rounds N] [--only icrawler|img2dataset|memory] [--memory]

- 16 keywords × 100 pictures through Bing's pages: icrawler's own BingImageCrawler, one after the other as it is used.
  Of 20 results a page it gets its 100 and no more, and waits in vain; `--per-page 35` spares it a part of that.
- 2,000 links of a file: img2dataset, which writes what comes as it is, while ours decodes every picture in full.
- Memory over 20,000 links (Linux only).

Two limits stand below each table: what the latency allows, connections / 0.05 s, and what the cores can decode and
hash when they do nothing else. img2dataset is installed into a folder of its own, once.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

KEYWORDS = [f"dress {n:02}" for n in range(16)]
PER_KEYWORD = 100
LINKS = 2_000
MEMORY_LINKS = 20_000
INTERVAL = 0.2  # seconds between two looks at the memory

# What was seen to work together; on its own, pip may choose newer ones that img2dataset doesn't know
IMG2DATASET = [
    "img2dataset==1.47.0", "albumentations==1.4.24", "exifread-nocycle==3.0.1", "fsspec==2026.9.0", "numpy==2.4.6",
    "opencv-python-headless==4.14.0.94", "pandas==2.3.3", "pyarrow==26.0.1", "setuptools<81", "wandb==0.31.0",
    "webdataset==0.2.111",
]  # fmt: skip
OFFLINE = {"WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}


class Run(NamedTuple):
    """One contestant, once. `idle`: seconds after the last picture, where that is measured."""

    seconds: float
    pictures: int
    idle: float | None = None


Contestants = dict[str, Callable[[Path], Run]]


def crawl(address: str, connections: int, *arguments: str) -> list[str]:
    """The command line of ours, but for its folder."""
    return [
        sys.executable, "-m", "gravurekit", "crawl", *arguments, "--endpoint", f"bing={address}",
        "--allow-private-addresses", "--connections", str(connections), "--per-host", str(min(connections, 64)),
        "--quiet", "--out",
    ]  # fmt: skip


def ours(command: list[str], place: Path) -> Run:
    """`command` into `place`."""
    seconds, _ = timed([*command, str(place / "raw")], place)
    return Run(seconds, count(place / "raw" / "images"))


def icrawler(address: str, connections: int, place: Path) -> Run:
    """BingImageCrawler for each keyword, in a process of its own."""
    command = [sys.executable, __file__, "icrawler", address, str(connections), str(place)]
    seconds, printed = timed(command, place)
    return Run(seconds, count(place), json.loads(printed))


def icrawler_part(address: str, connections: int, place: Path) -> float:
    """The crawl itself; how long it sat idle after the last picture of each keyword, in seconds."""
    import logging

    import requests
    from icrawler.builtin import BingImageCrawler

    class Loopback(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *others: object, **more: object) -> requests.Response:
            request.url = request.url.replace("https://www.bing.com", address, 1)
            return super().send(request, *others, **more)

    idle = 0.0
    for keyword in KEYWORDS:
        folder = place / keyword.replace(" ", "-")
        crawler = BingImageCrawler(
            downloader_threads=connections, storage={"root_dir": str(folder)}, log_level=logging.ERROR
        )
        crawler.session.mount("https://www.bing.com", Loopback())
        crawler.crawl(keyword=keyword, max_num=PER_KEYWORD)
        idle += time.time() - max(path.stat().st_mtime for path in folder.iterdir())
    return idle


def img2dataset(program: Path, links: Path, connections: int, processes: int, place: Path) -> Run:
    """img2dataset with the pictures stored as they came."""
    command = [
        str(program), f"--url_list={links}", "--input_format=txt", f"--output_folder={place / 'out'}",
        "--output_format=files", "--disable_all_reencoding=True", "--resize_mode=no", "--retries=0", "--timeout=10",
        "--enable_wandb=False", f"--processes_count={processes}", f"--thread_count={connections // processes}",
        f"--number_sample_per_shard={LINKS // processes}",
    ]  # fmt: skip
    seconds, _ = timed(command, place)
    return Run(seconds, count(place / "out"))


def installed(peers: Path) -> Path:
    """The program img2dataset, in a virtual environment that is made once."""
    home = peers / "img2dataset"
    mark = home / "installed.json"
    if not mark.is_file() or json.loads(mark.read_text()) != IMG2DATASET:
        sys.stderr.write(f"installing img2dataset into {home}\n")
        venv.create(home, clear=True, with_pip=True)
        command = [home / "bin" / "python", "-m", "pip", "install", "--quiet", *IMG2DATASET]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"img2dataset can't be installed; `--only icrawler` does without it:\n{done.stderr[-3000:]}")
        mark.write_text(json.dumps(IMG2DATASET))
    return home / "bin" / "img2dataset"


def timed(command: list[str], place: Path) -> tuple[float, str]:
    """Seconds from the start of a process to its end, and what it printed."""
    os.sync()  # what the one before has written isn't this one's to wait for
    began = time.perf_counter()
    done = subprocess.run(command, cwd=place, env=os.environ | OFFLINE, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr[-3000:]}")
    return seconds, done.stdout


def count(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.jpg"))


@contextmanager
def server(latency: float, per_page: int) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("crawl_server.py"))]
    command += ["--latency", str(latency), "--per-page", str(per_page)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()


def links_file(address: str, number: int, place: Path) -> Path:
    """A file of links, one a line."""
    path = place / f"{number}-links.txt"
    path.write_text("".join(f"{address}/pictures/link/{n:06}.jpg\n" for n in range(number)))
    return path


def decode_and_hash(address: str) -> float:
    """Pictures a second that all cores together decode and hash, when nobody else asks for them."""
    bodies = [urllib.request.urlopen(f"{address}/pictures/limit/{n}.jpg").read() for n in range(128)]
    with multiprocessing.Pool() as pool:
        pool.map(_prove, bodies)
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            pool.map(_prove_five_times, bodies, chunksize=4)
            seconds.append(time.perf_counter() - began)
        return 5 * len(bodies) / min(seconds)


def _prove(body: bytes) -> str:
    from gravurekit import images

    images.decode(body)
    return hashlib.sha256(body).hexdigest()


def _prove_five_times(body: bytes) -> None:
    for _ in range(5):
        _prove(body)


def compare(title: str, contestants: Contestants, rounds: int, limits: dict[str, float]) -> None:
    """Run all in turn, `rounds` times; print a table. The first is ours, and the ratios are to it."""
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            with tempfile.TemporaryDirectory() as place:
                runs[name].append(contestant(Path(place)))
            sys.stderr.write(f"{name}: {runs[name][-1].seconds:.1f} s\n")
    best = {name: min(found) for name, found in runs.items()}
    our_best = next(iter(best.values()))
    say(f"\n{title}\n{'':28}{'best s':>9}{'median s':>10}{'pictures':>10}{'a second':>10}{'× ours':>8}")
    for name, found in runs.items():
        seconds, pictures, idle = best[name]
        median = statistics.median(run.seconds for run in found)
        ratio = seconds / our_best.seconds
        tail = "" if idle is None else f"   idle after the last picture: {idle:.1f} s"
        say(f"{name:28}{seconds:9.2f}{median:10.2f}{pictures:10}{pictures / seconds:10.0f}{ratio:8.2f}{tail}")
    for name, rate in limits.items():
        share = our_best.pictures / our_best.seconds / rate
        say(f"limit: {name:41}{'':10}{rate:8.0f}          ours reaches {share:.0%}")


def memory(command: list[str], place: Path) -> None:
    """Run ours once, and print the memory of its process and of the tree of its processes."""
    process = subprocess.Popen([*command, str(place / "raw")], cwd=place, stdout=subprocess.DEVNULL)
    samples = []
    while process.poll() is None:
        if main := resident(process.pid):
            found = [main, *(sizes for pid in tree(process.pid)[1:] if (sizes := resident(pid)))]
            samples.append((main[0], sum(rss for rss, _ in found), sum(pss for _, pss in found)))
        time.sleep(INTERVAL)
    if process.returncode:
        sys.exit(f"ended with {process.returncode}")
    quarter = len(samples) / 4
    say(f"\nmemory over {count(place / 'raw' / 'images'):,} pictures, {len(samples)} looks; MB")
    say(f"{'':32}{'peak':>6}     peak of each quarter of the run")
    for n, name in enumerate(("main process, RSS", "all processes, RSS", "all processes, PSS")):
        sizes = [sample[n] / 1e6 for sample in samples]
        quarters = [max(sizes[int(q * quarter) : int((q + 1) * quarter)], default=0.0) for q in range(4)]
        say(f"{name:32}{max(sizes):6.0f}     " + "".join(f"{size:6.0f}" for size in quarters))


def tree(pid: int) -> list[int]:
    """A process and all that come from it, by /proc."""
    try:
        files = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(child) for path in files for child in path.read_text().split()]
    except OSError:
        return []  # it ended meanwhile
    return [pid, *(below for child in children for below in tree(child))]


def resident(pid: int) -> tuple[int, int] | None:
    """RSS and PSS of a process in bytes; PSS shares out the pages that several hold."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return (sizes["Rss"], sizes["Pss"]) if "Rss" in sizes else None


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    if sys.argv[1:2] == ["icrawler"]:  # a contestant, in a process of its own
        say(json.dumps(icrawler_part(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="+", default=[16], help="Downloads at the same time.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--latency", type=float, default=0.05, help="Seconds before each answer.")
    parser.add_argument("--per-page", type=int, default=20, help="Results of a page: icrawler counts on 20.")
    parser.add_argument("--only", choices=("icrawler", "img2dataset", "memory"))
    parser.add_argument("--memory", action="store_true", help="Measure memory as well; takes minutes.")
    parser.add_argument(
        "--peers",
        type=Path,
        default=Path(tempfile.gettempdir()) / "gravurekit-bench",
        help="Where peers are installed.",
    )
    options = parser.parse_args()
    with server(options.latency, options.per_page) as address, tempfile.TemporaryDirectory() as scratch:
        measure(options, address, Path(scratch))


def measure(options: argparse.Namespace, address: str, scratch: Path) -> None:
    """All that was asked for."""
    peers = [options.only] if options.only else ["icrawler", "img2dataset"]
    proof = decode_and_hash(address) if options.only != "memory" else 0.0
    for n in options.connections:
        limits = {"latency": n / options.latency, f"{os.cpu_count()} cores decode and hash": proof}
        if "icrawler" in peers:
            ask = crawl(address, n, *KEYWORDS, "--source", "bing", "--per-keyword", str(PER_KEYWORD))
            contestants = {"gravurekit": partial(ours, ask), "icrawler": partial(icrawler, address, n)}
            title = f"{len(KEYWORDS)} keywords × {PER_KEYWORD} pictures, {n} connections, {options.latency:g} s latency"
            compare(title, contestants, options.rounds, limits)
        if "img2dataset" in peers:
            links = links_file(address, LINKS, scratch)
            program = installed(options.peers)
            contestants = {"gravurekit": partial(ours, crawl(address, n, "--source", f"urls:{links}"))}
            for processes in (1, 2):
                name = f"img2dataset, {processes} × {n // processes} threads"
                contestants[name] = partial(img2dataset, program, links, n, processes)
            compare(
                f"{LINKS:,} links, {n} connections, {options.latency:g} s latency", contestants, options.rounds, limits
            )
    if options.memory or options.only == "memory":
        links = links_file(address, MEMORY_LINKS, scratch)
        memory(crawl(address, max(options.connections), "--source", f"urls:{links}"), scratch)


if __name__ == "__main__":
    main()
