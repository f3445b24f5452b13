"""The hashes that others offer, each with the distance up to which two pictures count as one: plain imagehash, and
those of imagededup at its default threshold.

imagededup needs torchvision for its CNN, which gravurekit is kept free of. Its hashes don't, but the `__init__` of two
of its packages imports the CNN with them: those two are put in place empty, and hashing.py is imported as it is. It and
what its hashes need lie in a folder of their own (HINT), found through PYTHONPATH.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import imagehash
import numpy as np
from PIL import Image

HINT = """imagededup: not installed, so not measured. To have it here:
    python -m pip install --no-deps --target PEERS imagededup scikit-learn joblib loky cloudpickle threadpoolctl narwhals tqdm
    PYTHONPATH=PEERS python bench/filter.py …"""  # noqa: E501
THRESHOLD = 10  # imagededup's default


@dataclass(frozen=True)
class Peer:
    """`of`: (H, W, 3) uint8 sRGB → its bits, packed, (B,) uint8; `limit`: the distance up to which two are the same."""

    name: str
    limit: int
    of: Callable[[np.ndarray], np.ndarray]


@cache
def hashing() -> ModuleType | None:
    """imagededup.methods.hashing; None if imagededup isn't here."""
    found = importlib.util.find_spec("imagededup")
    if found is None:
        return None
    for room in ("methods", "utils"):  # without their __init__, which imports torchvision
        empty = ModuleType(f"imagededup.{room}")
        empty.__path__ = [str(Path(place) / room) for place in found.submodule_search_locations or ()]
        sys.modules[empty.__name__] = empty
    return importlib.import_module("imagededup.methods.hashing")


@cache
def peers() -> tuple[Peer, ...]:
    """Those that are here."""
    found = [
        Peer("imagehash phash 64", 10, lambda pixels: _bits(imagehash.phash(_grey(pixels)))),
        Peer("imagehash dhash 64", 10, lambda pixels: _bits(imagehash.dhash(_grey(pixels)))),
        Peer("imagehash phash 256", 51, lambda pixels: _bits(imagehash.phash(_grey(pixels), hash_size=16))),
    ]
    if library := hashing():
        for name in ("PHash", "DHash", "AHash", "WHash"):
            found.append(Peer(f"imagededup {name}", THRESHOLD, _packed(getattr(library, name)(verbose=False))))
    return tuple(found)


def _grey(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels).convert("L")  # as imagehash does it itself


def _bits(found: imagehash.ImageHash) -> np.ndarray:
    return np.packbits(found.hash)


def _packed(method: object) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.frombuffer(bytes.fromhex(method.encode_image(image_array=pixels)), np.uint8)  # type: ignore


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(…, B) uint8 packed bits twice → (…,) how many differ."""
    return np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64)


def pairs_within(codes: np.ndarray, limit: int) -> int:
    """Of (N, B) uint8, how many pairs of rows differ in at most `limit` bits."""
    return sum(int((distances(codes[row + 1 :], codes[row]) <= limit).sum()) for row in range(len(codes)))
