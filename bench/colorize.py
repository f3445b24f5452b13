"""How fast prints are coloured, how large they may be, and whether the network does what it is told.

    python bench/colorize.py RUN PRINTS [--shards DIR] [--coloured DIR] [--only PART,…]

RUN: a run's folder, of a network that is told palettes and hints; PRINTS: a folder of folders of real prints, each a
book. --shards: shards with samples that it hasn't learnt from; --coloured: real coloured prints.

- speed: 1024 × 1024 px from the file's bytes to the coloured file's, once the network is loaded; and where it goes.
- memory: the peak of a process that colours 8192 × 8192 px with `gravurekit colorize`, beside that of a small print.
- folded: one pass of the network on one thread, 504 × 328 px, as it was trained and as it is put to use.
- folder: 100 prints of about 500 px, some at once, with decoding and encoding, beside the bare network on prints of the
  same sizes, one by one with all cores; and beside the network on the sheets that it is really shown.
- steering: of prints of all books, told red and told blue: the angle between the mean hues over the figure, and over
  the paper, both of what people see. Figure: where ink covers more than a fifth; paper: the bare margin outside.
- hints: four colours at four places of each figure, one by one: CIEDE2000 between the wash there and the colour, and
  how much of the change is left beyond the colour's reach.
- held: `gravurekit evaluate colors` on held-back samples: the network told each picture's own palette beside grey, the
  mean of the training and the picture's own mean; the curve over --saturation; real coloured prints.

Figures of time are wall time: they hold for an idle machine.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from filter_goals import Goal, at_least, at_most, say, table
from PIL import Image
from shards import machine, spread

from gravurekit import images, storage, tint
from gravurekit.colorizer import REACH, Colorizer, Hint, Look, Steer, at_once, palette
from gravurekit.model.checkpoint import load_model
from gravurekit.model.difference import delta_e_2000
from gravurekit.paper import Apart, apart
from gravurekit.progress import Silent

PARTS = ("speed", "memory", "folded", "folder", "steering", "hints", "held")
COLOURS = ("red", "blue", "green", "ochre")
FOLDER, LONG = 100, 500


def books(prints: Path, count: int) -> list[Path]:
    """So many prints, evenly out of all books."""
    files = [
        sorted(path for path in book.iterdir() if path.is_file()) for book in sorted(prints.iterdir()) if book.is_dir()
    ]
    each = -(-count // max(1, len(files)))
    return [book[n * len(book) // each] for n in range(each) for book in files if book][:count]


def as_bytes(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def repeated(work: Callable[[], object], rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


# ---- speed and memory ------------------------------------------------------------------------------------


def speed(colorizer: Colorizer, files: list[Path], rounds: int) -> list[Goal]:
    pixels = images.resize(images.read(files[0]).pixels, 1024, 1024)
    data, steer = as_bytes(pixels), Steer(palette=palette("red"))

    def whole() -> None:
        images.encode_png(colorizer.colour(images.decode(data).pixels, steer=steer).pixels, level=images.QUICK)

    whole()
    found = repeated(whole, rounds)
    say(f"speed: 1024 × 1024 px, bytes to bytes {spread(found, form='.2f')} s")
    taken = apart(pixels)
    done = colorizer.colour(pixels, steer=steer)
    sheet, _ = colorizer._on_sheet(done.fed, Look())
    for name, work in {
        "decode": lambda: images.decode(data),
        "paper and ink": lambda: apart(pixels),
        "network": lambda: colorizer.predictor.predict(sheet),
        "composition": lambda: tint.composed(pixels, taken, done.wash),
        "encode": lambda: images.encode_png(done.pixels, level=images.QUICK),
    }.items():
        say(f"  {name:16}{spread(repeated(work, rounds), form='.3f'):>26} s")
    return [at_most("speed", "1024 × 1024, bytes to bytes", sorted(found)[len(found) // 2], 1.5, " s")]


def memory(run: Path, files: list[Path], place: Path) -> list[Goal]:
    say("\nmemory: peak of `gravurekit colorize`")
    peaks = {}
    for side in (256, 8192):
        home = place / f"memory-{side}"
        small = images.resize(images.read(files[0]).pixels, min(side, 2048), min(side, 2048))
        large = np.tile(small, (max(1, side // 2048), max(1, side // 2048), 1))
        storage.write_bytes(home / "print.png", as_bytes(large))
        del large
        seconds, peaks[side] = peak(
            ["-C", str(home), "colorize", "print.png", "--model", str(run.resolve()), "--quiet"]
        )
        say(f"  {side} × {side} px: {peaks[side] / 1e9:.2f} GB in {seconds:.1f} s")
    return [at_most("memory", "8192 × 8192: peak RSS", peaks[8192] / 1e9, 2, " GB")]


def peak(words: list[str]) -> tuple[float, int]:
    """Seconds, and the peak RSS in bytes, of a gravurekit process."""
    code = (
        "import resource, sys; from gravurekit.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"colorize ended with {done.returncode}: {done.stderr}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, int(done.stderr.split()[-1]) * unit


def folded(colorizer: Colorizer, rounds: int) -> list[Goal]:
    trained, _ = load_model(colorizer.path, "cpu")
    L, threads = torch.rand(1, 1, 504, 328) * 100, torch.get_num_threads()
    found: dict[str, list[float]] = {"as it was trained": [], "put to use": []}
    torch.set_num_threads(1)
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, network in zip(found, (trained, colorizer.predictor.network), strict=True):
                found[name] += repeated(lambda network=network: network(L), 1)
    torch.set_num_threads(threads)
    say("\nfolded: one thread, 504 × 328 px")
    middles = []
    for name, seconds in found.items():
        say(f"  {name:18}{spread(seconds[1:], form='.3f'):>26} s")
        middles.append(sorted(seconds[1:])[rounds // 2])
    return [at_most("folded", "of the network's time as it was trained", middles[1] / middles[0], 1)]


def folder(colorizer: Colorizer, files: list[Path], rounds: int) -> list[Goal]:
    network, _ = load_model(colorizer.path, "cpu")  # as it was trained
    pictures = [images.read(path).pixels for path in files]
    scales = [LONG / max(pixels.shape[:2]) for pixels in pictures]
    pictures = [
        images.resize(pixels, round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        for pixels, scale in zip(pictures, scales, strict=True)
    ]
    datas = [as_bytes(pixels) for pixels in pictures]
    lights = [apart(pixels).lightness for pixels in pictures]
    sheets = [colorizer._on_sheet(L, Look())[0] for L in lights]

    def bare(planes: list[np.ndarray]) -> None:
        # as somebody would run the network alone: torch's own threads
        with torch.inference_mode():
            for L in planes:
                high, wide = (-(-side // 8) * 8 for side in L.shape)
                network(torch.from_numpy(images.resize(L, wide, high))[None, None])

    def ours(look: Look) -> None:
        for _ in at_once(
            lambda data: images.encode_png(
                colorizer.colour(images.decode(data).pixels, look).pixels, level=images.QUICK
            ),
            datas,
        ):
            pass

    rows: dict[str, Callable[[], None]] = {
        f"colorize, sheets of {'×'.join(map(str, colorizer.predictor.trained_size))} px": lambda: ours(Look()),
        f"colorize, --work-size {LONG}": lambda: ours(Look(work_size=LONG)),
        "the bare network at the prints' sizes": lambda: bare(lights),
        "the bare network at the sheets' size": lambda: bare(sheets),
    }
    say(f"\nfolder: {len(files)} prints of {LONG} px, in turn; prints/s")
    found: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, work in rows.items():
            found[name] += [len(files) / seconds for seconds in repeated(work, 1)]
    for name, rates in found.items():
        say(f"  {name:42}{spread(rates, form='.2f'):>26}")
    usual, large, whole, _ = (sorted(rates)[len(rates) // 2] for rates in found.values())
    return [
        at_least("folder", "of the bare network at the prints' sizes", usual / whole, 0.9),
        at_least("folder", f"the same, shown {LONG} px", large / whole, 0.9),
    ]


# ---- steering --------------------------------------------------------------------------------------------


def figure_of(taken: Apart) -> np.ndarray:
    """(h, w) bool: where ink covers more than a fifth, inside of the plate."""
    cover = cv2.GaussianBlur(1 - np.cbrt(taken.ink), (0, 0), max(1.0, max(taken.ink.shape) / 100))
    return np.asarray((cover > 0.2) & (taken.plate > 0.9))


def mean_ab(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    from gravurekit import color

    lab = color.rgb_to_lab(images.resize(pixels, where.shape[1], where.shape[0]))
    return np.asarray(lab[where][:, 1:].mean(0))


def turn(one: np.ndarray, other: np.ndarray) -> float:
    degrees = np.degrees(np.arctan2(one[1], one[0]) - np.arctan2(other[1], other[0]))
    return abs(float((degrees + 180) % 360 - 180))


def steering(colorizer: Colorizer, files: list[Path]) -> list[Goal]:
    turns, papers, chroma = [], [], {"figure": [], "paper": [], "bare inside": []}
    for path in files:
        pixels = images.read(path).pixels
        done = [colorizer.colour(pixels, steer=Steer(palette=palette(name))) for name in ("red", "blue")]
        taken = done[0].apart
        figure, outside = figure_of(taken), taken.plate < 0.02
        inside = (taken.ink > 0.97) & (taken.plate > 0.9)
        if figure.mean() < 0.01:
            continue
        here = [mean_ab(each.pixels, figure) for each in done]
        turns.append(turn(*here))
        chroma["figure"].append(np.mean([np.hypot(*ab) for ab in here]))
        if outside.mean() > 0.01:
            there = [mean_ab(each.pixels, outside) for each in done]
            papers.append(turn(*there) if min(np.hypot(*ab) for ab in there) > 1 else 0.0)
            chroma["paper"].append(float(np.hypot(*(there[0] - there[1]))))
        if inside.mean() > 0.01:
            chroma["bare inside"].append(np.mean([np.hypot(*mean_ab(each.pixels, inside)) for each in done]))
    say(f"\nsteering: {len(turns)} prints told red and told blue")
    vivid, moved = spread(chroma["figure"], form=".1f"), max(chroma["paper"], default=0.0)
    say(f"  the figure's mean hue turns by {spread(turns, form='.0f')}°, its chroma {vivid}")
    say(f"  the paper's outside of the print by {spread(papers, form='.1f')}°, its colour by {moved:.2f} ab at most")
    say(f"  bare places inside of it have a chroma of {spread(chroma['bare inside'], form='.1f')}")
    return [
        at_least("steering", "hue of the figure, red to blue", float(np.mean(turns)), 120, "°"),
        at_most("steering", "hue of the paper", float(np.mean(papers)), 10, "°"),
    ]


def places_in(figure: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """Some places of a figure, x and y, far from one another and from its edges."""
    deep = cv2.distanceTransform(np.pad(figure, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.indices(figure.shape)
    for _ in range(count):
        top, left = np.unravel_index(deep.argmax(), deep.shape)
        yield int(left), int(top)
        deep = np.where(np.hypot(y - top, x - left) < max(figure.shape) / 6, 0, deep)


def hints(colorizer: Colorizer, files: list[Path]) -> list[Goal]:
    from gravurekit import color

    missed, by_network, left = [], [], []
    for path in files:
        pixels = images.read(path).pixels
        plain = colorizer.colour(pixels)
        figure = figure_of(plain.apart)
        if figure.mean() < 0.01:
            continue
        small = np.array(figure.shape[::-1])
        for (x, y), name in zip(places_in(figure, 4), COLOURS, strict=True):
            at = (np.array([x, y]) + 0.5) * np.array(pixels.shape[1::-1]) / small
            rgb = {"red": (204, 38, 44), "blue": (0, 105, 160), "green": (0, 128, 0), "ochre": (204, 142, 53)}[name]
            steer = Steer(hints=(Hint(float(at[0]), float(at[1]), rgb),))
            done = colorizer.colour(pixels, steer=steer)
            wanted = color.rgb_to_lab(np.array([[rgb]], np.uint8))[0, 0]
            missed.append(float(delta_e_2000(wanted, done.wash[y, x])))
            said, _ = colorizer._asked(done.fed, Look(), steer, pixels.shape)
            own = said[y * said.shape[0] // small[1], x * said.shape[1] // small[0]]
            alike = np.array([wanted[0], *own[:2]], np.float32)
            by_network.append(float(delta_e_2000(wanted, alike)))
            moved = np.hypot(*(done.wash - plain.wash)[..., 1:].transpose(2, 0, 1))
            rows, columns = np.indices(moved.shape)
            beyond = np.hypot(rows - y, columns - x) > 1.5 * REACH * max(moved.shape)
            left.append(
                float(moved[beyond & (plain.apart.plate > 0.5)].mean() / max(moved[y, x], 1)) if beyond.any() else 0
            )
    say(f"\nhints: {len(missed)} of four colours")
    say(f"  CIEDE2000 at the hint, of the wash {spread(missed, form='.2f')}")
    say(f"  by the network alone {spread(by_network, form='.1f')}")
    say(f"  of the change {np.mean(left):.1%} is left beyond {1.5 * REACH:.0%} of the long side")
    return [
        at_most("hints", "CIEDE2000 at the hint, 95 of 100", float(np.percentile(missed, 95)), 5),
        at_most("hints", "of the change far away", 100 * float(np.mean(left)), 10, " %"),
    ]


# ---- held-back samples -----------------------------------------------------------------------------------


def held(run: Path, shards: Path, coloured: Path | None, place: Path) -> list[Goal]:
    from gravurekit.stages import evaluate_colours as evaluating
    from gravurekit.stages._colours_samples import GREY, MEAN, OWN, OWN_MEAN

    knobs = evaluating.Settings(resamples=1000)
    made = evaluating.run(evaluating.Job(run, Path("runs"), shards, coloured, place / "report.json", knobs), Silent())
    titled = {
        "held-back samples": made.samples,
        **{f"prints {name}".strip(): part for name, part in made.prints.items()},
    }
    for title, part in titled.items():
        say(f"\nheld: {title}")
        curve = evaluating.curve_table(part) if part.curve else []
        for line in (*evaluating.table(part), *evaluating.gains_table(part), *curve):
            say("  " + "  ".join(f"{cell:>14}" if n else f"{cell:24}" for n, cell in enumerate(line)))
    rows = {row.name: row for row in made.samples.rows}
    told = rows[OWN].delta_e.value
    goals = [
        at_least("held", f"ΔE2000 below that of {name}, told its palette", rows[name].delta_e.value - told, 0)
        for name in (GREY, MEAN, OWN_MEAN)
    ]
    return [*goals, at_least("held", "colourfulness ratio, told its palette", rows[OWN].colourfulness_ratio.value, 0.7)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("prints", type=Path)
    parser.add_argument("--shards", type=Path)
    parser.add_argument("--coloured", type=Path)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,…")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--steered", type=int, default=28, metavar="N", help="prints that are steered")
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    say(f"{machine()}; torch {torch.__version__}")
    colorizer, files = Colorizer.load(given.run), books(given.prints, FOLDER)
    goals: list[Goal] = []
    with tempfile.TemporaryDirectory(prefix="gravurekit-bench-") as scratch:
        if "speed" in wanted:
            goals += speed(colorizer, files, given.rounds)
        if "memory" in wanted:
            goals += memory(given.run, files, Path(scratch))
        if "folded" in wanted:
            goals += folded(colorizer, given.rounds)
        if "folder" in wanted:
            goals += folder(colorizer, files, min(3, given.rounds))
        if "steering" in wanted:
            goals += steering(colorizer, books(given.prints, given.steered))
        if "hints" in wanted:
            goals += hints(colorizer, books(given.prints, given.steered // 2))
        if "held" in wanted and given.shards:
            goals += held(given.run, given.shards, given.coloured, Path(scratch))
    say()
    table(goals)


if __name__ == "__main__":
    main()
