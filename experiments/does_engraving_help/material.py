"""What the networks learn from and are tested on: the same photographs, drawn in several ways over the same wash.

Everything lies below the work folder, which is no part of the repository, and is made by gravurekit's own commands;
what is there already is kept. Names of drawings, and so of shards:

    engrave      the default style; its wash is what every network learns, whatever it is fed
    photo        the photographs' own lightness
    cartoon      the original report's filter
    etching      a preset of engrave, which nobody learns from
    transfer     engrave's drawings, refined towards real prints; of the held-back pictures and a few others
    line-screen  a banknote's straight lines; outlines: lines where the light changes, and nothing between them: two
                 kinds of print that share nothing with our styles
    as-cartoon   `etching` as `colorize` shows it to a network that has learnt cartoons: drawn anew in that style
    soft         engrave's lines, melted by a blur; as-soft: etching's; as-toned: these, darkened to a mean lightness
                 of TONE, that of the photographs
    coloured     etching, of which not the ink is fed but the coloured print
    matched      engrave, fitted to real books by `--match`
    refined      `transfer` of as many of the pictures as are worth the time; as-few: engrave's drawings of these, of
                 the same size
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from plan import FEW, HELD_BACK, MELTED, REFINED, SIZE, TRANSFER_SIDE, VALIDATED

from gravurekit import color, folder, images, metadata, storage
from gravurekit.measures import controls
from gravurekit.progress import SILENT
from gravurekit.receipt import Plan, read_receipt
from gravurekit.record import Record
from gravurekit.styles import cartoon

# (H, W) uint8 grey and a chance for the picture → (H, W) uint8
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
TONE = 66.7  # L
BOOKS = ("lane_arabian_nights_harvey_34206", "corset_crinoline_53267", "fashion_plate_history_34472")


def say(line: str) -> None:
    sys.stdout.write(time.strftime("%H:%M:%S ") + line + "\n")
    sys.stdout.flush()


def gravurekit(*words: object, threads: int = 1, patch: str = "") -> dict[str, Any]:
    """One command of gravurekit's, or of one that is patched; what it prints as JSON."""
    program = [str(Path(__file__).with_name("patched.py")), patch] if patch else ["-m", "gravurekit"]
    command = [sys.executable, *program, *map(str, words), "--json", "--quiet"]
    say(" ".join([patch, *command[1 + len(program) : -2]]).strip())
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):  # 3: some pictures were dropped
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Material:
    """The data, and the folder in which everything is made."""

    data: Path
    work: Path

    @property
    def clean(self) -> Path:
        """The photographs, chosen by the filter: `photos`, garments by class, and `figures`, dressed people."""
        raw, clean, of = self.work / "raw", self.work / "clean", self.work / "data.txt"
        if of.exists() and of.read_text("utf-8") != str(self.data):
            raise SystemExit(f"{self.work} is of {of.read_text('utf-8')}: take another --work for {self.data}")
        if not _finished(clean):
            storage.make_folder(self.work)
            storage.write_text(of, str(self.data))
            shutil.copytree(self.data / "photos", raw, dirs_exist_ok=True)
            shutil.copytree(self.data / "figures", raw / "figures", dirs_exist_ok=True)
            gravurekit("filter", raw, clean, "--relevance", "none")
        return clean

    @property
    def splits(self) -> Path:
        """A folder with the table of splits: HELD_BACK figures test, VALIDATED pictures validate, all others train."""
        place = self.work / "splits"
        found = folder.read_photographs(self.clean)
        held, validated = _chosen(found)
        lines = [json.dumps({"val": 0.1, "test": 0.1, "seed": 0})]
        for name in sorted({_cluster(item) for item in found}):
            split = "test" if name in held else "val" if name in validated else "train"
            lines.append(json.dumps({"key": name, "split": split}))
        storage.make_folder(place)
        storage.write_text(place / "splits.jsonl", "\n".join(lines) + "\n")
        return place

    def drawn(self, name: str) -> Path:
        """The drawings of that name."""
        out = self.work / "drawn" / name
        if _finished(out):
            return out
        if name == "engrave":
            gravurekit("stylize", self.clean, out)
        elif name == "cartoon":
            over(self.drawn("engrave"), self._ink("cartoon", "--style", "cartoon"), out)
        elif name == "etching":
            over(self.drawn("engrave"), self._ink("etching", "--preset", "etching"), out)
        elif name in CHANGED:
            first, changed = CHANGED[name]
            ink = self._ink("photo", "--style", "photo") if first == "photo" else self.drawn(first)
            over(self.drawn("engrave"), ink, out, changed)
        elif name == "transfer":
            self._refine(self._few("few", FEW, "test"), out)
        elif name == "refined":
            self._refine(self._few("some", REFINED, "val", "refined"), out)
        elif name == "as-few":
            gravurekit("stylize", self._few("some", REFINED, "val", "refined"), out, "--short-side", TRANSFER_SIDE)
        elif name == "matched":
            preset = self.work / "matched.toml"
            if not preset.exists():
                gravurekit("stylize", self.clean, "--match", self.data / "prints", "--out", preset)
            over(self.drawn("engrave"), self._ink("matched", "--preset", preset), out)
        else:
            raise ValueError(f"no drawings are called {name}")
        return out

    def _ink(self, name: str, *flags: object) -> Path:
        out = self.work / "ink" / name
        if not _finished(out):
            gravurekit("stylize", self.clean, out, *flags)
        return out

    def _refine(self, photographs: Path, out: Path) -> None:
        prints = [word for book in BOOKS for word in ("--style-image", self.data / "prints" / book)]
        gravurekit("stylize", photographs, out, "--style", "transfer", *prints, "--short-side", TRANSFER_SIDE)

    def _few(self, called: str, count: int, split: str, chance: str = "held back") -> Path:
        """Pictures of a split, test or val, and so many of those that are learnt from, chosen by that `chance`: by that
        of the held-back figures they are all garments."""
        place, found = self.work / called, folder.read_photographs(self.clean)
        shutil.rmtree(place, ignore_errors=True)
        held, validated = _chosen(found)
        others = [item for item in found if _cluster(item) not in held | validated]
        wanted = held if split == "test" else validated
        few = [item for item in found if _cluster(item) in wanted] + _by_chance(others, chance)[:count]
        for item in few:
            name = place / (item.label or "figures") / Path(item.file_name).name
            storage.make_folder(name.parent)
            storage.link_or_copy(self.clean / item.file_name, name)
        return place

    def shards(self, name: str, *flags: str) -> Path:
        """The shards of the drawings of that name, with all photographs' own lightness beside."""
        out = self.work / "shards" / "-".join([name, *(flag.strip("-") for flag in flags)])
        if not _finished(out):
            if name == "coloured":
                name, flags = "etching", ("--input", "print")
            drawings = self.drawn("engrave" if name == "photo" else name)
            fed = ("--input", "photo") if name == "photo" else ("--photo",)
            places = ("--photographs", self.clean, "--splits", self.splits)
            gravurekit("shard", drawings, out, "--size", SIZE, *places, *fed, *flags)
        return out


def _finished(place: Path) -> bool:
    return (place / "receipt.json").exists()


def _cluster(item: Record) -> str:
    return item.cluster or item.key


def _by_chance(found: Iterable[Record], chance: str = "held back") -> list[Record]:
    return sorted(found, key=lambda item: hashlib.sha256(f"{chance} {_cluster(item)}".encode()).hexdigest())


def _chosen(found: Sequence[Record]) -> tuple[set[str], set[str]]:
    """The clusters that are tested and validated on, by the hash of their names. By the same hash, so those that are
    validated on, which come right behind the held-back figures, are all garments; they decide nothing."""
    figures = list(dict.fromkeys(_cluster(item) for item in _by_chance(found) if item.label == "figures"))
    held = set(figures[:HELD_BACK])
    rest = dict.fromkeys(_cluster(item) for item in _by_chance(found) if _cluster(item) not in held)
    return held, set(list(rest)[:VALIDATED])


# ---- another ink over the same wash ----------------------------------------------------------------------


def over(wash: Path, ink: Path, out: Path, changed: Change | None = None) -> None:
    """A folder of drawings with the washes of one folder under the ink of another, which may be `changed`: so that what
    is compared differs in its ink alone."""
    say(f"{out.name}: the ink of {ink} over the wash of {wash}")
    receipt = read_receipt(ink)
    assert receipt is not None
    of_key = {(item.key, item.variant): item for item in folder.read(ink)}
    washes = folder.read(wash)
    inputs = {"wash": metadata.input_digest(washes), "ink": metadata.input_digest(of_key.values())}
    settings = receipt.plan.settings | {"changed": changed.__name__ if changed else ""}
    plan = Plan(stage="stylize", revision=receipt.plan.revision, settings=settings, inputs=inputs, seed=0)
    began = time.monotonic()
    with folder.opened(out, "stylize", (), SILENT):
        kept = [_joined(item, of_key[item.key, item.variant], wash, ink, out, changed) for item in washes]
        folder.finish(out, plan, kept, [], time.monotonic() - began)


def _joined(item: Record, other: Record, wash: Path, ink: Path, out: Path, changed: Change | None) -> Record:
    plain = out / item.plain_file_name
    for name in (item.file_name, item.wash_file_name, item.plain_file_name):
        storage.make_folder((out / name).parent)
    storage.link_or_copy(wash / item.wash_file_name, out / item.wash_file_name)
    storage.link_or_copy(ink / other.file_name, out / item.file_name)  # to look at; nothing is learnt from it
    if changed is None:
        storage.link_or_copy(ink / other.plain_file_name, plain)
    else:
        grey = images.read(ink / other.plain_file_name).pixels[..., 0]
        chance = np.random.default_rng(int(item.key, 16))
        storage.write_bytes(plain, images.encode_png(changed(np.ascontiguousarray(grey), chance)))
    return item.but(sha256=other.sha256, plain_sha256=metadata.file_sha256(plain))


def as_cartoon(ink: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return cartoon.redraw(ink, cartoon.Settings())


def melted(ink: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(ink, (0, 0), MELTED))


def toned(ink: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Melted, and bent by a power of its light so that L is TONE in the mean."""
    light = color.srgb_to_linear(melted(ink, chance)) * np.float32(0.998) + np.float32(0.001)
    low, high = 0.1, 20.0
    for _ in range(20):
        power = (low * high) ** 0.5
        L = 116 * np.cbrt(light**power) - 16
        low, high = (power, high) if L.mean() > TONE else (low, power)
    return np.asarray(color.linear_to_srgb(light**power))


def line_screen(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return controls.line_screen(np.dstack([grey] * 3), chance)


def outlines(grey: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return controls.outlines(np.dstack([grey] * 3), chance)


CHANGED: dict[str, tuple[str, Change]] = {
    "as-cartoon": ("etching", as_cartoon),
    "soft": ("engrave", melted),
    "as-soft": ("etching", melted),
    "as-toned": ("etching", toned),
    "line-screen": ("photo", line_screen),
    "outlines": ("photo", outlines),
}
