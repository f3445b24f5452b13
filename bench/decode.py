"""How long the proof of a picture takes, beside what its decoder alone needs: JPEGs of 800 × 600 and about 100 kB.

    python bench/decode.py

- `images.decode`: whole, upright, sRGB, as an array.
- the same by Pillow's own steps: `exif_transpose` and `convert`, which copy also what needn't be turned or converted.
- Pillow's `load` and OpenCV's `imdecode`: decoding, and nothing else.
"""

import io
import multiprocessing
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from crawl_server import base
from PIL import Image, ImageOps

from gravurekit import images

PICTURES = 32
ROUNDS = 5


def load(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def by_steps(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(load(data)).convert("RGB"))


def imdecode(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


CONTESTANTS: dict[str, Callable[[bytes], object]] = {
    "images.decode": images.decode,
    "Pillow, step by step": by_steps,
    "Pillow, load": load,
    "OpenCV, imdecode": imdecode,
}


def milliseconds(name: str) -> float:
    """For a picture, on average; the best of a few rounds."""
    cv2.setNumThreads(1)
    pictures, best = [base(seed) for seed in range(PICTURES)], float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for data in pictures:
            CONTESTANTS[name](data)
        best = min(best, (time.perf_counter() - began) / len(pictures))
    return best * 1000


def main() -> None:
    spawned = multiprocessing.get_context("spawn")
    found = {}
    for name in CONTESTANTS:  # each in a process of its own: what one leaves in the allocator helps the next
        with spawned.Pool(1) as pool:
            found[name] = pool.apply(milliseconds, (name,))
    sys.stdout.write(f"{'':24}{'ms':>8}{'× ours':>8}\n")
    for name, taken in found.items():
        sys.stdout.write(f"{name:24}{taken:8.2f}{taken / found['images.decode']:8.2f}\n")


if __name__ == "__main__":
    main()
