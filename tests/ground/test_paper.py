"""A print taken apart: paper × ink gives it again, whatever the paper; margins and scans' borders are no plate."""

import cv2
import numpy as np
import pytest

from gravurekit import color, paper

TALL, WIDE = 300, 240
PAPERS = {"white": (255, 255, 255), "grey": (200, 200, 200), "yellow": (232, 205, 150), "brown": (150, 120, 85)}


def drawing() -> np.ndarray:
    """A hatched body with an outline and a white heart, on white: (TALL, WIDE) uint8."""
    page = np.full((TALL, WIDE), 255, np.uint8)
    body = np.zeros_like(page)
    cv2.ellipse(body, (120, 150), (60, 100), 0, 0, 360, 1, -1)
    page[(body > 0) & (np.arange(TALL)[:, None] % 4 < 2)] = 30
    cv2.circle(page, (120, 150), 30, 255, -1)
    cv2.circle(page, (120, 150), 30, 0, 2, cv2.LINE_AA)
    cv2.ellipse(page, (120, 150), (60, 100), 0, 0, 360, 0, 2, cv2.LINE_AA)
    return page


def on(page: np.ndarray, tone: tuple[int, int, int], fall: float = 1.0) -> np.ndarray:
    """The drawing on toned paper, whose left side gets `fall` of the light: (TALL, WIDE, 3) uint8."""
    light = np.linspace(fall, 1, page.shape[1], dtype=np.float32)[None, :, None]
    ground = color.srgb_to_linear(np.array(tone, np.uint8)) * light
    return color.linear_to_srgb(color.srgb_to_linear(page)[..., None] * ground)


@pytest.mark.parametrize("fall", [1.0, 0.7])
@pytest.mark.parametrize("tone", PAPERS)
def test_paper_times_ink_is_the_print(tone: str, fall: float) -> None:
    page = on(drawing(), PAPERS[tone], fall)
    found = paper.apart(page)
    again = color.linear_to_srgb(found.paper * found.ink[..., None])
    assert np.abs(again.astype(int) - page).max() <= 6
    assert np.abs(found.grey.astype(int) - drawing()).max() <= 10  # the same ink, whatever it was printed on
    assert not found.coloured


def test_the_plate_is_what_lines_enclose_and_the_margin_isnt() -> None:
    plate = paper.apart(on(drawing(), PAPERS["yellow"])).plate
    assert plate[130:170, 100:140].min() > 0.98  # white, but enclosed
    assert plate[60:240, 120].min() > 0.98  # hatched
    assert plate[:40].max() == 0 and plate[:, :50].max() == 0
    rows, columns = np.mgrid[:TALL, :WIDE]
    away = np.hypot((columns - 120) / 60, (rows - 150) / 100)
    assert plate[away > 1.1].max() < 0.05  # up to the outline, without a halo


def test_a_print_that_fades_away_has_a_soft_plate() -> None:
    page = np.full((TALL, WIDE), 255, np.uint8)
    page[60:240:6, 40:200] = 120  # thin grey lines without an outline
    plate = paper.apart(np.repeat(page[..., None], 3, 2)).plate
    middle = plate[150]
    assert middle[110] > 0.9 and middle[10] == 0
    assert ((middle > 0.1) & (middle < 0.9)).sum() >= 3


@pytest.mark.parametrize("shift", [0, 3])
def test_paper_in_a_ruled_frame_is_margin_too(shift: int) -> None:
    page = drawing()
    cv2.polylines(page, [np.array([(12, 12), (228, 12 + shift), (228, 288), (12, 288 - shift)])], True, 0, 1)
    plate = paper.apart(np.repeat(page[..., None], 3, 2)).plate
    assert plate[25:44, 20:220].max() < 0.05 and plate[150, 16:48].max() < 0.1
    assert plate[150, 12] < 0.05  # nor is the frame itself to be coloured
    assert plate[130:170, 100:140].min() > 0.98


def test_a_strip_between_a_frame_and_the_edge_of_the_picture_is_margin() -> None:
    """A picture that was cut close to a frame which isn't quite upright."""
    page = drawing()
    cv2.polylines(page, [np.array([(2, 4), (234, 4), (234, 294), (0, 294)])], True, 0, 1)
    plate = paper.apart(np.repeat(page[..., None], 3, 2)).plate
    assert plate[8:290, :2].max() < 0.05 and plate[:, -5:].max() < 0.05
    assert plate[130:170, 100:140].min() > 0.98


@pytest.mark.parametrize("sides", ["top", "left and bottom", "all"])
def test_a_scans_black_border_is_no_plate_and_no_ink(sides: str) -> None:
    page = on(drawing(), PAPERS["yellow"])
    width = 14
    borders = {"top": (width, 0, 0, 0), "left and bottom": (0, width, width, 0), "all": (width,) * 4}[sides]
    scan = cv2.copyMakeBorder(page, *borders, cv2.BORDER_CONSTANT, value=(3, 2, 4))
    found = paper.apart(scan)
    black = np.full(scan.shape[:2], True)
    black[borders[0] : borders[0] + TALL, borders[2] : borders[2] + WIDE] = False
    assert (found.ink[black] == 1).all() and found.plate[black].max() < 0.05
    inside = found.plate[~black].reshape(TALL, WIDE)
    assert inside[130:170, 100:140].min() > 0.98 and inside[30:44, 30:-30].max() < 0.05
    assert (
        np.abs(found.grey[~black].reshape(TALL, WIDE)[20:-20, 20:-20].astype(int) - drawing()[20:-20, 20:-20]).max()
        <= 10
    )


def test_a_dark_print_has_no_border() -> None:
    page = np.full((200, 200, 3), 4, np.uint8)
    page[80:140, 80:140] = 240
    found = paper.apart(page)
    assert found.ink[:60].max() < 0.05 and found.plate[:60].min() > 0.9


def test_a_grey_tint_over_the_plate_is_ink_and_not_paper() -> None:
    """An aquatint's sky is as smooth as paper, but the paper around it says what white is."""
    page = np.full((240, 300, 3), 250, np.uint8)
    page[30:210, 30:270] = 150
    page[120:210, 100:200] = 60
    found = paper.apart(page)
    assert abs(float(found.ink[60, 150]) - 0.32) < 0.05
    assert found.plate[60, 150] > 0.95 and found.plate[10].max() == 0


def test_brown_ink_on_yellow_paper_is_no_colour_but_a_green_dress_is() -> None:
    toned = on(drawing(), PAPERS["yellow"]).astype(np.float32)
    toned[..., 0] = np.maximum(toned[..., 0], 70)
    assert not paper.apart(toned.astype(np.uint8)).coloured
    page = on(drawing(), PAPERS["white"])
    page[120:180, 90:150] = (60, 160, 70)
    page[60:110, 100:140] = (170, 40, 60)
    assert paper.apart(page).coloured


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 2), (16, 16), (30_000, 200), (40, 20_000)])
@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_any_picture_comes_apart(shape: tuple[int, int], value: int) -> None:
    found = paper.apart(np.full((*shape, 3), value, np.uint8))
    assert max(found.ink.shape) <= paper.WORK_SIDE and found.ink.shape == found.plate.shape == found.paper.shape[:2]
    for array in (found.ink, found.plate, found.paper):
        assert array.dtype == np.float32 and np.isfinite(array).all() and array.min() >= 0
    assert found.paper.min() > 0 and found.ink.max() <= 1 and found.plate.max() <= 1
    if value == 255:
        assert found.ink.min() == 1 and found.plate.max() == 0


def test_noise_comes_apart() -> None:
    found = paper.apart(np.random.default_rng(0).integers(0, 256, (64, 90, 3), np.uint8))
    assert np.isfinite(found.paper).all() and 0 <= found.ink.min() and found.ink.max() <= 1


def test_lightness_is_that_of_the_grey() -> None:
    found = paper.apart(on(drawing(), PAPERS["white"]))
    grey = np.repeat(found.grey[..., None], 3, 2)
    assert np.abs(found.lightness - color.rgb_to_lab(grey)[..., 0]).max() < 0.5
