"""evaluate colors: the verb on drawn pictures, by networks that know nothing, and by one who knows everything."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import Result
from workspace import copied, digests, patchwork, run_here

from gravurekit import color, images, shards, storage
from gravurekit.model import palette as palettes
from gravurekit.model.checkpoint import save_model
from gravurekit.model.network import NetworkConfig, build
from gravurekit.model.predictor import Prediction, Predictor
from gravurekit.progress import SILENT
from gravurekit.receipt import RECEIPT
from gravurekit.shards.reader import ShardSet, read_manifest
from gravurekit.stages import _colours_known, _colours_prints, evaluate_colours
from gravurekit.stages._colours_samples import (
    GREY,
    HINTS,
    KNOWN,
    MEAN,
    NEAREST,
    NETWORK,
    OTHERS,
    OWN,
    OWN_MEAN,
    SATURATIONS,
    TRUTH,
)
from gravurekit.stages.evaluate_colours import Evaluation, Job, Part, Settings

Run = Callable[..., Result]
ASK = ("evaluate", "colors", "--shards", "tensors", "--model", "runs/one", "--device", "cpu", "--resamples", "20")
CONFIG = NetworkConfig(("kaftan", "hat"), "average", 32, L_mean=0.5, palette=True, hints=True, lightness=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of some pictures, each drawn twice, with a test split; networks that have learned nothing."""
    place = tmp_path_factory.mktemp("made")
    patchwork(place / "photos/kaftan", 18)
    style = ("--short-side", "64", "--style", "cartoon", "--variants", "2", "--executor", "serial", "--quiet")
    size = ("--size", "32x48", "--val-share", "0.2", "--test-share", "0.3", "--executor", "serial", "--quiet")
    assert run_here("-C", str(place), "stylize", "photos", "drawn", *style).exit_code == 0
    assert run_here("-C", str(place), "shard", "drawn", "tensors", *size).exit_code == 0
    style_of = read_manifest(place / "tensors")["style"]
    for name, config in {"one": CONFIG, "plain": replace(CONFIG, palette=False, hints=False, lightness=False)}.items():
        about = {"size": [32, 48], "style": style_of}
        save_model(place / "runs" / name / "model.safetensors", build(config, 3).eval(), about)
        learned = [line for line in lines_of(place) if line["split"] == "train"]
        storage.write_lines(place / "runs" / name / shards.LEARNED, map(json.dumps, learned))
    for n, book in enumerate(("alpha", "beta", "beta")):
        storage.write_bytes(place / "coloured" / book / f"{n}.png", images.encode_png(coloured_print(n)))
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return copied(made, tmp_path / "here", monkeypatch)


def lines_of(place: Path) -> list[dict[str, Any]]:
    return storage.read_json_lines(place / "tensors" / shards.INDEX)


def coloured_print(seed: int) -> np.ndarray:
    """(90, 70, 3) uint8 sRGB: hatching on yellowish paper, a figure in a colour."""
    pixels = np.full((90, 70, 3), (240, 226, 190), np.uint8)
    pixels[20:70, 15:55] = np.random.default_rng(seed).integers(90, 230, 3)
    pixels[10:80:3, 10:60] //= 2
    return pixels


def rows_of(part: Part) -> dict[str, Any]:
    return {item.name: item for item in part.rows}


def job(**changes: Any) -> Job:
    knobs = Settings(device="cpu", resamples=20)
    return replace(Job(Path("runs/one"), Path("runs"), Path("tensors"), None, Path("told.json"), knobs), **changes)


# ---- the verb ------------------------------------------------------------------------------------------


def test_the_report_its_sheet_and_the_same_bytes_again(here: Path, gravurekit: Run, monkeypatch: Any) -> None:
    monkeypatch.chdir(here)
    done = gravurekit(*ASK, "--prints", "coloured", "--quiet")
    assert done.exit_code == 0, done.output
    for word in (NETWORK, OWN, OTHERS, HINTS, *KNOWN, TRUTH, "alpha", "beta", "saturation", "top-1"):
        assert word in done.stdout
    text = Path("reports/one-colors.json").read_text("utf-8")
    report = json.loads(text)
    assert report["kind"] == evaluate_colours.KIND and str(here) not in text
    assert [item["name"] for item in report["samples"]["rows"]] == [NETWORK, OWN, OTHERS, HINTS, *KNOWN, TRUTH]
    keys = [item["key"] for item in report["samples"]["pictures"]]
    held_back = {line["photo_key"] or line["key"] for line in lines_of(here) if line["split"] == "test"}
    assert len(keys) == len(set(keys)) and set(keys) == held_back  # each photograph once
    assert {name: len(part["pictures"]) for name, part in report["prints"].items()} == {"": 3, "alpha": 1, "beta": 2}
    curve = report["samples"]["curve"]
    assert set(curve) == {NETWORK, OWN} and [p["saturation"] for p in curve[OWN]] == list(SATURATIONS)
    assert curve[OWN][0]["colourfulness_ratio"]["value"] == pytest.approx(0, abs=1e-2)  # greys of 8 bits
    assert curve[OWN][4]["delta_e"] == report["samples"]["rows"][1]["delta_e"]
    assert images.read(Path("reports/one-colors.png")).height > 1000

    before = digests(Path("reports"))
    again = gravurekit(*ASK, "--prints", "coloured", "--quiet", "--json")
    assert again.exit_code == 0 and digests(Path("reports")) == before
    assert json.loads(again.stdout)["samples"]["rows"][0]["name"] == NETWORK


def test_a_network_that_takes_nothing_is_told_nothing(here: Path) -> None:
    found = evaluate_colours.run(job(model=Path("runs/plain"), prints=Path("coloured")), SILENT)
    for part in (found.samples, *found.prints.values()):
        assert list(rows_of(part)) == [NETWORK, *KNOWN, TRUTH]
    assert set(found.samples.curve) == {NETWORK}


def test_the_newest_finished_run_is_measured_if_none_is_named(here: Path) -> None:
    storage.write_json(here / "runs/plain" / RECEIPT, {})
    assert job(model=None).run == Path("runs/plain") and job(model=None, out=None).report.name == "plain-colors.json"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--shards", "nowhere"), 2, "no such folder"),
        (("--prints", "nowhere"), 2, "no such folder"),
        (("--model", "runs"), 5, "no model file"),
        (("--out", "notes.txt"), 2, "is a .json"),
        (("--out", "mine.json"), 2, "no report of ours"),
        (("--prints", "runs/one"), 5, "no picture"),
        (("--photos", "photos", "--epochs", "3"), 2, "no use for --epochs, --photos"),
    ],
)
def test_what_cant_be_measured_is_told_at_once(
    words: tuple[str, ...], code: int, said: str, here: Path, gravurekit: Run, monkeypatch: Any
) -> None:
    monkeypatch.chdir(here)
    storage.write_json(Path("mine.json"), {"kind": "gravurekit evaluate style"})
    before = digests(here)
    done = gravurekit(*ASK, *words, "--quiet")
    assert done.exit_code == code and said in str(done.exception)
    assert digests(here) == before


def test_a_style_has_no_use_for_a_run(gravurekit: Run) -> None:
    done = gravurekit("evaluate", "style", "drawn", "--photos", "a", "--prints", "b", "--model", "runs/one")
    assert done.exit_code == 2 and "no use for --model" in str(done.exception)
    done = gravurekit("evaluate", "style", "drawn")
    assert done.exit_code == 2 and "all three are needed" in str(done.exception)


def test_an_empty_split_names_one_that_isnt(here: Path) -> None:
    path = here / "tensors/manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["shards"] = [entry for entry in manifest["shards"] if entry["split"] != "test"]
    path.write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(evaluate_colours.DataError, match="no sample of test: --split val"):
        evaluate_colours.run(job(), SILENT)
    found = evaluate_colours.run(job(settings=Settings(split="val", device="cpu", resamples=10)), SILENT)
    assert any("chosen by val" in doubt for doubt in found.doubts)


# ---- held back -----------------------------------------------------------------------------------------


def learned(here: Path, keys: set[str]) -> None:
    lines = [line for line in lines_of(here) if line["split"] == "train" or line["photo_key"] in keys]
    storage.write_lines(here / "runs/one" / shards.LEARNED, map(json.dumps, lines))


@pytest.mark.slow
def test_pictures_that_the_network_has_learned_from_are_left_out(here: Path) -> None:
    keys = sorted({line["photo_key"] for line in lines_of(here) if line["split"] == "test"})
    learned(here, {keys[0]})
    found = evaluate_colours.run(job(), SILENT)
    assert found.learnt == 1 and sorted(item["key"] for item in found.samples.pictures) == keys[1:]
    assert any("left out" in line for line in evaluate_colours.notes(found))
    learned(here, set(keys))
    with pytest.raises(evaluate_colours.UsageError, match="has learned from all of test"):
        evaluate_colours.run(job(), SILENT)
    storage.remove(here / "runs/one" / shards.LEARNED)
    assert any("perhaps from these" in doubt for doubt in evaluate_colours.run(job(), SILENT).doubts)


class Oracle:
    """In a predictor's place: knows each picture by the lightness that it is fed, and says its true colours when told
    its palette or hints; the opposite colours when told another's palette; grey when told nothing."""

    def __init__(self, folder: Path) -> None:
        self.known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        samples = ShardSet(folder, "test")
        for n in range(len(samples)):
            one = samples[n]
            lab = color.lab8_to_lab(np.ascontiguousarray(one["wash"].transpose(1, 2, 0)))
            fed = one["L"][0].astype(np.float32) * np.float32(100 / 255)
            self.known[fed.tobytes()] = (lab, self.palette(one))

    @staticmethod
    def palette(one: dict[str, np.ndarray]) -> np.ndarray:
        """Counted here as simply as it can be: means of 2 × 2 pixels that lie in the box."""
        y0, x0, y1, x1 = one["box"].tolist()
        inside = np.zeros(one["L"].shape[1:], np.float32)
        inside[y0:y1, x0:x1] = 1
        planes = [one["wash"][n].astype(np.float32) * inside for n in (1, 2)]
        share, a, b = (p.reshape(p.shape[0] // 2, 2, -1, 2).mean((1, 3)) for p in (inside, *planes))
        ab = np.stack([plane / np.maximum(share, 0.25) - 128 * (share > 0) for plane in (a, b)])
        return palettes.of(torch.from_numpy(ab)[None], torch.from_numpy(share)[None, None])[0].numpy()

    def predict(self, L: np.ndarray, *, palette: Any = None, hints: Any = None) -> Prediction:
        lab, own = self.known[L.tobytes()]
        factor = 0.0
        if palette is not None:
            factor = 1.0 if np.allclose(palette, own, atol=1e-5) else -1.0
        if hints is not None:
            told = hints[..., 2] > 0
            assert told.any() and np.abs(hints[told][:, :2]).max() <= 128
            factor = 1.0
        return Prediction(lab[..., 1:] * np.float32(factor), lab[..., 0], [("hat", 0.6), ("kaftan", 0.4)])


@pytest.fixture
def all_knowing(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Evaluation]:
    oracle = Oracle(here / "tensors")
    monkeypatch.setattr(Predictor, "predict", lambda _, L, **told: oracle.predict(L, **told))
    yield evaluate_colours.run(job(), SILENT)


def test_who_knows_everything_is_right_and_who_is_told_the_wrong_thing_is_wrong(all_knowing: Evaluation) -> None:
    rows = rows_of(all_knowing.samples)
    for name in (OWN, HINTS, TRUTH):
        assert rows[name].delta_e.value == rows[name].seen_delta_e.value == 0, name
        assert rows[name].colourfulness_ratio.value == 1
    # alone grey is grey, whatever its lightness; as seen the network knows how light the wash is
    assert rows[NETWORK].delta_e == rows[GREY].delta_e
    assert rows[NETWORK].seen_delta_e.value < rows[GREY].seen_delta_e.value
    assert rows[NETWORK].colourfulness_ratio.value == 0 and rows[NETWORK].grey.value == 1
    assert rows[OTHERS].delta_e.value > rows[GREY].delta_e.value
    assert rows[OTHERS].chroma_ratio.value == pytest.approx(1)
    assert rows[OWN_MEAN].ab_psnr.value > max(rows[name].ab_psnr.value for name in (GREY, MEAN))
    gain = all_knowing.samples.gains[OWN]
    assert all(gain[name]["delta_e"].value == pytest.approx(rows[name].delta_e.value) for name in KNOWN)  # type: ignore[union-attr]


def test_the_curve_is_least_at_what_is_true(all_knowing: Evaluation) -> None:
    curve = all_knowing.samples.curve[OWN]
    deltas = [p.delta_e.value for p in curve if p.delta_e]
    ratios = [p.chroma_ratio.value for p in curve if p.chroma_ratio]
    assert deltas.index(min(deltas)) == SATURATIONS.index(1.0)
    assert ratios == pytest.approx(list(SATURATIONS), abs=1e-6)


def test_classes_are_counted_over_labels_that_the_network_knows(all_knowing: Evaluation) -> None:
    found = all_knowing.classes
    assert found is not None and found.pictures == len(all_knowing.samples.pictures)
    assert (found.top1.value, found.top3.value, found.most_frequent) == (0, 1, 1)


def test_a_training_picture_is_nearest_to_itself_and_the_mean_is_the_manifests(here: Path) -> None:
    known = _colours_known.known(here / "tensors")
    manifest = read_manifest(here / "tensors")
    assert known.mean[1:] == pytest.approx(manifest["ab"]["mean"], abs=1e-3)
    train = ShardSet(here / "tensors", "train")
    for n in range(0, len(train), 3):
        y0, x0, y1, x1 = train[n]["box"].tolist()
        found = known.nearest(train[n]["L"][0].astype(np.float32) / np.float32(2.55), y1 - y0, x1 - x0)
        wash = color.lab8_to_lab(np.ascontiguousarray(train[n]["wash"][:, y0:y1, x0:x1].transpose(1, 2, 0)))
        assert (found == wash).all()
        assert known.nearest(train[n]["L"][0] / np.float32(2.55), 7, 5).shape == (7, 5, 3)


# ---- real prints ---------------------------------------------------------------------------------------


def test_prints_come_grey_and_on_white_and_who_leaves_them_so_is_the_grey_row(here: Path) -> None:
    seen: list[np.ndarray] = []

    def colour(pixels: np.ndarray, palette: np.ndarray | None) -> np.ndarray:
        seen.append(pixels)
        assert palette is None or (palette.shape == (27, 27) and palette.sum() == pixels.shape[0] * pixels.shape[1])
        return pixels

    found = evaluate_colours.run(job(prints=Path("coloured")), SILENT, lambda predictor: colour)
    rows = rows_of(found.prints[""])
    assert all((pixels == pixels[..., :1]).all() and pixels.max() == 255 for pixels in seen) and len(seen) == 9
    for name in (NETWORK, OWN, OTHERS):
        assert rows[name].delta_e == rows[GREY].delta_e and rows[name].seen_delta_e == rows[GREY].seen_delta_e
    assert rows[NEAREST].pictures == 3 and rows[GREY].colourfulness_ratio.value == 0


@pytest.mark.slow
def test_a_print_that_cant_be_read_is_told_and_the_others_are_measured(here: Path) -> None:
    storage.write_bytes(here / "coloured/beta/torn.png", b"\x89PNG\r\n torn")
    storage.write_bytes(here / "coloured/alpha/dot.png", images.encode_png(np.zeros((1, 1, 3), np.uint8)))
    heard: list[str] = []

    class Listening(type(SILENT)):  # type: ignore[misc]
        def note(self, text: str) -> None:
            heard.append(text)

    found = evaluate_colours.run(job(prints=Path("coloured")), Listening())
    assert len(found.prints[""].pictures) == 3
    assert len(heard) == 2 and all("isn't measured" in text for text in heard)
    for path in Path("coloured").glob("*/[012].png"):
        storage.remove(path)
    found = evaluate_colours.run(job(prints=Path("coloured")), SILENT)
    assert not found.prints and found.doubts == ["no picture in coloured could be read"]


@pytest.mark.slow
def test_of_a_single_print_there_is_no_others_palette(here: Path) -> None:
    storage.write_bytes(here / "coloured/beta/1.png", b"\x89PNG\r\n torn")
    storage.remove(here / "coloured/beta/2.png")
    found = evaluate_colours.run(job(prints=Path("coloured")), SILENT)
    assert list(rows_of(found.prints[""])) == [NETWORK, OWN, *KNOWN, TRUTH]


@pytest.mark.parametrize("paper", [(255, 255, 255), (240, 226, 190), (120, 110, 90), (1, 0, 0)])
def test_paper_becomes_white_and_what_has_its_hue_becomes_grey(paper: tuple[int, int, int]) -> None:
    pixels = np.full((40, 40, 3), paper, np.uint8)
    pixels[:20, :20] = color.linear_to_srgb(color.srgb_to_linear(pixels[:20, :20]) * np.float32(0.3))
    white = _colours_prints.on_white(pixels)
    if min(paper) > 50:
        assert (white[20:] == 255).all()
        assert np.ptp(white[:20, :20].astype(int), axis=2).max() <= 4
    assert white.shape == pixels.shape and white.dtype == np.uint8
