"""What `monochrome` finds: of grey, sepia, cyanotype and toned-paper versions of colour photographs, saved as JPEG at
quality 70, and of the colour photographs themselves. Called by bench/filter.py; alone: `python bench/filter_quality.py
DATA`."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from filter_goals import Goal, at_most, least

from gravurekit import crafts, images, probe
from gravurekit.errors import PictureError
from gravurekit.images import Picture

FOLDERS = ("figures", "photos", "irrelevant")
EVERY = 3  # of the photographs, toned versions are made of each so manieth
GREY = 0.5  # mean chroma: below, a picture is grey, whatever its format
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)
Stops = tuple[tuple[int, int, int], ...]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def sepia(grey: np.ndarray, strength: float) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: the customary matrix, mixed with grey."""
    plain = np.repeat(grey[..., None], 3, axis=2)
    return plain * (1 - strength) + np.clip(plain @ SEPIA.T, 0, 255) * strength


def along(grey: np.ndarray, stops: Stops) -> np.ndarray:
    """(H, W) float32 0..255 → (H, W, 3) float32: colours between those of black, … and white."""
    places = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(grey, places, [stop[c] for stop in stops]) for c in range(3)], axis=-1)


VERSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
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


def figures_of(pixels: np.ndarray) -> np.ndarray:
    """() FIGURES of (H, W, 3) uint8 sRGB."""
    figures, _ = probe.measure(Picture(np.ascontiguousarray(pixels), "png", False), "0" * 64, pixels.size)
    return figures


def version(pixels: np.ndarray, name: str) -> np.ndarray:
    """(H, W, 3) uint8 sRGB → the same, toned, through JPEG."""
    toned = VERSIONS[name](cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32))
    data = images.encode_jpeg(np.clip(np.rint(toned), 0, 255).astype(np.uint8), 70, subsampling=2)
    return images.decode(data).pixels


def run(data: Path) -> list[Goal]:
    """Print the shares. `data` holds `figures`, `photos` and `irrelevant`."""
    cut = crafts.settings_of("filters", "filter", "monochrome", {}).min_residual  # type: ignore[attr-defined]
    photographs = []
    for path in sorted(path for name in FOLDERS for path in (data / name).rglob("*") if path.is_file()):
        try:
            photographs.append(images.read(path).pixels)
        except PictureError:
            continue  # a table of labels lies beside the pictures
    known = np.array([figures_of(pixels) for pixels in photographs])
    coloured = known["chroma"] >= GREY
    flagged = known["chroma_residual"] < cut
    say(f"monochrome, at a chroma residual below {cut:g}")
    share = 100 * np.mean(flagged[coloured])
    count = f"{np.sum(flagged & coloured)} of {coloured.sum()}"
    say(f"  {count} colour photographs flagged ({share:.1f} %; goal: 2 % at most)")
    say(f"  {np.sum(flagged & ~coloured)} of {np.sum(~coloured)} that are grey pictures stored as RGB")
    some = [pixels for pixels, colour in zip(photographs, coloured, strict=True) if colour][::EVERY]
    every = []
    for name in VERSIONS:
        residuals = np.array([figures_of(version(pixels, name))["chroma_residual"] for pixels in some])
        every.append(np.mean(residuals < cut))
        high = np.quantile(residuals, 0.99)
        say(f"  {name:18} {100 * every[-1]:5.1f} % of {len(some)} caught; 99 % lie below {high:.2f}")
    say(f"  {'all of these':18} {100 * np.mean(every):5.1f} % caught (goal: 99 % at least)")
    return [
        least("monochrome", "grey, sepia, cyanotype, toned paper caught", float(np.mean(every)), 0.99),
        at_most("monochrome", "colour photographs flagged", float(share), 2, " %"),
    ]


if __name__ == "__main__":
    run(Path(sys.argv[1]))
