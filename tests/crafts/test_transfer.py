"""The style transfer: what it promises of any drawing, and the networks that it compares by.

The drawings and prints are made here: hatching of two kinds, on tones that a seed gives.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gravurekit import color, crafts, images, storage
from gravurekit.errors import UsageError
from gravurekit.layers import Layers, Side
from gravurekit.model import checkpoint
from gravurekit.model.network import NetworkConfig, build
from gravurekit.styles import _features, _manner, _sheets, transfer

QUICK = {"steps": 4, "samples": 512, "projections": 8, "style_side": 96, "device": "cpu"}


def quick(**knobs: Any) -> transfer.Settings:
    return transfer.Settings(**{**QUICK, **knobs})


def tones(seed: int, height: int, width: int) -> np.ndarray:
    """(H, W) float32 0..1, smooth."""
    coarse = np.random.default_rng(seed).uniform(0.2, 1.0, (4, 4)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def hatched(seed: int, height: int, width: int, pitch: float, blur: float = 0.0) -> np.ndarray:
    """(H, W) uint8: lines `pitch` px apart whose width is the tone, slanted; unsharp by `blur` px."""
    rows, columns = np.mgrid[:height, :width]
    phase = ((rows + 0.6 * columns) / pitch) % 1
    ink = (phase > tones(seed, height, width)).astype(np.float32)
    return np.rint(255 * (1 - (cv2.GaussianBlur(ink, (0, 0), blur) if blur else ink))).astype(np.uint8)


def drawing(seed: int = 1, height: int = 64, width: int = 64) -> Layers:
    wash = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Layers(hatched(seed, height, width, 5.0), wash, (0.9, 0.85, 0.8))


def refined(drawings: list[Layers], side: Side, seeds: list[int] | None = None, **knobs: Any) -> list[Layers]:
    chances = [np.random.default_rng(seed) for seed in seeds or range(len(drawings))]
    return transfer.refine(drawings, [d.wash for d in drawings], quick(**knobs), chances, side)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """These pictures are so small that threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prints on grey paper, hatched twice as finely as the drawings, and unsharp."""
    folder = tmp_path_factory.mktemp("prints")
    for seed in range(3):
        page = hatched(seed + 20, 120, 100, 3.0, 0.7) * 0.9
        storage.write_bytes(folder / f"{seed}.png", images.encode_png(page.astype(np.uint8)))
    return folder


@pytest.fixture(scope="module")
def side(prints: Path) -> Side:
    return Side(style_images=(prints,))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a small colorizer that has seen some pictures."""
    options = {"hints": True, "palette": True, "lightness": True}  # what `train` makes where nothing else is said
    network = build(NetworkConfig(("a", "b"), "average", 32, L_mean=0.7, **options), seed=2).train()
    for seed in range(2):
        network(torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed)) * 100)
    folder = tmp_path_factory.mktemp("runs") / "one"
    checkpoint.save_model(folder / "model.safetensors", network.eval(), {})
    return folder


@pytest.fixture(scope="module")
def vgg() -> dict[str, Tensor]:
    """Weights under torchvision's names, of VGG-19's shapes up to relu3_1."""
    generator = torch.Generator().manual_seed(0)
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128)}
    kernels = {f"features.{n}.weight": torch.randn(*s, 3, 3, generator=generator) * 0.05 for n, s in shapes.items()}
    return kernels | {f"features.{n}.bias": torch.randn(s[0], generator=generator) * 0.05 for n, s in shapes.items()}


# ---- what comes of a drawing ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["sliced-wasserstein", "gram"])
def test_a_drawing_comes_nearer_to_the_prints_and_keeps_tone_and_colours(side: Side, loss: str) -> None:
    drawn = drawing()
    (after,) = refined([drawn], side, loss=loss, steps=12, rate=0.1)
    assert after.wash is drawn.wash and after.paper == drawn.paper
    assert after.plain.shape == drawn.plain.shape and after.plain.dtype == np.uint8

    def half_tones(plain: np.ndarray) -> float:
        return float(((plain > 50) & (plain < 205)).mean())

    # the prints are unsharp, the drawing is nothing but black and white
    assert half_tones(drawn.plain) == 0 < 0.1 < half_tones(after.plain)
    before, now = (cv2.GaussianBlur(d.plain.astype(np.float32), (0, 0), 6) for d in (drawn, after))
    assert np.abs(before - now).mean() < 6


def test_the_distance_that_is_descended_falls(prints: Path) -> None:
    from gravurekit.styles._optimise import Descent

    for loss in ("sliced-wasserstein", "gram"):
        knobs = quick(loss=loss, steps=12, samples=2048)
        manner = _manner.learn([prints / "0.png"], _features.parsed("random:3"), 3, 96, 4.0, "cpu")
        descent = Descent(_sheets.cut(drawing().plain, 768, 4.0, 1), manner, knobs, "cpu")
        begun = descent.loss().sum().item()
        for _ in range(12):
            descent.step()
        assert descent.loss().sum().item() < 0.7 * begun


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (64, 64), (65, 33), (7, 300)])
@pytest.mark.parametrize("fill", ["black", "white", "noise"])
def test_any_drawing_gives_a_drawing_of_its_size(shape: tuple[int, int], fill: str, side: Side) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    plain = {"black": np.zeros_like(noise), "white": np.full_like(noise, 255), "noise": noise}[fill]
    (after,) = refined([Layers(plain, np.zeros((*shape, 3), np.uint8))], side, steps=2)
    assert after.plain.shape == shape and after.plain.dtype == np.uint8
    if fill != "noise":  # no black sheet from white paper, nor the other way
        assert abs(float(after.plain.mean()) - float(plain.mean())) < 40


def test_the_same_seed_gives_the_same_drawing_and_another_one_another(side: Side) -> None:
    one, again, other = (refined([drawing()], side, [seed])[0].plain for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_the_number_of_threads_changes_nothing(side: Side) -> None:
    """Worker processes have one thread, a process that works alone has all; neither must be seen."""
    outcomes = []
    for threads in (1, 2):
        _manner._learnt.cache_clear()
        torch.set_num_threads(threads)
        outcomes.append(refined([drawing()], side, steps=12)[0].plain)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert np.array_equal(*outcomes)


@pytest.mark.parametrize("batch", [0, 8])
def test_a_drawing_does_not_depend_on_those_beside_it(batch: int, side: Side) -> None:
    """Alone, and among others of its size, of other sizes, and before or behind them."""
    mine = drawing(1, 60, 40)
    others = [drawing(2, 60, 40), drawing(3, 64, 37), drawing(4, 20, 100), drawing(5, 60, 40)]
    alone = refined([mine], side, [7], batch=1)[0].plain.astype(int)
    together = refined([others[0], mine, *others[1:]], side, [1, 7, 2, 3, 4], batch=batch)[1].plain
    assert np.abs(together - alone).max() <= (0 if batch == 0 else 1)
    last = refined([others[2], mine], side, [3, 7], batch=batch)[-1].plain
    assert np.abs(last - alone).max() <= (0 if batch == 0 else 1)


def test_no_steps_no_change(side: Side) -> None:
    drawn = drawing()
    assert refined([drawn], side, steps=0)[0] is drawn
    assert refined([], side) == []


# ---- sheets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (50, 60), (300, 200), (128, 129), (1000, 129), (257, 700)])
def test_sheets_put_together_are_the_drawing(shape: tuple[int, int]) -> None:
    plain = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    sheets = _sheets.cut(plain, 128, 3.0, 5)
    assert all(max(sheet.size) <= 128 for sheet in sheets)
    assert all(side % _sheets.STEP == 0 for sheet in sheets for side in sheet.grey.shape)
    assert len({sheet.seed for sheet in sheets}) == len(sheets)
    pieces = [sheet.grey[sheet.inside] for sheet in sheets]
    assert np.array_equal(_sheets.joined(shape, sheets, pieces), plain)


def test_sheets_fade_into_one_another() -> None:
    """Pieces of different grey: no step at their borders."""
    sheets = _sheets.cut(np.zeros((128, 600), np.uint8), 256, 3.0, 0)
    pieces = [np.full(sheet.size, 0.2 + 0.3 * n, np.float32) for n, sheet in enumerate(sheets)]
    row = _sheets.joined((128, 600), sheets, pieces)[64].astype(int)
    assert len(sheets) == 3 and row[0] == 51 and row[-1] == 204 and np.abs(np.diff(row)).max() <= 3


def test_a_batch_has_one_size_and_no_more_pixels_than_allowed() -> None:
    sheets = [_sheets.cut(drawing(1, height, 90).plain, 512, 3.0, 0)[0] for height in (90, 200, 80, 91, 210)]
    together = list(_sheets.batches(sheets, 192 * 192 * 2, 64))
    assert sorted(n for numbers in together for n in numbers) == list(range(5))
    for numbers in together:
        assert len({sheets[n].grey.shape for n in numbers}) == 1
        assert len(numbers) == 1 or sum(sheets[n].grey.size for n in numbers) <= 192 * 192 * 2


def test_large_drawings_are_worked_at_in_sheets(side: Side) -> None:
    large = drawing(1, 150, 400)
    (after,) = refined([large], side, steps=2, sheet=160)
    assert after.plain.shape == (150, 400) and not np.array_equal(after.plain, large.plain)


# ---- the prints ----------------------------------------------------------------------------------------


def test_prints_come_from_files_and_folders_and_too_many_are_thinned_evenly(prints: Path, tmp_path: Path) -> None:
    one, two, three = (prints / f"{n}.png" for n in range(3))
    assert _manner.style_files((prints,), 12) == [one, two, three]
    assert _manner.style_files((three, one, one, prints), 12) == [one, two, three]
    assert _manner.style_files((prints,), 2) == [one, two]
    for paths, fault in (((), "--style-image"), ((tmp_path,), "no pictures"), ((tmp_path / "x.png",), "no such")):
        with pytest.raises(UsageError, match=fault):
            _manner.style_files(paths, 12)


def test_a_print_that_is_no_picture_is_named(tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "bad.png", b"no picture")
    with pytest.raises(UsageError, match=r"bad\.png"):
        refined([drawing()], Side((tmp_path,)))


def test_a_print_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    """A process may live long, and remembers what it has seen."""
    outcomes = []
    for pitch in (3.0, 8.0):
        storage.write_bytes(tmp_path / "one.png", images.encode_png(hatched(3, 120, int(20 * pitch), pitch)))
        outcomes.append(refined([drawing()], Side((tmp_path / "one.png",)))[0].plain)
    assert not np.array_equal(*outcomes)


def test_features_are_sorted_by_tone_and_the_drawing_is_held_against_its_like(prints: Path) -> None:
    from gravurekit.styles import _optimise

    manner = _manner.learn(_manner.style_files((prints,), 12), _features.parsed("random:0"), 2, 96, 4.0, "cpu")
    for stage in manner.stages:
        assert stage.features.shape == (_features.RANDOM_CHANNELS, len(stage.tone)) and stage.scale > 0
        assert (np.diff(stage.tone) >= 0).all()
        sheet = _sheets.cut(drawing().plain, 768, 4.0, 1)[0]
        ground = _optimise._Ground(*_manner.places(sheet.tone, sheet.size, 1))
        here, there = _optimise._pick(ground, np.random.default_rng(0), stage.tone, 4096)
        ours = sheet.tone.ravel()[here]
        assert (np.diff(ours) >= 0).all()
        shared = (ours > stage.tone[0]) & (ours < stage.tone[-1])
        assert shared.any() and np.abs(ours - stage.tone[there])[shared].max() < 0.1


# ---- the networks --------------------------------------------------------------------------------------


def grey(height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(4))


def test_random_features_follow_from_their_seed_alone() -> None:
    state = torch.random.get_rng_state()
    one, again, other = (_features.load(_features.parsed(f"random:{seed}"), 3)(grey()) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    assert [tuple(f.shape[2:]) for f in one] == [(64, 96)] * 3


def test_random_features_at_some_places_are_those_of_the_whole_picture() -> None:
    network = _features.random_filters(1, 4)
    picture = torch.cat([grey(), 1 - grey()])
    places = [torch.randint(f.shape[2] * f.shape[3], (2, 50)) for f in network(picture)]
    places = [torch.cat([p, torch.tensor([[0], [0]])], 1) for p in places]  # a corner too
    some, whole = network.at(picture, places), _features.Features.at(network, picture, places)
    for ours, theirs in zip(some, whole, strict=True):
        assert ours.shape == (2, 48, 51) and torch.allclose(ours, theirs, atol=1e-5)


def test_features_of_a_model_are_what_its_own_network_sees(run: Path) -> None:
    network, _ = checkpoint.load_model(run / "model.safetensors", "cpu")
    levels = np.random.default_rng(3).integers(0, 256, (64, 96), np.uint8)
    lab = color.rgb_to_lab(np.repeat(levels[..., None], 3, axis=2))
    with torch.no_grad():
        theirs = network.low(torch.from_numpy(lab[..., 0].copy())[None, None])
        ours = _features.load(_features.parsed(f"model:{run}"), 5)(torch.from_numpy(levels / 255.0).float()[None, None])
    assert [f.shape[1] for f in ours] == [128, 256, 512]
    assert torch.allclose(ours[-1], theirs, atol=0.01 * float(theirs.abs().max()))


def test_features_of_vgg_are_those_of_its_layout(vgg: dict[str, Tensor]) -> None:
    """relu1_1, relu2_1, relu3_1, written down once more; torchvision's normalisation."""
    functional = torch.nn.functional
    mean, deviation = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    x = torch.cat([(grey() - m) / d for m, d in zip(mean, deviation, strict=True)], 1)
    expected = []
    for n in (0, 2, 5, 7, 10):
        x = functional.relu(functional.conv2d(x, vgg[f"features.{n}.weight"], vgg[f"features.{n}.bias"], padding=1))
        expected += [x] if n in (0, 5, 10) else []
        x = functional.avg_pool2d(x, 2) if n in (2, 7) else x
    network = _features.vgg19(vgg, 3, "test")
    for ours, theirs, stride in zip(network(grey()), expected, network.strides, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5) and ours.shape[2] == 64 // stride


def test_lightness_is_cie_lightness_and_has_a_slope_everywhere() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    ours = torch.from_numpy(levels / 255.0).float().requires_grad_()
    L = _features.lightness(ours)
    theirs = color.rgb_to_lab(np.repeat(levels[..., None], 3, axis=2))[..., 0]
    assert np.abs(L.detach().numpy() - theirs).max() < 0.2  # OpenCV takes its roots from a table
    (slope,) = torch.autograd.grad(L.sum(), ours)
    assert torch.isfinite(slope).all() and (slope > 0).all()


def test_every_kind_of_features_can_be_used(run: Path, vgg: dict[str, Tensor], prints: Path, tmp_path: Path) -> None:
    save_file(vgg, tmp_path / "vgg.safetensors")
    torch.save(vgg, tmp_path / "vgg.pth")
    outcomes = []
    for features in (
        "random:5",
        f"model:{run}",
        f"vgg19:{tmp_path / 'vgg.safetensors'}",
        f"vgg19:{tmp_path / 'vgg.pth'}",
    ):
        where = Side((prints,), features)
        transfer.check(quick(), where)
        assert transfer.note(where)
        outcomes.append(refined([drawing()], where, steps=2, style_pictures=1)[0].plain)
    assert np.array_equal(outcomes[2], outcomes[3])
    assert len({plain.tobytes() for plain in outcomes}) == 3


@pytest.mark.parametrize(
    "features",
    ["", "random", "random:", "random:-1", "random:x", "random:9999999999999999999", "vgg19", "vgg16:x", "model:",
     "x:y", "model:nowhere", "vgg19:nowhere.pth"],
)  # fmt: skip
def test_features_that_there_are_not_are_a_usage_error(features: str, side: Side) -> None:
    with pytest.raises(UsageError, match="--features"):
        transfer.check(quick(), replace(side, features=features))


@pytest.mark.parametrize("way", ["text", "lines", "empty", "list", "missing", "shape", "safetensors"])
def test_a_file_that_is_no_vgg_is_named(way: str, vgg: dict[str, Tensor], side: Side, tmp_path: Path) -> None:
    path = tmp_path / ("vgg.safetensors" if way == "safetensors" else "vgg.pth")
    bytes_of = {"text": b"no weights", "lines": b"root:x:0:0:somebody\n" * 9, "empty": b""}
    if way in (*bytes_of, "safetensors"):
        storage.write_bytes(path, bytes_of.get(way, b"no weights"))
    else:
        lost = {name: tensor for name, tensor in vgg.items() if name != "features.2.weight"}
        wrong = vgg | {"features.5.weight": torch.zeros(128, 64, 5, 5)}
        torch.save({"list": [1], "missing": lost, "shape": wrong}[way], path)
    with pytest.raises(UsageError, match=r"vgg\.(pth|safetensors).*VGG-19"):
        refined([drawing()], replace(side, features=f"vgg19:{path}"))


@pytest.mark.parametrize("way", ["text", "foreign"])
def test_a_file_that_is_no_model_is_named(way: str, side: Side, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    storage.write_bytes(path, b"no model")
    if way == "foreign":
        save_file({"low_level.L1.0.weight": torch.zeros(64, 1, 3, 3)}, path)
    with pytest.raises(UsageError, match=r"model\.safetensors"):
        refined([drawing()], replace(side, features=f"model:{tmp_path}"))


def test_nothing_that_is_pickled_runs(side: Side, tmp_path: Path) -> None:
    torch.save(Path("/x"), tmp_path / "vgg.pth")  # an object, not tensors
    with pytest.raises(UsageError, match=r"vgg\.pth"):
        refined([drawing()], replace(side, features=f"vgg19:{tmp_path / 'vgg.pth'}"))


def test_torchvision_that_is_not_there_is_told(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install torchvision"):
        refined([drawing()], replace(side, features="vgg19:torchvision"))


def test_a_gpu_that_is_not_there_is_told(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="cuda"):
        transfer.check(quick(device="cuda"), side)


# ---- time, files, knobs --------------------------------------------------------------------------------


def test_the_forecast_grows_with_drawings_and_steps(side: Side) -> None:
    """Forecast times are measured, so only what is sure whatever else runs here."""
    few, many = (transfer.forecast(count, (96, 96), quick(steps=50), side) for count in (1, 100))
    assert 0 < few < many
    assert transfer.forecast(0, (96, 96), quick(), side) == transfer.forecast(9, (96, 96), quick(steps=0), side) == 0
    assert transfer.forecast(1, (1, 1), quick(), side) > 0


@pytest.mark.parametrize(
    ("knobs", "key"),
    [({"steps": -1}, "steps"), ({"rate": 0.0}, "rate"), ({"loss": "mse"}, "loss"), ({"layers": 0}, "layers"),
     ({"samples": 10}, "samples"), ({"tone_sigma": 0.5}, "tone_sigma"), ({"sheet": 100}, "sheet")],
)  # fmt: skip
def test_a_knob_beyond_its_limit_is_refused(knobs: dict, key: str) -> None:
    with pytest.raises(UsageError, match=rf"\[stylize\.transfer\] {key} = "):
        crafts.settings_of("styles", "stylize", "transfer", {"transfer": knobs})


def test_knowing_the_style_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, gravurekit.styles.transfer as t; t.Settings(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
