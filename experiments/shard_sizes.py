"""When does a portrait size of the shards pay? Of each size, how much of a tensor is picture, and how much padding.

    python experiments/shard_sizes.py FOLDER …

Each FOLDER holds pictures, also in folders below it; nothing but their sizes is read. `shard` keeps the whole figure:
it fits the picture into the tensor, and pads the rest. Training costs what the tensor has pixels, padding or not. So
beside the share that is picture stands what is left of it at equal cost: the pixels of picture that a tensor of these
proportions would hold if it had as many pixels as one of 224×224.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

SIZES = ((224, 224), (192, 256), (192, 288), (160, 240), (256, 384))  # width, height
AT_COST = 224 * 224
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
TURNED = {5, 6, 7, 8}  # EXIF orientations that exchange width and height


def sizes_in(folder: Path) -> Iterator[tuple[int, int]]:
    """Width and height of each picture, upright."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            try:
                with Image.open(path) as picture:
                    turned = picture.getexif().get(0x0112) in TURNED
                    yield picture.size[::-1] if turned else picture.size
            except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
                sys.stderr.write(f"{path}: {error}\n")


def box(picture: tuple[int, int], tensor: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture that was fitted into a tensor, as `shard --fit pad` does it."""
    scale = min(tensor[0] / picture[0], tensor[1] / picture[1])
    return max(1, round(picture[0] * scale)), max(1, round(picture[1] * scale))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for folder in map(Path, sys.argv[1:]):
        found = list(sizes_in(folder))
        if not found:
            sys.exit(f"{folder}: no pictures")
        ratios = sorted(height / width for width, height in found)
        say(f"{folder.name}: {len(found)} pictures, height/width {ratios[len(ratios) // 2]:.2f} in the middle,")
        say(f"  half of them {ratios[len(ratios) // 4]:.2f} to {ratios[3 * len(ratios) // 4]:.2f}")
        say("  size       pixels  picture  least  picture px  at equal cost  × 224×224")
        square = 0.0
        for size in SIZES:
            area = size[0] * size[1]
            shares = sorted(wide * tall / area for wide, tall in (box(picture, size) for picture in found))
            mean = sum(shares) / len(shares)
            square = square or mean
            say(
                f"  {size[0]}x{size[1]:<5}{area:>8,}{mean:>8.0%} {shares[len(shares) // 20]:>6.0%}{mean * area:>12,.0f}"
                f"{mean * AT_COST:>15,.0f}{mean / square:>11.2f}"
            )
    say("picture: share of the tensor that isn't padding, mean; least: 1 of 20 pictures has less")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
