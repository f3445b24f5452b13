"""How light real prints are, and what the networks learn from: mean L of the ink on white paper, inside of the plate.

python experiments/does_engraving_help/tones.py DATA [--work DIR] [--each N]
"""

import argparse
from pathlib import Path

import numpy as np
from material import Material, say
from panels import evenly

from gravurekit import color, images
from gravurekit.paper import apart

LONG = 700  # px


def lightness(path: Path) -> float:
    """Mean L of a picture, 0..100."""
    pixels = images.fit_long_side(images.read(path).pixels, LONG)
    return float(color.rgb_to_lab(pixels)[..., 0].mean())


def of_print(path: Path) -> float:
    """Mean L of a print's ink, its paper taken for white, where the print is."""
    taken = apart(images.fit_long_side(images.read(path).pixels, LONG))
    inside = taken.plate > 0.5
    return float(taken.lightness[inside].mean()) if inside.any() else 100.0


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/does-engraving-help"))
    parser.add_argument("--each", type=int, default=40)
    asked = parser.parse_args()
    material = Material(asked.data.resolve(), asked.work.resolve())
    photographs = sorted(path for path in (material.clean / "images").rglob("*") if path.is_file())
    engrave, etching = (sorted((material.drawn(name) / "plain").iterdir()) for name in ("engrave", "etching"))
    for name, files, measure in (
        ("photographs", photographs, lightness),
        ("etching, all of the picture", etching, lightness),
        ("engrave", engrave, of_print),
    ):
        say(f"{name:36} {np.mean([measure(path) for path in evenly(files, 3 * asked.each)]):.1f}")
    for book in sorted(path for path in (asked.data / "prints").iterdir() if path.is_dir()):
        files = sorted(path for path in book.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
        say(f"{book.name:36} {np.mean([of_print(path) for path in evenly(files, asked.each)]):.1f}")


if __name__ == "__main__":
    main()
