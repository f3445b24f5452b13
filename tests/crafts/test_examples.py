"""Taste learnt from examples: what can be told apart is, what can't is refused."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from gravurekit.errors import UsageError
from gravurekit.probe import Probes
from gravurekit.relevance import examples
from gravurekit.relevance.examples import area_under_curve, learn
from gravurekit.stages._relevance import check_examples

Draw = Callable[..., np.ndarray]
Side = np.ndarray


def drawn_from(seed: int, count: int, middle: float = 0.0, width: int = 30) -> Side:
    """(count, width) float32: noise, in whose first columns lies the difference; the last is the same for all."""
    found = np.random.default_rng(seed).normal(0, 1, (count, width)).astype(np.float32)
    found[:, :4] += middle
    found[:, 4] *= 1000
    found[:, -1] = 7
    return found


def test_what_can_be_told_apart_is_told_apart() -> None:
    taste = learn(drawn_from(1, 60, 1.0), drawn_from(2, 40, -1.0))
    assert taste.auc > 0.95
    liked, unliked = taste.scores(drawn_from(3, 200, 1.0)), taste.scores(drawn_from(4, 200, -1.0))
    assert liked.dtype == np.float32 and liked.shape == (200,)
    assert liked.min() >= 0 and unliked.min() >= 0 and liked.max() <= 1 and unliked.max() <= 1
    assert (liked > 0.5).mean() > 0.9 and (unliked < 0.5).mean() > 0.9
    assert area_under_curve(liked, unliked) > 0.98
    assert liked[:1] == pytest.approx(taste.scores(drawn_from(3, 200, 1.0)[:1]), abs=1e-6)
    assert taste.scores(drawn_from(3, 0)).shape == (0,)


def test_scores_are_numbers_however_far_out() -> None:
    taste = learn(drawn_from(1, 30, 3.0), drawn_from(2, 30, -3.0))
    far = taste.scores(np.array([np.full(30, 1e6), np.full(30, -1e6)], np.float32))
    assert np.isfinite(far).all() and far.min() >= 0 and far.max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_what_differs_by_chance_only_is_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=r"AUC 0\.[3-6]\d, at least 0\.7 "):
        learn(drawn_from(seed, 60), drawn_from(seed + 100, 60))


def test_the_auc_is_of_examples_that_werent_learnt_from() -> None:
    """More features than examples: on what was learnt from any two sides can be told apart."""
    liked, unliked = drawn_from(1, 20, width=400), drawn_from(2, 20, width=400)
    mean, scale, weights = examples._fit(np.concatenate([liked, unliked]).astype(float), np.repeat([1.0, 0.0], 20))
    fitted = examples.Taste(mean, scale, weights, 0)
    assert area_under_curve(fitted.scores(liked), fitted.scores(unliked)) == 1
    with pytest.raises(UsageError, match="AUC"):
        learn(liked, unliked)


@pytest.mark.parametrize("sides", [(0, 50), (50, 0), (7, 50), (50, 7), (0, 0)])
def test_too_few_examples_are_refused(sides: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"--like: {sides[0]}, of --unlike: {sides[1]}; at least 8"):
        check_examples(*sides)


def test_the_fewest_that_will_do() -> None:
    assert learn(drawn_from(1, 8, 3.0), drawn_from(2, 8, -3.0)).auc > 0.9


def test_learning_again_gives_the_same() -> None:
    first, again = (learn(drawn_from(1, 40, 0.7), drawn_from(2, 40, -0.7)) for _ in range(2))
    assert np.array_equal(first.weights, again.weights) and first.auc == again.auc
    assert np.array_equal(first.mean, again.mean) and np.array_equal(first.scale, again.scale)


def test_sides_count_the_same_however_many_they_are() -> None:
    taste = learn(drawn_from(1, 200, 0.5), drawn_from(2, 20, -0.5))
    middle = [float(np.median(taste.scores(drawn_from(seed, 400, place)))) for seed, place in ((3, 0.5), (4, -0.5))]
    assert middle[1] < 0.5 < middle[0]


def test_a_feature_that_never_differs_says_nothing() -> None:
    taste = learn(drawn_from(1, 40, 1.0), drawn_from(2, 40, -1.0))
    assert abs(taste.weights[-2]) < 1e-6, "of the last column"


def test_like_and_unlike_are_each_others_mirror_image() -> None:
    one, other = drawn_from(1, 40, 1.0), drawn_from(2, 40, -1.0)
    there, back = learn(one, other), learn(other, one)
    assert there.scores(one) == pytest.approx(1 - back.scores(one), abs=0.01)
    assert there.auc == pytest.approx(back.auc)


# ---- the area under the curve ----------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(*[st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12)] * 2)
def test_area_under_curve_is_the_share_of_pairs_in_order(high: list[float], low: list[float]) -> None:
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(high, low)]
    found = area_under_curve(np.array(high), np.array(low))
    assert found == pytest.approx(sum(wins) / len(wins), abs=1e-12)
    assert found == pytest.approx(mannwhitneyu(high, low).statistic / len(wins), abs=1e-12)
    assert found + area_under_curve(np.array(low), np.array(high)) == pytest.approx(1)


def test_area_under_curve_of_all_ties_and_of_none() -> None:
    assert area_under_curve(np.zeros(5), np.zeros(9)) == 0.5
    assert area_under_curve(np.arange(5) + 9.0, np.arange(9.0)) == 1
    assert area_under_curve(np.arange(5.0) - 9, np.arange(9.0)) == 0


# ---- features of pictures --------------------------------------------------------------------------------


def features_of(probes: Probes) -> np.ndarray:
    return examples.features(probes.figures, probes.look(np.arange(len(probes))))


def test_features_are_numbers_of_every_picture(draw: Draw, probe_of: Callable, together: Callable) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1, 900, 3), np.uint8)
    pictures = [draw(1), np.zeros((5, 5, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8), noise]
    probes = together(*(probe_of(str(n), pixels) for n, pixels in enumerate(pictures)))
    assert np.isnan(probes.figures["figure"]).all()  # nobody looked for one
    found = features_of(probes)
    assert found.dtype == np.float32 and found.shape[0] == 4 and np.isfinite(found).all()
    assert np.array_equal(found[2:3], features_of(probes.take(np.array([2]))))
    none = features_of(probes.take(np.zeros(0, np.int64)))
    assert none.shape == (0, found.shape[1])


def test_edges_are_told_by_direction_and_place() -> None:
    luma = np.full((64, 64), 50, np.uint8)
    luma[:16, 4:7] = 200  # an upright line in the first column of cells
    luma[52:55, 40:] = 200  # a level one in the last rows
    cells = examples._orientations(luma).reshape(8, 8, 9)
    strong = cells.max(axis=2) > 0.5
    assert strong[0, 0] and strong[1, 0] and strong[6, 6] and not strong[:5, 2:].any()
    assert cells[0, 0].argmax() == 0 and cells[6, 6].argmax() == 4
    assert np.allclose(examples._orientations(255 - luma), cells.ravel(), atol=1e-5), (
        "the side that is light is no matter"
    )


def test_colour_can_be_what_is_liked(draw: Draw, probe_of: Callable, together: Callable) -> None:
    def tinted(seed: int, channel: int) -> np.ndarray:
        pixels = draw(seed, 60, 48).astype(np.float32)
        pixels[..., channel] = 0.4 * pixels[..., channel] + 140
        return np.clip(pixels, 0, 255).astype(np.uint8)

    red, blue = (
        features_of(together(*(probe_of(str(n), tinted(n + first, channel)) for n in range(24))))
        for channel, first in ((0, 0), (2, 100))
    )
    taste = learn(red[:16], blue[:16])
    assert taste.auc > 0.9 and area_under_curve(taste.scores(red[16:]), taste.scores(blue[16:])) > 0.9
