"""The probe: pictures a second on one core at 0.25 megapixels, decoded, with all that the filters need but the figure
score; beside what it can't do without, and its peers.

- the limit: Pillow's decoder alone, and sha256 of the file and of the pixels; whatever is measured, these remain.
- by step: where the time of `probe.measure` goes, by watching the functions that it calls.
- peers, in turn with ours on the same files: a single hash by imagehash, and by imagededup if it is here.

Processor time of a worker of the stage's own pool, so that others on the machine matter less; the best of some rounds.
"""

import hashlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import filter_peers
import imagehash
import numpy as np
from filter_goals import Goal, at_least, say
from PIL import Image

from gravurekit import foreign, images, probe, quality, toning
from gravurekit.executor import Local

PICTURES = 200
PIXELS = 250_000
ROUNDS = 7
GOAL = 200
STEPS = (  # what `probe.measure` and the files' reader call, by the module in which they are looked up
    (images, "decode"), (probe, "pixels_digest"), (probe, "resize"), (probe, "margins"), (probe, "phash"),
    (probe, "_work_copy"), (probe, "_half"),
    (probe, "rgb_to_lab"), (toning, "chroma_residual"), (probe, "code"),
    (probe, "warped"), (quality, "measure"), (quality, "_light"), (quality, "sharpness"), (quality, "_ruled"),
    (quality, "_vivid"), (quality, "_text"), (quality, "_ground"),
)  # fmt: skip


def run(data: Path) -> list[Goal]:
    (outcome,) = Local(1).map(measured, [data])
    return [at_least("probe", "pictures a second on one core", outcome.value, GOAL)]


def measured(data: Path) -> float:
    """Pictures a second."""
    with tempfile.TemporaryDirectory() as scratch:
        files = made(data / "figures", Path(scratch))
        sizes = [path.stat().st_size for path in files]
        say(f"probe: {len(files)} JPEGs of {PIXELS / 1e6:g} megapixels, {np.mean(sizes) / 1000:.0f} kB on average")
        found = in_turn(files)
        by_step(files)
    ours, limit = found["ours"], found["decode, sha256 of both"]
    for name, seconds in found.items():
        ratio = "" if name == "ours" else f"  ours takes {ours / seconds:.2f} × as long"
        say(f"  {name:34}{1000 * seconds:7.2f} ms{1 / seconds:8.0f} a second{ratio}")
    say(f"  ours is at {limit / ours:.0%} of the limit, which is {1 / limit:.0f} a second")
    return 1 / ours


def made(source: Path, place: Path) -> list[Path]:
    """JPEGs at quality 85, colours at half resolution, of PIXELS."""
    files = []
    for name in foreign.picture_files(source)[:PICTURES]:
        pixels = images.read(source / name).pixels
        scale = (PIXELS / (pixels.shape[0] * pixels.shape[1])) ** 0.5
        sized = images.resize(pixels, round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        files.append(place / f"{len(files):04d}.jpg")
        files[-1].write_bytes(images.encode_jpeg(sized, 85, subsampling=2))
    return files


# ---- contestants: each is given a file ------------------------------------------------------------------


def ours(path: Path) -> None:
    data = images.contents(path)
    probe.measure(images.decode(data), hashlib.sha256(data).hexdigest(), len(data))


def decoded(path: Path) -> Image.Image:
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.load()
    return image


def decoded_and_hashed(path: Path) -> None:
    data = path.read_bytes()
    hashlib.sha256(data)
    image = Image.open(io.BytesIO(data))
    hashlib.sha256(np.asarray(image).data)


def by_imagehash(path: Path) -> None:
    imagehash.phash(decoded(path))


def contestants() -> dict[str, Callable[[Path], object]]:
    found: dict[str, Callable[[Path], object]] = {
        "ours": ours,
        "decode, sha256 of both": decoded_and_hashed,
        "decode alone": decoded,
        "imagehash.phash": by_imagehash,
    }
    if library := filter_peers.hashing():
        found["imagededup PHash.encode_image"] = library.PHash(verbose=False).encode_image
    return found


def in_turn(files: list[Path]) -> dict[str, float]:
    """Seconds a picture, of each."""
    if not filter_peers.hashing():
        say(filter_peers.HINT)
    best = dict.fromkeys(contestants(), float("inf"))
    for _ in range(ROUNDS):
        for name, function in contestants().items():
            began = time.process_time()
            for path in files:
                function(path)
            best[name] = min(best[name], (time.process_time() - began) / len(files))
    return best


def by_step(files: list[Path]) -> None:
    """Print the time within each of STEPS, without that of those that it calls."""
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    inner = [0.0]  # of each call that is running, the time of those within

    def watched(name: str, function: Callable) -> Callable:
        def call(*arguments: object, **named: object) -> object:
            inner.append(0.0)
            began = time.perf_counter()
            result = function(*arguments, **named)
            taken = time.perf_counter() - began
            spent[name] += taken - inner.pop()  # type: ignore[assignment]
            inner[-1] += taken
            calls[name] += 1
            return result

        return call

    real = [(room, name, getattr(room, name)) for room, name in STEPS]
    try:
        for room, name, function in real:
            setattr(room, name, watched(f"{room.__name__.removeprefix('gravurekit.')}.{name}", function))
        began = time.perf_counter()
        for path in files:
            ours(path)
        whole = time.perf_counter() - began
    finally:
        for room, name, function in real:
            setattr(room, name, function)
    say(f"  by step, of {1000 * whole / len(files):.2f} ms by the wall (watching included):")
    for name, seconds in spent.most_common():
        say(f"    {name:26}{1000 * seconds / len(files):7.2f} ms  {calls[name] / len(files):4.1f} calls")
    say(f"    {'all else':26}{1000 * (whole - inner[0]) / len(files):7.2f} ms")
