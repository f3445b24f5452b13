"""What tombstones know again: how many edited copies of forgotten pictures, and how many other pictures, by radius.

    python bench/forget.py DATA

DATA holds folders of pictures. Of some of them copies are edited as on the web (gravurekit.edits); each is asked for
among the tombstones of all. A false pair is two different files, one of which is known again by the other's tombstone:
real twins in DATA are among them, so look at those that are listed.
"""

import sys
from pathlib import Path

import numpy as np

from gravurekit import edits, images, probe
from gravurekit.errors import PictureError
from gravurekit.foreign import picture_files
from gravurekit.stages._forgotten import MIN_SPREAD

FOLDERS = ("figures", "photos", "prints")
SAMPLE = 100
NAMES = ("jpeg 90", "jpeg 75", "jpeg 50", "jpeg 30", "scale 0.5", "scale 2", "thumbnail 200", "grey", "gamma 1.5",
         "blur 1", "watermark", "border 5% white", "crop 5%")  # fmt: skip
RADII = (0, 2, 4, 6, 8)


def measured(pixels: np.ndarray) -> np.ndarray:
    """() FIGURES of (H, W, 3) uint8 sRGB."""
    return probe.measure(images.Picture(pixels, "jpg", private=False), "00" * 32, 1)[0]


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(A,) and (B,) FIGURES → (A, B, 2) distances of the phashes of `one`, whole and trimmed, from those of `other`,
    whole, which its tombstones hold."""
    return np.bitwise_count(one["phash"][:, None] ^ other["phash"][None, :, :1])


def main(data: Path) -> None:
    """Measure and print."""
    files, figures, made = [], [], []
    for path in [data / folder / name for folder in FOLDERS for name in picture_files(data / folder)]:
        try:
            pixels = images.read(path).pixels
        except PictureError:
            continue
        found = measured(pixels)
        if found["spread"] < MIN_SPREAD:
            continue
        files.append(path)
        figures.append(found)
        if len(files) % 12 == 0 and len(made) < SAMPLE:
            copies = [measured(edits.edited(pixels, name, path.name)) for name in NAMES]
            made.append((len(files) - 1, np.stack(copies)))
    known = np.stack(figures)
    away = distances(known, known)
    framed = (known["codes"][:, probe.WHOLE] != known["codes"][:, probe.TRIMMED]).any(axis=-1)
    out = sys.stdout.write
    out(f"{len(files)} pictures, {framed.mean():.0%} with a margin; of {len(made)} copies were edited\n")
    out(f"{'found, %':24}{'false pairs':>12}" + "".join(f"{name:>16}" for name in NAMES) + "\n")
    for what, frames in (("whole", [0]), ("whole or trimmed", [0, 1])):
        for most in RADII:
            near = (away[:, :, frames] <= most).any(axis=-1)
            shares = np.mean(
                [(distances(copies, known[[row]])[:, 0, frames] <= most).any(axis=-1) for row, copies in made], axis=0
            )
            pairs = len(np.argwhere(np.triu(near | near.T, 1)))
            out(f"{what:18} ≤ {most:<3}{pairs:12}" + "".join(f"{100 * share:16.0f}" for share in shares) + "\n")
    for one, other in np.argwhere(np.triu((away <= RADII[-1]).any(axis=-1), 1))[:40]:
        out(f"  {files[one]}  {files[other]}  {away[one, other].tolist()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
