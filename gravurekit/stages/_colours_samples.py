"""The colours of held-back samples: what a network says of them, told this or that, and what others would say.

The network is fed exactly what the validation of a training feeds it: the lightness of the whole sample, as the shards
hold it. Only what lies in the sample's box is measured.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gravurekit import color
from gravurekit.errors import DataError, UsageError
from gravurekit.measures.colours import Look, Truth, look
from gravurekit.measures.colours_sheet import candidates, fitted
from gravurekit.model.augment import PLAIN
from gravurekit.model.batches import prepared
from gravurekit.model.predictor import Prediction, Predictor
from gravurekit.progress import Watch
from gravurekit.shards import LEARNED, index
from gravurekit.shards.reader import ShardSet, read_manifest
from gravurekit.stages._colours_known import Known
from gravurekit.stages._panels import chosen

NETWORK, OWN, OTHERS, HINTS = "network", "told its palette", "told another's palette", "told hints"
GREY, MEAN, OWN_MEAN, NEAREST, TRUTH = "grey", "mean of the training", "own mean", "nearest training picture", "truth"
KNOWN = (GREY, MEAN, OWN_MEAN, NEAREST)  # rows of those who know no network
SHOWN = ("truth", GREY, NETWORK, OWN, OTHERS, HINTS, NEAREST)  # columns of the sheet
SATURATIONS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)

Place = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True, eq=False)
class Sample:
    """A held-back picture: `L` (H, W) float32 0..100 as the network is fed, the `place` in it that is picture, the
    colours that it ought to have, and what the network may be told of them."""

    key: str
    label: str
    L: np.ndarray
    place: Place
    truth: Truth
    photo: bool  # its lightness stays and chroma is added, instead of ink on a wash
    palette: np.ndarray | None
    hints: np.ndarray | None

    def seen(self, wash: np.ndarray) -> np.ndarray:
        """A wash, (h, w, 3) float32 Lab, as people see it: under the ink, (h, w, 3) uint8 sRGB."""
        return _seen(wash, self.L[self.place], self.photo)


def _seen(wash: np.ndarray, L: np.ndarray, photo: bool) -> np.ndarray:
    if photo:
        return color.lab_to_rgb(np.dstack([L, wash[..., 1:]]))
    return color.multiply(color.lab_to_rgb(wash), color.lab_to_rgb(np.dstack([L, np.zeros((*L.shape, 2), np.float32)])))


@dataclass(frozen=True, eq=False)
class Looked:
    """What came of one sample: looks by row; by row and saturation; the picture as each row has it, if it may come on
    the sheet; the network's classes, the most probable first."""

    key: str
    label: str
    looks: Mapping[str, Look]
    curve: Mapping[tuple[str, float], Look]
    seen: Mapping[str, np.ndarray]
    classes: Sequence[str]


@dataclass(frozen=True, eq=False)
class HeldBack:
    """Samples that are measured: their keys, and what the index and the shards say of them. `learnt`: pictures of the
    split that the network has learned from, which are left out; None if the model doesn't say what it learned from."""

    samples: ShardSet
    entries: Sequence[tuple[int, Mapping[str, Any]]]
    learnt: int | None


def held_back(shards: Path, split: str, most: int, run: Path) -> HeldBack:
    """At most so many pictures of a split, each once, chosen by the hash of their keys. Raises DataError if the split
    is empty or damaged, UsageError if the network of `run` has learned from all of them."""
    manifest = read_manifest(shards)
    samples = ShardSet(shards, split, ("L", "wash", "label", "box"))
    found = chosen(shards, manifest, split, len(samples))
    if not found:
        filled = [name for name in ("test", "val") if any(s["split"] == name for s in manifest["shards"])]
        others = f"--split {filled[0]}, or " if filled else ""
        raise DataError(f"{shards} holds no sample of {split}: {others}`gravurekit shard --{split}-share 0.1`")
    seen = _learned_from(run)
    unseen = [(number, entry) for number, entry in found if not seen or _picture(entry) not in seen]
    if not unseen:
        raise UsageError(f"{run} has learned from all of {split} in {shards}: measure it on other pictures")
    return HeldBack(samples, unseen[:most], None if seen is None else len(found) - len(unseen))


def _picture(entry: Mapping[str, Any]) -> str:
    return str(entry["photo_key"] or entry["key"])


def _learned_from(run: Path) -> set[str] | None:
    """The pictures that a network has learned from; None if its folder doesn't say."""
    path = run / LEARNED
    if not path.is_file():
        return None
    return {_picture(entry) for entry in index.read(path, ("key", "photo_key"))}


def look_at(chosen: HeldBack, predictor: Predictor, known: Known, seed: int, watch: Watch) -> Iterator[Looked]:
    """Ask for the colours of each sample, and measure them."""
    photo = chosen.samples.manifest.get("input") == "photo"
    watch.begin("held-back samples", len(chosen.entries))
    # of a single picture there is no other's palette
    others = _sample(chosen, -1, predictor, photo, seed).palette if len(chosen.entries) > 1 else None
    shown = candidates(len(chosen.entries))
    for place in range(len(chosen.entries)):
        sample = _sample(chosen, place, predictor, photo, seed)
        yield _looked(sample, others, predictor, known, SHOWN if place in shown else ())
        others = sample.palette if others is not None else None
        watch.advance()


def _sample(chosen: HeldBack, place: int, predictor: Predictor, photo: bool, seed: int) -> Sample:
    number, entry = chosen.entries[place]
    arrays = chosen.samples.batch(np.array([number]))
    y0, x0, y1, x1 = arrays["box"][0].tolist()
    inside = slice(y0, y1), slice(x0, x1)
    palette, hints = _told(arrays, _picture(entry), predictor, seed)
    L = arrays["L"][0, 0].astype(np.float32) * np.float32(100 / 255)
    wash = color.lab8_to_lab(np.ascontiguousarray(arrays["wash"][0].transpose(1, 2, 0)[inside]))
    label = str((entry["labels"] or [""])[0])
    truth = Truth(wash, _seen(wash, L[inside], photo))
    return Sample(_picture(entry), label, L, inside, truth, photo, palette, hints)


def _told(
    arrays: Mapping[str, np.ndarray], key: str, predictor: Predictor, seed: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Palette and hints of a sample, as a training tells them, if the network takes them: the palette of its wash;
    1 to 16 squares of the true colours, five on average."""
    config = predictor.network.config
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    place = np.array([int(hashlib.sha256(key.encode()).hexdigest()[:15], 16)])
    batch = prepared(tensors, replace(config, lightness=True), replace(PLAIN, hints=1.0), place, seed)
    hints = None
    if batch.hints is not None:
        hints = batch.hints[0].permute(1, 2, 0).numpy().copy()
        hints[..., :2] *= config.ab_limit
    return None if batch.palette is None else batch.palette[0].numpy(), hints


def _looked(
    sample: Sample, others: np.ndarray | None, predictor: Predictor, known: Known, shown: Sequence[str]
) -> Looked:
    unguided = predictor.predict(sample.L)
    said = {NETWORK: _wash(unguided, sample)}
    if sample.palette is not None:
        said[OWN] = _wash(predictor.predict(sample.L, palette=sample.palette), sample)
    if others is not None:
        said[OTHERS] = _wash(predictor.predict(sample.L, palette=others), sample)
    if sample.hints is not None:
        said[HINTS] = _wash(predictor.predict(sample.L, hints=sample.hints), sample)
    curve = {
        (name, factor): _look(sample, said[name] * np.array([1, factor, factor], np.float32))
        for name in (NETWORK, OWN)
        if name in said
        for factor in SATURATIONS
    }
    said |= guesses(sample.truth.lab, known, sample.L) | {TRUTH: sample.truth.lab}
    looks = {name: _look(sample, wash) for name, wash in said.items()}
    seen = {name: fitted(sample.seen(said[name])) for name in shown if name in said}
    return Looked(sample.key, sample.label, looks, curve, seen, [name for name, _ in unguided.classes])


def _look(sample: Sample, wash: np.ndarray) -> Look:
    return look(wash[..., 1:], sample.seen(wash), sample.truth)


def _wash(said: Prediction, sample: Sample) -> np.ndarray:
    """(h, w, 3) float32 Lab of what a network said. One that doesn't say how light its wash is lets it be as light as
    its chroma leaves room for."""
    ab = said.ab[sample.place]
    lightness = np.clip(97 - 0.55 * np.hypot(ab[..., 0], ab[..., 1]), 55, 97)
    if said.lightness is not None:
        lightness = np.clip(said.lightness[sample.place], 0, 100)
    return np.dstack([lightness, ab]).astype(np.float32)


def guesses(truth: np.ndarray, known: Known, sheet: np.ndarray) -> dict[str, np.ndarray]:
    """What those say who know no network, (h, w, 3) float32 Lab each, of a picture whose colours are `truth`,
    (h, w, 3) Lab, and of which a network would be fed `sheet` (H, W) float32 0..100: a grey wash as light as those of
    the training; their mean colour; the picture's own mean colour, which it would have to be told; and the colours of
    the training picture that it resembles."""
    grey = known.mean * np.array([1, 0, 0], np.float32)
    own = truth.mean((0, 1), dtype=np.float64).astype(np.float32)
    plain = {GREY: grey, MEAN: known.mean, OWN_MEAN: own}
    flat = {name: np.broadcast_to(lab, truth.shape) for name, lab in plain.items()}
    return flat | {NEAREST: known.nearest(sheet, *truth.shape[:2])}
