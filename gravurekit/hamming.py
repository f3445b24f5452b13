"""The exact Hamming join: of 256-bit codes, every pair that differs in at most `radius` bits, none missed.

Brute force, because nothing exact is quicker here: an index by parts of the code (pigeonhole) pays for 64 bits and a
radius of 4, not for 256 bits and 64. So it is a matter of what a pair costs: see `_least_bound`.

A code is four uint64, here looked at as eight uint32 words, which fill a vector register twice as well: a count of bits
never needs more than nine. Numba (0.4 s to import) and torch are imported by the functions that need them.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

BITS = 256
WORDS = 8
CHUNK = 128  # targets that are ruled out together
CHUNKS = 8  # of a tile, 32 KB: they stay in the first cache while all queries of a unit pass
BLOCK = 8192  # queries of one `near` in `pairs`
TARGET_BITS, DISTANCE_BITS = 40, 9  # of a found pair's int64, the rest is its query's: below 2¹⁴, so a unit is smaller
FEW = 1 << 20  # pairs that numpy looks at in a few milliseconds, while numba isn't there, which is quicker once it is
UNIT = 1024  # queries one thread takes at a time, at most


@dataclass(frozen=True)
class Near:
    """Pairs, sorted by (query, distance, target): rows (P,) int64 ≥ 0 both, and (P,) int16, 0..256."""

    query: np.ndarray
    target: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.query)


def near(queries: np.ndarray, targets: np.ndarray, radius: int, threads: int | None = None) -> Near:
    """(Q, 4) uint64 and (T, 4) uint64 codes → all pairs at a distance ≤ `radius`.

    Memory is that of the pairs found, 18 bytes each, and as much again while they are put together. Threads that let go
    of Python's lock, not numba's `prange`: its thread pools differ from system to system, and the one that is
    everywhere ends the process when two threads call it at once. `threads`: None is one a core.
    """
    _check(queries, targets)
    if radius < 0 or not len(queries) or not len(targets):
        return _joined([])
    if len(queries) * len(targets) <= FEW and not _compiled.cache_info().currsize:
        return _few(queries, targets, radius)
    threads = threads or _cores()
    scan, limit = _compiled(), np.uint32(min(radius, BITS))
    asked, among = (np.ascontiguousarray(codes).view(np.uint32) for codes in (queries, targets))
    step = min(UNIT, max(64, -(-len(asked) // (4 * threads))))  # fewer than 64: a tile would be laid out for too few

    def unit(first: int) -> Near:
        found = scan(asked[first : first + step], among, limit)
        found.sort()
        return _unpacked(found, first)

    with ThreadPoolExecutor(threads) as pool:
        return _joined(list(pool.map(unit, range(0, len(asked), step))))


def pairs(codes: np.ndarray, radius: int, threads: int | None = None) -> Near:
    """(N, 4) uint64 → all pairs of rows at a distance ≤ `radius`, as query < target."""
    parts = []
    for first in range(0, len(codes), BLOCK):
        found = near(codes[first : first + BLOCK], codes[first:], radius, threads)
        later = found.target > found.query
        parts.append(Near(found.query[later] + first, found.target[later] + first, found.distance[later]))
    return _joined(parts)


def _few(queries: np.ndarray, targets: np.ndarray, radius: int) -> Near:
    """`near` of so few that numba would take longer to import."""
    distance = np.bitwise_count(queries[:, None] ^ targets[None]).sum(axis=-1, dtype=np.int16)
    query, target = np.nonzero(distance <= radius)
    found = distance[query, target]
    order = np.lexsort((target, found, query))
    return Near(query[order], target[order], found[order])


def near_on_gpu(queries: np.ndarray, targets: np.ndarray, radius: int, device: str = "cuda") -> Near:
    """As `near`, by torch: bits as ±1, whose dot product is 256 − 2 · distance.

    Exact in half precision, which holds every whole number up to 2048; on "cpu" in float32. Takes at most about 1 GB of
    the device besides the pairs found.
    """
    import torch

    _check(queries, targets)
    number = torch.float32 if torch.device(device).type == "cpu" else torch.float16
    shifts = torch.arange(8, device=device, dtype=torch.uint8)
    parts = []

    def signs(codes: np.ndarray) -> torch.Tensor:
        """(N, 4) uint64 → (N, 256), -1 or 1."""
        octets = torch.tensor(np.ascontiguousarray(codes).view(np.uint8), device=device)
        return ((octets[..., None] >> shifts) & 1).flatten(1).to(number) * 2 - 1

    with torch.inference_mode():
        for start in range(0, len(targets), 4 * BLOCK):
            among = signs(targets[start : start + 4 * BLOCK]).T
            for first in range(0, len(queries), BLOCK // 2):
                products = signs(queries[first : first + BLOCK // 2]) @ among
                query, target = torch.nonzero(products >= BITS - 2 * radius, as_tuple=True)
                distance = ((BITS - products[query, target]) / 2).to(torch.int16).cpu().numpy()
                parts.append(Near((query + first).cpu().numpy(), (target + start).cpu().numpy(), distance))
    found = _joined(parts)
    order = np.lexsort((found.target, found.distance, found.query))
    return Near(found.query[order], found.target[order], found.distance[order])


def _check(*sides: np.ndarray) -> None:
    for codes in sides:
        if codes.dtype != np.uint64 or codes.ndim != 2 or codes.shape[1] * 64 != BITS:
            raise ValueError(f"codes are (N, 4) uint64, not {codes.shape} {codes.dtype}")


def _cores() -> int:
    """Those this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _joined(parts: Sequence[Near]) -> Near:
    empty = Near(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int16))
    query, target, distance = (
        np.concatenate([getattr(part, name) for part in (empty, *parts)]) for name in ("query", "target", "distance")
    )
    return Near(query, target, distance)


def _unpacked(found: np.ndarray, first: int) -> Near:
    """What `_scan` found, (P,) int64, whose queries are counted from `first`."""
    query = (found >> (TARGET_BITS + DISTANCE_BITS)) + first
    distance = (found >> TARGET_BITS & (1 << DISTANCE_BITS) - 1).astype(np.int16)
    return Near(query, found & (1 << TARGET_BITS) - 1, distance)


# ---- what numba compiles; all in this file, because its cache looks at no other when it asks what has changed ----


@cache
def _compiled() -> Callable[[np.ndarray, np.ndarray, np.uint32], np.ndarray]:
    """`_scan` as machine code for this processor, from numba's cache if it has it (1 s to compile)."""
    import numba
    import numba.extending
    from numba import types

    from gravurekit.kernels import kernel

    extending: Any = numba.extending
    extending.type_callable(_ones)(lambda context: lambda word: word)
    # numba has no name for LLVM's count of ones, which becomes whatever this processor has, on whole vectors
    extending.lower_builtin(_ones, types.Integer)(lambda context, builder, signature, words: builder.ctpop(words[0]))
    for helper in (_least_bound, _least_distance, _distance, _grown):
        extending.register_jitable(helper)
    # read-only here takes both kinds; C order and the words' width are what the vectors need
    codes = types.Array(types.uint32, 2, "C", readonly=True)
    signature = types.Array(types.int64, 1, "C")(codes, codes, types.uint32)
    return kernel(signature, nogil=True)(_scan)


def _ones(word: np.uint32) -> int:
    """How many bits of the word are set."""
    return int(word).bit_count()


def _scan(queries: np.ndarray, targets: np.ndarray, radius: np.uint32) -> np.ndarray:
    """(Q, 8) uint32 and (T, 8) uint32 → (P,) int64, one a pair: query, distance and target, from the high bits down.

    So that sorting the numbers sorts the pairs. Targets are laid out tile by tile, in a tile chunk by chunk, in a chunk
    word by word, so that a vector holds the same word of several of them. What lies behind the last target is of an
    earlier tile, and not looked at.
    """
    tile = np.zeros((CHUNKS, WORDS, CHUNK), np.uint32)
    found, count = np.empty(1024, np.int64), 0
    for first in range(0, len(targets), CHUNKS * CHUNK):
        width = min(CHUNKS * CHUNK, len(targets) - first)
        for k in range(width):
            for word in range(WORDS):
                tile[k // CHUNK, word, k % CHUNK] = targets[first + k, word]
        for query in range(len(queries)):
            for n in range((width + CHUNK - 1) // CHUNK):
                if _least_bound(queries[query], tile[n]) > radius or _least_distance(queries[query], tile[n]) > radius:
                    continue
                mine, chunk, start = queries[query], tile[n], first + n * CHUNK
                for k in range(min(CHUNK, len(targets) - start)):
                    distance = _distance(mine, chunk, k)
                    if distance <= radius:
                        if count == len(found):
                            found = _grown(found)
                        found[count] = (query << DISTANCE_BITS | np.int64(distance)) << TARGET_BITS | (start + k)
                        count += 1
    return found[:count]


def _least_bound(query: np.ndarray, chunk: np.ndarray) -> np.uint32:
    """The least of the bounds from below of a chunk's distances: (8,) uint32 and (8, CHUNK) uint32 → 0..128.

    Two words' differences are laid over one another before their ones are counted: ones can only be lost, so no pair
    within the radius escapes; half of the counting is saved; and of codes that have nothing in common some 96 remain of
    128, still far above 64. The words are four apart because neighbours, in a hash by frequencies, are alike.
    """
    a, b, c, d, e, f, g, h = query[0], query[1], query[2], query[3], query[4], query[5], query[6], query[7]
    least = np.uint32(BITS)
    for k in range(CHUNK):
        # numba makes uint64 of everything; the narrowing keeps LLVM at 32 bits, twice as many to a vector
        ones = np.uint32(
            _ones(np.uint32((chunk[0, k] ^ a) | (chunk[4, k] ^ e)))
            + _ones(np.uint32((chunk[1, k] ^ b) | (chunk[5, k] ^ f)))
            + _ones(np.uint32((chunk[2, k] ^ c) | (chunk[6, k] ^ g)))
            + _ones(np.uint32((chunk[3, k] ^ d) | (chunk[7, k] ^ h)))
        )
        least = min(least, ones)
    return least


def _least_distance(query: np.ndarray, chunk: np.ndarray) -> np.uint32:
    """The least distance of a chunk: (8,) uint32 and (8, CHUNK) uint32 → 0..256. Twice the work of the bound, but on
    whole vectors: beyond a radius of 72 the bound lets so many chunks through that looking at their codes one by one
    would take most of the time."""
    a, b, c, d, e, f, g, h = query[0], query[1], query[2], query[3], query[4], query[5], query[6], query[7]
    least = np.uint32(BITS)
    for k in range(CHUNK):
        ones = np.uint32(
            _ones(np.uint32(chunk[0, k] ^ a)) + _ones(np.uint32(chunk[1, k] ^ b))
            + _ones(np.uint32(chunk[2, k] ^ c)) + _ones(np.uint32(chunk[3, k] ^ d))
            + _ones(np.uint32(chunk[4, k] ^ e)) + _ones(np.uint32(chunk[5, k] ^ f))
            + _ones(np.uint32(chunk[6, k] ^ g)) + _ones(np.uint32(chunk[7, k] ^ h))
        )  # fmt: skip
        least = min(least, ones)
    return least


def _distance(query: np.ndarray, chunk: np.ndarray, k: int) -> int:
    """Of the query, (8,) uint32, and one target of a chunk, (8, CHUNK) uint32: 0..256."""
    ones = 0
    for word in range(WORDS):
        ones += _ones(np.uint32(query[word] ^ chunk[word, k]))
    return ones


def _grown(found: np.ndarray) -> np.ndarray:
    """The same, with room for twice as many."""
    larger = np.empty(2 * len(found), np.int64)
    for k in range(len(found)):  # a slice would take longer to compile than all else here, for its error messages
        larger[k] = found[k]
    return larger
