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

# Bits, of 256. The filter is certain up to 32, but it has the thumbs beside the codes: it sees there whether a patch or
# the colours differ, and tombstones must hold no picture, however small. At 16 no two of 1,500 photographs of garments
# are taken for one another, and what was only saved or reduced again is still found.
CERTAIN = 16
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
        codes = figures["codes"]
        if (codes[probe.WHOLE] == codes[probe.TRIMMED]).all():  # two white pages have like codes, whatever is on them
            yield _kind(), codes[probe.WHOLE].tobytes().hex()


def known_again(probes: "Probes", tombstones: Tombstones) -> "np.ndarray":
    """(N,) bool: which of the pictures have the pixels or the perceptual hash of one that was forgotten, or a code
    within CERTAIN bits. Colours don't count: a picture that was coloured otherwise is still that picture."""
    import numpy as np

    from gravurekit import hamming
    from gravurekit.probe import TRIMMED, WHOLE

    figures = probes.figures
    pixels = [digest.tobytes().hex() for digest in np.ascontiguousarray(figures["pixels_sha256"])]
    looks = [f"{value:016x}" for value in figures["phash"][:, 0].tolist()]
    alike = np.isin(looks, sorted(tombstones.of("phash")))
    codes = b"".join(bytes.fromhex(code) for code in sorted(tombstones.of(_kind())))
    targets = np.frombuffer(codes, np.uint64).reshape(-1, 4)
    for frame in (WHOLE, TRIMMED):
        near = hamming.near(np.ascontiguousarray(figures["codes"][:, frame]), targets, CERTAIN)
        alike[near.query] = True
    equal = np.isin(pixels, sorted(tombstones.of("pixels_sha256")))
    return np.asarray(equal | (alike & (figures["spread"] >= MIN_SPREAD)))


def _kind() -> str:
    from gravurekit import probe

    return f"code-{probe.REVISION}"
