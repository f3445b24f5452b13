"""The figure score: whatever comes in, a probability comes out, the same every time; drawn figures have a high one."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from gravurekit import images
from gravurekit.relevance import figure
from gravurekit.sample import figures, oddments


def score(pixels: np.ndarray) -> float:
    return float(figure.probability(figure.features(pixels)[None])[0])


@pytest.fixture
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (900, 1), (3, 7), (20, 20), (64, 2000), (2000, 64), (128, 64)], ids=str
)
@pytest.mark.parametrize("flat", [True, False])
def test_a_picture_of_any_shape_has_features(size: tuple[int, int], flat: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = figure.features(np.full_like(noise, 255) if flat else noise)
    assert found.shape == (len(figure.FEATURES),) and found.dtype == np.float32
    assert np.isfinite(found).all()
    if flat:
        assert 0 <= score(np.full_like(noise, 255)) < 0.1


def test_a_view_into_a_larger_array_is_a_picture_too() -> None:
    drawn = figures.draw_figure("kostum", None, 1, 320)
    assert np.array_equal(figure.features(drawn[::-1, ::-1][::-1, ::-1]), figure.features(drawn))


def test_what_wasnt_measured_has_no_probability() -> None:
    rows = np.zeros((4, len(figure.FEATURES)), np.float32)
    rows[1] = np.nan
    rows[3, 2] = np.nan
    chances = figure.probability(rows)
    assert chances.shape == (4,) and chances.dtype == np.float32
    assert np.isnan(chances).tolist() == [False, True, False, True]
    assert figure.probability(rows[:0]).shape == (0,)


def test_the_people_detector_counts_for_a_person() -> None:
    rows = np.random.default_rng(0).uniform(-1, 4, (200, len(figure.FEATURES))).astype(np.float32)
    more = rows.copy()
    more[:, figure.FEATURES.index("hog")] += 0.5
    before, after = figure.probability(rows), figure.probability(more)
    assert (after >= before).all() and after.sum() > before.sum()


def test_a_probability_lies_between_0_and_1_whatever_the_features() -> None:
    for value in (-1e6, -1, 0, 1, 1e6):
        chances = figure.probability(np.full((1, len(figure.FEATURES)), value, np.float32))
        assert 0 <= chances[0] <= 1


def test_there_is_a_coefficient_for_each_feature_and_one_for_none() -> None:
    assert list(figure.COEFFICIENTS) == ["", *figure.FEATURES]
    assert np.isfinite(list(figure.COEFFICIENTS.values())).all()


def test_threads_and_turns_change_nothing(threads: None) -> None:
    drawn = figures.draw_figure("yeniceri kiyafeti", None, 2, 480)
    seen = []
    for count in (1, 2, 2, 4):
        cv2.setNumThreads(count)
        seen.append(figure.features(drawn).tobytes())
    assert len(set(seen)) == 1


@pytest.mark.parametrize("garment", ["kostum", "kaftan", "yeniceri kiyafeti"])
def test_the_size_of_a_picture_hardly_counts(garment: str) -> None:
    drawn = figures.draw_figure(garment, None, 1, 480)
    height, width = drawn.shape[:2]
    assert score(images.resize(drawn, 2 * width, 2 * height)) == pytest.approx(score(drawn), abs=0.1)


def test_drawn_figures_score_higher_than_logos_and_pages() -> None:
    dressed = [
        score(figures.draw_figure(garment, None, seed, 480)) for garment in ("kostum", "kaftan") for seed in (0, 1)
    ]
    others = [score(draw(seed)) for draw in (oddments.draw_logo, oddments.draw_text_page) for seed in (0, 1)]
    assert np.median(dressed) > 0.5 > np.median(others)
    assert min(dressed) > max(others)
