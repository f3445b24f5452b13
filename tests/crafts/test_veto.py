"""Look-alikes that differ in a part stay: a garment in another colour, another picture in the same frame. Copies with
other colours, or with something stamped on them, go nevertheless."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from copies import KNOBS, Opening, kept

from gravurekit import alignment, edits, images
from gravurekit.color import lab_to_rgb, rgb_to_lab
from gravurekit.filters import Compare
from gravurekit.filters import _frames as frames
from gravurekit.stages._comparing import LIKELY_ALIKE, MAX_UNLIKE, MIN_ALIKE

Draw = Callable[..., np.ndarray]
Dressed = Callable[..., np.ndarray]
CHROMA = 35.0  # of a garment
SEEDS = range(2)


@pytest.fixture(scope="module")
def dressed(scene: Draw) -> Dressed:
    """`dressed(seed, share, hue)`: a drawn picture, (300, 240, 3) uint8, with a garment of that hue, in degrees, on
    that share of it; its lightness is the same whatever the hue."""

    def drawn(seed: int, share: float, hue: float) -> np.ndarray:
        lab = rgb_to_lab(scene(seed))
        height, width = lab.shape[:2]
        tall, wide = (share * height * width * ratio / np.pi for ratio in (1.5, 1 / 1.5))
        shape = np.zeros((height, width), np.float32)
        center = width // 2 - 8 * seed, height // 2 + 12 * seed
        cv2.ellipse(shape, center, (round(wide**0.5), round(tall**0.5)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
        cloth = np.full_like(lab[..., 1:], CHROMA) * (np.cos(np.radians(hue)), np.sin(np.radians(hue)))
        light = np.clip(lab[..., :1], 30, 75)  # where there is room for every hue
        worn = np.concatenate([light, cloth], axis=2)
        return lab_to_rgb((lab + shape[..., None] * (worn - lab)).astype(np.float32))

    return drawn


def saved(pixels: np.ndarray, quality: int = 85) -> np.ndarray:
    return images.decode(images.encode_jpeg(np.ascontiguousarray(pixels), quality, subsampling=2)).pixels


@pytest.mark.parametrize("share", [0.03, 0.06, 0.12, 0.3])
@pytest.mark.parametrize("degrees", [60, 90, 180])
@pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_garment_in_another_colour_is_another_picture(
    share: float, degrees: int, thorough: bool, dressed: Dressed, judged: Callable
) -> None:
    for seed in SEEDS:
        one, other = (saved(dressed(seed, share, hue)) for hue in (20, 20 + degrees))
        assert judged(thorough, a=one, b=other)[0] == {}, seed


@pytest.mark.parametrize(
    "name", ["scale 0.5", "border 10% white", "caption bar 10%", "crop 10%", "gamma 1.5", "blur 1"]
)
def test_also_when_it_was_edited(name: str, dressed: Dressed, judged: Callable) -> None:
    for seed in SEEDS:
        one, other = dressed(seed, 0.1, 20), edits.edited(dressed(seed, 0.1, 110), name, "x")
        assert judged(a=one, b=other)[0] == {}, seed


def write(pixels: np.ndarray, ink: tuple[int, int, int]) -> np.ndarray:
    """Words across the middle."""
    return cv2.putText(pixels.copy(), "PICTURE STOCK", (12, 160), cv2.FONT_HERSHEY_DUPLEX, 0.9, ink, 2, cv2.LINE_AA)


def gained(pixels: np.ndarray, *gains: float) -> np.ndarray:
    return np.clip(pixels * np.array(gains, np.float32), 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "white balance, warm": lambda pixels: gained(pixels, 1.08, 1, 0.92),
    "white balance, cool": lambda pixels: gained(pixels, 0.92, 1, 1.08),
    "darker": lambda pixels: gained(pixels, 0.8, 0.8, 0.8),
    "brighter": lambda pixels: gained(pixels, 1.15, 1.15, 1.15),
    "red words": lambda pixels: write(pixels, (220, 20, 20)),
    "white words": lambda pixels: write(pixels, (255, 255, 255)),
    "a red logo": lambda pixels: cv2.circle(pixels.copy(), (216, 276), 18, (210, 20, 30), -1, cv2.LINE_AA),
    "words and a caption": lambda pixels: edits.edited(write(pixels, (255, 255, 255)), "caption bar 10%", "x"),
    "coarse": lambda pixels: saved(pixels, 12),
}


EDITS = (
    "watermark",
    "caption bar 14%",
    "grey",
    "letterbox",
    "crop 10%",
    "jpeg 10",
    "gamma 0.67",
    "gamma 1.5",
    "scale 0.2",
)


@pytest.mark.parametrize("name", [*COPIES, *EDITS])
def test_a_copy_with_other_colours_or_a_stamp_is_a_copy(name: str, dressed: Dressed, judged: Callable) -> None:
    for seed in SEEDS:
        original = dressed(seed, 0.1, 20)
        copy = saved(COPIES[name](original)) if name in COPIES else edits.edited(original, name, str(seed))
        assert len(judged(a=original, b=copy)[0]) == 1, seed


def test_words_across_a_plain_garment_are_much_of_what_is_on_it(spotted: Draw, judged: Callable) -> None:
    plain = spotted(np.full((300, 240, 3), 225, np.uint8), 1, 18)
    cv2.fillConvexPoly(plain, np.array([[85, 45], [155, 45], [225, 270], [15, 270]]), (24, 22, 30), cv2.LINE_AA)
    stamped = edits.edited(plain, "watermark", "x")
    found = alignment.likeness(alignment.look(plain, False), alignment.look(stamped, False))
    assert found is not None and LIKELY_ALIKE < found.alike < MIN_ALIKE
    goes, opening = judged(a=plain, b=stamped)
    assert len(goes) == 1 and opening.asked


def test_a_garment_in_another_colour_is_opened_and_a_grey_copy_of_it_goes(dressed: Dressed, judged: Callable) -> None:
    one, other = dressed(0, 0.1, 20), dressed(0, 0.1, 140)
    goes, opening = judged(a=one, b=other)
    assert not goes and opening.asked == [("a", "b")]
    assert judged(a=one, b=edits.edited(other, "grey", "x"))[0] == {"b": "a"}


def test_who_minds_no_colours_has_them_all_taken_for_one(
    dressed: Dressed, probe_of: Callable, together: Callable
) -> None:
    probes = together(probe_of("a", dressed(0, 0.1, 20)), probe_of("b", dressed(0, 0.1, 140)))
    opening = Opening(a=dressed(0, 0.1, 20), b=dressed(0, 0.1, 140))
    blind = KNOBS.model_copy(update={"max_color_difference": 200.0})
    assert len(kept(probes, Compare(opening.proofs), blind)) == 1 and not opening.asked


# ---- one frame around two pictures -----------------------------------------------------------------------


def framed(page: np.ndarray, picture: np.ndarray, share: float) -> np.ndarray:
    """The picture in the middle of a page, on that share of it."""
    made = cv2.resize(page, (480, 600), interpolation=cv2.INTER_CUBIC)
    tall, wide = round(600 * share**0.5), round(480 * share**0.5)
    top, left = (600 - tall) // 2, (480 - wide) // 2
    made[top : top + tall, left : left + wide] = images.resize(picture, wide, tall)
    return made


@pytest.mark.parametrize("share", [0.12, 0.2, 0.4, 0.6])
@pytest.mark.parametrize("thorough", [False, True])
def test_another_picture_in_the_same_frame_is_another_picture(
    share: float, thorough: bool, scene: Draw, judged: Callable
) -> None:
    for seed in SEEDS:
        one, other = (saved(framed(scene(seed), scene(10 + seed + n), share)) for n in range(2))
        assert judged(thorough, a=one, b=other)[0] == {}, seed
        assert len(judged(thorough, a=one, b=edits.edited(one, "watermark", "x"))[0]) == 1, seed


def test_thumbs_that_are_one_but_for_a_patch_are_opened(scene: Draw, judged: Callable) -> None:
    one, other = (framed(scene(3), scene(n), 0.08) for n in (4, 5))
    goes, opening = judged(a=one, b=other)
    assert not goes and opening.asked == [("a", "b")]


# ---- what the vetoes are made of -------------------------------------------------------------------------


def test_the_patch_that_differs_most_in_colour() -> None:
    one = np.random.default_rng(1).integers(100, 156, (2, 2, 16, 16, 2), np.uint8)
    other = one.copy()
    other[1, :, 4:7, 9:12] += 24
    both = np.ones((2, 2, 2), bool)
    whole, patch = frames.color_differences(one, other, both), frames.color_patches(one, other, both)
    assert whole[0] == 0 and patch[0] < 0.5 and whole[1] < 2 and 28 < patch[1] < 38
    balanced = frames.color_patches(one, one + np.array([9, 250], np.uint8), both)  # nine up, six down
    assert (balanced < 0.5).all()


def test_the_patch_that_is_least_alike() -> None:
    rng = np.random.default_rng(2)
    one = cv2.GaussianBlur(rng.integers(0, 256, (64, 64)).astype(np.float32), (0, 0), 1.5).astype(np.uint8)
    other = one.copy()
    other[20:36, 40:56] = one[40:56, 4:20]
    thumbs = np.stack([[one, one], [other, other], [one * 0, one * 0]])
    found = frames.least_alike(thumbs[[0, 0, 2]], thumbs[[0, 1, 2]], np.ones((3, 2, 2), bool))
    assert found[0] > 0.999 and found[1] < 0.4 and found[2] == 1


def test_what_is_most_unlike_is_told_by_its_share_of_a_square() -> None:
    measured = np.zeros((200, 300), np.float32)
    measured[40:100, 50:98] = 1
    assert alignment._fullest(measured, 48) == 1 and alignment._fullest(measured, 96) == pytest.approx(60 * 48 / 96**2)
    assert alignment._fullest(measured[:20, :20], 96) == 0


def test_a_square_of_another_picture_is_unlike(scene: Draw) -> None:
    one, other = (alignment.look(framed(scene(1), scene(n), 0.15), False) for n in (2, 3))
    same, found = alignment.likeness(one, one), alignment.likeness(one, other)
    assert same is not None and same.unlike == 0
    assert found is not None and found.unlike > MAX_UNLIKE
