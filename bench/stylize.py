"""What stylize costs, beside the report's cartoon and other programs.

    python bench/stylize.py DATA [--styles engrave,…] [--pictures N] [--only speed,clipped,memory,kernels,…]

DATA holds `figures`, photographs of people, and, for transfer, `prints`. Without `--styles`: all that draw.

- speed: processor time of one core, ms a megapixel drawn. All are given the same photographs, at the size that the
  first style wants, in turn; of some rounds the best. G'MIC's engraver only if it is installed.
- clipped: pixels of wash and print whose hue clipping may have turned: one channel is at its end, 0 or 255, another at
  least 8 levels away from it, and the photograph isn't there. That is the most it can be: a colour that was reduced
  into the gamut lies there as well.
- memory: how much a process grows while it draws one picture, over the bytes of that picture (3 a pixel).
- kernels: the first drawing of a new process, less the second: with an empty cache, and with what that one left in it.
- transfer: seconds a picture for the style transfer with random features, on a CPU and, if there is one, a GPU.
- executor: pictures a second through the stage, files read and written, in this process and in two others.

Figures of `executor` and `kernels` are wall time: they hold for an idle machine.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from filter_goals import Goal, at_least, at_most, say, table

from gravurekit import crafts, foreign, images
from gravurekit.executor import Executor, Local, Serial
from gravurekit.layers import Layers, Side
from gravurekit.progress import SILENT
from gravurekit.stages import stylize
from gravurekit.stages._drawing import drawn_at
from gravurekit.styles import transfer as style_transfer
from gravurekit.workers import ONE_THREAD

ROUNDS = 5
PHOTOGRAPHS = 6  # for speed
CLIPPED = 24  # for clipped
FAR = 8  # levels; what is nearer to grey has no hue to speak of
REFINED = 4  # for transfer
SIDE = 512  # the short side of what is written
PART = "stylize"
GMIC = "0.5,50,0,8,40,0,0,0,10,1,0,0,0,1,0"  # the defaults of its own dialogue, which the command wants said

Draw = Callable[[np.ndarray], object]


def styles() -> list[str]:
    """Those that draw by themselves."""
    return [name for name in crafts.names("styles") if hasattr(crafts.load("styles", name), "draw")]


def drawing(name: str) -> Callable[[np.ndarray], Layers]:
    """A style at its default settings, with the chances of one seed."""
    style = crafts.load("styles", name)
    return lambda photo: style.draw(photo, style.Settings(), np.random.default_rng(7))


def side_of(name: str) -> int:
    style = crafts.load("styles", name)
    return drawn_at(style, style.Settings(), SIDE)


def photographs(data: Path, count: int, side: int) -> list[np.ndarray]:
    """Some of the pictures of `figures`, evenly chosen, with a short side of `side` px."""
    names = foreign.picture_files(data / "figures")
    chosen = [names[n * len(names) // count] for n in range(count)]
    return [images.fit_short_side(images.read(data / "figures" / name).pixels, side, 4 * side) for name in chosen]


# ---- speed ---------------------------------------------------------------------------------------------


def speed(data: Path, names: list[str]) -> list[Goal]:
    cv2.setNumThreads(1)
    side = side_of(names[0])
    photos = photographs(data, PHOTOGRAPHS, side)
    contestants: dict[str, Draw] = {name: drawing(name) for name in dict.fromkeys([*names, "cartoon"])}
    contestants["print (wash × ink × paper)"] = lambda photo: Layers(photo[..., 0], photo, (0.9, 0.9, 0.8)).print
    contestants["cv2.stylization"] = lambda photo: cv2.stylization(photo, sigma_s=60, sigma_r=0.45)
    contestants["cv2.pencilSketch"] = lambda photo: cv2.pencilSketch(photo, sigma_s=60, sigma_r=0.07, shade_factor=0.05)
    taken = in_turn(contestants, photos)
    taken["G'MIC fx_engrave"] = engraved_by_gmic(photos[0])
    say(
        f"speed: ms a megapixel on one core, {len(photos)} photographs with a short side of {side} px, best of {ROUNDS}"
    )
    for name, milliseconds in taken.items():
        said = (
            "not installed"
            if milliseconds is None
            else f"{milliseconds:8.1f}{milliseconds / taken['cartoon']:8.2f} × cartoon"
        )
        say(f"  {name:28}{said}")
    return [
        at_most(PART, f"{name}: time over the report's cartoon", taken[name] / taken["cartoon"], 1.2)
        for name in names
        if name != "cartoon"
    ]  # fmt: skip


def in_turn(contestants: dict[str, Draw], photos: list[np.ndarray]) -> dict[str, float]:
    """Processor time, ms a megapixel, by name: of each photograph the best round counts."""
    best = {name: [float("inf")] * len(photos) for name in contestants}
    for draw in contestants.values():
        draw(photos[0])  # kernels are compiled
    for _ in range(ROUNDS):
        for n, photo in enumerate(photos):
            for name, draw in contestants.items():
                began = time.process_time()
                draw(photo)
                best[name][n] = min(best[name][n], time.process_time() - began)
    megapixels = sum(photo.shape[0] * photo.shape[1] for photo in photos) / 1e6
    return {name: 1000 * sum(times) / megapixels for name, times in best.items()}


def engraved_by_gmic(photo: np.ndarray) -> float | None:
    """Processor time of G'MIC's engraver at its defaults, ms a megapixel, without its start and its files; None if it
    isn't installed."""
    if not shutil.which("gmic"):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch, "photo.png"), Path(scratch, "out.png")
        source.write_bytes(images.encode_png(photo))
        taken = []
        for filters in (["fx_engrave", GMIC], []):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(["gmic", str(source), *filters, "-o", str(out)], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * (taken[0] - taken[1]) / (photo.shape[0] * photo.shape[1] / 1e6)


# ---- clipped -------------------------------------------------------------------------------------------


def clipped(data: Path, names: list[str]) -> list[Goal]:
    goals = []
    for name in names:
        photos = photographs(data, CLIPPED, side_of(name))
        layers = [drawing(name)(photo) for photo in photos]
        for what in ("wash", "print"):
            ends = [
                at_its_end(getattr(drawn, what)) & ~at_its_end(photo)
                for drawn, photo in zip(layers, photos, strict=True)
            ]
            share = float(np.mean([end.mean() for end in ends]))
            goals.append(at_most(PART, f"{name}: clipped pixels of the {what}", 100 * share, 0.5, " %"))
            say(f"clipped: {name}, {what}: {100 * share:.3f} % of the pixels of {len(layers)} pictures")
    return goals


def at_its_end(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → (H, W) bool: a channel is at 0 or 255, and another FAR from there."""
    most, least = pixels.max(2), pixels.min(2)
    return ((most == 255) & (least <= 255 - FAR)) | ((least == 0) & (most >= FAR))


# ---- memory and kernels --------------------------------------------------------------------------------


def grown(name: str, data: Path) -> tuple[int, int]:
    """By how many bytes this process grows at most while it draws a picture, and that picture's bytes."""
    cv2.setNumThreads(1)
    draw = drawing(name)
    photo = photographs(data, 1, side_of(name))[0]
    draw(photo[:64, :64].copy())  # libraries are loaded, kernels compiled
    before = peak()
    draw(photo).print  # noqa: B018
    return peak() - before, photo.nbytes


def peak() -> int:
    """The most bytes that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux hands ru_maxrss down from the parent
        return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of macOS, in bytes


def memory(data: Path, names: list[str]) -> list[Goal]:
    goals = []
    for name in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            more, bytes_of_one = pool.apply(grown, (name, data))
        say(f"memory: {name}: {more / 2**20:.0f} MB more for a picture of {bytes_of_one / 2**20:.1f} MB")
        goals.append(at_most(PART, f"{name}: memory over the picture's bytes", more / bytes_of_one, 60))
    return goals


def first_and_second(name: str, data: Path) -> tuple[float, float]:
    """Seconds of the first two drawings of this process."""
    photo = photographs(data, 1, side_of(name))[0]
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        drawing(name)(photo)
        taken.append(time.perf_counter() - began)
    return taken[0], taken[1]


def kernels(data: Path, names: list[str]) -> list[Goal]:
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["NUMBA_CACHE_DIR"] = cache
            for what in ("an empty cache", "a filled cache"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    first, second = pool.apply(first_and_second, (name, data))
                say(f"kernels: {name}, {what}: the first drawing takes {first - second:.2f} s longer than the second")
            del os.environ["NUMBA_CACHE_DIR"]
    return []


# ---- executor ------------------------------------------------------------------------------------------


def executor(data: Path, names: list[str], count: int) -> list[Goal]:
    goals = []
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "photos")
        source.mkdir()
        for name in foreign.picture_files(data / "figures")[:count]:
            shutil.copy(data / "figures" / name, source)
        for name in names:
            alone = rate(source, Path(scratch, f"{name}-1"), name, Serial())
            both = rate(source, Path(scratch, f"{name}-2"), name, Local(2))
            say(f"executor: {name}: {alone:.1f} pictures a second in one process, {both:.1f} in two ({count} pictures)")
            goals.append(at_least(PART, f"{name}: two processes over one", both / alone, 1.8))
    return goals


def rate(source: Path, out: Path, name: str, executor: Executor) -> float:
    cv2.setNumThreads(1)
    began = time.perf_counter()
    done = stylize.run(stylize.Job(source, out, stylize.Settings(style=name), {}), executor, SILENT)
    return done.kept / (time.perf_counter() - began)


# ---- transfer ------------------------------------------------------------------------------------------


def transfer(data: Path, names: list[str]) -> list[Goal]:
    import torch

    photos = photographs(data, REFINED, SIDE)
    drawings = [drawing(stylize.STYLE)(photo) for photo in photos]
    prints = Side(style_images=(data / "prints",))
    for device in ("cpu", "cuda"):
        if device == "cuda" and not torch.cuda.is_available():
            say("transfer: on a GPU not measured")
            continue
        knobs = style_transfer.Settings.model_validate({"device": device})
        took = []
        for _ in range(2):  # the first one looks at the prints, and wakes the device
            began = time.perf_counter()
            style_transfer.refine(drawings, photos, knobs, [np.random.default_rng(n) for n in range(REFINED)], prints)
            took.append(time.perf_counter() - began)
        each = took[-1] / REFINED
        say(f"transfer: {each:.2f} s a picture of {SIDE} px on {device}, {knobs.steps} steps, {REFINED} pictures")
    return []


PARTS = ("speed", "clipped", "memory", "kernels", "transfer", "executor")


def words(text: str, known: list[str]) -> list[str]:
    """Words of `known`, with commas between."""
    names = text.split(",")
    if strange := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{strange[0]!r} is none of {', '.join(known)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of figures")
    parser.add_argument("--styles", type=lambda text: words(text, styles()), metavar="STYLE,…", help="measure these")
    parser.add_argument("--only", type=lambda text: words(text, list(PARTS)), default=PARTS, metavar="PART,…")
    parser.add_argument("--pictures", type=int, default=256, metavar="N", help="for executor; tasks are of 64")
    given = parser.parse_args()
    os.environ |= dict.fromkeys(ONE_THREAD, "1")
    names = given.styles or sorted(styles(), key=lambda name: name != stylize.STYLE)
    goals: list[Goal] = []
    for part in given.only:
        work: Callable[..., list[Goal]] = globals()[part]
        goals += work(given.data, names, given.pictures) if part == "executor" else work(given.data, names)
        say()
    table(goals)


if __name__ == "__main__":
    main()
