"""The figures that filters judge by: against other people's hashes, and for pictures of every kind and shape."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gravurekit import images, probe, quality, toning
from gravurekit.color import rgb_to_lab
from gravurekit.images import Picture
from gravurekit.probe import BARLESS, CENTRE, FIGURES, THUMBS, TRIMMED, WHOLE, Probes
from gravurekit.record import Record

Draw = Callable[..., np.ndarray]
ProbeOf = Callable[..., Probes]
NO_FILE = "00" * 32


def measured(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """What the probe says of a file."""
    return probe.measure(images.decode(data), hashlib.sha256(data).hexdigest(), len(data))


def of_pixels(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return probe.measure(Picture(np.ascontiguousarray(pixels), "png", False), NO_FILE, 1)


def grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def framed(pixels: np.ndarray, margins: tuple[int, int, int, int], shade: int = 255) -> np.ndarray:
    """With a flat margin: top, bottom, left, right."""
    return cv2.copyMakeBorder(pixels, *margins, cv2.BORDER_CONSTANT, value=(shade,) * 3)


# ---- colour ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shade", [0, 1, 128, 255])
def test_a_flat_picture_has_no_spread(shade: int) -> None:
    found, _ = of_pixels(np.full((30, 40, 3), (shade, 255 - shade, shade), np.uint8))
    assert found["spread"] == pytest.approx(0, abs=0.1)


def test_colour_is_what_toning_leaves(draw: Draw) -> None:
    small = images.resize(draw(1), 128, 128)
    assert of_pixels(draw(1))[0]["chroma_residual"] == pytest.approx(toning.chroma_residual(small, rgb_to_lab(small)))


def test_chroma_is_the_mean_distance_from_grey(draw: Draw) -> None:
    pixels = draw(4)
    lab = rgb_to_lab(images.resize(pixels, 128, 128))
    found, _ = of_pixels(pixels)
    assert found["chroma"] == pytest.approx(np.sqrt((lab[..., 1:] ** 2).sum(-1)).mean(), rel=1e-4)
    assert of_pixels(grey(pixels))[0]["chroma"] < 0.5


# ---- hashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margins", [(0, 0, 0, 0), (40, 20, 30, 10), (0, 80, 0, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_the_stored_hashes_are_imagehashs(seed: int, margins: tuple[int, int, int, int], draw: Draw) -> None:
    """Of the trimmed frame a thumb is hashed, so a bit or two next to the median may fall the other way."""
    data = images.encode_png(framed(draw(seed, 640, 480), margins))
    found, thumbs = measured(data)
    image = Image.open(io.BytesIO(data))
    left, top, width, height = found["frame"].tolist()
    crop = image.crop((left, top, left + width, top + height))
    whole, trimmed = found["phash"].tolist()
    assert f"{whole:016x}" == str(imagehash.phash(image))
    assert f"{trimmed:016x}" == str(imagehash.phash(Image.fromarray(thumbs["luma"][TRIMMED])))
    assert (trimmed ^ int(str(imagehash.phash(crop)), 16)).bit_count() <= 4


def transformed(luma: np.ndarray) -> np.ndarray:
    """The 16 × 16 lowest DCT coefficients, by scipy."""
    return scipy.fft.dctn(luma.astype(np.float64), norm="ortho")[:16, :16]


@pytest.mark.parametrize("seed", range(8))
def test_a_code_is_the_dct_above_its_median(seed: int, draw: Draw, probe_of: ProbeOf) -> None:
    found = probe_of("a", framed(draw(seed), (30, 20, 10, 40)))
    for frame in (WHOLE, TRIMMED):
        low = transformed(found.thumbs["luma"][0, frame])
        bits = np.unpackbits(np.ascontiguousarray(found.figures["codes"][0, frame]).view(np.uint8)).reshape(16, 16)
        assert np.array_equal(bits.astype(bool), low > np.median(low))


@pytest.mark.parametrize("seed", range(8))
def test_a_code_is_nearly_imagehashs_of_the_thumb(seed: int, draw: Draw, probe_of: ProbeOf) -> None:
    """imagehash's DCT isn't orthonormal: only the first row and column, twice and √2 times as large there, may lie on
    another side of the median, and what lies next to the median."""
    found = probe_of("a", draw(seed))
    theirs = imagehash.phash(Image.fromarray(found.thumbs["luma"][0, WHOLE]), hash_size=16).hash
    ours = np.unpackbits(np.ascontiguousarray(found.figures["codes"][0, WHOLE]).view(np.uint8)).reshape(16, 16)
    assert np.count_nonzero(ours != theirs) <= 4


@pytest.mark.parametrize("seed", [0, 1, 2, 7])  # of which no side is so plain that it is trimmed
def test_two_codes_are_those_of_a_crop_and_of_the_part_above_a_bar(seed: int, draw: Draw, probe_of: ProbeOf) -> None:
    pixels = draw(seed, 300, 300)
    codes = probe_of("a", pixels).figures["codes"][0]
    cropped = probe_of("a", pixels[6:294, 6:294]).figures["codes"][0, WHOLE]
    above = probe_of("a", pixels[:273]).figures["codes"][0, WHOLE]
    assert np.array_equal(codes[WHOLE], codes[TRIMMED])
    for code, near, far in ((codes[CENTRE], cropped, above), (codes[BARLESS], above, cropped)):
        assert np.bitwise_count(code ^ near).sum() < 24 < np.bitwise_count(code ^ far).sum()


# ---- the whole measurement -------------------------------------------------------------------------------


def test_a_probe_tells_size_and_pixels(draw: Draw) -> None:
    pixels = draw(1, 100, 80)
    data = images.encode_png(pixels)
    found, thumbs = measured(data)
    assert (found["width"], found["height"], found["bytes"]) == (80, 100, len(data))
    assert probe.NAMES[found["extension"]] == "png" and not found["private"]
    assert bytes(found["sha256"]) == hashlib.sha256(data).digest()
    assert bytes(found["pixels_sha256"]) == hashlib.sha256(pixels.tobytes() + b"(100, 80, 3)").digest()
    assert bytes(found["pixels_sha256"]) != probe.pixels_digest(pixels.reshape(80, 100, 3))
    assert found.dtype == FIGURES and thumbs.dtype == THUMBS and found.shape == thumbs.shape == ()


def test_pixels_are_known_however_they_lie_in_memory(draw: Draw) -> None:
    pixels = draw(2)
    strided = np.asfortranarray(pixels)
    assert probe.pixels_digest(strided) == probe.pixels_digest(pixels)
    assert probe.pixels_digest(pixels[:, ::-1]) != probe.pixels_digest(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_format_is_told_by_content(kind: str, draw: Draw) -> None:
    buffer = io.BytesIO()
    Image.fromarray(draw(1, 60, 50)).save(buffer, kind)
    assert probe.NAMES[measured(buffer.getvalue())[0]["extension"]] == images.EXTENSIONS[kind]


def test_a_turned_picture_is_measured_upright(draw: Draw) -> None:
    pixels, exif, buffer = draw(5), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    Image.fromarray(np.rot90(pixels)).save(buffer, "PNG", exif=exif)
    (turned, thumbs), (upright, same) = measured(buffer.getvalue()), of_pixels(pixels)
    assert (turned["width"], turned["height"], turned["private"]) == (240, 300, 1)
    for name in ("pixels_sha256", "codes", "phash", "frame"):
        assert np.array_equal(turned[name], upright[name]), name
    assert np.array_equal(thumbs, same)


def test_what_is_transparent_is_measured_as_white(draw: Draw) -> None:
    pixels, buffer = draw(6, 100, 80), io.BytesIO()
    alpha = np.zeros((140, 120), np.uint8)
    alpha[20:120, 20:100] = 255
    hidden = np.random.default_rng(1).integers(0, 255, (140, 120, 3), np.uint8)
    hidden[20:120, 20:100] = pixels
    Image.fromarray(np.dstack([hidden, alpha])).save(buffer, "PNG")
    found, _ = measured(buffer.getvalue())
    assert bytes(found["pixels_sha256"]) == probe.pixels_digest(framed(pixels, (20, 20, 20, 20)))
    assert found["frame"].tolist() == [20, 20, 80, 100]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 500), (1, 4000), (5000, 2)])
@pytest.mark.parametrize("kind", ["noise", "black", "white"])
def test_pictures_of_every_shape_can_be_measured(shape: tuple[int, int], kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    found, _ = of_pixels({"noise": noise, "black": noise * 0, "white": noise * 0 + 255}[kind])
    assert all(np.isfinite(found[name]) for name in ("chroma", "chroma_residual", *quality.FIGURES))
    left, top, width, height = found["frame"].tolist()
    assert width >= 1 and height >= 1 and left + width <= shape[1] and top + height <= shape[0]


def test_a_figure_is_looked_for_when_it_is_asked_for(draw: Draw) -> None:
    picture = Picture(draw(1), "png", False)
    without, with_it = (probe.measure(picture, NO_FILE, 1, asked)[0] for asked in (False, True))
    assert np.isnan(without["figure"]).all() and np.isfinite(with_it["figure"]).all()
    others = [name for name in FIGURES.names if name != "figure"]
    assert all(np.array_equal(without[name], with_it[name]) for name in others)


def test_thumbs_show_both_frames(draw: Draw) -> None:
    pixels = draw(7, 300, 240)
    page = framed(pixels, (0, 300, 0, 240))
    _, thumbs = of_pixels(page)
    _, alone = of_pixels(pixels)
    whole, trimmed = thumbs["luma"].astype(int)
    assert (whole[34:, 34:] == 255).all() and np.abs(whole[:31, :31].mean() - trimmed.mean()) < 3
    assert np.abs(trimmed - alone["luma"][TRIMMED]).mean() < 3
    assert np.abs(thumbs["ab"][TRIMMED].astype(int) - alone["ab"][TRIMMED]).mean() < 3
    assert (np.abs(thumbs["ab"][WHOLE, 10:, 10:].astype(int) - 128) <= 1).all()


# ---- margins ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margins", [(0, 0, 0, 0), (20, 20, 20, 20), (60, 0, 0, 0), (0, 50, 30, 0)])
@pytest.mark.parametrize("shade", [0, 255, 128])
def test_a_flat_margin_is_trimmed_and_the_picture_stays(margins: tuple[int, int, int, int], shade: int) -> None:
    busy = np.random.default_rng(2).integers(0, 255, (100, 120), np.uint8)
    bordered = cv2.copyMakeBorder(busy, *margins, cv2.BORDER_CONSTANT, value=shade)
    assert np.array_equal(bordered[probe.margins(bordered)], busy)


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(0, 350)] * 4), st.sampled_from([0, 255]))
def test_the_frame_is_in_pixels_of_the_picture(margins: tuple[int, int, int, int], shade: int) -> None:
    """Though it is found in a copy of at most 512 pixels: right to two pixels of that one."""
    busy = np.random.default_rng(2).integers(0, 256, (30, 40, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    top, bottom, left, right = margins
    found, _ = of_pixels(framed(busy, margins, shade))
    step = 2 * max(1.0, max(found["width"], found["height"]) / probe.WORK_SIDE)
    frame = found["frame"].astype(int)
    assert np.abs(frame[:2] - [left, top]).max() <= step
    assert np.abs(frame[:2] + frame[2:] - [left + 400, top + 300]).max() <= step


def test_a_flat_picture_is_all_margin_and_stays() -> None:
    flat = np.full((40, 50), 200, np.uint8)
    assert flat[probe.margins(flat)].shape == flat.shape
    flat[20, 25] = 0
    assert flat[probe.margins(flat)].shape == flat.shape


@pytest.mark.parametrize(("wide", "trimmed"), [(390, True), (420, False)])
def test_a_margin_that_takes_more_than_four_fifths_is_none(wide: int, trimmed: bool) -> None:
    busy = np.random.default_rng(2).integers(0, 255, (100, 100), np.uint8)
    page = cv2.copyMakeBorder(busy, 0, wide, 0, 0, cv2.BORDER_CONSTANT, value=255)
    assert (page[probe.margins(page)].shape == busy.shape) == trimmed


# ---- many ------------------------------------------------------------------------------------------------


def some(keys: str, root: Path | None = None, first: int = 0) -> Probes:
    """Probes of a picture for each letter, whose figures and thumbs tell which one it is. Their thumbs lie in one array
    with others before them, and not in order."""
    figures, thumbs = np.zeros(len(keys), FIGURES), np.zeros(26, THUMBS)
    figures["width"] = [ord(key) for key in keys]
    thumbs["luma"] = np.arange(97, 123)[:, None, None, None]
    places = np.array([ord(key) - 97 for key in keys], np.int64)
    records = [Record(key=key, file_name=f"images/{key}.png") for key in keys]
    homes = np.zeros(len(keys), np.int64)
    return Probes(records, figures, thumbs, places, (root,) if root else (), homes if root else homes[:0])


def letters(probes: Probes) -> str:
    """The keys, provided that figures and thumbs are those of their pictures."""
    found = "".join(record.key for record in probes.records)
    assert probes.figures["width"].tolist() == [ord(key) for key in found]
    assert probes.look(np.arange(len(probes)))["luma"][:, 0, 0, 0].tolist() == [ord(key) for key in found]
    assert len(probes) == len(found)
    return found


def test_rows_that_are_taken_stay_together(tmp_path: Path) -> None:
    probes = some("heron", tmp_path)
    assert letters(probes) == "heron"
    assert letters(probes.take(np.array([4, 0, 2]))) == "nhr" and letters(probes.take(np.zeros(0, np.int64))) == ""
    assert letters(some("heron").take(np.array([1, 1]))) == "ee"
    assert probes.take(np.array([4, 0])).path(0) == tmp_path / "images/n.png"
    assert probes.look(np.array([3, 3]))["luma"][:, 1, 5, 5].tolist() == [ord("o")] * 2


def test_those_of_earlier_folders_come_first(tmp_path: Path) -> None:
    old, new = some("crow", tmp_path / "old"), replace(some("heron", tmp_path / "new"), hosts={"h": frozenset("x")})
    both = new.after(old)
    assert letters(both) == "crowheron" and both.earlier == 4 and both.hosts == new.hosts
    assert [both.path(n).parent.parent.name for n in (0, 3, 4, 8)] == ["old", "old", "new", "new"]
    assert both.path(8) == tmp_path / "new/images/n.png"


def test_thumbs_may_lie_on_disk(tmp_path: Path) -> None:
    probes = some("heron")
    np.save(tmp_path / "thumbs.npy", probes.thumbs)
    lying = replace(probes, thumbs=np.load(tmp_path / "thumbs.npy", mmap_mode="r"))
    seen = lying.look(np.array([0, 2]))
    seen["luma"][:] = 0  # what was looked at is one's own
    assert letters(lying) == "heron"
