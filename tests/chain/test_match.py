"""stylize --match: a style fitted to real prints, here to drawn ones."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import prints
import pytest
from typer.testing import Result

from gravurekit import crafts, images
from gravurekit.measures import patches, texture
from gravurekit.settings import Range
from gravurekit.stages import _match
from gravurekit.storage import write_bytes
from gravurekit.styles import engrave

Run = Callable[..., Result]
SMALL = ("--short-side", "192", "--executor", "serial")


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Photographs and prints, and a fit that is soon done."""
    prints.write(tmp_path, photos=4, pages=3)
    for name, value in {"ROUNDS": 2, "CANDIDATES": 4, "BEST": 2, "PHOTOGRAPHS": 1}.items():
        monkeypatch.setattr(_match, name, value)
    return tmp_path


def test_a_fit_writes_a_preset_that_draws(folders: Path, gravurekit: Run) -> None:
    result = gravurekit("stylize", "photos", "--match", "prints", "--out", "fit.toml", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "engrave: textures" in result.stdout and "fit.toml" in result.stdout
    said = tomllib.loads((folders / "fit.toml").read_text())["stylize"]["engrave"]
    assert tuple(said) == engrave.MATCHED
    engrave.Settings.model_validate(said)
    assert all(low < high or low in _limits(name) for name, (low, high) in said.items())  # no two prints are alike
    drawn = gravurekit("stylize", "photos", "styled", "--preset", "fit.toml", *SMALL)
    assert drawn.exit_code == 0 and "4 kept" in drawn.stdout
    assert not (folders / "clean").exists()


def _limits(name: str) -> tuple[float, float]:
    limits = next(item for item in engrave.Settings.model_fields[name].metadata if isinstance(item, Range))
    return limits.ge, limits.le


@pytest.mark.slow
def test_a_fit_is_the_same_again_and_another_by_another_seed(folders: Path, gravurekit: Run) -> None:
    """The last one goes over a preset that an earlier fit left there."""
    found = []
    for name, seed in (("one", "0"), ("again", "0"), ("one", "5")):
        words = ("--match", "prints", "--out", f"{name}.toml", "--seed", seed)
        assert gravurekit("stylize", "photos", *words, *SMALL).exit_code == 0
        found.append((folders / f"{name}.toml").read_bytes())
    assert found[0] == found[1] != found[2]


@pytest.mark.slow
def test_a_fit_comes_nearer(folders: Path, gravurekit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """To prints that the style drew itself, with other settings than its own."""
    monkeypatch.setattr(_match, "ROUNDS", 4)
    monkeypatch.setattr(_match, "CANDIDATES", 6)
    coarse = engrave.Settings(pitch=(7.0, 7.0), contour=(0.0, 0.0), rough=(0.0, 0.0), blur=(0.2, 0.2))
    for n in range(12):
        photo = images.fit_short_side(prints.photograph(90 + n), 768, 2000)
        layers = engrave.draw(photo, coarse, np.random.default_rng(n)).resized(192, 251)
        write_bytes(folders / "coarse" / f"{n}.png", images.encode_png(layers.plain))
    result = gravurekit("stylize", "photos", "--match", "coarse", "--out", "fit.toml", "--json", *SMALL)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["after"] < 0.8 * found["before"] and found["prints"] == 12
    assert sum(found["ranges"]["pitch"]) > 2 * 3.5  # coarser than at first


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--match", "nowhere", "--out", "fit.toml"), "nowhere: no such folder"),
        (("--match", "prints", "--out", "fit.json"), "a preset is a .toml"),
        (("--match", "prints", "--out", "mine.toml"), "no preset that was fitted"),
        (("--match", "prints", "--out", "fit.toml", "--style", "cartoon"), "cartoon has nothing"),
        (("--match", "blank", "--out", "fit.toml"), "too few pictures with lines"),
    ],
)
def test_what_can_not_be_fitted_is_told(folders: Path, gravurekit: Run, words: tuple[str, ...], complaint: str) -> None:
    (folders / "mine.toml").write_text("[stylize.engrave]\npitch = 4\n")
    write_bytes(folders / "blank" / "white.png", images.encode_png(np.full((200, 200), 255, np.uint8)))
    result = gravurekit("stylize", "photos", *words, *SMALL)
    assert result.exit_code == 2 and complaint in str(result.exception)
    assert not (folders / "fit.toml").exists()


def test_drawings_that_are_too_small_to_be_compared_are_told(folders: Path, gravurekit: Run) -> None:
    words = ("--match", "prints", "--out", "fit.toml", "--short-side", "64", "--max-long-side", "64")
    result = gravurekit("stylize", "photos", *words, "--executor", "serial")
    assert result.exit_code == 2 and "raise --short-side" in str(result.exception)


def test_what_is_free_is_a_range() -> None:
    for style in crafts.names("styles"):
        module = crafts.load("styles", style)
        for name in getattr(module, "MATCHED", ()):
            assert any(isinstance(item, Range) for item in module.Settings.model_fields[name].metadata)


def test_a_photograph_that_is_lost_costs() -> None:
    rng = np.random.default_rng(0)
    found = texture.features(patches.grey(prints.engraving(1, 4.0, True)))
    scale = texture.scale_of([found])
    goal = _match._Goal(scale, texture.profile(texture.projected(found, scale)), 1)
    features = texture.features(rng.integers(0, 256, (256, 256)).astype(np.uint8))
    kept, lost = (goal.cost(_match._Drawn(features, tone, 0.9)) for tone in (0.95, 0.5))
    assert lost > kept == pytest.approx(goal.distance(_match._Drawn(features, 0.5, 0.1)))
