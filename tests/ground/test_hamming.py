"""The Hamming join against numpy's own count of bits and scipy's distances, over all radii and sizes of odd kinds."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from gravurekit import hamming
from gravurekit.hamming import CHUNK, CHUNKS, Near, near, near_on_gpu, pairs

TILE = CHUNK * CHUNKS
ALL = 2**64 - 1


def random_codes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64)


def flipped(code: np.ndarray, bits: int, seed: int = 0) -> np.ndarray:
    """The code with that many of its bits turned over."""
    octets = np.zeros(256, np.uint8)
    octets[np.random.default_rng(seed).permutation(256)[:bits]] = 1
    return code ^ np.packbits(octets).view(np.uint64)


def rows(found: Near) -> list[tuple[int, int, int]]:
    """(query, distance, target), as they come."""
    return list(zip(found.query.tolist(), found.distance.tolist(), found.target.tolist(), strict=True))


def by_numpy(queries: np.ndarray, targets: np.ndarray, radius: int) -> list[tuple[int, int, int]]:
    distances = np.bitwise_count(queries[:, None] ^ targets[None]).sum(-1, dtype=np.int64)
    return sorted((int(q), int(distances[q, t]), int(t)) for q, t in np.argwhere(distances <= radius))


def by_scipy(queries: np.ndarray, targets: np.ndarray, radius: int) -> list[tuple[int, int, int]]:
    bits = [np.unpackbits(np.ascontiguousarray(side).view(np.uint8), axis=1) for side in (queries, targets)]
    distances = np.rint(cdist(*bits, "hamming") * 256).astype(int)
    return sorted((int(q), int(distances[q, t]), int(t)) for q, t in np.argwhere(distances <= radius))


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few codes, too, are joined by what joins many."""
    monkeypatch.setattr(hamming, "FEW", 0)


@pytest.mark.parametrize("radius", [0, 31, 64, 110, 128, 255, 256])
def test_few_codes_are_joined_as_many_are(radius: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, targets = random_codes(70), random_codes(150, 1)
    targets[::7] = [flipped(queries[n % 70], n % 257, n) for n in range(0, 150, 7)]
    many = near(queries, targets, radius)
    monkeypatch.setattr(hamming, "FEW", len(queries) * len(targets))

    @cache
    def unwanted() -> None:
        raise AssertionError("numba was called for a few")

    monkeypatch.setattr(hamming, "_compiled", unwanted)
    few = near(queries, targets, radius)
    assert rows(few) == rows(many)
    assert [column.dtype for column in vars(few).values()] == [column.dtype for column in vars(many).values()]


@pytest.mark.parametrize("radius", [0, 31, 64, 110, 128, 255, 256])
def test_others_find_the_same_pairs(radius: int) -> None:
    queries, targets = random_codes(70), random_codes(150, 1)
    targets[::7] = [flipped(queries[n % 70], n % 257, n) for n in range(0, 150, 7)]
    found = rows(near(queries, targets, radius))
    assert found == by_numpy(queries, targets, radius) == by_scipy(queries, targets, radius)
    assert found == rows(near_on_gpu(queries, targets, radius, "cpu"))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 256), st.integers(1, 40), st.integers(1, 300), st.integers(0, 2**32 - 1),
    st.sampled_from([ALL, 0xFF, 0x8000000000000001, 0]),
)  # fmt: skip
def test_what_lies_at_the_radius_is_found_and_one_bit_further_is_not(
    radius: int, queries: int, targets: int, seed: int, mask: int
) -> None:
    """Planted among random codes, and among codes of few bits, most of which are near one another or equal."""
    asked, among = random_codes(queries, seed) & np.uint64(mask), random_codes(targets, seed + 1) & np.uint64(mask)
    query, target = seed % queries, seed % targets
    among[target] = flipped(asked[query], radius, seed)
    found = rows(near(asked, among, radius))
    assert (query, radius, target) in found and found == by_numpy(asked, among, radius)
    assert found == rows(near_on_gpu(asked, among, radius, "cpu"))
    if radius < 256:
        among[target] = flipped(asked[query], radius + 1, seed)
        assert (query, target) not in {(q, t) for q, _, t in rows(near(asked, among, radius))}


@pytest.mark.parametrize("targets", [1, CHUNK - 1, CHUNK, CHUNK + 1, TILE - 1, TILE, TILE + 1, 2 * TILE + CHUNK + 1])
def test_nothing_is_lost_or_twice_where_tiles_meet(targets: int) -> None:
    queries, among = random_codes(3), random_codes(targets, 1)
    places = sorted({0, targets - 1, *(n for n in (CHUNK - 1, CHUNK, TILE - 1, TILE, 2 * TILE) if n < targets)})
    among[places] = [flipped(queries[1], 64, n) for n in places]
    assert rows(near(queries, among, 64)) == [(1, 64, n) for n in places]


@pytest.mark.parametrize("queries", [1, 63, 64, 65, 1023, 1024, 1025, 4 * 1024 + 1])
def test_every_query_keeps_its_row(queries: int) -> None:
    asked = random_codes(queries)
    found = near(asked, asked[::-1], 64)
    assert np.array_equal(found.query, np.arange(queries)) and np.array_equal(found.target, found.query[::-1])


def test_every_word_counts() -> None:
    """256 codes of one bit each: two apart from one another, one from nothing."""
    ones = np.packbits(np.eye(256, dtype=np.uint8), axis=1).view(np.uint64)
    assert np.array_equal(near(np.zeros((1, 4), np.uint64), ones, 1).target, np.arange(256))
    assert len(near(ones, ones, 1)) == 256 and len(near(ones, ones, 2)) == 256**2


@pytest.mark.parametrize("how", [near, lambda *given: near_on_gpu(*given, "cpu")])
@pytest.mark.parametrize(("queries", "targets", "radius"), [(0, 0, 64), (0, 5, 64), (5, 0, 64), (5, 5, -1)])
def test_nothing_is_near_to_nothing(how: Callable[..., Near], queries: int, targets: int, radius: int) -> None:
    found = how(random_codes(queries), random_codes(targets), radius)
    assert len(found) == 0
    assert [a.dtype for a in (found.query, found.target, found.distance)] == [np.int64, np.int64, np.int16]


def test_a_hundred_thousand_equal_codes_take_the_room_of_the_pairs() -> None:
    """numpy's room; numba's own, which isn't counted here, is at most twice the 8 bytes a pair that it hands over."""
    equal = np.repeat(random_codes(1), 100_000, axis=0)
    hamming._compiled()
    tracemalloc.start()
    found, back = near(equal[:1], equal, 64), near(equal, equal[:1], 64)
    room = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found.target, np.arange(100_000)) and not found.query.any() and not found.distance.any()
    assert np.array_equal(back.query, np.arange(100_000)) and not back.target.any()
    assert room < 20e6


def test_pairs_are_all_of_one_set_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "BLOCK", 100)
    codes = random_codes(350)
    for n in range(0, 350, 9):
        codes[n] = flipped(codes[n * 31 % 350], n % 80, n)
    expected = [(q, d, t) for q, d, t in by_numpy(codes, codes, 64) if q < t]
    assert len(expected) > 20 and rows(pairs(codes, 64)) == expected
    assert len(pairs(codes[:0], 64)) == len(pairs(codes[:1], 64)) == 0


def test_how_many_threads_there_are_changes_nothing() -> None:
    codes = random_codes(3000)
    codes[1::3] = codes[::3] ^ np.uint64(0b1011)
    alone = rows(near(codes, codes, 100, threads=1))
    assert len(alone) > 5000
    for threads in (2, 3, 8):
        assert rows(near(codes, codes, 100, threads)) == alone


def test_codes_may_lie_anyhow_in_memory_and_be_read_only() -> None:
    wide = random_codes(500).reshape(250, 8)
    strided, swapped = wide[::-2, 2:6], np.asfortranarray(wide[:, :4])
    strided.flags.writeable = swapped.flags.writeable = False
    assert rows(near(strided, swapped, 110)) == by_numpy(strided, swapped, 110)
    assert rows(near_on_gpu(strided, swapped, 110, "cpu")) == by_numpy(strided, swapped, 110)


@pytest.mark.parametrize("wrong", [np.zeros((3, 4), np.int64), np.zeros((3, 8), np.uint64), np.zeros(4, np.uint64)])
def test_other_arrays_are_no_codes(wrong: np.ndarray) -> None:
    for queries, targets in ((wrong, random_codes(1)), (random_codes(1), wrong)):
        with pytest.raises(ValueError, match="codes are"):
            near(queries, targets, 64)


@pytest.mark.slow
def test_without_a_place_for_its_cache_it_compiles_anew(tmp_path: Path) -> None:
    """Package and home both where nothing can be written, also by root: below a file."""
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "below"
    code = f"""
import sys, types
import numpy as np
module = types.ModuleType("elsewhere")
sys.modules["elsewhere"] = module
exec(compile(open({hamming.__file__!r}).read(), {str(nowhere / "hamming.py")!r}, "exec"), module.__dict__)
assert "numba" not in sys.modules and "torch" not in sys.modules
module.FEW = 0
found = module.near(np.zeros((2, 4), np.uint64), np.array([[0, 0, 7, 0]], np.uint64), 3)
assert found.distance.tolist() == [3, 3]
assert module._compiled().stats.cache_path is None
"""
    places = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    subprocess.run([sys.executable, "-c", code], env=os.environ | dict.fromkeys(places, str(nowhere)), check=True)
