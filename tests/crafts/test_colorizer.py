"""A network at work on whole pictures, as other people's programs call it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training import narrow

from gravurekit import Colorizer, Hint, Look, Steer, color, colorizer, images, palette, tint
from gravurekit.errors import ModelError, UsageError
from gravurekit.model.checkpoint import save_model
from gravurekit.model.computing import exactly
from gravurekit.model.difference import delta_e_2000
from gravurekit.model.network import ColorizationNetwork, NetworkConfig, build
from gravurekit.model.predictor import Prediction, Predictor
from gravurekit.storage import write_bytes

TOLD = {"palette": True, "hints": True, "lightness": True}
RED = (204, 38, 44)


def lively_network(**options: Any) -> ColorizationNetwork:
    """A network whose colours differ from place to place, as a trained one's do."""
    with narrow():
        network = build(NetworkConfig(("dress", "hat"), "average", 32, L_mean=0.8, **options), 3)
    with torch.no_grad():
        network.get_parameter("colorization.C5.weight").mul_(30)
    return network


def lively(**options: Any) -> Colorizer:
    """It at work."""
    return Colorizer(Predictor(lively_network(**options), {"size": [32, 48]}))


@pytest.fixture(scope="module")
def told() -> Iterator[Colorizer]:
    """One that can be told everything."""
    yield lively(**TOLD)


def drawn(height: int = 96, width: int = 64) -> np.ndarray:
    """A print: a figure of hatching with an outline, in the middle of yellowish paper."""
    y, x = np.mgrid[:height, :width]
    ink = np.ones((height, width), np.float32)
    inside = (abs(x - width / 2) < width / 4) & (abs(y - height / 2) < height / 3)
    ink[inside & (y % 4 == 0)] = 0.1
    edge = inside ^ (np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1))
    ink[edge & inside] = 0.02
    return color.linear_to_srgb(ink[..., None] * np.float32([0.9, 0.85, 0.7]))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 9), (96, 64), (65, 513)])
@pytest.mark.parametrize("photo", [False, True])
def test_a_picture_of_any_size_comes_out_at_its_own(told: Colorizer, size: tuple[int, int], photo: bool) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    steer = Steer(palette("red, #2060a0"), (Hint(size[1] - 1, size[0] - 1, RED),), told.mood(pixels), 0.5)
    done = told.colour(pixels, Look(photo=photo), steer)
    assert done.pixels.shape == pixels.shape and done.pixels.dtype == np.uint8
    assert np.isfinite(done.wash).all() and done.wash.shape[:2] == done.fed.shape
    assert {name for name, _ in done.classes} == {"dress", "hat"} and not done.notes


class Seeing:
    """A predictor that remembers what it was shown."""

    def __init__(self, size: Any) -> None:
        self.network = build(NetworkConfig(("a",), "average", 64, L_mean=0.5), 0)
        self.about: dict[str, Any] = {}
        self.trained_size = Predictor(self.network, {} if size is None else {"size": size}).trained_size
        self.sheet = np.zeros(0)

    def predict(self, L: np.ndarray, **_: Any) -> Prediction:
        self.sheet = L
        return Prediction(np.zeros((*L.shape, 2), np.float32), None, [])


@pytest.mark.parametrize(
    ("size", "long_side", "picture", "sheet", "place"),
    [
        (64, 0, (100, 50), (64, 64), (0, 16, 64, 48)),
        (None, 0, (10, 10), (224, 224), (0, 0, 224, 224)),
        ([64, 96], 0, (120, 80), (96, 64), (0, 0, 96, 64)),
        ([64, 96], 0, (80, 160), (96, 64), (32, 0, 64, 64)),
        ([64, 96], 192, (300, 100), (192, 128), (0, 32, 192, 96)),
        (64, 128, (50, 100), (128, 128), (32, 0, 96, 128)),
    ],
)
def test_a_picture_is_shown_on_the_sheet_that_the_network_was_trained_on(
    size: Any, long_side: int, picture: tuple[int, int], sheet: tuple[int, int], place: tuple[int, ...]
) -> None:
    seeing: Any = Seeing(size)
    Colorizer(seeing).colour(np.zeros((*picture, 3), np.uint8), Look(photo=True, work_size=long_side))
    y0, x0, y1, x1 = place
    expected = np.full(sheet, 100, np.float32)
    expected[y0:y1, x0:x1] = 0
    assert seeing.sheet.shape == sheet and np.allclose(seeing.sheet, expected, atol=1e-3)


@pytest.mark.parametrize("options", [TOLD, {}])
@pytest.mark.parametrize("photo", [False, True])
def test_a_hint_is_met_where_it_is_and_no_longer_far_away(options: dict[str, bool], photo: bool) -> None:
    """By a network that takes hints, and by one that doesn't."""
    made, pixels, look = lively(**options), drawn(240, 160), Look(photo=photo)
    plain = made.colour(pixels, look)
    done = made.colour(pixels, look, Steer(hints=(Hint(80, 90, RED),)))
    wanted = color.rgb_to_lab(np.array([[RED]], np.uint8))[0, 0]
    found = done.wash[90, 80].copy()
    if photo:  # its lightness stays
        found[0] = wanted[0]
    assert delta_e_2000(wanted, found) < 5
    far = np.hypot(*(np.indices(done.wash.shape[:2]) - np.array([90, 80])[:, None, None])) > 0.3 * 240
    if not options:  # what a network says may change everywhere when it is told something
        assert np.array_equal(done.wash[far], plain.wash[far])
    assert bool(done.notes) == (not options)


@pytest.mark.parametrize("hint", [(-1, 3), (64, 3), (3, 96), (float("nan"), 3)])
def test_a_hint_outside_of_the_picture_is_refused(told: Colorizer, hint: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="outside"):
        told.colour(drawn(), steer=Steer(hints=(Hint(*hint, RED),)))


def test_a_network_that_takes_no_palette_gets_its_colours_moved() -> None:
    made, pixels = lively(), drawn()
    done = {name: made.colour(pixels, steer=Steer(palette(name))) for name in ("red", "blue")}
    figure = done["red"].wash[30:70, 24:40, 1:].mean((0, 1)), done["blue"].wash[30:70, 24:40, 1:].mean((0, 1))
    assert figure[0][0] > figure[1][0] + 10 and figure[1][1] < -5
    assert done["red"].notes == (colorizer.TRANSFERRED,)


def test_no_strength_is_the_print_itself_and_white_paper_is_white(told: Colorizer) -> None:
    pixels = drawn()
    assert np.array_equal(told.colour(pixels, Look(strength=0)).pixels, pixels)
    grey = told.colour(pixels, Look(saturation=0)).wash
    assert not grey[..., 1:].any()
    white = told.colour(pixels, Look(strength=0, paper="white")).pixels
    assert white[2, 2].min() >= 250 and np.ptp(white.astype(int), axis=2).max() <= 2
    tinted = told.colour(pixels, Look(strength=0, paper="tint")).pixels
    assert tinted[2, 2, 0] > tinted[2, 2, 2] > 150


def test_a_photograph_keeps_its_lightness(told: Colorizer) -> None:
    pixels = images.resize(np.random.default_rng(0).integers(60, 200, (12, 8, 3), np.uint8), 80, 120)
    done = told.colour(pixels, Look(photo=True))
    before, after = (color.rgb_to_lab(each)[..., 0] for each in (pixels, done.pixels))
    assert abs(before - after).mean() < 0.5 and done.apart is None


def test_a_borrowed_mood_changes_colours_as_far_as_it_is_taken(told: Colorizer) -> None:
    pixels, other = drawn(), np.full((50, 50, 3), 30, np.uint8)
    mood = told.mood(other)
    assert mood.ndim == 1 and mood.dtype == np.float32
    own, none, half, whole = (
        told.colour(pixels, steer=steer).wash
        for steer in (Steer(), Steer(mood=mood, mood_strength=0), Steer(mood=mood, mood_strength=0.5), Steer(mood=mood))
    )
    assert np.array_equal(own, none)
    assert 0 < abs(half - own).mean() < abs(whole - own).mean()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_comes_out_however_many_are_coloured_at_once(told: Colorizer, workers: int) -> None:
    pictures = [drawn(60 + 7 * n, 50 + 3 * n) for n in range(5)]
    alone = [told.colour(pixels).pixels for pixels in pictures]
    for one, other in zip(alone, told.colour_all(pictures, workers=workers), strict=True):
        assert np.array_equal(one, other.pixels)


def test_what_one_raises_comes_in_its_turn_and_the_rest_is_let_go() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise UsageError("no")
        return number

    found = []
    with pytest.raises(UsageError):
        for number in colorizer.at_once(work, range(100), workers=2):
            found.append(number)
    assert found == [0, 1, 2] and len(begun) < 12


def test_one_thread_computes_and_afterwards_as_many_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with exactly():
            with exactly():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("first", [True, False])
def test_who_goes_first_leaves_the_other_exact_and_the_program_as_it_was(first: bool) -> None:
    """Two threads compute at once; this one comes first, and goes `first` or last."""
    before, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    torch.set_num_threads(3)
    inside, go = threading.Event(), threading.Event()
    found: list[tuple[int, bool]] = []

    def other() -> None:
        with exactly():
            inside.set()
            assert go.wait(20)
            found.append((torch.get_num_threads(), torch.backends.cudnn.allow_tf32))

    thread = threading.Thread(target=other)
    try:
        with exactly():
            thread.start()
            assert inside.wait(20)
            if not first:
                go.set()
                thread.join()
            assert (torch.get_num_threads(), torch.backends.cudnn.allow_tf32) == (1, False)
        assert torch.get_num_threads() == 3
        go.set()
        thread.join()
        assert found == [(1, False)]
        assert torch.backends.cudnn.allow_tf32 == tf32
        late: list[int] = []
        new = threading.Thread(target=lambda: late.append(torch.get_num_threads()))
        new.start()
        new.join()
        assert torch.get_num_threads() == 3 and late == [3]
    finally:
        go.set()
        torch.set_num_threads(before)


def test_a_style_of_another_gravurekit_says_what_to_do(tmp_path: Path) -> None:
    style = {"name": "cartoon", "settings": {"no such knob": 1}, "short_side": 64, "max_long_side": 128}
    save_model(tmp_path / "model.safetensors", lively_network(**TOLD), {"style": style, "size": 32})
    with narrow():
        loaded = Colorizer.load(tmp_path, "cpu")
    assert len(loaded.digest) == 64
    with pytest.raises(ModelError, match="--feed tone"):
        loaded.colour(drawn())
    assert loaded.colour(drawn(), Look(feed="tone")).pixels.shape == (96, 64, 3)


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, gravurekit; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; gravurekit.Look"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError):
        _ = __import__("gravurekit").nothing


def test_layers_are_what_the_picture_is_made_of(told: Colorizer) -> None:
    pixels = drawn()
    done = told.colour(pixels)
    assert done.apart is not None
    ink, wash, paper = tint.layers(pixels, done.apart, done.wash)
    linear = [color.srgb_to_linear(each) for each in (wash, paper, np.repeat(ink[..., None], 3, axis=2))]
    again = color.linear_to_srgb(linear[0] * linear[1] * linear[2])
    assert np.abs(again.astype(int) - done.pixels.astype(int)).mean() < 2


def test_the_example_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "colorize.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    write_bytes(tmp_path / "plate.png", images.encode_png(drawn()))
    with narrow():
        save_model(tmp_path / "runs/NAME/model.safetensors", lively_network(**TOLD), {"size": [32, 48]})
        exec(compile(code, "docs/colorize.md", "exec"), {})
