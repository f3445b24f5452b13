"""Pictures laid on one another: what is one picture fits, what only shares a cloth, a logo or a page doesn't."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from gravurekit import alignment, edits
from gravurekit.alignment import Likeness, Look, likeness, look, mirror

Draw = Callable[..., np.ndarray]
ALIKE = 0.6  # share of the blocks that `filters.duplicate` asks for


def compared(one: np.ndarray, other: np.ndarray) -> Likeness | None:
    return likeness(look(one, False), look(other, False))


def fits(found: Likeness | None) -> bool:
    return found is not None and found.alike >= ALIKE


NAMES = [name for name in edits.EDITS if name not in ("mirror", "scale 0.2", "jpeg 50", "jpeg 75", "jpeg 90")]


@pytest.mark.parametrize("name", NAMES)
def test_an_edited_picture_lies_on_its_original(name: str, scene: Callable) -> None:
    original, grey = look(scene(1), False), name == "grey"
    copy = look(edits.edited(scene(1), name, "1"), grey)
    for found in (likeness(original, copy), likeness(copy, original)):
        assert found is not None and found.points >= alignment.MIN_POINTS
        assert found.alike > 0.8 and found.color < 15


def test_different_pictures_dont_fit(scene: Callable, draw: Draw) -> None:
    looks = [look(pixels, False) for pixels in (*map(scene, range(8)), *map(draw, range(4)))]
    for n, one in enumerate(looks[:8]):
        for m, other in enumerate(looks):
            assert fits(likeness(one, other)) == (n == m) or m == n + 8, (n, m)


def cloth(seed: int, spotted: Draw) -> np.ndarray:
    """(300, 240, 3) uint8: a printed cloth all over."""
    return spotted(np.full((300, 240, 3), 150, np.uint8), seed, 300)


def test_one_cloth_behind_two_things_makes_them_no_copies(scene: Callable, spotted: Draw) -> None:
    """Features agree everywhere around the middle; the blocks there don't."""
    pictures = []
    for seed in (1, 2):
        picture = cloth(9, spotted)
        picture[25:275, 20:220] = cv2.resize(scene(seed), (200, 250), interpolation=cv2.INTER_AREA)
        pictures.append(picture)
    found = compared(*pictures)
    assert not fits(found)
    assert found is None or found.points >= alignment.MIN_POINTS


def test_one_logo_on_two_pictures_makes_them_no_copies(scene: Callable, spotted: Draw) -> None:
    logo = spotted(np.full((60, 240, 3), 240, np.uint8), 5, 60)
    pictures = [np.concatenate([scene(seed)[:240], logo]) for seed in (3, 4)]
    assert not fits(compared(*pictures))
    assert fits(compared(pictures[0], edits.edited(pictures[0], "jpeg 30", "x")))


@pytest.mark.parametrize("seed", range(3))
def test_a_mirror_image_fits_as_in_a_mirror_only(seed: int, scene: Callable) -> None:
    original, copy = scene(seed), edits.edited(scene(seed), "mirror", "x")
    assert not fits(compared(original, copy)) and fits(compared(mirror(original), copy))
    assert np.array_equal(mirror(original), cv2.flip(original, 1)) and mirror(original).flags.c_contiguous


@pytest.mark.parametrize("change", ["quarter turn", "upside down", "turned far", "squashed"])
def test_what_isnt_upright_any_more_doesnt_fit(change: str, scene: Callable) -> None:
    original = scene(2)
    turn = cv2.getRotationMatrix2D((120, 150), 20, 1.0)
    changed = {
        "quarter turn": np.rot90(original),
        "upside down": original[::-1, ::-1],
        "turned far": cv2.warpAffine(original, turn, (240, 300), borderMode=cv2.BORDER_REPLICATE),
        "squashed": cv2.resize(original, (240, 150), interpolation=cv2.INTER_AREA),
    }[change]
    assert compared(original, np.ascontiguousarray(changed)) is None


def test_colours_are_told(scene: Callable) -> None:
    original = scene(1)
    lab = cv2.cvtColor(original, cv2.COLOR_RGB2LAB)
    lab[..., 1:] = 255 - lab[..., 1:]
    other = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    same, recoloured = compared(original, original), compared(original, other)
    assert same is not None and same.color < 1 and same.alike == 1
    assert recoloured is not None and recoloured.color > 30 and recoloured.alike > 0.8
    for greys in ((True, False), (False, True), (True, True)):
        found = likeness(look(original, greys[0]), look(other, greys[1]))
        assert found is not None and found.color == 0 and found.points == recoloured.points


SHAPES = [(1, 1), (1, 9), (2, 2), (3, 500), (500, 3), (1, 4000), (5000, 2), (40, 40)]


@pytest.mark.parametrize("shape", SHAPES)
def test_tiny_and_flat_pictures_lie_on_nothing(shape: tuple[int, int], scene: Callable) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    whole = look(scene(1), False)
    for pixels in (noise, noise * 0, noise * 0 + 255):
        seen = look(pixels, False)
        assert max(seen.lab.shape) == alignment.SIDE and seen.points.shape[1:] == (2,)
        assert seen.words.shape == (len(seen.points), 128)
        assert likeness(seen, whole) is None and likeness(whole, seen) is None
        if pixels is not noise or min(shape) < 3:
            assert likeness(seen, seen) is None


def test_a_flat_picture_is_like_nothing_though_points_agree(scene: Callable) -> None:
    """Blocks that are flat in both say nothing; those that are flat in one aren't alike."""
    busy = look(scene(1), False).lab[..., 0]
    inside = np.ones(busy.shape, bool)

    def alike(ours: np.ndarray, theirs: np.ndarray, inside: np.ndarray) -> float:
        return alignment._alike(*alignment._blocks(ours, theirs, alignment._whole(inside)))

    assert alike(busy * 0, busy * 0, inside) == 0
    assert alike(busy, busy * 0 + 50, inside) == 0
    assert alike(busy, busy, inside) == 1 and alike(busy, 100 - busy, inside) == 0
    assert alike(busy, busy, ~inside) == 0
    bare = busy.copy()
    bare[:192] = 50
    assert alike(busy, bare, inside) == pytest.approx(0.5, abs=0.05)
    half = busy.copy()
    half[:192] = 100 - half[:192]  # eight of the sixteen rows of blocks
    assert alike(busy, half, inside) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", ["jpeg 30", "crop 25%", "caption bar 10%", "turn 3.5°"])
def test_it_matters_little_which_lies_on_which(name: str, scene: Callable) -> None:
    for seed in range(2, 4):
        original, copy = scene(seed), edits.edited(scene(seed), name, str(seed))
        there, back = compared(original, copy), compared(copy, original)
        assert there is not None and back is not None
        assert abs(there.alike - back.alike) < 0.15 and abs(there.color - back.color) < 3


def test_looking_again_says_the_same(scene: Callable) -> None:
    copy = edits.edited(scene(1), "crop 15%", "1")
    first, again = compared(scene(1), copy), compared(scene(1), copy)
    assert first == again is not None


@pytest.mark.parametrize(
    ("box", "shift", "fits_on"),
    [
        ((300, 380), (0, 0), True), ((180, 220), (0, 0), True), ((150, 200), (0, 0), False),  # points cover too little
        ((200, 250), (60, 80), True), ((180, 220), (110, 150), False),  # too little lies on one another
    ],
)  # fmt: skip
def test_points_must_cover_and_pictures_overlap(box: tuple[int, int], shift: tuple[int, int], fits_on: bool) -> None:
    """Two looks made by hand, of 300 × 384 pixels: the same words, in a box at the one's end and the other's start."""
    rng = np.random.default_rng(1)
    lab = np.zeros((384, 300, 3), np.float32)
    words = rng.uniform(0, 100, (40, 128)).astype(np.float32)
    points = (rng.uniform(0, 1, (40, 2)) * box).astype(np.float32)
    points[:2] = [(0, 0), box]
    found = likeness(Look(lab, points + np.float32(shift), words, False), Look(lab, points, words, False))
    assert (found is not None) == fits_on
    assert found is None or found.points == 40


@pytest.mark.parametrize(
    ("linear", "plain"),
    [
        ([[1, 0], [0, 1]], True), ([[2.9, 0], [0, 2.9]], True), ([[3.1, 0], [0, 3.1]], False),
        ([[0.31, 0], [0, 0.31]], True), ([[0.29, 0], [0, 0.29]], False), ([[1.3, 0], [0, 1]], True),
        ([[1.4, 0], [0, 1]], False), ([[1, 0], [0, 1.4]], False), ([[-1, 0], [0, 1]], False),
        ([[-1, 0], [0, -1]], False), ([[1, 0.16], [-0.16, 1]], True), ([[1, 0.19], [-0.19, 1]], False),
        ([[1, 0.3], [0, 1]], False), ([[0, 0], [0, 0]], False),
    ],
)  # fmt: skip
def test_which_maps_leave_a_picture_upright(linear: list[list[float]], plain: bool) -> None:
    assert alignment._plain(np.c_[np.array(linear, np.float64), [5, 7]]) == plain
