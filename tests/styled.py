"""Small folders of drawings, and of the photographs that they were drawn of, made by hand."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit import folder, images, metadata
from gravurekit.progress import SILENT
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.storage import write_bytes

SIZE = (40, 60)  # width, height


def key_of(number: int) -> str:
    """The key of picture `number`."""
    return f"{number:016x}"


def pixels(seed: int, width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    """(H, W, 3) uint8: coloured noise, smooth enough to be reduced."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    return np.kron(coarse, np.ones((4, 4, 1), np.uint8))[:height, :width]


def plain(seed: int) -> np.ndarray:
    """(H, W, 3) uint8: lines on white."""
    ink = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    ink[seed % 5 :: 5] = 20
    return ink


def put(root: Path, name: str, picture: np.ndarray) -> str:
    """Write a PNG; its sha256."""
    write_bytes(root / name, images.encode_png(picture))
    return metadata.file_sha256(root / name)


def write_styled(
    root: Path, numbers: Iterable[int], source: Path | None = None, variants: int = 1, **facts: Any
) -> list[Record]:
    """A styled folder of the pictures `numbers`. `facts`: of each Record, as functions of its number."""
    made = []
    with folder.opened(root, "stylize", (), SILENT):
        for number in numbers:
            for variant in range(variants):
                key = key_of(number)
                names = {role: f"{role}/{key}-{variant}.png" for role in ("images", "plain", "wash")}
                layers = {"images": pixels(number + 500), "plain": plain(number + variant), "wash": pixels(number)}
                sums = {role: put(root, names[role], layer) for role, layer in layers.items()}
                more = {"labels": (("coat", "dress")[number % 2],), "keywords": (f"word {number % 3}",),
                        "url": f"http://a.example/{number}.jpg", "source": "test", "license": "CC0-1.0"}  # fmt: skip
                more |= {name: value(number) for name, value in facts.items()}
                made.append(
                    Record(
                        key=key,
                        photo_key=key,
                        variant=variant,
                        file_name=names["images"],
                        sha256=sums["images"],
                        plain_file_name=names["plain"],
                        plain_sha256=sums["plain"],
                        wash_file_name=names["wash"],
                        wash_sha256=sums["wash"],
                        width=SIZE[0],
                        height=SIZE[1],
                        **more,
                    )  # fmt: skip
                )
        knobs = {"style": "cartoon", "short_side": 40, "max_long_side": 80, "[cartoon]": {}}
        plan = Plan(stage="stylize", revision=1, settings=knobs, inputs={})
        folder.finish(root, plan, made, [], 0.1, source=source)
    return made


def write_photographs(root: Path, numbers: Iterable[int], copies: Sequence[tuple[int, int]] = ()) -> None:
    """The photographs of the pictures `numbers`, twice as large; `copies`: one that was dropped, in whose favour."""
    with folder.opened(root, "filter", (), SILENT):
        kept = []
        for number in numbers:
            name = f"images/{key_of(number)}.png"
            sha256 = put(root, name, pixels(number + 900, 2 * SIZE[0], 2 * SIZE[1]))
            kept.append(Record(key=key_of(number), file_name=name, sha256=sha256, width=80, height=120))
        dropped = [
            Record(key=key_of(one), reason="duplicate", detail="copy", kept_key=key_of(other)) for one, other in copies
        ]
        folder.finish(root, Plan(stage="filter", revision=1, settings={}, inputs={}), kept, dropped, 0.1)
