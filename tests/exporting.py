"""What tests of the exports share: a small chain of known origin, and what is in a tar."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from workspace import run_here

from gravurekit import images
from gravurekit.metadata import METADATA, file_sha256, write_lines
from gravurekit.record import Record
from gravurekit.storage import write_bytes

CAMERA, PLACE = "a camera of mine", b"GPS, very private"
FORMATS = ("webdataset", "parquet", "imagefolder")
PLAIN = ("webdataset", "imagefolder")  # these need no further package
FOLDERS = ("raw", "clean", "styled", "shards")
LABELS = (("kaftan",), ("salvar", "dress"), ())
QUICK = ("--quiet", "--executor", "serial")


def photograph(n: int) -> np.ndarray:
    """Coloured squares of rough cloth, (144, 108, 3) uint8; each `n` other ones."""
    rng = np.random.default_rng(n)
    squares = np.kron(rng.integers(0, 255, (12, 9, 3), np.uint8), np.ones((12, 12, 1), np.uint8))
    return np.clip(squares + rng.integers(-12, 13, squares.shape[:2])[..., None], 0, 255).astype(np.uint8)


def private_jpeg(n: int) -> bytes:
    """A photograph that lies on its side, and tells of a camera and a place."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = CAMERA, 6
    exif.get_ifd(0x8825)[29] = PLACE.decode()
    buffer = io.BytesIO()
    Image.fromarray(photograph(n)).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def fill(root: Path, count: int) -> None:
    """A folder of photographs with Records, the first one with private tags, every third a JPEG without."""
    found = []
    for n in range(count):
        data = private_jpeg(n) if n == 0 else images.encode_png(photograph(n))
        name = f"{n}.{'jpg' if n == 0 else 'png'}"
        if n and n % 3 == 0:
            data, name = images.encode_jpeg(photograph(n)), f"{n}.jpg"
        write_bytes(root / name, data)
        sha256 = file_sha256(root / name)
        found.append(
            Record(
                key=sha256[:16], file_name=name, sha256=sha256, source="museum", title=f"No. {n} “şalvar”",
                creator="Jeanne", license="CC-BY-4.0", labels=LABELS[n % 3], keywords=("red dress",),
                url=f"https://museum.example/{n}.jpg", page_url=f"https://museum.example/{n}",
            )
        )  # fmt: skip
    write_lines(root / METADATA, sorted(found, key=lambda item: item.key))


def chain(place: Path, count: int = 14) -> Path:
    """raw/ (not made by a stage, but with Records), clean/, styled/ with two variants, shards/ with L_photo."""
    fill(place / "raw", count)
    for verb in (
        ("filter", "raw", "clean", "--skip", "too_small"),
        ("stylize", "clean", "styled", "--short-side", "64", "--style", "cartoon", "--variants", "2"),
        ("shard", "styled", "shards", "--size", "32x40", "--photo", "--val-share", "0.3", "--test-share", "0.2"),
    ):
        result = run_here("-C", str(place), *verb, *QUICK)
        assert result.exit_code == 0, result.output
    return place


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def members(folder: Path) -> dict[str, dict[str, bytes]]:
    """Of all tars in a folder, by sample, the members by extension."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for about in tar:
                file = tar.extractfile(about)
                assert file is not None
                name, _, extension = about.name.partition(".")
                assert extension not in found.setdefault(name, {})
                found[name][extension] = file.read()
    return found


def hand_over(*words: str, code: int = 0) -> dict[str, Any]:
    result = run_here("export", *words, *QUICK, "--json")
    assert result.exit_code == code, f"{result.output}{result.exception}"
    return json.loads(result.stdout) if code in (0, 3) else {}
