"""Between the lines: outlines stop a wash, hatching doesn't."""

import heapq
import itertools
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gravurekit import edges

SIDE = 400


def ink(outline: bool = False, hatched: float = 0, tone: float = 1.0) -> np.ndarray:
    """(SIDE, SIDE) float32 0..1: paper; an upright line in the middle; lines every `hatched` px; right half grey."""
    page = np.ones((SIDE, SIDE), np.float32)
    page[:, SIDE // 2 :] = tone
    if hatched:
        page[np.arange(SIDE) % hatched < hatched / 2] = 0.05
    if outline:
        cv2.line(page, (SIDE // 2, 0), (SIDE // 2, SIDE), 0.0, 3)
    return page


def halves(side: int = 50, shift: int = 0) -> np.ndarray:
    """A small wash, (side, side, 2) float32: 0 on the left, 30 on the right, the edge smeared and `shift` px off."""
    wash = np.zeros((side, side, 2), np.float32)
    wash[:, side // 2 + shift :] = 30
    return cv2.GaussianBlur(wash, (0, 0), 1.5)


def width_of_edge(plane: np.ndarray) -> int:
    return int(((plane > 5) & (plane < 25)).sum())


@pytest.mark.parametrize("shift", [-1, 0, 1])
@pytest.mark.parametrize("guide", [ink(outline=True), ink(tone=0.3), ink(outline=True, hatched=4, tone=0.3)])
def test_the_washs_edge_comes_to_lie_on_the_prints(guide: np.ndarray, shift: int) -> None:
    plain = cv2.resize(halves(shift=shift), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[200, :, 0]
    found = edges.upsampled(halves(shift=shift), guide)[200, :, 0]
    truth = 30 * (np.arange(SIDE) >= SIDE // 2)
    assert np.abs(found - truth).mean() < 0.8 * np.abs(plain - truth).mean()


def test_an_edge_in_the_tone_makes_the_washs_edge_narrow() -> None:
    plain = cv2.resize(halves(), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[200, :, 0]
    assert width_of_edge(edges.upsampled(halves(), ink(tone=0.2))[200, :, 0]) < 0.5 * width_of_edge(plain)


def test_hatching_leaves_no_trace_in_a_wash() -> None:
    """A wash that falls evenly from left to right falls as evenly over hatching."""
    wash = np.broadcast_to(np.linspace(0, 1, 50, dtype=np.float32)[None, :, None], (50, 50, 1)).copy()
    found = edges.upsampled(wash, ink(hatched=4))[..., 0]
    assert found.std(0).max() < 0.01
    assert np.all(np.diff(found[200]) > -1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_a_wash_stays_within_its_own_range_and_size(h: int, w: int, tall: int, wide: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    even = edges.upsampled(np.full((h, w, 3), 7, np.float32), rng.random((tall, wide), np.float32))
    assert even.shape == (tall, wide, 3) and even.dtype == np.float32
    assert np.abs(even - 7).max() < 0.05
    wild = edges.upsampled(rng.random((h, w, 3), np.float32), rng.random((tall, wide), np.float32))
    assert np.isfinite(wild).all() and wild.min() > -1 and wild.max() < 2


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(400, 400), (333, 211), (61, 397)])
def test_what_guides_is_found_out_on_a_coarse_grid_as_well_as_on_a_fine_one(
    shape: tuple[int, int], weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    guide = cv2.resize(rng.random((12, 10), np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    wash = cv2.GaussianBlur(rng.normal(0, 60, (48, 40, 3)).astype(np.float32), (0, 0), 3)
    weight = (guide > 0.2).astype(np.float32) if weighted else None
    quick = edges.upsampled(wash, guide, weight)
    monkeypatch.setattr(edges, "COARSE", 10**9)  # a grid of every place
    fine = edges.upsampled(wash, guide, weight)
    assert np.abs(quick - fine).mean() < 0.02 * fine.std() and np.abs(quick - fine).max() < 0.5 * fine.std()


@pytest.mark.parametrize("order", ["C", "F"])
def test_evening_out_changes_neither_the_mean_nor_what_comes_in(order: Any) -> None:
    values = np.asarray(np.random.default_rng(1).random((70, 90)), np.float32, order=order)
    before = values.copy()
    found = edges.evened(values, np.zeros((70, 90), np.float32), 20)
    assert np.array_equal(values, before) and found.mean() == pytest.approx(values.mean(), abs=0.02)
    assert found.std() < 0.2 * values.std()


def test_places_without_weight_take_their_neighbours_values() -> None:
    wash = np.zeros((50, 50, 1), np.float32)
    wash[:, 25:] = 1
    weight = np.ones((SIDE, SIDE), np.float32)
    weight[:, SIDE // 2 :] = 0
    found = edges.upsampled(wash, ink(), weight)[..., 0]
    assert found[200, 190:210].max() < 0.25  # with equal weights it would be a half


# ---- few places ----------------------------------------------------------------------------------------

RED, BLUE = (40.0, 60.0, 30.0), (30.0, 20.0, -60.0)


def spread(guide: np.ndarray, *places: tuple[float, float], reach: float = 300) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([RED, BLUE][: len(places)], np.float32)
    return edges.spread(np.array(places, np.float32), values, guide, reach)


def test_a_value_is_met_at_its_place_and_fades_with_the_way() -> None:
    values, holds = spread(ink(), (100, 200), reach=80)
    assert holds[200, 100] == 1 and values[200, 100] == pytest.approx(RED)
    along = holds[200, 100:]
    assert np.all(np.diff(along) <= 1e-6) and along[30] > 0.95 and along[110:].max() == 0


def test_an_outline_stops_it_and_hatching_doesnt() -> None:
    _, holds = spread(ink(outline=True), (150, 200))
    assert holds[200, 180] > 0.95 and holds[:, 210:].max() < 0.05
    _, holds = spread(ink(hatched=4), (150, 100))
    assert holds[250, 150] > 0.95 and holds[250, 250] > 0.85


def test_it_goes_round_a_line_that_ends() -> None:
    guide = ink(outline=True)
    guide[350:] = 1
    _, holds = spread(guide, (190, 330), reach=400)
    assert holds[330, 220] > 0.9


def test_of_two_the_nearer_counts_more_and_each_is_met() -> None:
    values, holds = spread(ink(), (100, 200), (300, 200))
    assert values[200, 100] == pytest.approx(RED, abs=0.1) and values[200, 300] == pytest.approx(BLUE, abs=0.1)
    assert values[200, 200] == pytest.approx((np.array(RED) + BLUE) / 2, abs=1)
    assert np.all(np.diff(values[200, 110:290, 2]) < 0)
    assert holds[200].max() == 1


def test_two_behind_a_line_dont_mix() -> None:
    values, holds = spread(ink(outline=True), (150, 200), (250, 200))
    assert values[200, 190] == pytest.approx(RED, abs=0.5) and values[200, 210] == pytest.approx(BLUE, abs=0.5)
    assert holds[200, 190] > 0.9 and holds[200, 210] > 0.9


@pytest.mark.parametrize("place", [(-5, 3), (1e6, 1e6), (0, 0), (SIDE - 0.1, SIDE - 0.1)])
def test_a_place_outside_counts_at_the_nearest(place: tuple[float, float]) -> None:
    _, holds = spread(ink(), place, reach=50)
    x, y = (min(max(int(at), 0), SIDE - 1) for at in place)
    assert holds[y, x] == 1


def test_without_places_nothing_is_known() -> None:
    values, holds = edges.spread(np.zeros((0, 2)), np.zeros((0, 3), np.float32), ink(), 50)
    assert values.shape == (SIDE, SIDE, 3) and not values.any() and not holds.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (1024, 7)])
def test_narrow_pictures_are_flowed_through(shape: tuple[int, int]) -> None:
    guide = np.ones(shape, np.float32)
    values, holds = edges.spread(np.array([[0, 0]]), np.array([[1.0]], np.float32), guide, 2000)
    assert holds.min() > 0.9 and np.abs(values - 1).max() < 1e-5
    assert edges.upsampled(np.ones((3, 3, 2), np.float32), guide).shape == (*shape, 2)


def dijkstra(dark: np.ndarray, top: int, left: int, dear: float, most: float) -> np.ndarray:
    """What `edges._way` promises, by the book."""
    far = np.full(dark.shape, most, np.float32)
    far[top, left] = 0
    waiting = [(0.0, top, left)]
    while waiting:
        way, y, x = heapq.heappop(waiting)
        for v, u in itertools.product(range(y - 1, y + 2), range(x - 1, x + 2)):
            if way <= far[y, x] and 0 <= v < dark.shape[0] and 0 <= u < dark.shape[1]:
                step = max(abs(float(dark[y, x]) - float(dark[v, u])) - edges.FREE, 0)
                longer = way + np.hypot(v - y, u - x) + dear * step
                if longer < far[v, u] - 1e-4:
                    far[v, u] = longer
                    heapq.heappush(waiting, (float(far[v, u]), v, u))
    return far


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_ways_are_the_shortest(h: int, w: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    dark = rng.random((h, w), np.float32) * (rng.random((h, w)) < share)
    top, left = int(rng.integers(h)), int(rng.integers(w))
    found = edges._way(dark.astype(np.float32), top, left, np.float32(12), np.float32(25))
    assert np.abs(found - dijkstra(dark, top, left, 12, 25)).max() < 1e-2
