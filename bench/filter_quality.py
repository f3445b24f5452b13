"""What `monochrome` finds: of grey, sepia, cyanotype and toned-paper versions of colour photographs, saved as JPEG at
quality 70; what it flags of the colour photographs themselves, folder by folder, and of drawn garments of one colour
before plain grounds (filter_garments.py). Called by bench/filter.py; alone: `python bench/filter_quality.py DATA`.

Toned versions are made of each third photograph; the constants of gravurekit/toning.py were chosen on versions of other
ones. Those called held out had no part in it but one: bounds and drift were set so that tones like them have room."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from filter_garments import CLOTHS, GROUNDS, garments
from filter_goals import Goal, at_most, least, say

from gravurekit import crafts, images, probe
from gravurekit.errors import PictureError
from gravurekit.images import Picture

FOLDERS = ("figures", "photos", "irrelevant")
EVERY = 3  # of the photographs, toned versions are made of each so manieth
GREY = 0.5  # mean chroma: below, a picture is grey, whatever its format
QUALITY = 70  # of JPEG, its colours at half resolution
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)
Color = tuple[int, int, int]
Tone = Callable[[np.ndarray], np.ndarray]  # (H, W) float32 0..255 → (H, W, 3) float32


def sepia(grey: np.ndarray, strength: float) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: the customary matrix, mixed with grey."""
    plain = np.repeat(grey[..., None], 3, axis=2)
    return plain * (1 - strength) + np.clip(plain @ SEPIA.T, 0, 255) * strength


def along(grey: np.ndarray, stops: tuple[Color, ...]) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: colours between those of black, … and white."""
    places = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(grey, places, [stop[c] for stop in stops]) for c in range(3)], axis=-1)


def bent(grey: np.ndarray, black: Color, white: Color, powers: tuple[float, float, float]) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: from black to white, each channel by a power of its own."""
    shares = (grey[..., None] / 255) ** np.array(powers, np.float32)
    return np.asarray(shares * np.subtract(white, black, dtype=np.float32) + np.array(black, np.float32))


def browned(grey: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: cream paper that turned brown by a share of 0..1."""
    cream, brown = along(grey, ((35, 30, 26), (238, 228, 205))), along(grey, ((40, 32, 24), (226, 208, 168)))
    return cream + share[..., None] * (brown - cream)


def yellowed_edges(grey: np.ndarray) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: paper that browned from its edges."""
    y, x = np.mgrid[-1 : 1 : grey.shape[0] * 1j, -1 : 1 : grey.shape[1] * 1j]
    return browned(grey, np.hypot(x, y).clip(0, 1.4) / 1.4)


def yellowed_spots(grey: np.ndarray) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: paper that browned here and there."""
    spots = np.random.default_rng(grey.size).random((3, 3), np.float32)
    return browned(grey, cv2.resize(spots, grey.shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1))


def scanned(grey: np.ndarray) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: sepia with a scanner's noise."""
    toned = sepia(grey, 0.6)
    return toned + np.random.default_rng(grey.size).normal(0, 4, toned.shape)


VERSIONS: dict[str, Tone] = {
    "grey": lambda grey: np.repeat(grey[..., None], 3, axis=2),
    "sepia, weak": lambda grey: sepia(grey, 0.3),
    "sepia": lambda grey: sepia(grey, 0.6),
    "sepia, strong": lambda grey: sepia(grey, 1.0),
    "cyanotype, weak": lambda grey: along(grey, ((15, 30, 50), (80, 115, 145), (245, 248, 248))),
    "cyanotype": lambda grey: along(grey, ((0, 25, 60), (40, 95, 140), (240, 245, 245))),
    "cyanotype, strong": lambda grey: along(grey, ((0, 20, 80), (20, 90, 170), (235, 245, 255))),
    "cream paper": lambda grey: along(grey, ((30, 25, 20), (240, 225, 190))),
    "brown paper": lambda grey: along(grey, ((60, 40, 30), (215, 190, 140))),
}
HELD_OUT: dict[str, Tone] = {
    "selenium": lambda grey: bent(grey, (25, 15, 26), (248, 243, 242), (0.95, 1.1, 1.0)),
    "gold": lambda grey: bent(grey, (30, 20, 14), (252, 243, 218), (0.85, 0.97, 1.25)),
    "copper": lambda grey: bent(grey, (42, 18, 14), (250, 236, 226), (0.85, 1.15, 1.25)),
    "split": lambda grey: along(grey, ((14, 20, 36), (112, 114, 117), (255, 245, 222))),
    "blueprint": lambda grey: along(grey, ((20, 40, 120), (255, 255, 255))),
    "faded": lambda grey: bent(grey, (88, 66, 50), (236, 220, 188), (0.9, 1.0, 1.1)),
    "yellowed edges": yellowed_edges,
    "yellowed in spots": yellowed_spots,
    "scanned": scanned,
    "sepia, quality 30": lambda grey: sepia(grey, 0.6),
}
QUALITIES = {"sepia, quality 30": 30}


class Photograph(NamedTuple):
    """One of DATA: its folder, (H, W, 3) uint8 sRGB, () FIGURES."""

    folder: str
    pixels: np.ndarray
    figures: np.ndarray


def figures_of(pixels: np.ndarray) -> np.ndarray:
    """() FIGURES of (H, W, 3) uint8 sRGB."""
    figures, _ = probe.measure(Picture(np.ascontiguousarray(pixels), "png", False), "0" * 64, pixels.size)
    return figures


def saved(pixels: np.ndarray, quality: int = QUALITY) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → the same, through JPEG."""
    return images.decode(images.encode_jpeg(pixels, quality, subsampling=2)).pixels


def version(pixels: np.ndarray, name: str) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → the same, toned, through JPEG."""
    toned = (VERSIONS | HELD_OUT)[name](cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32))
    return saved(np.clip(np.rint(toned), 0, 255).astype(np.uint8), QUALITIES.get(name, QUALITY))


def photographs(data: Path) -> list[Photograph]:
    found = []
    for folder in FOLDERS:
        for path in sorted(path for path in (data / folder).rglob("*") if path.is_file()):
            try:
                pixels = images.read(path).pixels
            except PictureError:
                continue  # a table of labels lies beside the pictures
            found.append(Photograph(folder, pixels, figures_of(pixels)))
    return found


def run(data: Path) -> list[Goal]:
    """Print the shares. `data` holds `figures`, `photos` and `irrelevant`."""
    cut = crafts.settings_of("filters", "filter", "monochrome", {}).min_residual  # type: ignore[attr-defined]
    say(f"monochrome, at a chroma residual below {cut:g}")
    known = photographs(data)
    coloured = [one for one in known if one.figures["chroma"] >= GREY]
    grey = [one for one in known if one.figures["chroma"] < GREY]
    flagged = sum(bool(one.figures["chroma_residual"] < cut) for one in grey)
    say(f"  {flagged} of {len(grey)} flagged that are grey pictures stored as RGB")
    goals = [flagged_of(coloured, folder, cut) for folder in FOLDERS]
    goals.append(drawn_flagged(cut))
    some = [one.pixels for one in coloured[::EVERY]]
    caught = caught_of(some, VERSIONS, cut)
    say("  held out:")
    caught_of(some, HELD_OUT, cut)
    return [least("monochrome", "grey, sepia, cyanotype, toned paper caught", caught, 0.99), *goals]


def flagged_of(coloured: list[Photograph], folder: str, cut: float) -> Goal:
    """Colour photographs of a folder that would go."""
    found = np.array([one.figures["chroma_residual"] for one in coloured if one.folder == folder])
    share = 100 * float(np.mean(found < cut))
    say(f"  {np.sum(found < cut):3} of {len(found)} colour photographs flagged in {folder} ({share:.1f} %)")
    return at_most("monochrome", f"colour photographs flagged in {folder}", share, 2, " %")


def caught_of(some: list[np.ndarray], versions: dict[str, Tone], cut: float) -> float:
    """Share of toned versions that would go."""
    every = []
    for name in versions:
        residuals = np.array([figures_of(version(pixels, name))["chroma_residual"] for pixels in some])
        every.append(np.mean(residuals < cut))
        high = np.quantile(residuals, 0.99)
        say(f"  {name:18} {100 * every[-1]:5.1f} % of {len(some)} caught; 99 % lie below {high:.2f}")
    say(f"  {'all of these':18} {100 * np.mean(every):5.1f} % caught")
    return float(np.mean(every))


def drawn_flagged(cut: float) -> Goal:
    """Drawn garments of one colour that would go."""
    drawn = [(one, figures_of(saved(one.pixels))["chroma_residual"]) for one in garments()]
    gone = [one for one, residual in drawn if residual < cut]
    share = 100 * len(gone) / len(drawn)
    say(f"  {len(gone):3} of {len(drawn)} drawn garments of one colour flagged ({share:.1f} %)")
    for cloth in CLOTHS:
        for ground in GROUNDS:
            if hues := [f"{360 * one.hue:.0f}°" for one in gone if (one.cloth, one.ground) == (cloth, ground)]:
                say(f"      {cloth} before {ground}: {', '.join(hues)}")
    return at_most("monochrome", "drawn garments of one colour flagged", share, 2, " %")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
