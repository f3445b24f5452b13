"""engrave: lines that carry the tone and follow the form, colours that keep their hue, any picture whatever."""

import colorsys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import color
from gravurekit.errors import UsageError
from gravurekit.layers import Layers
from gravurekit.settings import Range, layered
from gravurekit.styles import _flow, _lines, _tone, engrave

CALM = {"irregular": 0.0, "rough": 0.0, "grain": 0.0}  # no chance in the lines


def drawn(photo: np.ndarray, seed: int = 1, **knobs: object) -> Layers:
    return engrave.draw(photo, engrave.Settings.model_validate(knobs), np.random.default_rng(seed))


def figure_on_ground(figure: tuple[int, int, int], ground: tuple[int, int, int]) -> np.ndarray:
    photo = np.full((600, 400, 3), ground, np.uint8)
    cv2.ellipse(photo, (200, 320), (90, 230), 0, 0, 360, figure, -1)
    return photo


def test_the_same_key_draws_the_same_bytes_another_one_others() -> None:
    photo = figure_on_ground((150, 40, 40), (200, 200, 190))
    once, again, other = drawn(photo), drawn(photo), drawn(photo, seed=2)
    assert once.plain.tobytes() == again.plain.tobytes() and once.wash.tobytes() == again.wash.tobytes()
    assert once.plain.tobytes() != other.plain.tobytes()


@pytest.mark.parametrize("preset", sorted(engrave.PRESETS))
def test_every_preset_draws_and_differs_from_the_others(preset: str) -> None:
    photo = figure_on_ground((60, 90, 160), (220, 215, 200))
    ours = drawn(photo, **engrave.PRESETS[preset])
    assert 3 < (255 - ours.plain).mean() < 160
    others = [drawn(photo, **engrave.PRESETS[name]).plain for name in engrave.PRESETS if name != preset]
    assert all(ours.plain.tobytes() != plain.tobytes() for plain in others)


def test_a_range_may_be_one_number_and_must_rise() -> None:
    assert layered(engrave.Settings, "stylize.engrave", {"pitch": 3}).pitch == (3.0, 3.0)
    with pytest.raises(UsageError, match="pitch"):
        layered(engrave.Settings, "stylize.engrave", {"pitch": [4, 3]})
    with pytest.raises(UsageError, match="pitch"):
        layered(engrave.Settings, "stylize.engrave", {"pitch": 0})


# --- the lines


@pytest.mark.parametrize("want", [0.05, 0.15, 0.3, 0.45, 0.6, 0.75])
def test_ink_covers_what_was_wanted(want: float) -> None:
    """Exact residual tone: what the first lines leave is drawn by the layers across them."""
    assert _flat_hatching(want).mean() == pytest.approx(want, abs=0.045)


def test_darker_never_draws_less() -> None:
    shares = [float(_flat_hatching(want).mean()) for want in np.linspace(0, 0.85, 18)]
    assert all(after >= before - 1e-3 for before, after in zip(shares, shares[1:], strict=False))


def _flat_hatching(want: float) -> np.ndarray:
    side, pitch = 240, 6.0
    still = np.zeros((side // 8, side // 8), np.float32)
    angles = np.radians(np.arange(_flow.BASES) * 30 + 10).astype(np.float32)
    phases = np.stack(
        [_flow.phase(still, still, float(angle), 0.7, np.full_like(still, 8 / pitch)) for angle in angles]
    )
    phases += 1 - phases.min()
    spacings = np.full_like(phases[:, ::2, ::2], pitch)
    ink = np.full((side, side), want, np.float32)
    still_table = np.zeros(_lines.TABLE, np.float32)
    pressure = np.random.default_rng(0).random(_lines.TABLE, dtype=np.float32)
    caps, starts = np.array([0.5, 0.5, 0.45], np.float32), np.array([0, 0.3, 0.5], np.float32)
    hand = np.array([0, 0, 0, 30, 0], np.float32)
    first, across = np.zeros((side // 2, side // 2), np.uint8), np.array([0, 2, 4])
    chances = still_table, still_table, pressure
    drawn = _lines.hatch(ink, first, across, phases, spacings, angles, caps, starts, *chances, hand)
    return drawn[20:-20, 20:-20]


@given(
    angle=st.floats(-np.pi, np.pi),
    base=st.floats(-1.5, 1.5),
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(4, 24), st.integers(4, 24)),
)
@settings(max_examples=60, deadline=None)
def test_lines_keep_their_distance_and_never_fold(angle: float, base: float, seed: int, size: tuple[int, int]) -> None:
    """Whatever the flow: the phase rises along the lines' normal everywhere, by about what was asked for."""
    rng = np.random.default_rng(seed)
    shape = (2 * size[0], 2 * size[1])
    noise = cv2.GaussianBlur(rng.standard_normal((*shape, 2)).astype(np.float32), (0, 0), 2)
    flow = np.array([np.cos(angle), np.sin(angle)], np.float32) + noise
    flow /= np.maximum(np.linalg.norm(flow, axis=2, keepdims=True), 1)
    waves = np.full(shape, 0.2, np.float32)
    phase = _flow.phase(flow[..., 0], flow[..., 1], base, np.pi / 4, waves)
    dy, dx = np.gradient(phase)
    rise = -np.sin(base) * dx + np.cos(base) * dy
    assert np.isfinite(phase).all()
    assert (rise > 0.02).all()
    assert np.median(_flow.slope(phase)) == pytest.approx(0.2, rel=0.25)


def test_lines_bend_with_the_form() -> None:
    """Rings: half of the hatching's lines run nearer to the ring's tangent than a straight line would."""
    side = 64
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) - side / 2
    tangent = np.arctan2(x, -y)
    phase = _flow.phase(np.cos(2 * tangent), np.sin(2 * tangent), 0.3, 0.7, np.full((side, side), 0.25, np.float32))
    dy, dx = np.gradient(phase)
    line = np.arctan2(-dx, dy)
    away, straight = (np.abs(np.sin(angle - tangent)) for angle in (line, 0.3))
    near = np.abs(np.sin(2 * (0.3 - tangent))) > 0.5  # neither along the lines already, nor across them
    assert away[near].mean() < 0.75 * straight[near].mean()


def test_contours_carry_no_tone() -> None:
    """The same step in a dark and in a light picture, by the same factor, is the same line."""
    tone = np.full((64, 64), 0.8, np.float32)
    tone[:, 32:] = 0.5
    lines = [_lines_of(tone * share) for share in (1.0, 0.5)]
    assert lines[0].max() > 0.02
    assert lines[1].max() == pytest.approx(lines[0].max(), rel=0.5)
    assert not _lines_of(np.full((64, 64), 0.2, np.float32)).any()


def _lines_of(tone: np.ndarray) -> np.ndarray:
    broad, narrow = cv2.GaussianBlur(tone, (0, 0), 1.7), cv2.GaussianBlur(tone, (0, 0), 1.0)
    tangents = _flow.tangents(_flow.tensor((tone[::4, ::4] * 255).astype(np.uint8)), 1.5)
    return _lines.contours(broad - narrow, broad, tangents, np.ones((8, 8), np.float32))


# --- the picture


def test_tone_is_kept() -> None:
    ramp = np.repeat(np.tile(np.linspace(0, 255, 768).astype(np.uint8), (800, 1))[..., None], 3, axis=2)
    plain = drawn(ramp, background=1.0).plain
    columns = cv2.GaussianBlur(plain, (0, 0), 12).mean(0)[40:-40:60]
    assert (np.diff(columns) > -1.5).all()
    assert columns[0] < 115 and columns[-1] > 235


def test_a_background_is_quieter_than_the_figure() -> None:
    """The same cloth on the figure and behind it: less ink behind."""
    photo = figure_on_ground((120, 60, 60), (78, 78, 78))  # both of the same grey
    plain = drawn(photo, **CALM, background=0.4).plain
    figure, ground = (255 - plain[250:390, 150:250]).mean(), (255 - plain[:, :60]).mean()
    assert figure > 1.5 * ground > 0


def test_the_figure_is_what_does_not_reach_the_frame() -> None:
    lab = cv2.cvtColor(cv2.resize(figure_on_ground((40, 60, 140), (210, 200, 190)), (50, 75)), cv2.COLOR_RGB2LAB)
    share = _tone.figureness(lab)
    assert share[40, 25] > 0.8 and share[2:-2, 1:4].max() < 0.2


@pytest.mark.parametrize("hue", range(0, 360, 30))
def test_hue_is_kept(hue: int) -> None:
    """No blue turned purple: the hue of Oklab, in which equal hues look alike, within 4°."""
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue / 360, 0.85, 0.7))
    layers = drawn(figure_on_ground(colour, (225, 225, 225)))
    inside = layers.wash[300:340, 180:220].reshape(-1, 3)
    wash = color.linear_to_oklab(color.srgb_to_linear(inside).mean(0))
    photo = color.linear_to_oklab(color.srgb_to_linear(np.array(colour, np.uint8)))
    turned = np.degrees(np.arctan2(wash[2], wash[1]) - np.arctan2(photo[2], photo[1]))
    assert abs((turned + 180) % 360 - 180) < 4
    assert wash[0] > photo[0] and np.hypot(*wash[1:]) > 0.3 * np.hypot(*photo[1:])


def test_the_wash_holds_no_lines() -> None:
    layers = drawn(figure_on_ground((40, 90, 60), (200, 195, 180)))
    inside = cv2.cvtColor(layers.wash, cv2.COLOR_RGB2GRAY)[260:380, 160:240]
    assert inside.std() < 6 < layers.plain[260:380, 160:240].std()


def _stripes(period: int, angle: float) -> np.ndarray:
    y, x = np.mgrid[0:900, 0:600]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.repeat((128 + 90 * wave).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("period", [3, 5, 8, 16, 60])
@pytest.mark.parametrize("angle", [0.0, 0.6, 1.57])
def test_stripes_do_not_swallow_the_garment(period: int, angle: float) -> None:
    """Whatever the stripes, their cloth is drawn about as dark as it is on average, and in no place left out."""
    photo = np.full((900, 600, 3), 235, np.uint8)
    photo[150:750, 150:450] = _stripes(period, angle)[150:750, 150:450]
    plain = cv2.GaussianBlur(drawn(photo).plain, (0, 0), 20)[220:680, 220:380]
    assert 50 < plain.min() and plain.max() < 235


ODD = {
    "one pixel": np.full((1, 1, 3), 90, np.uint8),
    "a row": np.arange(300, dtype=np.uint8)[None, :, None].repeat(3, axis=2),
    "a column": np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2),
    "64 × 64": np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8),
    "odd sides": np.random.default_rng(2).integers(0, 256, (77, 131, 3)).astype(np.uint8),
    "white": np.full((300, 200, 3), 255, np.uint8),
    "black": np.zeros((300, 200, 3), np.uint8),
    "grey": np.full((300, 200, 3), 128, np.uint8),
    "noise": np.random.default_rng(3).integers(0, 256, (300, 200, 3)).astype(np.uint8),
    "two tones": np.random.default_rng(4).choice(np.array([0, 255], np.uint8), (300, 200, 1)).repeat(3, axis=2),
    "very wide": np.random.default_rng(5).integers(0, 256, (20, 2000, 3)).astype(np.uint8),
}


@pytest.mark.parametrize("name", ODD)
def test_any_picture_is_drawn(name: str) -> None:
    photo = ODD[name]
    layers = drawn(photo)
    assert layers.plain.shape == photo.shape[:2] and layers.wash.shape == photo.shape
    assert layers.plain.dtype == layers.wash.dtype == np.uint8
    assert layers.plain.mean() > 30  # never a black sheet


def test_what_is_drawn_is_drawn_large() -> None:
    assert engrave.drawn_at(engrave.Settings(), 128) == 768
    assert engrave.drawn_at(engrave.Settings(), 1024) == 1536


def test_a_real_print_stays_as_it_is() -> None:
    ink = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
    assert engrave.redraw(ink, engrave.Settings()).tobytes() == ink.tobytes()


# --- the knobs


def ends() -> list[dict[str, float]]:
    """Each knob at both of its limits, the others calm; and all at the lower, all at the upper ones."""
    limits = {
        name: next(item for item in field.metadata if isinstance(item, Range))
        for name, field in engrave.Settings.model_fields.items()
    }
    single = [{name: end} for name, limit in limits.items() for end in (limit.ge, limit.le)]
    return [*single, {n: limit.ge for n, limit in limits.items()}, {n: limit.le for n, limit in limits.items()}]


@pytest.mark.parametrize("knobs", ends(), ids=lambda knobs: " ".join(f"{k}={v}" for k, v in knobs.items())[:40])
def test_knobs_at_their_limits_draw_something(knobs: dict[str, float]) -> None:
    layers = drawn(figure_on_ground((150, 60, 40), (205, 200, 190)), **knobs)
    assert layers.plain.mean() > 40 and layers.plain.std() > 4
    assert layers.wash.mean() > 40


def test_an_angle_turns_the_lines_off_the_form() -> None:
    """Upright cloth: lines along it at 0°, across it at 90°."""
    x = np.arange(400)
    cloth = np.repeat((120 + 50 * np.sin(x / 25)).astype(np.uint8)[None, :, None], 600, axis=0).repeat(3, axis=2)
    along, across = (drawn(cloth, **CALM, angle=angle, cross=1.0, bend=40, pitch=6).plain for angle in (0, 90))
    slopes = [np.abs(np.diff(plain.astype(float), axis=axis)).mean() for plain in (along, across) for axis in (0, 1)]
    assert slopes[1] > 1.5 * slopes[0] and slopes[2] > 1.5 * slopes[3]


def test_specks_are_few_and_the_rest_stays() -> None:
    photo = figure_on_ground((150, 60, 40), (205, 200, 190))
    clean, dirty = drawn(photo, specks=0), drawn(photo, specks=20)
    changed = np.abs(clean.plain.astype(int) - dirty.plain) > 20
    assert 0.0005 < changed.mean() < 0.1


@pytest.mark.parametrize("hue", range(15, 360, 60))
def test_the_print_keeps_its_hue_on_tinted_paper(hue: int) -> None:
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue / 360, 0.7, 0.75))
    layers = drawn(figure_on_ground(colour, (225, 225, 225)), paper=0.8)
    both = [
        color.linear_to_oklab(color.srgb_to_linear(pixels).reshape(-1, 3).mean(0))
        for pixels in (layers.print[260:380, 160:240], np.array([[colour]], np.uint8))
    ]
    one, other = (np.degrees(np.arctan2(lab[2], lab[1])) for lab in both)
    assert abs((one - other + 180) % 360 - 180) < 15
