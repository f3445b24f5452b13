"""A run that colours loudly though it has learned nothing, drawn prints, and what lies in a coloured PNG."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from training import narrow
from workspace import run_here

from gravurekit import color, images, metadata, swatches
from gravurekit.model.checkpoint import save_model
from gravurekit.model.network import NetworkConfig, build
from gravurekit.shards import palette
from gravurekit.storage import write_bytes, write_json

TOLD = {"palette": True, "hints": True, "lightness": True}
CLASSES = ("kaftan", "hat")
FAMILIES = ("red", "teal", "gold", "violet", "olive", "navy")


def write_run(run: Path, seed: int = 3, whole: bool = False, **options: bool) -> Path:
    """A run's folder: a narrow network with large weights where colours come from, and palettes. `options`: of its
    config, TOLD if there are none; `whole`: as wide as any, for processes that know of no other."""
    config = NetworkConfig(CLASSES, "average", 32, L_mean=0.5, **options or TOLD)
    with nullcontext() if whole else narrow():
        network = build(config, seed)
    with torch.no_grad():
        network.colorization[-1].weight *= 30
        network.colorization[-1].bias[:2] = torch.tensor([0.2, 0.1])
        if config.palette:
            network.fusion.W_palette.weight *= 4
    save_model(run / "model.safetensors", network.eval(), {"size": [48, 64]})
    write_palettes(run)
    return run


def write_palettes(run: Path, families: tuple[str, ...] = FAMILIES) -> None:
    """What the run keeps for --as: a label and a keyword whose pictures had these colours."""
    some = [swatches.histogram(swatches.colours(name)) for name in families]
    of = {"samples": len(some), "ab": palette.to_text(sum(some)), "some": [palette.to_text(one) for one in some]}
    words = {"labels": {"kaftan": of}, "keywords": {"red dress": of | {"some": of["some"][:2]}}}
    write_json(run / "palettes.json", {"format": 1, "samples": len(some), **words})


def engraved(
    seed: int = 0, height: int = 120, width: int = 90, paper: tuple[int, int, int] = (250, 248, 244)
) -> np.ndarray:
    """(height, width, 3) uint8: a figure of hatching in an outline, on toned paper."""
    pixels = np.full((height, width, 3), paper, np.uint8)
    rng = np.random.default_rng(seed)
    top, left = height // 8 + int(rng.integers(3)), width // 8 + int(rng.integers(3))
    pixels[top:-top, left:-left][:: 3 + seed % 3] //= 3
    for rows, columns in ((slice(top, top + 2), slice(left, -left)), (slice(-top - 2, -top), slice(left, -left))):
        pixels[rows, columns] = 20
    for columns in (slice(left, left + 2), slice(-left - 2, -left)):
        pixels[top:-top, columns] = 20
    return pixels


def put(path: Path, pixels: np.ndarray) -> Path:
    """Write a PNG."""
    write_bytes(path, images.encode_png(pixels))
    return path


def put_prints(folder: Path, count: int = 3) -> list[str]:
    """`count` prints, 0.png, 1.png and so on; their paths as they are typed, from the folder above."""
    return [str(put(folder / f"{n}.png", engraved(n)).relative_to(folder.parent)) for n in range(count)]


def pixels_of(path: Path) -> np.ndarray:
    return images.read(path).pixels


def ab_of(path: Path) -> np.ndarray:
    """(2,) mean a and b."""
    return np.asarray(color.rgb_to_lab(pixels_of(path))[..., 1:].mean((0, 1)))


def texts_of(path: Path) -> dict[str, str]:
    """The texts in a PNG."""
    with Image.open(path) as image:
        image.load()
        return {str(name): str(text) for name, text in image.text.items()}  # type: ignore[attr-defined]


def said_of(path: Path) -> dict[str, Any]:
    """What a coloured PNG tells of how it came to be."""
    return dict(json.loads(texts_of(path)["gravurekit"]))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The pictures in a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def lines_of(folder: Path) -> dict[str, Any]:
    """The Records of a coloured folder, by file name."""
    return {item.file_name: item for item in metadata.read_lines(folder / metadata.METADATA)}


def coloured(*words: str) -> dict[str, Any]:
    """`gravurekit colorize`, which has to succeed; its summary."""
    result = run_here("colorize", *words, "--json", "--quiet")
    assert result.exit_code == 0, f"{result.output} {result.exception}"
    return dict(json.loads(result.stdout))


def refused(code: int, *words: str) -> str:
    """`gravurekit colorize`, which has to end with that code; what it says."""
    result = run_here("colorize", *words, "--quiet")
    assert result.exit_code == code, f"{result.exit_code} {result.output} {result.exception}"
    return f"{result.exception} {result.output}"
