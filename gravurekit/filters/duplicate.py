"""Copies of a better picture: the same pixels, or nearly the same after resizing, recompressing, framing.

256-bit perceptual hashes (imagehash's DCT hash) of the whole and of the border-trimmed frame propose, and a
band-passed correlation of small luma frames confirms; a grey hash is blind to colour, so two coloured pictures whose
colours differ are never copies. Clusters form around the best picture, never by chains.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from pydantic import Field

from gravurekit import settings
from gravurekit.filters import Drop
from gravurekit.probe import THUMB_SIDE, Probe, unpack

SUBJECTS = {"photos", "prints"}
COMPARES = True


class Settings(settings.Settings):
    """When two pictures are copies of one another."""

    certain_distance: int = Field(32, ge=0, le=256, description="Hash distance (of 256 bits) that is proof enough.")
    candidate_distance: int = Field(64, ge=0, le=256, description="Hash distance up to which correlation decides.")
    min_correlation: float = Field(0.90, ge=0, le=1, description="Correlation that confirms a candidate.")
    max_color_difference: float = Field(15.0, ge=0, description="Mean a,b distance above which both are kept.")
    monochrome_residual: float = Field(2.5, ge=0, description="Below this chroma residual colours aren't compared.")
    min_spread: float = Field(5.0, ge=0, description="Grey spread below which a hash is noise and isn't compared.")


def drops(probes: Sequence[Probe], settings: Settings) -> Iterator[Drop]:
    """All but the best of each cluster: colour before grey, then most pixels, most bytes, lowest key."""
    ranked = sorted(probes, key=lambda p: (_is_grey(p, settings), -p.width * p.height, -p.bytes, p.key))
    by_pixels: dict[str, Probe] = {}
    unique = []
    for probe in ranked:
        twin = by_pixels.setdefault(probe.pixels_sha256, probe)
        if twin is probe:
            unique.append(probe)
        else:
            yield Drop(probe.key, "the same pixels", twin.key)
    yield from _near(unique, settings)


def _near(ranked: list[Probe], settings: Settings) -> Iterator[Drop]:
    comparable = [probe for probe in ranked if probe.grey_spread >= settings.min_spread]
    hashes = np.array([[_bits(p.phash_whole), _bits(p.phash_trimmed)] for p in comparable], np.uint64)
    leader = np.ones(len(comparable), bool)
    for n in range(1, len(comparable)):
        leaders = np.flatnonzero(leader[:n])
        distances = _distances(hashes[n], hashes[leaders])
        for m in leaders[np.argsort(distances, kind="stable")][: int((distances <= settings.candidate_distance).sum())]:
            distance = int(_distances(hashes[n], hashes[m : m + 1])[0])
            detail = _evidence(comparable[n], comparable[m], distance, settings)
            if detail:
                leader[n] = False
                yield Drop(comparable[n].key, detail, comparable[m].key)
                break


def _bits(hexadecimal: str) -> list[int]:
    return [int(hexadecimal[n : n + 16], 16) for n in range(0, 64, 16)]


def _distances(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """(2, 4) uint64 and (N, 2, 4) uint64 → (N,) the least Hamming distance of the two frames of each, crosswise; but
    not of the two whole ones where both have a margin: any two figures on white pages are alike as pages."""
    differing = np.bitwise_count(many[:, :, None, :] ^ one[None, None, :, :]).sum(axis=-1, dtype=np.int64)
    if (one[0] != one[1]).any():
        differing[(many[:, 0] != many[:, 1]).any(axis=-1), 0, 0] = 256
    return np.asarray(differing.min(axis=(1, 2)))


def _evidence(probe: Probe, other: Probe, distance: int, settings: Settings) -> str:
    """Why the two are copies; empty if they aren't."""
    if not (_is_grey(probe, settings) or _is_grey(other, settings)):
        if _color_difference(probe, other) > settings.max_color_difference:
            return ""
    if distance <= settings.certain_distance:
        return f"hash distance {distance} of 256"
    correlation = _correlation(probe, other)
    if correlation >= settings.min_correlation:
        return f"hash distance {distance} of 256, correlation {correlation:.2f}"
    return ""


def _color_difference(probe: Probe, other: Probe) -> float:
    """The least mean a,b distance over the frames that count; Lab units."""
    frames = [[unpack(ab, 8, 8, 2).astype(np.float32) for ab in (p.ab, p.ab_trimmed)] for p in (probe, other)]
    return min(float(np.hypot(*np.moveaxis(a - b, -1, 0)).mean()) for a, b in _pairs(probe, other, *frames))


def _pairs(
    probe: Probe, other: Probe, ours: list[np.ndarray], theirs: list[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames (whole, trimmed) crosswise, without the two whole ones where both have a margin."""
    pairs = [(a, b) for a in reversed(ours) for b in reversed(theirs)]
    margins = all(p.phash_whole != p.phash_trimmed for p in (probe, other))
    return pairs[:-1] if margins else pairs


def _is_grey(probe: Probe, settings: Settings) -> bool:
    return probe.chroma_residual < settings.monochrome_residual


def _correlation(probe: Probe, other: Probe) -> float:
    """The best normalised correlation of band-passed luma over the frames that count; -1..1."""
    frames = [[_band_pass(p.luma), _band_pass(p.luma_trimmed)] for p in (probe, other)]
    return max(float((a * b).mean()) for a, b in _pairs(probe, other, *frames))


def _band_pass(thumb: str) -> np.ndarray:
    luma = unpack(thumb, THUMB_SIDE, THUMB_SIDE).astype(np.float32)
    band = cv2.GaussianBlur(luma, (0, 0), 0.8) - cv2.GaussianBlur(luma, (0, 0), 4.0)
    band -= band.mean()
    return band / max(float(band.std()), 1e-6)
