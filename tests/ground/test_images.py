"""Pictures of unknown origin: every kind that people have comes out as 8-bit sRGB, the rest as a PictureError."""

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, features

from gravurekit import images
from gravurekit.errors import PictureError

Encode = Callable[..., bytes]
ORIENTATION = 0x0112


def on_white(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 → (H, W, 3): what a browser shows on a white page."""
    alpha = rgba[..., 3:] / 255
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def rgba_of(photo: np.ndarray) -> np.ndarray:
    ramp = np.broadcast_to(np.linspace(0, 255, photo.shape[1]).astype(np.uint8), photo.shape[:2])
    return np.dstack([photo, ramp])


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def swapped_profile() -> bytes:
    """An ICC profile whose red is sRGB's blue and the other way round."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    head, table = data[:128], data[128:]
    table = table.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    return head + table


@pytest.mark.parametrize(
    ("kind", "extension", "tolerance", "options"),
    [
        ("PNG", "png", 0, {}), ("BMP", "bmp", 0, {}), ("TIFF", "tif", 0, {}), ("PPM", "ppm", 0, {}),
        ("TIFF", "tif", 0, {"compression": "tiff_lzw"}), ("WEBP", "webp", 0, {"lossless": True}),
        ("JPEG", "jpg", 5, {"quality": 95, "subsampling": 0}), ("WEBP", "webp", 9, {"quality": 95}),
        ("JPEG", "jpg", 9, {"progressive": True}), ("AVIF", "avif", 9, {"quality": 95}),
        ("JPEG2000", "jp2", 0, {}),
    ],
    ids=lambda value: str(value),
)  # fmt: skip
def test_every_format_gives_its_colours_and_its_extension(
    kind: str, extension: str, tolerance: int, options: dict, photo: np.ndarray, encode: Encode
) -> None:
    module = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}.get(kind)
    if module and not features.check(module):
        pytest.skip(f"this Pillow was built without {kind}")
    picture = images.decode(encode(photo, kind, **options))
    assert (picture.extension, picture.width, picture.height) == (extension, 56, 40)
    assert np.abs(picture.pixels.astype(int) - photo).mean() <= tolerance


def in_mode(mode: str, rgb: np.ndarray) -> tuple[str, Image.Image, np.ndarray]:
    """A format for the mode, the picture in that mode, and the (H, W, 3) uint8 that must come out."""
    grey, alpha = np.ascontiguousarray(rgb[..., 0]), np.ascontiguousarray(rgba_of(rgb)[..., 3])
    if mode == "L":
        return "PNG", Image.fromarray(grey), three(grey)
    if mode == "LA":
        layers = [Image.fromarray(grey), Image.fromarray(alpha)]
        return "PNG", Image.merge("LA", layers), on_white(np.dstack([three(grey), alpha]))
    if mode == "RGBA":
        return "PNG", Image.fromarray(rgba_of(rgb)), on_white(rgba_of(rgb))
    if mode == "1":
        return "PNG", Image.fromarray(grey > 99), three(np.where(grey > 99, 255, 0).astype(np.uint8))
    if mode == "I;16":
        return "PNG", Image.fromarray(grey.astype(np.uint16) * 257), three(grey)
    if mode == "I;16B":
        return "TIFF", Image.frombytes("I;16B", (56, 40), (grey.astype(">u2") * 257).tobytes()), three(grey)
    if mode == "I":
        return "TIFF", Image.fromarray(grey.astype(np.int32)), three(grey)
    if mode == "F":  # an unknown scale: from its darkest to its lightest
        values = (grey.astype(np.float32) - grey.min()) / float(grey.max() - grey.min())
        return "TIFF", Image.fromarray(values * 3 - 1), three(np.rint(values * 255).astype(np.uint8))
    indexed = Image.fromarray(rgb).quantize(16)
    return "PNG", indexed, np.asarray(indexed.convert("RGB"))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "1", "P", "I;16", "I;16B", "I", "F"])
def test_every_mode_becomes_rgb_on_white(mode: str, photo: np.ndarray, encode: Encode) -> None:
    kind, image, expected = in_mode(mode, photo)
    found = images.decode(encode(image, kind)).pixels
    assert (found.dtype, found.shape) == (np.uint8, (40, 56, 3))
    assert np.abs(found.astype(int) - expected).max() <= (1 if mode in ("LA", "RGBA", "F") else 0)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "P"), ("GIF", "P"), ("PNG", "RGB"), ("PNG", "L")])
def test_a_transparent_colour_becomes_white(kind: str, mode: str, encode: Encode) -> None:
    image = Image.new("RGB", (6, 4), (200, 0, 0))
    image.paste((10, 20, 30), (3, 0, 6, 4))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    found = images.decode(encode(image, kind, transparency=image.getpixel((5, 0)))).pixels
    assert (found[:, 3:] == 255).all() and (found[:, :3, 1:] < 255).all()


def test_cmyk_is_ink_and_not_light(encode: Encode) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    found = images.decode(encode(image, "JPEG", quality=95)).pixels.reshape(-1, 3)
    assert (found[:, 0] > 240).all() and (found[:, 1:] < 15).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(kind: str, orientation: int, photo: np.ndarray, encode: Encode) -> None:
    upright = encode(photo, kind, lossless=True) if kind == "WEBP" else encode(photo, kind)
    options = {"lossless": True} if kind == "WEBP" else {}
    turned = encode(Image.open(io.BytesIO(upright)), kind, exif=exif(orientation), **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(turned))).convert("RGB"))
    found = images.decode(turned)
    assert np.array_equal(found.pixels, expected)
    assert (found.width, found.height) == ((56, 40) if orientation < 5 else (40, 56))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_many_frames_the_first_is_taken(kind: str, encode: Encode) -> None:
    frames = [Image.new("RGB", (9, 7), shade) for shade in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    options = {"lossless": True} if kind == "WEBP" else {}
    found = images.decode(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert (found.pixels == (200, 0, 0)).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_profile_is_obeyed(mode: str, encode: Encode) -> None:
    color = np.full((8, 8, 3), (250, 60, 20), np.uint8)
    image = Image.fromarray(color).convert(mode)
    shown = np.asarray(image.convert("RGB")).astype(int)
    found = images.decode(encode(image, "PNG", icc_profile=swapped_profile())).pixels
    assert np.abs(found - shown[..., ::-1]).max() <= 3


@pytest.mark.parametrize("profile", [b"no profile", b"", swapped_profile()[:200], b"\0" * 4000])
def test_a_broken_profile_costs_no_picture(profile: bytes, photo: np.ndarray, encode: Encode) -> None:
    assert np.array_equal(images.decode(encode(photo, "PNG", icc_profile=profile)).pixels, photo)


@pytest.mark.parametrize(
    ("header", "limit"),
    [
        (png_header(60_000, 60_000), images.MAX_PIXELS),
        (png_header(12_001, 10_000), images.MAX_PIXELS),
        (
            b"GIF89a"
            + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
            + b","
            + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0)
            + b"\x02\x02\x44\x01\x00;",
            images.MAX_PIXELS,
        ),
        (b"P6 60000 60000 255\n", images.MAX_PIXELS),
        (b"BM" + struct.pack("<IHHIIiiHH", 99, 0, 0, 54, 40, 60_000, 60_000, 1, 24) + b"\0" * 24, images.MAX_PIXELS),
        (png_header(11, 10), 109),
    ],
    ids=["png", "just above", "gif frame", "ppm", "bmp", "own limit"],
)
def test_pixels_are_counted_before_they_are_allocated(header: bytes, limit: int) -> None:
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(PictureError) as caught:
            images.decode(header, max_pixels=limit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too-many-pixels"
    assert peak < 5_000_000 and time.monotonic() - began < 2


def test_as_many_pixels_as_the_limit_are_read(photo: np.ndarray, encode: Encode) -> None:
    assert images.decode(encode(photo, "PNG"), max_pixels=40 * 56).width == 56


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "empty", "no bytes"),
        (b"  <!DOCTYPE html><html></html>", "not-an-image", "a web page"),
        (b"<html><body>403</body></html>", "not-an-image", "a web page"),
        (b'<?xml version="1.0"?><svg/>', "not-an-image", "XML or SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not-an-image", "XML or SVG"),
        (b'{"error": "not found"}', "not-an-image", "JSON"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not-an-image", "no known picture format"),
        (b"%PDF-1.7\n1 0 obj\n", "not-an-image", "no known picture format"),
        (b"\x12\x00\x00\x00\x11\xaf" + b"\0" * 200, "not-an-image", "no known picture format"),
        (b"\0" * 4096, "not-an-image", "no known picture format"),
    ],
    ids=["empty", "html", "html 403", "xml", "svg", "json", "eps", "pdf", "fli", "zeros"],
)
def test_what_is_no_picture_says_what_it_looks_like(data: bytes, reason: str, detail: str) -> None:
    with pytest.raises(PictureError) as caught:
        images.decode(data)
    assert caught.value.reason == reason and detail in caught.value.detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_half_a_picture_is_none(kind: str, share: float, photo: np.ndarray, encode: Encode) -> None:
    data = encode(photo, kind)
    with pytest.raises(PictureError) as caught:
        images.decode(data[: int(len(data) * share)])
    assert caught.value.reason in ("unreadable", "not-an-image")


def decoded_or_refused(data: bytes) -> None:
    try:
        picture = images.decode(data, max_pixels=1_000_000)
    except PictureError as error:
        assert error.reason in ("empty", "not-an-image", "too-many-pixels", "unreadable") and error.detail
    else:
        assert picture.pixels.dtype == np.uint8 and picture.pixels.shape == (picture.height, picture.width, 3)
        assert picture.pixels.size and picture.extension in images.EXTENSIONS.values()


FUZZ = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FUZZED = {
    "JPEG": {"exif": exif(6)},
    "PNG": {},
    "GIF": {},
    "TIFF": {},
    "WEBP": {},
    "BMP": {},
    "AVIF": {},
    "JPEG2000": {},
}


@pytest.mark.parametrize(
    "magic", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"P6 3 3 255\n"]
)
def test_random_bytes_never_end_a_run(magic: bytes) -> None:
    @FUZZ
    @given(st.binary(max_size=200))
    def law(noise: bytes) -> None:
        decoded_or_refused(magic + noise)

    law()


@pytest.mark.parametrize("kind", [kind for kind in FUZZED if kind in images._formats()])
def test_a_damaged_picture_never_ends_a_run(kind: str, photo: np.ndarray, encode: Encode) -> None:
    whole = encode(photo[:16, :20], kind, **FUZZED[kind])
    places = st.integers(0, min(len(whole), 400) - 1) | st.integers(0, len(whole) - 1)
    edits = st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)

    @FUZZ
    @given(edits, st.integers(0, len(whole)) | st.just(len(whole)), st.binary(max_size=3), places)
    def law(changes: list[tuple[int, int]], end: int, more: bytes, where: int) -> None:
        data = bytearray(whole)
        for place, value in changes:
            data[place] = value
        data[where:where] = more
        decoded_or_refused(bytes(data[:end]))

    law()


@pytest.mark.parametrize("message", ["Failed to decode frame 0: Decoding of color planes failed", ""])
def test_a_decoder_that_fails_in_its_own_way_costs_one_picture(
    message: str, photo: np.ndarray, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(message)  # libavif and libwebp do

    data = encode(photo, "PNG")
    for call in ("load", "_open"):
        with monkeypatch.context() as patch, pytest.raises(PictureError):
            patch.setattr(PngImagePlugin.PngImageFile, call, fail)
            images.decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_exif_is_private_and_one_without_is_not(kind: str, photo: np.ndarray, encode: Encode) -> None:
    assert images.decode(encode(photo, kind, exif=exif())).private
    assert not images.decode(encode(photo, kind)).private


def text(word: str, value: str) -> PngImagePlugin.PngInfo:
    about = PngImagePlugin.PngInfo()
    about.add_itxt(word, value)
    return about


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"comment": b"taken at home"}),
        ("GIF", {"comment": b"taken at home"}),
        ("JPEG", {"xmp": b"<x:xmpmeta/>"}),
        ("WEBP", {"xmp": b"<x:xmpmeta/>"}),
        ("PNG", {"pnginfo": text("XML:com.adobe.xmp", "<x:xmpmeta/>")}),
        ("PNG", {"pnginfo": text("Comment", "taken at home")}),
        ("PNG", {"pnginfo": text("Author", "Ayşe")}),
    ],
    ids=["jpeg comment", "gif comment", "jpeg xmp", "webp xmp", "png xmp", "png comment", "png author"],
)
def test_words_about_a_picture_make_it_private(kind: str, options: dict, photo: np.ndarray, encode: Encode) -> None:
    assert images.decode(encode(photo, kind, **options)).private


@pytest.mark.parametrize("reduce_to", [16, 50, 100, 224, 1000])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_reduced_picture_is_never_below_what_was_asked(kind: str, reduce_to: int, encode: Encode) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (416, 640, 3))
    data = encode(np.ascontiguousarray(ramp), kind)
    found = images.decode(data, reduce_to=reduce_to)
    assert min(found.width, found.height) >= min(reduce_to, 416)
    assert abs(found.width / found.height - 640 / 416) < 0.02
    assert found.width == 640 or (kind == "JPEG" and found.height < 416)


def test_a_file_that_cant_be_read_is_a_bad_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(PictureError, match="unreadable"):
            images.read(path)
    (tmp_path / "a.png").write_bytes(b"x" * 11)
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    with pytest.raises(PictureError, match="too-big"):
        images.read(tmp_path / "a.png")


def test_the_name_of_a_file_says_nothing_about_its_format(tmp_path: Path, photo: np.ndarray, encode: Encode) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(photo, "PNG"))
    assert images.read(tmp_path / "a.jpg").extension == "png"


def test_what_is_encoded_is_decoded_again_without_metadata(photo: np.ndarray) -> None:
    for data, extension, tolerance in [
        (images.encode_png(photo), "png", 0),
        (images.encode_jpeg(photo), "jpg", 5),
        (images.encode_webp(photo), "webp", 9),
    ]:
        found = images.decode(data)
        assert (found.extension, found.private) == (extension, False)
        assert np.abs(found.pixels.astype(int) - photo).mean() <= tolerance
    assert np.array_equal(images.decode(images.encode_png(photo[..., 0])).pixels, three(photo[..., 0]))


@pytest.mark.parametrize(("side", "longest", "shape"), [(20, 999, (20, 28)), (80, 999, (80, 112)), (80, 70, (50, 70)),
                                                        (40, 999, (40, 56)), (1, 1, (1, 1))])  # fmt: skip
def test_the_short_side_fits_unless_the_long_one_would_pass(
    side: int, longest: int, shape: tuple[int, int], photo: np.ndarray
) -> None:
    assert images.fit_short_side(photo, side, longest).shape == (*shape, 3)
    assert images.fit_short_side(photo[..., 0], side, longest).shape == shape


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "L"),
        ("TIFF", "CMYK"),
        ("WEBP", "RGB"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("TIFF", "1"),
    ],
)
def test_a_large_picture_is_reduced_at_once_and_stays_what_it_is(
    kind: str, mode: str, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGE", 100_000)
    ramp = np.linspace(0, 255, 480).astype(np.uint8)
    pixels = np.dstack(np.broadcast_arrays(ramp[None, :], ramp[:320, None], np.uint8(90)))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    buffer = io.BytesIO()
    deep = mode == "I;16"
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257) if deep else Image.fromarray(pixels).convert(mode)
    image.save(buffer, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    whole = images.decode(buffer.getvalue())
    thin = images.decode(buffer.getvalue(), reduce_to=80, thrifty=True)
    assert (whole.height, whole.width) == (480, 320) and thin.private
    assert (thin.height, thin.width) == (120, 80)
    small = images.resize(whole.pixels, thin.width, thin.height).astype(int)
    assert np.abs(small - thin.pixels).max() <= 2
    assert images.decode(buffer.getvalue(), reduce_to=80).height == 480  # only who asks for it
