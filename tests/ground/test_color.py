"""Colour arithmetic against scikit-image, which was written by other people."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import color as foreign

from gravurekit import color

STEPS = np.array([0, 1, 9, 10, 11, 12, 34, 64, 96, 128, 160, 192, 224, 250, 255], np.uint8)
LATTICE = np.stack(np.meshgrid(STEPS, STEPS, STEPS, indexing="ij"), axis=-1).reshape(-1, 15, 3)
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)


def wild_lab() -> np.ndarray:
    """Lab over all that 8 bits can say, most of it outside sRGB."""
    axes = np.linspace(1, 99, 15), np.linspace(-128, 127, 18), np.linspace(-128, 127, 18)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 18, 3).astype(np.float32)


def test_rgb_to_lab_agrees_with_scikit_image() -> None:
    """Its white is 0.95047, 1, 1.08883; ours, of the sRGB primaries, differs from it in the fifth digit."""
    assert np.abs(color.rgb_to_lab(LATTICE) - foreign.rgb2lab(LATTICE)).max() < 0.01


def test_8_bits_agree_with_scikit_image_but_for_what_lies_between_two_values() -> None:
    every = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    foreign_lab = foreign.rgb2lab(every)
    scaled = np.stack([foreign_lab[..., 0] * 2.55, foreign_lab[..., 1] + 128, foreign_lab[..., 2] + 128], axis=-1)
    assert np.abs(color.lab_to_lab8(color.rgb_to_lab(every)) - scaled).max() <= 0.51


def test_greys_have_no_colour() -> None:
    lab = color.rgb_to_lab(GREYS)
    assert np.abs(lab[..., 1:]).max() < 1e-4 and (np.diff(lab[:, 0, 0]) > 0).all()


def test_lab_to_linear_agrees_with_scikit_image() -> None:
    lab = foreign.rgb2lab(LATTICE).astype(np.float32)
    encoded = color.linear_to_srgb(color.lab_to_linear(lab)).astype(int)
    assert np.abs(encoded - np.rint(foreign.lab2rgb(lab) * 255)).max() <= 1


def test_a_colour_comes_back_from_lab() -> None:
    back = color.lab_to_rgb(color.rgb_to_lab(LATTICE)).astype(int)
    assert np.abs(back - LATTICE).max() <= 1


def test_a_colour_comes_back_from_8_bits_as_well_as_rounding_allows() -> None:
    lab = color.rgb_to_lab(LATTICE)
    error = np.abs(color.lab8_to_lab(color.lab_to_lab8(lab)) - lab)
    assert error[..., 0].max() <= 0.5 / 2.55 + 1e-3 and error[..., 1:].max() <= 0.5 + 1e-3


def test_8_bits_of_lab_come_back_exactly() -> None:
    every = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 77)], axis=-1).astype(np.uint8)
    assert (color.lab_to_lab8(color.lab8_to_lab(every)) == every).all()


@pytest.mark.parametrize(
    ("lab", "scaled"),
    [((0, 0, 0), (0, 128, 128)), ((100, 0, 0), (255, 128, 128)), ((50, -128, 127), (128, 0, 255)),
     ((120, 400, -400), (255, 255, 0))],
)  # fmt: skip
def test_the_8_bit_scaling_is_opencvs(lab: tuple[float, ...], scaled: tuple[int, ...]) -> None:
    assert tuple(color.lab_to_lab8(np.array(lab, np.float32))) == scaled


def test_a_colour_in_gamut_stays_as_it_is() -> None:
    lab = color.rgb_to_lab(LATTICE)
    assert np.array_equal(color.into_gamut(lab), lab)


def test_a_colour_out_of_gamut_keeps_lightness_and_hue_and_loses_only_chroma() -> None:
    lab = wild_lab()
    inside = color.into_gamut(lab)
    linear = color.lab_to_linear(inside)
    assert linear.min() >= -2e-3 and linear.max() <= 1 + 2e-3
    assert np.array_equal(inside[..., 0], lab[..., 0])
    cross = inside[..., 1] * lab[..., 2] - inside[..., 2] * lab[..., 1]
    assert np.abs(cross).max() < 0.05 and (inside[..., 1:] * lab[..., 1:]).sum(-1).min() >= 0
    chroma, before = np.hypot(*np.moveaxis(inside[..., 1:], -1, 0)), np.hypot(*np.moveaxis(lab[..., 1:], -1, 0))
    assert (chroma <= before + 1e-3).all()


def test_no_more_chroma_is_taken_than_the_gamut_asks_for() -> None:
    lab = wild_lab()
    inside = color.into_gamut(lab)
    changed = ~np.isclose(inside, lab, atol=1e-4).all(-1)
    assert 0.5 < changed.mean() < 1
    more = inside + lab / 128 * np.array([0, 1, 1], np.float32)
    linear = color.lab_to_linear(more[changed])
    assert ((linear < 0) | (linear > 1)).any(-1).all()


def test_white_paper_and_white_ink_are_neutral() -> None:
    white = np.full(LATTICE.shape, 255, np.uint8)
    assert np.array_equal(color.multiply(LATTICE, white), LATTICE)
    assert np.array_equal(color.multiply(LATTICE, white[..., 0]), LATTICE)
    assert np.array_equal(color.multiply(white, LATTICE), LATTICE)


def test_black_ink_is_black_on_every_colour() -> None:
    assert not color.multiply(LATTICE, np.zeros(LATTICE.shape[:2], np.uint8)).any()


PATCH = st.binary(min_size=24, max_size=24).map(lambda data: np.frombuffer(data, np.uint8).reshape(2, 4, 3))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(PATCH, PATCH)
def test_ink_on_wash_is_the_product_of_their_light(one: np.ndarray, other: np.ndarray) -> None:
    def light(srgb: np.ndarray) -> np.ndarray:
        value = srgb / 255
        return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)

    product = light(one) * light(other)
    expected = 255 * np.where(product <= 0.0031308, product * 12.92, 1.055 * product ** (1 / 2.4) - 0.055)
    found = color.multiply(one, other)
    assert np.abs(found - expected).max() <= 0.51
    assert np.array_equal(found, color.multiply(other, one))
    assert np.array_equal(color.multiply(one, other[..., 0]), color.multiply(one, np.repeat(other[..., :1], 3, axis=2)))


def test_linear_light_is_the_inverse_of_srgb() -> None:
    assert np.array_equal(color.linear_to_srgb(color.srgb_to_linear(GREYS)), GREYS)


# Oklab. scikit-image hasn't it; the values are those of its author's page, to three digits.
OKLAB = {
    (255, 255, 255): (1.0, 0.0, 0.0),
    (255, 0, 0): (0.628, 0.225, 0.126),
    (0, 255, 0): (0.866, -0.234, 0.179),
    (0, 0, 255): (0.452, -0.032, -0.312),
    (0, 0, 0): (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("rgb", OKLAB)
def test_oklab_is_its_authors(rgb: tuple[int, int, int]) -> None:
    lab = color.linear_to_oklab(color.srgb_to_linear(np.array(rgb, np.uint8)))
    assert np.abs(lab - OKLAB[rgb]).max() < 2e-3


def test_a_colour_comes_back_from_oklab() -> None:
    linear = color.srgb_to_linear(LATTICE)
    assert np.abs(color.oklab_to_linear(color.linear_to_oklab(linear)) - linear).max() < 1e-4


def wild_oklab() -> np.ndarray:
    axes = np.linspace(0, 1, 41), np.linspace(-0.4, 0.4, 25), np.linspace(-0.4, 0.4, 25)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 25, 3).astype(np.float32)


def test_oklab_comes_into_gamut_with_its_lightness_and_hue() -> None:
    lab = wild_oklab()
    shown = color.oklab_into_gamut(lab)
    linear = color.oklab_to_linear(shown)
    outside = np.maximum(-linear, linear - 1).max(-1)
    assert (outside > 1 / 255).mean() < 0.005 and outside.max() < 0.03
    assert np.allclose(shown[..., 0], lab[..., 0], atol=1e-6)
    cross = lab[..., 1] * shown[..., 2] - lab[..., 2] * shown[..., 1]
    assert np.abs(cross).max() < 1e-6
    assert (np.hypot(*np.moveaxis(shown[..., 1:], -1, 0)) <= np.hypot(*np.moveaxis(lab[..., 1:], -1, 0)) + 1e-6).all()


def test_oklab_in_gamut_hardly_moves() -> None:
    lab = color.linear_to_oklab(color.srgb_to_linear(LATTICE))
    assert np.abs(color.oklab_into_gamut(lab) - lab).max() < 0.04
