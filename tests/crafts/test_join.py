"""The join: nothing within the radius is missed, at a cost that grows with the pictures, not with their pairs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations, permutations
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from copies import GREY, found, kept, unproven
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from gravurekit import hamming, probe
from gravurekit.filters import Compare, Pair, _join, duplicate
from gravurekit.filters import _frames as frames
from gravurekit.probe import BARLESS, CENTRE, FIGURES, THUMBS, TRIMMED, WHOLE, Probes
from gravurekit.record import Record

Draw = Callable[..., np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def whole() -> Iterator[None]:
    """As if no part of two thumbs differed: those here are noise. What comes of parts: test_veto.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "least_alike", lambda one, other, allowed: np.ones(len(one), np.float32))
        yield


# ---- codes of our choice ---------------------------------------------------------------------------------


def bits(*positions: int) -> np.ndarray:
    """A code in which those are set."""
    octets = np.zeros(256, np.uint8)
    octets[list(positions)] = 1
    return np.packbits(octets).view(np.uint64)


def coded(codes: np.ndarray, ab: Sequence[int] | None = None, earlier: int = 0) -> Probes:
    """(N, 4 frames, 4) uint64 → Probes of N different coloured pictures in this order, best first. Their thumbs are
    noise, each another one; `ab`: their colours."""
    count = len(codes)
    figures, thumbs = np.zeros(count, FIGURES), np.zeros(count, THUMBS)
    figures["codes"], figures["chroma_residual"], figures["spread"] = codes, 20, 50
    figures["frame"], figures["bytes"] = (0, 0, 9, 9), 10**6 - np.arange(count)
    figures["pixels_sha256"][:, :8] = np.arange(count)[:, None].view(np.uint8).reshape(count, 8)
    figures["width"] = figures["height"] = 9
    thumbs["luma"] = np.random.default_rng(5).integers(0, 256, thumbs["luma"].shape, np.uint8)
    thumbs["ab"] = 128 if ab is None else np.array(ab, np.uint8)[:, None, None, None, None]
    return Probes([Record(key=f"{n:06d}") for n in range(count)], figures, thumbs, np.arange(count), earlier=earlier)


def one_frame(*codes: np.ndarray) -> np.ndarray:
    """The codes of pictures without margin, whose other two views are like nothing else."""
    all_frames = np.random.default_rng(9).integers(0, 2**64, (len(codes), 4, 4), np.uint64)
    all_frames[:, WHOLE] = all_frames[:, TRIMMED] = codes
    return all_frames


def test_a_copy_of_a_copy_isnt_chained_to_the_first() -> None:
    chain = coded(one_frame(*(bits(*range(30 * n)) for n in range(5))))
    # 1 goes for 0; 2 is too far from 0, so it leads; 3 goes for 2; 4 leads
    assert kept(chain) == {"000001": "000000", "000003": "000002"}


def test_of_two_leaders_the_nearer_one_is_kept_instead() -> None:
    codes = one_frame(bits(), bits(*range(50)), bits(*range(27)))  # 2 is 27 from 0, 23 from 1
    assert kept(coded(codes)) == {"000002": "000001"}


@pytest.mark.parametrize(
    ("distance", "alike", "proven", "goes", "opened"),
    [
        (0, False, False, True, 0), (32, False, False, True, 0), (33, False, True, False, 0),
        (33, True, False, True, 0), (80, True, False, True, 0), (81, True, True, False, 0),
    ],
)  # fmt: skip
def test_the_distances_are_where_they_say(distance: int, alike: bool, proven: bool, goes: bool, opened: int) -> None:
    probes = coded(one_frame(bits(), bits(*range(distance))))
    if alike:
        probes.thumbs["luma"][1] = probes.thumbs["luma"][0]
    asked: list[Pair] = []

    def proofs(_: Probes, pairs: Sequence[Pair]) -> list[str]:
        asked.extend(pairs)
        return ["proof" if proven else ""] * len(pairs)

    assert kept(probes, Compare(proofs)) == ({"000001": "000000"} if goes else {}) and len(asked) == opened


@pytest.mark.parametrize(("correlation", "proven", "goes", "opened"), [
    (0.91, False, True, 0), (0.89, False, False, 1), (0.89, True, True, 1), (0.71, True, True, 1),
    (0.69, True, False, 0),
])  # fmt: skip
def test_the_correlations_are_where_they_say(
    correlation: float, proven: bool, goes: bool, opened: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "correlations", lambda one, other, allowed: np.full(len(one), correlation, np.float32))
    monkeypatch.setattr(frames, "slid", lambda one, other: correlation)
    asked: list[Pair] = []

    def proofs(_: Probes, pairs: Sequence[Pair]) -> list[str]:
        asked.extend(pairs)
        return ["proof" if proven else ""] * len(pairs)

    drops = found(coded(one_frame(bits(), bits(*range(40)))), Compare(proofs))
    assert len(drops) == goes and len(asked) == opened
    if drops:
        said = "proof" if proven else f"code distance 40 of 256, correlation {correlation:.2f}"
        assert drops["000001"].detail == said


@pytest.mark.parametrize(("difference", "goes"), [(0, 1), (14, 1), (16, 0)])
def test_colours_may_differ_a_little(difference: int, goes: int) -> None:
    probes = coded(one_frame(bits(), bits()))
    probes.thumbs["ab"][1, ..., 0] += difference
    assert len(kept(probes)) == goes
    probes.figures["chroma_residual"][1] = GREY
    assert len(kept(probes)) == 1


def test_all_candidates_may_differ_in_colour() -> None:
    """Also all of those that are looked at in one go, and of more than one go."""
    assert not kept(coded(one_frame(bits(), bits()), [10, 200]))
    colors = [10 if n % 2 else 200 for n in range(40)]
    assert kept(coded(one_frame(*[bits()] * 40), colors)).keys() == {f"{n:06d}" for n in range(2, 40)}


def test_two_pages_that_look_alike_as_pages_are_no_proof() -> None:
    codes = np.random.default_rng(3).integers(0, 2**64, (2, 4, 4), np.uint64)
    codes[:, WHOLE] = bits(1)
    pages = coded(codes)
    one, other = pages.thumbs["luma"][:, WHOLE].astype(np.float32)
    pages.thumbs["luma"][1, WHOLE] = np.rint(0.7 * one + 0.3 * other)
    assert not kept(pages)
    alike = frames.band_pass(pages.thumbs["luma"][:, WHOLE])
    assert 0.9 < (alike[0] * alike[1]).mean() < _join.PAGES
    pages.thumbs["luma"][1, TRIMMED] = pages.thumbs["luma"][0, TRIMMED]  # what is on them is alike too
    assert kept(pages) == {"000001": "000000"}


def test_two_pages_with_equal_codes_are_no_proof() -> None:
    codes = np.random.default_rng(3).integers(0, 2**64, (2, 4, 4), np.uint64)
    codes[:, WHOLE] = bits(1)
    assert not kept(coded(codes))
    codes[1, TRIMMED] = codes[0, TRIMMED]  # not even of what is on them: it may be a small thing, reduced to nothing
    assert not kept(coded(codes))


# ---- nothing is missed -----------------------------------------------------------------------------------


@st.composite
def codes_of_frames(draw_from: st.DrawFn) -> np.ndarray:
    """(N, 4, 4) uint64, many of them near one another and near the radius, some of pictures with a margin."""
    count = draw_from(st.integers(1, 40))
    rng = np.random.default_rng(draw_from(st.integers(0, 2**32)))
    centres = rng.integers(0, 2**64, (3, 4), np.uint64)
    all_frames = rng.integers(0, 2**64, (count, 4, 4), np.uint64)
    for picture in all_frames:
        for frame in range(4):
            if rng.random() < 0.7:
                flips = rng.permutation(256)[: rng.integers(0, 60)]
                picture[frame] = centres[rng.integers(3)] ^ bits(*flips)
        if rng.random() < 0.5:
            picture[WHOLE] = picture[TRIMMED]
    return all_frames


def frames_of(codes: np.ndarray) -> list[int]:
    """As they are: the whole one only where there is a margin."""
    return [TRIMMED] if (codes[WHOLE] == codes[TRIMMED]).all() else [WHOLE, TRIMMED]


def least_distance(better: np.ndarray, worse: np.ndarray, views: bool = True) -> int:
    """By brute force, of all that may be compared of two pictures (4, 4)."""
    ours, theirs = frames_of(better), frames_of(worse)
    pairs = [(a, b) for a in ours for b in theirs]
    if views:
        pairs += [(view, b) for view in (CENTRE, BARLESS) for b in theirs] + [(a, BARLESS) for a in ours]
    return min(int(np.bitwise_count(better[a] ^ worse[b]).sum()) for a, b in pairs)


def set_apart(count: int, seed: int) -> frozenset[tuple[str, str]]:
    """Some of all pairs."""
    rng = np.random.default_rng(seed + 1)
    share = rng.choice([0.0, 0.2])
    return frozenset((f"{a:06d}", f"{b:06d}") for a, b in combinations(range(count), 2) if rng.random() < share)


@contextmanager
def blunt() -> Iterator[None]:
    """Thumbs leave a doubt of every pair; pictures come in small blocks; one thread."""
    exact = hamming.near
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_join, "BLOCK", 16)
        patch.setattr(_join, "SLICE", 5)
        patch.setattr(hamming, "near", lambda ours, better, radius: exact(ours, better, radius, threads=1))
        patch.setattr(frames, "correlations", lambda one, other, allowed: np.zeros(len(one), np.float32))
        patch.setattr(frames, "band_pass", lambda luma: luma)
        patch.setattr(frames, "slid", lambda one, other: 0.8)
        yield


@settings(max_examples=40, deadline=None)
@given(codes_of_frames(), st.integers(0, 110), st.integers(0, 5), st.integers(0, 2**32))
def test_every_pair_within_the_radius_is_an_edge_but_those_set_apart(
    codes: np.ndarray, radius: int, earlier: int, seed: int
) -> None:
    limits = SimpleNamespace(
        certain_distance=-1, candidate_distance=radius, min_correlation=2.0, doubtful_correlation=0.5,
        max_color_difference=15.0, monochrome_residual=2.5,
    )  # fmt: skip
    earlier, apart = min(earlier, len(codes)), set_apart(len(codes), seed)
    compare = Compare(unproven, apart=apart)
    with blunt():
        edges = _join.Join(coded(codes, earlier=earlier), np.arange(len(codes)), earlier, limits, compare).edges()
    columns = zip(edges.one.tolist(), edges.other.tolist(), edges.distance.tolist(), strict=True)
    pairs = ((one, other) for one, other in combinations(range(len(codes)), 2) if other >= earlier)
    near = [(one, other, least_distance(codes[one], codes[other])) for one, other in pairs]
    near = [(one, other, distance) for one, other, distance in near if (f"{one:06d}", f"{other:06d}") not in apart]
    assert sorted(columns) == sorted(pair for pair in near if pair[2] <= radius)


@settings(max_examples=40, deadline=None)
@given(codes_of_frames(), st.integers(0, 2**32), st.integers(0, 5))
def test_what_is_left_out_of_the_join_changes_no_verdict(codes: np.ndarray, seed: int, earlier: int) -> None:
    """Against a leader's clusters by brute force, where any pair within the radius may be proven or not."""
    earlier, knobs = min(earlier, len(codes)), duplicate.Settings()
    proven = np.random.default_rng(seed).random((len(codes), len(codes))) < 0.3
    apart = set_apart(len(codes), seed)

    def proofs(_: Probes, pairs: Sequence[Pair]) -> list[str]:
        return ["proof" if proven[pair.one, pair.other] else "" for pair in pairs]

    with blunt():
        goes = kept(coded(codes, earlier=earlier), Compare(proofs, apart=apart), knobs)
    leaders: list[int] = []
    expected: dict[str, set[str]] = {}
    for other in range(len(codes)):
        able = [one for one in leaders if other >= earlier and (f"{one:06d}", f"{other:06d}") not in apart]
        good = {one for one in able if _is_copy(codes, one, other, knobs, proven)}
        if good:
            expected[f"{other:06d}"] = {f"{one:06d}" for one in good}
        else:
            leaders.append(other)
    assert goes.keys() == expected.keys() and all(goes[key] in expected[key] for key in goes)


def _is_copy(codes: np.ndarray, one: int, other: int, knobs: duplicate.Settings, proven: np.ndarray) -> bool:
    both_framed = len(frames_of(codes[one])) == len(frames_of(codes[other])) == 2
    certain = not both_framed and least_distance(codes[one], codes[other], views=False) <= knobs.certain_distance
    near = least_distance(codes[one], codes[other]) <= knobs.candidate_distance
    return bool(certain or (near and proven[one, other]))


@pytest.mark.parametrize("name", ["corner", "left out", "mirror"])
@pytest.mark.parametrize("thorough", [False, True])
def test_windows_propose_what_frames_dont(name: str, thorough: bool, scene: Draw, judged: Callable) -> None:
    """Exactly a window: it is opened, whatever the colours at another place of the picture; if one is thorough."""
    original = scene(3)
    copy = {"corner": original[39:, 31:], "left out": original[20:281, :209], "mirror": original[:, ::-1]}[name]
    goes, opening = judged(thorough, a=original, b=copy)
    assert opening.asked == [("a", "b")] * thorough and len(goes) == thorough


# ---- at a cost that grows with the pictures, not with their pairs ----------------------------------------


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pairs whose thumbs were compared, call by call; they all are alike, or not at all. Too many fail at once."""
    made: list[int] = []

    def count(pairs: int) -> None:
        made.append(pairs)
        assert sum(made) <= LOOKS, "thumbs of too many pairs are compared"

    def correlations(one: np.ndarray, other: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        count(len(one))
        return (one[:, 0, 0, 0] == other[:, 0, 0, 0]).astype(np.float32)

    def slid(one: np.ndarray, other: np.ndarray) -> float:
        count(1)
        return 0.0

    monkeypatch.setattr(frames, "correlations", correlations)
    monkeypatch.setattr(frames, "band_pass", lambda luma: luma)
    monkeypatch.setattr(frames, "slid", slid)
    return made


LOOKS = 400_000


@pytest.mark.slow
def test_a_hundred_thousand_equal_hashes_cost_a_hundred_thousand_looks(looks: list[int]) -> None:
    count = 100_000
    few = coded(one_frame(bits(*range(128))))
    figures = np.repeat(few.figures, count)
    figures["pixels_sha256"][:, :8] = np.arange(count)[:, None].view(np.uint8).reshape(count, 8)
    records = [Record(key=f"{n:06d}") for n in range(count)]
    goes = kept(Probes(records, figures, few.thumbs, np.zeros(count, np.int64)))
    assert len(goes) == count - 1 and set(goes.values()) == {"000000"}
    assert sum(looks) <= 4 * count


def test_thousands_of_near_hashes_cost_thousands_of_looks(looks: list[int]) -> None:
    rng, count = np.random.default_rng(3), 3000
    codes = one_frame(*(bits(*rng.permutation(256)[:24]) for _ in range(count)))  # some 43 from one another
    probes = coded(codes)
    probes.thumbs["luma"] = 7
    assert len(kept(probes)) == count - 1
    few = _join.SLICE**2  # what is joined first has nobody to follow
    assert sum(looks) <= 4 * count + few


# ---- what the join is made of ----------------------------------------------------------------------------


def edges_of(*rows: tuple[int, int, int, bool, bool]) -> _join.Edges:
    """Of one, other, distance, mirrored, same; correlation by number."""
    one, other, distance, mirrored, same = (np.array(column) for column in zip(*rows, strict=True))
    likely = np.zeros(len(rows), bool)
    return _join.Edges(one, other, distance, np.arange(len(rows), dtype=np.float32), mirrored, likely, same)


def test_each_pair_is_an_edge_once_and_once_mirrored() -> None:
    edges = _join._once(edges_of(
        (0, 3, 9, False, False), (0, 3, 40, False, True), (0, 3, 50, False, True), (0, 3, 5, True, False),
        (0, 3, 4, True, False), (1, 2, 8, False, False), (1, 2, 7, False, False), (0, 2, 7, False, False),
    ))  # fmt: skip
    assert edges.correlation.tolist() == [7, 6, 1, 4]  # by the worse picture; what is proven, else what is nearest


def test_edges_that_are_taken_and_joined_stay_what_they_are() -> None:
    edges = edges_of((0, 1, 5, False, True), (0, 2, 6, True, False), (1, 2, 7, False, False))
    assert edges.take(np.array([False, True, True])).distance.tolist() == [6, 7]
    assert edges.take(np.array([2, 0])).other.tolist() == [2, 1]
    both = _join.joined([edges.take(np.array([0])), edges.take(np.array([2, 1]))])
    assert both.distance.tolist() == [5, 7, 6] and both.mirrored.tolist() == [False, False, True] and len(both) == 3
    none = _join.joined([])
    assert len(none) == 0 and none.one.dtype == np.int64 and none.same.dtype == bool


def test_leaders_of_edges_in_any_order() -> None:
    rows = [(0, 1, 30, False, True), (1, 2, 3, False, True), (0, 3, 9, False, True), (2, 3, 8, False, True)]
    for order in permutations(rows):
        edges = edges_of(*order)
        chosen = {other: int(edges.one[edge]) for other, edge in duplicate._leaders(edges, 5)}
        assert chosen == {1: 0, 3: 2}


def test_slid_finds_what_was_moved_and_scaled(draw: Draw) -> None:
    rng = np.random.default_rng(1)
    large = cv2.GaussianBlur(rng.normal(0, 1, (90, 90)).astype(np.float32), (0, 0), 2)
    one, moved = large[10:74, 10:74], large[13:77, 6:70]
    wider = cv2.resize(large[10:71, 10:71], (64, 64), interpolation=cv2.INTER_CUBIC)
    other = cv2.GaussianBlur(rng.normal(0, 1, (64, 64)).astype(np.float32), (0, 0), 2)
    assert frames.slid(one, one) > 0.999 and frames.slid(one, moved) > 0.99 and frames.slid(one, wider) > 0.9
    assert frames.slid(one, other) < 0.6


def test_what_is_flat_is_like_nothing() -> None:
    busy = frames.band_pass(np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8))
    flat = frames.band_pass(np.full((64, 64), 99, np.uint8))
    for one, other in ((flat, busy), (busy, flat), (flat, flat)):
        assert frames.slid(one, other) < 0.5


@pytest.mark.parametrize("count", [1, 2, frames.CHUNK])
def test_band_pass_is_the_same_for_many_as_for_one(count: int) -> None:
    lumas = np.random.default_rng(2).integers(0, 256, (count, 2, 64, 64), np.uint8)
    lumas[0, 1] = 99
    many = frames.band_pass(lumas)
    assert many.shape == lumas.shape and not many[0, 1].any()
    for frame in (lumas[-1, 0], lumas[0, 0]):
        alone, fine = frames.band_pass(frame), frame.astype(np.float64)
        oracle = gaussian_filter(fine, 0.8, mode="mirror") - gaussian_filter(fine, 4.0, mode="mirror")
        oracle = (oracle - oracle.mean()) / oracle.std()
        assert np.abs(alone - oracle).max() < 0.05 and abs(float(alone.std()) - 1) < 1e-4
    assert np.allclose(many[-1, 0], frames.band_pass(lumas[-1, 0]), atol=1e-4)


def test_the_mirror_window_is_the_mirror_image() -> None:
    luma = np.random.default_rng(2).integers(0, 256, (64, 64), np.uint8)
    frame, window = frames.WINDOWS[frames.MIRRORED]
    assert frame == TRIMMED and np.array_equal(probe.warped(luma, window), luma[:, ::-1])
