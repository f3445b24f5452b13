"""Figures of texture: what each of them sees of drawn stripes, noise and tones; and the distance between two."""

import cv2
import numpy as np
import pytest

from gravurekit.measures import patches, texture

HEIGHT, WIDTH = 192, 256
Y, X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


def stripes(wavelength: float, degrees: float, contrast: float = 90) -> np.ndarray:
    angle = np.radians(degrees)
    wave = np.cos(2 * np.pi / wavelength * (np.cos(angle) * X + np.sin(angle) * Y))
    return np.rint(128 + contrast * wave).astype(np.uint8)


def noise(seed: int, sigma: float = 0.8) -> np.ndarray:
    field = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)), (0, 0), sigma)
    return np.clip(128 + 45 * field / field.std(), 0, 255).astype(np.uint8)


def hatching(seed: int, pitch: float = 5.0) -> np.ndarray:
    """Lines that wander, as wide as a changing tone wants them, on white."""
    rng = np.random.default_rng(seed)
    bend, tone = (cv2.resize(rng.random((4, 5)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
                  for _ in range(2))  # fmt: skip
    phase = (X * np.cos(seed) + Y * np.sin(seed)) / pitch + 4 * bend
    away = np.abs(phase - np.round(phase)) * pitch
    return np.rint(245 - 220 * np.clip(tone * pitch * 0.6 - away + 0.5, 0, 1)).astype(np.uint8)


def column(found: np.ndarray, name: str) -> float:
    return float(found[:, texture.FEATURES.index(name)].mean())


def of(*greys: np.ndarray) -> np.ndarray:
    return np.concatenate([texture.features(grey) for grey in greys])


def test_local_binary_patterns_are_those_of_scikit_image() -> None:
    feature = pytest.importorskip("skimage.feature")
    for grey in (noise(1), noise(2, 2.0), hatching(3)):
        theirs = feature.local_binary_pattern(grey, 8, 1, "uniform")[1:-1, 1:-1]
        ours = texture.patterns(grey)[1:-1, 1:-1]
        ties = cv2.blur(grey, (3, 3))[1:-1, 1:-1] == grey[1:-1, 1:-1]  # flat paper: their sums differ in the last bit
        assert (ours == theirs)[~ties].mean() > 0.999


def test_a_flat_picture_is_one_pattern_and_a_tolerance_makes_it_so() -> None:
    assert (texture.patterns(np.full((9, 9), 200, np.uint8)) == 8).all()
    speckled = (np.random.default_rng(0).integers(0, 3, (40, 40)) + 240).astype(np.uint8)
    assert (texture.patterns(speckled) != 8).any() and (texture.patterns(speckled, 4) == 8).all()


@pytest.mark.parametrize("size", [(64, 64), (63, 200), (1, 1), (130, 70), (200, 300)])
def test_a_row_for_each_patch(size: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    found = texture.features(grey)
    assert found.shape == ((size[0] // 64) * (size[1] // 64), len(texture.FEATURES))
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert len(found) == len(patches.cut(grey))


@pytest.mark.parametrize("level, counts", [(255, False), (180, False), (0, True), (60, True)])
def test_bare_paper_is_no_patch_and_solid_black_is_one(level: int, counts: bool) -> None:
    flat = np.full((64, 128), level, np.uint8)
    assert len(texture.features(flat)) == len(patches.cut(flat)) == (2 if counts else 0)


@pytest.mark.parametrize("wavelength", texture.WAVELENGTHS)
@pytest.mark.parametrize("degrees", [0, 30, 60, 90, 120, 150, 45])
def test_stripes_have_their_energy_at_their_wavelength_and_one_direction(wavelength: float, degrees: float) -> None:
    found = of(stripes(wavelength, degrees))
    energies = {w: column(found, f"energy {w:g} px") for w in texture.WAVELENGTHS}
    assert max(energies, key=lambda w: energies[w]) == wavelength
    assert column(found, f"anisotropy {wavelength:g} px") > 0.75
    assert column(found, "coherence fine") > 0.8


def test_noise_has_no_direction() -> None:
    found = of(noise(1))
    assert all(column(found, f"anisotropy {w:g} px") < 0.3 for w in texture.WAVELENGTHS)
    assert column(found, "coherence coarse") < 0.4


def test_lines_are_told_from_steps() -> None:
    step = np.where(X % 64 < 32, 40, 220).astype(np.uint8)
    assert column(of(stripes(5, 20)), "lines") > 0.7 > 0.3 > column(of(step), "lines")


def test_contrast_is_no_texture() -> None:
    strong, weak = of(stripes(4.2, 30, 100)), of(stripes(4.2, 30, 40))
    patterns = [name.startswith("LBP") for name in texture.FEATURES]  # they have a tolerance in grey levels
    assert np.allclose(strong[:, ~np.array(patterns)], weak[:, ~np.array(patterns)], atol=0.05)


def test_a_set_is_no_way_from_itself_and_the_distance_has_no_direction() -> None:
    one, other = of(*(hatching(n) for n in range(4))), of(*(noise(n) for n in range(4)))
    scale = texture.scale_of([one, other])
    assert texture.distance(one, one, scale) == 0
    assert texture.distance(one, other, scale) == pytest.approx(texture.distance(other, one, scale))
    assert texture.distance(one[::-1], other, scale) == pytest.approx(texture.distance(one, other, scale), abs=1e-6)


@pytest.mark.parametrize("spoil", ["blurred", "flooded", "noisy", "coarse"])
def test_what_is_spoilt_is_farther_from_a_book_than_its_other_half(spoil: str) -> None:
    book, half = of(*(hatching(n) for n in range(6))), [hatching(n) for n in range(6, 12)]
    spoilt = {
        "blurred": lambda grey: cv2.GaussianBlur(grey, (0, 0), 1.5),
        "flooded": lambda grey: np.where(cv2.blur(grey, (31, 31)) < 150, 0, grey),
        "noisy": lambda grey: np.clip(grey + np.random.default_rng(0).normal(0, 35, grey.shape), 0, 255),
        "coarse": lambda grey: cv2.resize(grey, None, fx=2, fy=2),
    }[spoil]
    worse = texture.distance(of(*(np.asarray(spoilt(grey), np.uint8) for grey in half)), book)
    assert worse > 1.5 * texture.distance(of(*half), book)


def test_too_few_patches_are_refused() -> None:
    few = of(noise(0))[: texture.TONES - 1]
    with pytest.raises(ValueError, match="at least"):
        texture.distance(few, of(noise(1)))


@pytest.mark.parametrize("size", [(768, 512), (3000, 4000), (10, 9000), (100, 100)])
def test_pictures_are_reduced_and_never_enlarged(size: tuple[int, int]) -> None:
    height, width = patches.grey(np.zeros((*size, 3), np.uint8)).shape
    assert max(height, width) == min(patches.LONG_SIDE, max(size)) and min(height, width) >= 1
