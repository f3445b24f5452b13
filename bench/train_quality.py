"""What a network has learnt in half an hour on two cores, beside rows that need no network.

    python bench/train_quality.py DATA WORK [--minutes N] [--threads N] [--run RUN] [-- FLAGS OF gravurekit train]

DATA holds `figures`, photographs of dressed people, and `photos`, garments in a folder for each class. All of them are
drawn by the default style and become shards below WORK, unless they lie there; then `gravurekit train` learns at its
defaults from the training split, with as many steps as fit into the minutes (found out by a short training before).
`--run`: no training, a finished run is measured.

Measured is on the pictures that were held back, val and test, inside their boxes, at the network's half size, against
the colours of the wash:

- grey: a = b = 0; mean: the mean a and b of the training split; own mean: of the picture itself, and own median;
- network: without a palette, with the picture's own, with another picture's (that of the next one).

ΔE2000 takes the wash's lightness for all rows, so that only colour is judged; "with L" the network's own lightness.
ΔE ab is the distance in a and b alone, chroma the predicted one over the true one (1: as vivid), colourful the
difference of Hasler and Süsstrunk's colourfulness (0: as colourful). Intervals hold 95 of 100 resamples of the
photographs; those of differences are paired. Drawings of one photograph count as one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filter_goals import Goal, say, table

from gravurekit import color
from gravurekit.measures.bootstrap import Figure, figure
from gravurekit.model import palette
from gravurekit.model.checkpoint import load_model
from gravurekit.model.difference import delta_e_2000
from gravurekit.model.log import read_log
from gravurekit.model.network import ColorizationNetwork
from gravurekit.model.trainer import MODEL
from gravurekit.receipt import read_receipt
from gravurekit.shards import INDEX, index
from gravurekit.shards.reader import ShardSet

PART = "quality"
HELD_BACK = ("val", "test")
ABOVE_GREY = 1.05  # what a network without a palette may have, in ΔE2000 of the grey row
RESAMPLES, SEED = 2000, 0
BATCH = 16
PROBE = 40  # steps, to find out how many fit into the minutes
SPARE = 0.8  # of the minutes are planned for steps: starting, validations and states take the rest
BARE, OWN, OTHER = "network, no palette", "network, own palette", "network, another's"


# ---- shards and training ---------------------------------------------------------------------------------


def gravurekit(*words: object, threads: int) -> dict[str, Any]:
    """One command of gravurekit's; what it prints as JSON."""
    command = [sys.executable, "-m", "gravurekit", *map(str, words), "--json", "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made_shards(data: Path, work: Path, size: int, variants: int, threads: int) -> Path:
    """The shards of all photographs of `data`; what is there already is kept."""
    pictures, styled, shards = work / "pictures", work / f"styled-{variants}", work / f"shards-{size}-{variants}"
    if not (shards / "manifest.json").exists():
        shutil.copytree(data / "photos", pictures, dirs_exist_ok=True)
        shutil.copytree(data / "figures", pictures / "figures", dirs_exist_ok=True)
        gravurekit("stylize", pictures, styled, "--variants", variants, "--jobs", threads, threads=1)
        gravurekit(
            "shard", styled, shards, "--photographs", pictures, "--size", size, "--photo", "--jobs", threads, threads=1
        )
    return shards


def trained(shards: Path, work: Path, minutes: float, threads: int, flags: list[str]) -> Path:
    """The run of a training that takes about so many minutes at most."""
    if "--steps" not in flags:
        shutil.rmtree(work / "probe", ignore_errors=True)
        probed = gravurekit("train", shards, "--runs", work / "probe", *flags, "--steps", PROBE, threads=threads)
        rate = rate_of(Path(probed["out"]))
        flags = [*flags, "--steps", str(max(PROBE, int(60 * minutes * SPARE * rate)))]
        say(f"{rate:.2f} steps/s of {PROBE}: {flags[-1]} steps fit into {minutes:g} minutes")
    began = time.monotonic()
    done = gravurekit("train", shards, "--runs", work / "runs", *flags, threads=threads)
    say(f"{done['out']}: trained for {(time.monotonic() - began) / 60:.1f} minutes, {done['facts']['feed']}")
    return Path(done["out"])


def rate_of(run: Path) -> float:
    """Steps a second, in the second half of a run: the first steps are slow."""
    lines = [line for line in read_log(run) if line["kind"] == "train"]
    seen = [(line["step"], line["step"] * batch_of(run) / line["samples_per_second"]) for line in lines]
    middle, last = seen[len(seen) // 2], seen[-1]
    return float((last[0] - middle[0]) / (last[1] - middle[1]))


def batch_of(run: Path) -> int:
    """Pictures a step."""
    receipt = read_receipt(run)
    return int(receipt.plan.settings["batch"]) if receipt else 1


# ---- the held-back pictures ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """Pictures that weren't learnt from. L (N, 1, H, W) float32 0..100 of the plain print; at half size wash
    (N, 3, h, w) float32 Lab and inside (N, h, w) 0..1; photograph (N,) says which drawings are of the same one."""

    L: np.ndarray
    wash: np.ndarray
    inside: np.ndarray
    photograph: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(N, h, w), a value at each place → (photographs,), the mean over the places and drawings of each."""
        sums = (values * self.inside).sum((1, 2)) / self.inside.sum((1, 2))
        return self.by_photograph(sums)

    def by_photograph(self, values: np.ndarray) -> np.ndarray:
        """(N,) → (photographs,): the mean over drawings."""
        return np.bincount(self.photograph, values) / np.bincount(self.photograph)


def held(shards: Path, splits: Iterable[str]) -> Held:
    """All pictures of some splits."""
    parts = [arrays(shards, split) for split in splits]
    L, wash, inside = (np.concatenate([part[n] for part in parts]) for n in range(3))
    entries = list(index.read(shards / INDEX, ("split", "photo_key")))
    keys = [entry["photo_key"] for split in splits for entry in entries if entry["split"] == split]
    return Held(L, wash, inside, np.unique(keys, return_inverse=True)[1])


def arrays(shards: Path, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, wash and inside of a split, as `Held` has them."""
    samples = ShardSet(shards, split, fields=("L", "wash", "box"))
    read = samples.batch(np.arange(len(samples)))
    lab = np.moveaxis(color.lab8_to_lab(np.moveaxis(read["wash"], 1, -1)), -1, 1)
    mask = np.zeros_like(lab[:, :1])
    for picture, (y0, x0, y1, x1) in zip(mask, read["box"], strict=True):
        picture[:, y0:y1, x0:x1] = 1
    inside = halved(mask)
    # over the picture's own pixels: at an odd border the padding isn't mixed in
    wash = halved(lab * mask) / np.maximum(inside, 0.25)
    return read["L"].astype(np.float32) / 2.55, wash, inside[:, 0]


def halved(planes: np.ndarray) -> np.ndarray:
    """(N, C, H, W) → (N, C, H/2, W/2), means of four."""
    count, channels, height, width = planes.shape
    return planes.reshape(count, channels, height // 2, 2, width // 2, 2).mean((3, 5))


# ---- rows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What is said of the colours: ab, broadcast over (N, 2, h, w); and of the wash's lightness, (N, 1, h, w) 0..100,
    if anything."""

    ab: np.ndarray
    L: np.ndarray | None = None


def plain_rows(shown: Held, shards: Path) -> dict[str, Row]:
    """The rows that need no network."""
    _, wash, inside = arrays(shards, "train")
    weight = shown.inside[:, None]
    own = (shown.wash[:, 1:] * weight).sum((2, 3)) / weight.sum((2, 3))
    median = [np.median(lab[1:][:, inside > 0.5], axis=1) for lab, inside in zip(shown.wash, shown.inside, strict=True)]
    return {
        "grey": Row(np.zeros((1, 2, 1, 1), np.float32)),
        "mean": Row((wash[:, 1:] * inside[:, None]).sum((0, 2, 3))[None, :, None, None] / inside.sum()),
        "own mean": Row(own[:, :, None, None]),
        "own median": Row(np.stack(median)[:, :, None, None]),
    }


def network_rows(shown: Held, network: ColorizationNetwork) -> dict[str, Row]:
    """What the network says without a palette, and, if it takes any, with the picture's own and with the next one's."""
    rows = {BARE: asked(network, shown, None)}
    if network.config.palette:
        ab, inside = torch.from_numpy(shown.wash[:, 1:]), torch.from_numpy(shown.inside[:, None])
        palettes = palette.of(ab, inside)
        rows[OWN] = asked(network, shown, palettes)
        rows[OTHER] = asked(network, shown, palettes[strangers(shown.photograph)])
    return rows


def strangers(photograph: np.ndarray) -> np.ndarray:
    """(N,) which photographs pictures are of → (N,) for each the number of the next picture of another one."""
    count = len(photograph)
    ahead = (np.arange(count)[:, None] + np.arange(1, count + 1)) % count
    return ahead[np.arange(count), (photograph[ahead] != photograph[:, None]).argmax(1)]


@torch.inference_mode()
def asked(network: ColorizationNetwork, shown: Held, palettes: torch.Tensor | None) -> Row:
    """The network's answers, in fp32."""
    ab, lightness = [], []
    for start in range(0, len(shown.L), BATCH):
        part = slice(start, start + BATCH)
        L = torch.from_numpy(shown.L[part])
        colour, _ = network(L) if palettes is None else network(L, palette=palettes[part])
        ab.append(network.ab(colour).numpy())
        if (found := network.wash_lightness(colour)) is not None:
            lightness.append(found.numpy())
    return Row(np.concatenate(ab), np.concatenate(lightness) if lightness else None)


# ---- figures ---------------------------------------------------------------------------------------------


def measured(row: Row, shown: Held) -> dict[str, np.ndarray]:
    """Of each photograph, (photographs,)."""
    ab, true = np.broadcast_to(row.ab, shown.wash[:, 1:].shape), shown.wash
    at_true = np.concatenate([true[:, :1], ab], axis=1)
    found = {
        "delta_e": shown.mean(delta_e_2000(at_true, true, axis=1)),
        "ab": shown.mean(np.hypot(*np.moveaxis(ab - true[:, 1:], 1, 0))),
        "chroma": shown.mean(np.hypot(*np.moveaxis(ab, 1, 0))),
        "true_chroma": shown.mean(np.hypot(*np.moveaxis(true[:, 1:], 1, 0))),
        "colourful": shown.by_photograph(colourfulness(at_true, shown.inside) - colourfulness(true, shown.inside)),
    }
    if row.L is not None:
        found["with_L"] = shown.mean(delta_e_2000(np.concatenate([row.L, ab], axis=1), true, axis=1))
        found["L"] = shown.mean(np.abs(row.L - true[:, :1])[:, 0])
    return found


def colourfulness(lab: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(N, 3, h, w) Lab, (N, h, w) 0..1 → (N,): Hasler and Süsstrunk, "Measuring colourfulness in natural images",
    2003, of sRGB 0..255, over the places that are picture."""
    found = []
    for picture, weight in zip(np.moveaxis(lab, 1, -1), inside, strict=True):
        r, g, b = color.lab_to_rgb(np.ascontiguousarray(picture, np.float32))[weight > 0.5].astype(np.float64).T
        opponents = np.stack([r - g, (r + g) / 2 - b])
        found.append(np.linalg.norm(opponents.std(1)) + 0.3 * np.linalg.norm(opponents.mean(1)))
    return np.array(found)


def mean_of(values: np.ndarray) -> Figure:
    return figure(len(values), lambda chosen: float(values[chosen].mean()), RESAMPLES, SEED)


def ratio_of(over: np.ndarray, under: np.ndarray) -> Figure:
    return figure(len(over), lambda chosen: float(over[chosen].sum() / under[chosen].sum()), RESAMPLES, SEED)


def summary(found: Mapping[str, np.ndarray]) -> dict[str, Figure]:
    """The figures of a row, with their intervals."""
    figures = {name: mean_of(found[name]) for name in ("delta_e", "with_L", "L", "ab", "colourful") if name in found}
    return figures | {"chroma": ratio_of(found["chroma"], found["true_chroma"])}


# ---- what is said of them --------------------------------------------------------------------------------

COLUMNS = {
    "ΔE2000": "delta_e", "with L": "with_L", "ΔE ab": "ab", "chroma": "chroma", "colourful": "colourful"
}  # fmt: skip
CURVES = {
    "no palette": "delta_e", "own palette": "delta_e_palette", "grey": "delta_e_grey",
    "learnt, none": "train_delta_e", "learnt, own": "train_delta_e_palette",
}  # fmt: skip


def say_rows(rows: Mapping[str, Mapping[str, Figure]]) -> None:
    say(f"{'':22}" + "".join(f"{title:>24}" for title in COLUMNS))
    for name, figures in rows.items():
        said = [str(figures[column]) if column in figures else "–" for column in COLUMNS.values()]
        say(f"{name:22}" + "".join(f"{cell:>24}" for cell in said))


def compared(found: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, Figure]]:
    """By network row, by plain row: the difference in ΔE2000, below 0 where the network is nearer to the truth."""
    networks = [name for name in (BARE, OWN, OTHER) if name in found]
    plain = [name for name in found if name not in networks]
    return {
        network: {row: mean_of(found[network]["delta_e"] - found[row]["delta_e"]) for row in plain}
        for network in networks
    }


def goals(found: Mapping[str, Mapping[str, np.ndarray]], less: Mapping[str, Mapping[str, Figure]]) -> list[Goal]:
    """What issue and docs ask for."""
    over = ratio_of(found[BARE]["delta_e"], found["grey"]["delta_e"])
    asked_for = f"≤ {ABOVE_GREY:g}"
    checked = [Goal(PART, "without a palette, over grey, ΔE2000", asked_for, str(over), over.value <= ABOVE_GREY)]
    for row in ("grey", "mean", "own mean"):
        what = f"with its own palette, less {row}, ΔE2000"
        if difference := less.get(OWN, {}).get(row):
            checked.append(Goal(PART, what, "< 0, all of it", str(difference), difference.high < 0))
        else:
            checked.append(Goal(PART, what, "< 0, all of it", "takes no palette", False))
    return checked


def curves(run: Path) -> list[dict[str, Any]]:
    """Of each validation: step, minutes of training, and ΔE2000 without and with the picture's own palette."""
    lines = read_log(run)
    minutes = {
        line["step"]: line["step"] * batch_of(run) / line["samples_per_second"] / 60
        for line in lines
        if line["kind"] == "train"
    }
    names = ("step", *CURVES.values(), "score")
    return [
        {name: line[name] for name in names if name in line} | {"minutes": minutes.get(line["step"])}
        for line in lines
        if line["kind"] == "validation"
    ]


def say_curves(points: list[dict[str, Any]]) -> None:
    say("\nvalidations of the training, ΔE2000")
    say(f"{'step':>8}{'minutes':>9}" + "".join(f"{title:>13}" for title in CURVES))
    for point in points:
        cells = [f"{point[name]:.2f}" if point.get(name) is not None else "–" for name in CURVES.values()]
        minutes = f"{point['minutes']:.1f}" if point["minutes"] is not None else "–"
        say(f"{point['step']:>8}{minutes:>9}" + "".join(f"{cell:>13}" for cell in cells))


def judged(run: Path, shards: Path, splits: Iterable[str]) -> tuple[list[Goal], dict[str, Any]]:
    """The table of a finished run, said and returned."""
    network, about = load_model(run / MODEL, "cpu")
    shown = held(shards, splits)
    rows = plain_rows(shown, shards) | network_rows(shown, network)
    found = {name: measured(row, shown) for name, row in rows.items()}
    less = compared(found)
    say(f"\n{len(shown.L)} pictures of {shown.photograph.max() + 1} photographs, {' and '.join(splits)}")
    say_rows({name: summary(figures) for name, figures in found.items()})
    for name, differences in less.items():
        say(f"\n{name}, less, ΔE2000: " + "; ".join(f"{row} {value}" for row, value in differences.items()))
    points = curves(run)
    say_curves(points)
    whole = {
        "run": str(run), "pictures": len(shown.L), "rows": {name: told(summary(f)) for name, f in found.items()},
        "less": {name: told(values) for name, values in less.items()}, "curves": points,
        "recipe": about["training"]["recipe"], "network": network.config.to_dict(),
    }  # fmt: skip
    return goals(found, less), whole


def told(figures: Mapping[str, Figure]) -> dict[str, list[float]]:
    """Value, low, high."""
    return {name: [round(x, 4) for x in (f.value, f.low, f.high)] for name, f in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, help="where shards and runs lie; outside of the repository")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--variants", type=int, default=1, help="drawings of each photograph")
    parser.add_argument("--run", type=Path, help="a finished run that is measured")
    parser.add_argument("--splits", default=",".join(HELD_BACK), metavar="SPLIT,…")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    given, flags = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]
    torch.set_num_threads(given.threads)
    shards = made_shards(given.data, given.work, given.size, given.variants, given.threads)
    run = given.run or trained(shards, given.work, given.minutes, given.threads, flags)
    reached, whole = judged(run, shards, given.splits.split(","))
    (given.work / f"{run.name}.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False))
    say()
    table(reached)


if __name__ == "__main__":
    main()
