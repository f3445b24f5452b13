"""The pictures of README, from a finished demo/: `python experiments/readme_pictures.py demo docs/pictures`."""

import sys
from pathlib import Path

import numpy as np

from gravurekit import folder, images
from gravurekit.storage import write_bytes
from gravurekit.styles import engrave

HEIGHT = 480
GAP = np.full((HEIGHT, 10, 3), 255, np.uint8)


def beside(views: list[np.ndarray]) -> np.ndarray:
    """Pictures at one height beside one another: (HEIGHT, W, 3) uint8 sRGB."""
    row = [images.resize(v, round(v.shape[1] * HEIGHT / v.shape[0]), HEIGHT) for v in views]
    return np.concatenate([part for view in row for part in (view, GAP)][:-1], axis=1)


def layers(demo: Path, url: str) -> np.ndarray:
    """Photograph, ink, wash and print of the picture with this URL, as `engrave` draws it."""
    found = next(item for item in folder.read(demo / "clean") if url in item.url)
    photo = images.fit_short_side(images.read(demo / "clean" / found.file_name).pixels, engrave.DRAWN, 4096)
    drawn = engrave.draw(photo, engrave.Settings(), np.random.default_rng([0, int(found.key, 16), 0]))
    small = drawn.resized(512, photo.shape[0] * 512 // photo.shape[1])
    ink = np.repeat(small.plain[..., None], 3, axis=2)
    return beside([photo, ink, small.wash, small.print])


def panels(demo: Path, labels: tuple[str, ...]) -> np.ndarray:
    """The panels of the prints with these labels, one beside the other."""
    by_label = {item.label: item.key for item in folder.read(demo / "prints")}
    return beside([images.read(demo / "coloured" / f"{by_label[label]}-panel.png").pixels for label in labels])


def main(demo: Path, out: Path) -> None:
    """Write layers.jpg and demo.jpg."""
    write_bytes(out / "layers.jpg", images.encode_jpeg(layers(demo, "/kaftan/002"), 88))
    shown = ("yeniceri kiyafeti", "cubbe", "kaftan")
    write_bytes(out / "demo.jpg", images.encode_jpeg(panels(demo, shown), 85))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
