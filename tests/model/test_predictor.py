"""A model file at work, and model files that can't be used."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from training import narrow, retold

from gravurekit.errors import ModelError, UsageError
from gravurekit.model import checkpoint, palette, tiles
from gravurekit.model.checkpoint import load_model, load_state, save_model
from gravurekit.model.network import OPTIONS, ColorizationNetwork, NetworkConfig, build
from gravurekit.model.predictor import Predictor

CONFIG = NetworkConfig(("dress", "hat", "coat"), "average", 64, L_mean=0.6)
ABOUT = {"training": {"steps": 3}, "source": "Würzburg"}


def lively(config: NetworkConfig) -> ColorizationNetwork:
    """A network whose outputs differ from place to place, as a trained one's do."""
    network = build(config, seed=3)
    with torch.no_grad():
        network.get_parameter("colorization.C5.weight").mul_(30)
        network.get_parameter("classification.K2.weight").mul_(30)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> ColorizationNetwork:
    return lively(CONFIG)


@pytest.fixture(scope="module")
def model(network: ColorizationNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_model(path, network, ABOUT)
    return path


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.load(model, "cpu")


def drawing(height: int, width: int) -> np.ndarray:
    return (np.random.default_rng(2).random((height, width)) * 100).astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (7, 500), (64, 64), (225, 224), (3, 9)])
def test_any_size_comes_back_in_that_size(predictor: Predictor, size: tuple[int, int]) -> None:
    prediction = predictor.predict(drawing(*size))
    assert prediction.ab.shape == (*size, 2) and prediction.ab.dtype == np.float32
    assert np.isfinite(prediction.ab).all() and np.abs(prediction.ab).max() <= CONFIG.ab_limit
    odds = [odd for _, odd in prediction.classes]
    assert odds == sorted(odds, reverse=True) and sum(odds) == pytest.approx(1, abs=1e-5)
    assert {name for name, _ in prediction.classes} == set(CONFIG.classes)


def test_colours_are_the_networks_in_their_places(predictor: Predictor, network: ColorizationNetwork) -> None:
    L = drawing(64, 64)
    with torch.inference_mode():
        p, logits = network(torch.from_numpy(L)[None, None])
    prediction = predictor.predict(L)
    # Bilinear doubling keeps a 2×2 mean near its source, and swapped axes or channels far away.
    shrunk = prediction.ab.reshape(32, 2, 32, 2, 2).mean((1, 3)).transpose(2, 0, 1)
    own, swapped = network.ab(p)[0].numpy(), network.ab(p)[0].numpy().transpose(0, 2, 1)
    assert np.abs(shrunk - own).mean() < 0.5 * np.abs(swapped - own).mean()
    assert prediction.classes[0][0] == CONFIG.classes[int(logits.argmax())]


def test_padding_does_not_shift_the_colours(predictor: Predictor) -> None:
    # A picture of 8n+1 rows must be coloured nearly as its first 8n rows are, far from the border.
    L = np.kron(drawing(28, 28), np.ones((8, 8), np.float32))
    longer = np.vstack([L, L[-1:]])
    square, odd = predictor.predict(L).ab, predictor.predict(longer).ab[:224]
    near = np.abs(square - odd)[:96].mean()
    shifted = np.abs(square[2:98] - odd[:96]).mean()
    assert near < 0.1 * shifted


def test_the_same_prediction_every_time_and_from_file_or_folder(model: Path, predictor: Predictor) -> None:
    L = drawing(20, 30)
    first, again = predictor.predict(L), Predictor.load(model.parent, "cpu").predict(L)
    assert np.array_equal(first.ab, again.ab) and first.classes == again.classes


@pytest.mark.parametrize("L", [np.zeros((0, 4)), np.zeros((4, 4, 3)), np.full((4, 4), np.nan)])
def test_what_is_no_lightness_is_refused(predictor: Predictor, L: np.ndarray) -> None:
    with pytest.raises(ValueError, match="lightness"):
        predictor.predict(L)


def test_a_device_that_is_not_there_is_a_usage_error(model: Path) -> None:
    with pytest.raises(UsageError, match="auto, cpu"):
        Predictor.load(model, "tpu")


def test_a_model_file_keeps_weights_config_and_origin(model: Path, network: ColorizationNetwork) -> None:
    loaded, about = load_model(model, "cpu")
    assert loaded.config == CONFIG and about == ABOUT and not loaded.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_equal_networks_make_equal_files(tmp_path: Path, model: Path, network: ColorizationNetwork) -> None:
    other_layout = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_model(tmp_path / "again.safetensors", other_layout, ABOUT)
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()


def _spoil(data: bytes, way: str) -> bytes:
    if way == "half":
        return data[: len(data) // 2]
    if way == "empty":
        return b""
    if way == "html":
        return b"<html>404 Not Found</html>" * 100
    if way == "flipped bit":
        return data[:-5] + bytes([data[-5] ^ 64]) + data[-4:]
    return data[:30] + b"\xff" * 40 + data[70:]  # broken header


@pytest.mark.parametrize("way", ["half", "empty", "html", "flipped bit", "broken header"])
def test_damage_is_noticed_and_explained(tmp_path: Path, model: Path, way: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(_spoil(model.read_bytes(), way))
    with pytest.raises(ModelError, match="damaged.*train again") as caught:
        load_model(path, "cpu")
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_state_for_a_model_are_named(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file.*gravurekit train"):
        Predictor.load(tmp_path, "cpu")
    with pytest.raises(ModelError, match="no state file of gravurekit"):
        load_state(model)
    strange = tmp_path / "model.safetensors"
    strange.write_bytes(safetensors.torch.save({"weight": torch.zeros(2)}))
    with pytest.raises(ModelError, match="no model file of gravurekit"):
        load_model(strange, "cpu")


def test_another_version_or_shape_is_named(
    tmp_path: Path, network: ColorizationNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "VERSION", 99)
        save_model(path, network, {})
    with pytest.raises(ModelError, match="version 99, this .* reads version 3: pip install --upgrade gravurekit, or"):
        load_model(path, "cpu")
    other = ColorizationNetwork.__new__(ColorizationNetwork)
    torch.nn.Module.__init__(other)
    other.config, other.extra = CONFIG, torch.nn.Linear(2, 2)
    save_model(path, other, {})
    with pytest.raises(ModelError, match="classification.*absent"):
        load_model(path, "cpu")


@pytest.mark.parametrize(("version", "unknown"), [(1, (*OPTIONS, "width")), (2, ("width",))])
def test_a_model_of_an_earlier_version_is_read_and_one_of_ours_must_say_all(
    version: int, unknown: tuple[str, ...], tmp_path: Path
) -> None:
    """The first one knew none of the network's options, the second no width but the paper's."""
    path = tmp_path / "model.safetensors"
    older = {name: value for name, value in CONFIG.to_dict().items() if name not in unknown}
    with narrow():
        network = build(CONFIG, 3)
        save_model(path, network, ABOUT)
        retold(path, {"version": version, "config": older})
        loaded, about = load_model(path, "cpu")
        assert loaded.config == CONFIG and about == ABOUT
        assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
        for facts in ({"config": older | {"colour": 3}}, {"config": older, "version": checkpoint.VERSION}):
            retold(path, facts)
            with pytest.raises(ModelError, match="bad network config"):
                load_model(path, "cpu")
        for strange in (True, "2", None, [2], 2.0, 0, -1):
            retold(path, {"version": strange})
            with pytest.raises(ModelError, match="use the gravurekit that wrote it, or train again"):
                load_model(path, "cpu")


def test_an_about_that_is_no_json_is_our_fault_not_a_file(tmp_path: Path, network: Any) -> None:
    with pytest.raises(ValueError):
        save_model(tmp_path / "model.safetensors", network, {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


# ---- tiles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [8, 64, 512, 760, 776, 1024, 1288, 4096])
def test_cuts_give_each_place_once_and_see_enough_around_it(length: int) -> None:
    places = np.zeros((length, 16), int)
    for tile in tiles.tiles(length, 16):
        seen, given, within = tile.seen[0], tile.given[0], tile.within[0]
        places[tile.given] += 1
        assert (seen.start + within.start, seen.start + within.stop) == (given.start, given.stop)
        assert seen.start % 8 == 0 and given.start % 8 == 0 and given.stop - given.start <= 1.5 * tiles.SIDE
        assert seen.start == 0 or given.start - seen.start == tiles.HALO
        assert seen.stop == length or seen.stop - given.stop == tiles.HALO
    assert (places == 1).all()


@pytest.mark.parametrize("options", [(), ("lightness",), OPTIONS])
@pytest.mark.parametrize("size", [(424, 300), (97, 1003)])
def test_tiles_are_the_whole(size: tuple[int, int], options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, np.ndarray] = {}
    hints = np.zeros((*size, 3), np.float32)
    hints[40:44, 90:94] = (60, 30, 1)
    hints[-9:, -9:] = (-20, 10, 1)
    if "palette" in options:
        told = {"hints": hints, "palette": palette.from_histogram(np.eye(27))}
    with narrow():
        predictor = Predictor(lively(replace(CONFIG, **dict.fromkeys(options, True))), {})
        whole = predictor.predict(drawing(*size), **told)
        monkeypatch.setattr(tiles, "SIDE", 128)
        tiled = predictor.predict(drawing(*size), **told)
    assert np.ptp(whole.ab) > 5 and np.abs(tiled.ab - whole.ab).max() <= 1e-4
    assert tiled.classes == whole.classes
    if "lightness" in options:
        assert whole.lightness is not None and tiled.lightness is not None
        assert whole.lightness.shape == size and np.abs(tiled.lightness - whole.lightness).max() <= 1e-4
    else:
        assert whole.lightness is None


# ---- what a person tells it ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told() -> Iterator[Predictor]:
    with narrow():
        yield Predictor(lively(replace(CONFIG, palette=True, hints=True, lightness=True)), {})


def test_palettes_hints_and_moods_change_the_colours_and_moods_not_the_classes(told: Predictor) -> None:
    L, none = drawing(80, 120), told.predict(drawing(80, 120))
    hints = np.zeros((80, 120, 3), np.float32)
    assert np.array_equal(told.predict(L, hints=hints).ab, none.ab)
    hints[10:12, 20:22] = (50, 20, 1)
    hinted = told.predict(L, hints=hints)
    coloured = told.predict(L, palette=palette.from_histogram(np.eye(27)))
    moody = told.predict(L, mood=told.mood(drawing(50, 50) / 3))
    for other in (hinted, coloured, moody):
        assert np.abs(other.ab - none.ab).max() > 1e-3
    assert moody.classes == none.classes == coloured.classes
    same = told.predict(L, mood=told.mood(L))
    assert np.abs(same.ab - none.ab).max() <= 1e-4
    assert np.array_equal(told.predict(L, mood=told.mood(100 - L), strength=0).ab, none.ab)
    half = told.predict(L, mood=told.mood(drawing(50, 50) / 3), strength=0.5)
    assert 0 < np.abs(half.ab - none.ab).max() and not np.array_equal(half.ab, moody.ab)


def test_a_network_is_told_only_what_it_was_made_to_be_told(predictor: Predictor, told: Predictor) -> None:
    L, hints = drawing(16, 16), np.zeros((16, 16, 3), np.float32)
    with pytest.raises(ValueError, match="given hints"):
        predictor.predict(L, hints=hints)
    with pytest.raises(ValueError, match="given a palette"):
        predictor.predict(L, palette=np.zeros(170, np.float32))
    for wrong in (
        {"hints": hints[:8]},
        {"palette": np.zeros(7)},
        {"mood": np.full(256, np.nan)},
        {"mood": np.zeros(2)},
    ):
        with pytest.raises(ValueError, match="must be"):
            told.predict(L, **wrong)  # type: ignore[arg-type]
