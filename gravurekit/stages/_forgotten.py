"""Pictures that were taken out by `gravurekit forget`, known again among others by what tombstones hold of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gravurekit.errors import PictureError
from gravurekit.metadata import file_sha256
from gravurekit.tombstones import Hash, Tombstones

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    import numpy as np

    from gravurekit.probe import Probes

NEAR = 4  # bits of phash, of 64
MIN_SPREAD = 5.0  # grey levels: below, a picture is a blank page, whose hashes are noise


def hashes_of(path: Path) -> Iterator[Hash]:
    """By what a picture's file is known again: its bytes, its pixels, its looks. Nothing if it isn't there, only its
    bytes if it is no picture."""
    from gravurekit import images, probe

    try:
        sha256 = file_sha256(path)
    except OSError:
        return
    yield "sha256", sha256
    try:
        data = images.contents(path)
        figures, _ = probe.measure(images.decode(data), sha256, len(data))
    except PictureError:
        return
    yield "pixels_sha256", figures["pixels_sha256"].tobytes().hex()
    if figures["spread"] >= MIN_SPREAD:
        yield "phash", f"{int(figures['phash'][0]):016x}"


def known_again(probes: "Probes", tombstones: Tombstones) -> "np.ndarray":
    """(N,) bool: which of the pictures have the pixels of one that was forgotten, or are within NEAR bits of its
    perceptual hash.

    The filter itself proves a copy by thumbs, or by opening both pictures, and tombstones must hold neither. So they
    are asked for what was saved or reduced again, and no more: `bench/forget.py` measures how far that reaches, and at
    which distance other pictures come within reach. Colours don't count: coloured otherwise it is still that picture.
    """
    import numpy as np

    figures = probes.figures
    pixels = [digest.tobytes().hex() for digest in np.ascontiguousarray(figures["pixels_sha256"])]
    equal = np.isin(pixels, sorted(tombstones.of("pixels_sha256")))
    alike = np.zeros(len(figures), bool)
    for phash in tombstones.of("phash"):
        alike |= (np.bitwise_count(figures["phash"] ^ np.uint64(int(phash, 16))) <= NEAR).any(axis=-1)
    return np.asarray(equal | (alike & (figures["spread"] >= MIN_SPREAD)))
