"""Real uncoloured prints as the arms colour them, to be looked at: a PNG a book, in the work folder.

    python experiments/does_engraving_help/panels.py DATA [--work DIR] [--names photo cartoon engrave] [--seed N]

A row a print: as it is, then by each network of a seed, told nothing; then told the palette PALETTE.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from material import say
from runs import RESULTS, of_model

from gravurekit import Colorizer, Look, Steer, images, storage
from gravurekit.colorizer import palette

PALETTE = "crimson, navy, ochre"
CELL = 300  # px


def cell(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → (CELL, CELL, 3), fitted onto white."""
    height, width = pixels.shape[:2]
    scale = CELL / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    canvas = np.full((CELL, CELL, 3), 255, np.uint8)
    top, left = (CELL - tall) // 2, (CELL - wide) // 2
    canvas[top : top + tall, left : left + wide] = images.resize(pixels, wide, tall)
    return canvas


def evenly(files: list[Path], count: int) -> list[Path]:
    """So many of them, from the first to the last."""
    count = min(count, len(files))
    return [files[n * len(files) // count] for n in range(count)]


def row(file: Path, networks: list[Colorizer]) -> np.ndarray:
    """A print, and what came of it."""
    pixels = images.read(file).pixels
    steers = [Steer(), Steer(palette(PALETTE))]
    done = [network.colour(pixels, Look(), steer).pixels for steer in steers for network in networks]
    return np.concatenate([cell(view) for view in (pixels, *done)], axis=1)


def networks(work: Path, names: list[str], seed: int, results: Path) -> Iterator[Colorizer]:
    """Those that the results tell of. Ends the program if one isn't here: of results that are there nothing is
    trained."""
    for name in names:
        told = [json.loads(path.read_bytes()) for path in results.glob("*.json")]
        wanted = [one["model"] for one in told if (one["name"], one["seed"]) == (name, seed)]
        found = of_model(wanted[0], work) if wanted else None
        if found is None:
            raise SystemExit(
                f"no network {name!r} of seed {seed} in {work}: with another --results it is trained again"
            )
        yield Colorizer.load(found)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/does-engraving-help"))
    parser.add_argument("--names", nargs="+", default=["photo", "cartoon", "engrave"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=5, help="prints of a book")
    asked = parser.parse_args()
    loaded = list(networks(asked.work, asked.names, asked.seed, asked.results))
    for book in sorted(path for path in (asked.data / "prints").iterdir() if path.is_dir()):
        files = sorted(path for path in book.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
        rows = [row(file, loaded) for file in evenly(files, asked.each)]
        out = asked.work / "panels" / f"{book.name}-{asked.seed}.png"
        storage.make_folder(out.parent)
        storage.write_bytes(out, images.encode_png(np.concatenate(rows)))
        say(f"{out}: told nothing by {', '.join(asked.names)}; then told {PALETTE}")


if __name__ == "__main__":
    main()
