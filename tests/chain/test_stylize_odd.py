"""Whatever comes in, stylize gives a picture or a reason: no crash, no black sheet, no memory without bound."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import BAD, GOOD
from PIL import Image

from gravurekit import crafts, folder, images, metadata
from gravurekit.executor import Serial
from gravurekit.progress import SILENT
from gravurekit.stages import stylize
from gravurekit.storage import write_bytes

DRAWING = [name for name in crafts.names("styles") if hasattr(crafts.load("styles", name), "draw")]


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str = "") -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind)
    return buffer.getvalue()


def flat(*colour: int) -> np.ndarray:
    return np.full((90, 70, 3), colour, np.uint8)


def stripes(period: float, across: bool = False) -> np.ndarray:
    wave = np.where(np.sin(np.arange(120) * 2 * np.pi / period) > 0, 220, 40).astype(np.uint8)
    field = np.repeat(wave[None, :], 120, axis=0)
    return np.repeat((field.T if across else field)[..., None], 3, axis=2)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3), np.uint8)


ODD = {
    "one pixel": encoded(noise(1, 1)),
    "two pixels": encoded(noise(1, 2)),
    "64 x 64": encoded(noise(64, 64)),
    "very high": encoded(noise(2000, 1)),
    "very wide": encoded(noise(3, 1500)),
    "noise": encoded(noise(120, 90)),
    "white": encoded(flat(255, 255, 255)),
    "black": encoded(flat(0, 0, 0)),
    "grey": encoded(flat(127, 127, 127)),
    "pure blue": encoded(flat(0, 0, 255)),
    "narrow stripes": encoded(stripes(3)),
    "stripes": encoded(stripes(9, across=True)),
    "plaid": encoded(np.minimum(stripes(16), stripes(16, across=True))),
    "grey scale": encoded(noise(90, 80), mode="L"),
    "grey with alpha": encoded(noise(90, 80), mode="LA"),
    "all transparent": encoded(np.dstack([noise(90, 80), np.zeros((90, 80), np.uint8)])),
    "16 bits": encoded(np.linspace(0, 65535, 9000).astype(np.uint16).reshape(90, 100)),
    "cmyk": encoded(noise(90, 80), "JPEG", "CMYK"),
    **{name: make() for name, (make, _, _) in GOOD.items() if len(name) < 100},
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them, and files that are no pictures, in one folder."""
    root = tmp_path_factory.mktemp("odd")
    for name, data in ODD.items():
        write_bytes(root / f"{Path(name).stem}.png", data)
    for name, (make, _) in BAD.items():
        write_bytes(root / f"bad-{Path(name).stem}.png", make())
    return root


@pytest.mark.parametrize("style", DRAWING)
def test_what_is_odd_becomes_a_picture_or_a_reason(style: str, odd: Path, tmp_path: Path) -> None:
    settings = stylize.Settings(style=style, short_side=64, max_long_side=400)
    done = stylize.run(stylize.Job(odd, tmp_path / "out", settings, {}), Serial(), SILENT)
    assert done.came == len(folder.read(odd)) and done.kept + sum(done.dropped.values()) == done.came
    names = {item.url.removeprefix("folder:").removesuffix(".png"): item for item in folder.read(tmp_path / "out")}
    assert {Path(name).stem for name in ODD} <= names.keys()
    assert {name for name in names if name.startswith("bad-")} <= {"bad-too-big"}  # too big for a crawl alone
    assert all(item.reason and item.detail for item in metadata.read_lines(tmp_path / "out" / metadata.DROPPED))
    for name, item in names.items():
        assert max(item.width, item.height) <= 400, name
        for file in metadata.files_of(item):
            pixels = images.read(tmp_path / "out" / file).pixels
            assert pixels.shape[:2] == (item.height, item.width), name
            assert pixels.mean() > 8 or name == "black", f"{name}: {file} is black"


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (3, 5000)])
def test_a_thread_of_a_picture_is_drawn_or_told(shape: tuple[int, int], tmp_path: Path) -> None:
    """Also where its drawing, many times larger, would be longer than what filters take."""
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    write_bytes(tmp_path / "in" / "thread.png", images.encode_png(noise))
    settings = stylize.Settings(short_side=64, max_long_side=16384)
    done = stylize.run(stylize.Job(tmp_path / "in", tmp_path / "out", settings, {}), Serial(), SILENT)
    assert done.kept + sum(done.dropped.values()) == 1


BIG = """
import resource, sys
from pathlib import Path
from gravurekit.executor import Serial
from gravurekit.progress import SILENT
from gravurekit.stages import stylize
root, out, status = Path(sys.argv[1]), Path(sys.argv[2]), Path("/proc/self/status")
done = stylize.run(stylize.Job(root, out, stylize.Settings(), {}), Serial(), SILENT)
if status.exists():  # Linux hands ru_maxrss down from the parent
    peak = next(int(line.split()[1]) >> 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20
sys.stdout.write(f"{done.kept} {peak}")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "limit"), [("JPEG", 300), ("PNG", 750)])
def test_a_scan_of_108_megapixels_is_drawn_in_bounded_memory(kind: str, limit: int, tmp_path: Path) -> None:
    """`limit`: MB of the whole process. Its pixels are 324 MB; a JPEG is reduced while it is decoded, Pillow holds
    whatever else at 4 bytes a pixel."""
    ramp = np.broadcast_to(np.linspace(40, 250, 12000).astype(np.uint8)[None, :, None], (9000, 12000, 3))
    (tmp_path / "in").mkdir()
    with open(tmp_path / "in" / f"scan.{kind.lower()}", "wb") as file:
        Image.fromarray(ramp).save(file, kind, **({"compress_level": 1} if kind == "PNG" else {}))
    words = [sys.executable, "-c", BIG, str(tmp_path / "in"), str(tmp_path / "out")]
    kept, peak = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert (kept, folder.read(tmp_path / "out")[0].height) == ("1", 512) and int(peak) < limit
