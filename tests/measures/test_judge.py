"""The judge learns in small what it learns in large: which patches are of prints. And the figures made of it."""

import numpy as np
import prints
import pytest

from gravurekit.measures import judge, style
from gravurekit.measures.controls import CONTROLS
from gravurekit.measures.patches import cut


def lesson(names: list[str], count: int = 144) -> tuple[np.ndarray, np.ndarray]:
    books = [prints.book(name, 6) for name in names]
    shown = [judge.of_prints(pages, count, np.random.default_rng(n)) for n, pages in enumerate(books)]
    photos, pages = [prints.photograph(n) for n in range(8)], [page for found in books for page in found]
    return np.concatenate(shown), judge.of_fakes(photos, pages, count * len(names), np.random.default_rng(9))


@pytest.fixture(scope="module")
def stranger() -> judge.Weights:
    """A judge who has never seen the book `gamma`."""
    return judge.train(*lesson(["alpha", "beta"]), epochs=8, seed=0)


def test_every_book_is_held_back_from_one_judge() -> None:
    for count in range(2, 12):
        books = [f"book {n}" for n in range(count)]
        folds = judge.folds(books)
        assert sorted(name for held in folds for name in held) == sorted(books)
        assert all(0 < len(held) < count for held in folds)


@pytest.mark.slow
def test_the_same_lesson_makes_the_same_judge() -> None:
    one, other = (judge.train(*lesson(["alpha"], 24), epochs=1, seed=5) for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_book_never_seen_is_told_from_every_control(stranger: judge.Weights) -> None:
    """The law of the measure: each control does worse than the held-back book in J or in T; most do in J."""
    books = {name: [style.look(name, page, [stranger]) for page in prints.book(name, 6)] for name in prints.BOOKS}
    stick = style.yardstick(books)
    held = style.row("gamma", books["gamma"], stick, 10, 0, "gamma")
    rows = []
    for name, make in CONTROLS.items():
        made = [make(prints.photograph(n), np.random.default_rng(n)) for n in range(20, 26)]
        rows.append(style.row(name, [style.look(name, grey, [stranger]) for grey in made], stick, 10, 0))
    shares = {item.name: item.judged.value for item in rows if item.judged}
    assert held.judged and held.judged.value > 0.6
    assert style.doubts(rows, [held]) == []
    assert sum(value < held.judged.value for value in shares.values()) >= len(CONTROLS) - 1, shares


@pytest.mark.slow
def test_contrast_and_brightness_are_nothing_to_it(stranger: judge.Weights) -> None:
    cells = np.concatenate([cut(grey) for grey in prints.book("gamma", 2)])
    pale = (150 + cells * 0.4).astype(np.uint8)
    assert np.abs(judge.taken(stranger, cells) - judge.taken(stranger, pale)).mean() < 0.1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_pictures_have_no_patches_to_learn_from(level: int) -> None:
    flat = np.full((150, 90), level, np.uint8)
    flat[0, 0] = 255 - level
    assert len(judge.of_prints([flat, np.zeros((5, 3), np.uint8)], 8, np.random.default_rng(0))) == 0


def row(name: str, judged: float, texture: float) -> style.Row:
    figures = (style.Figure(value, value, value) for value in (judged, texture))
    return style.Row(name, 1, *figures)


@pytest.mark.parametrize(
    ("judged", "texture", "doubted"),
    [(0.1, 0.5, False), (0.9, 2.0, False), (0.59, 1.21, False), (0.6, 1.2, True), (0.9, 0.5, True)],
)
def test_a_control_that_does_as_well_as_a_book_in_both_is_told(judged: float, texture: float, doubted: bool) -> None:
    books = [row("one", 0.6, 0.8), row("two", 0.9, 1.2)]
    assert style.doubts([row("photo", judged, texture)], books) == (["photo"] if doubted else [])


@pytest.mark.slow
def test_rows_of_books_leave_the_book_itself_out(stranger: judge.Weights) -> None:
    books = {name: [style.look(name, page, [stranger]) for page in prints.book(name, 4)] for name in prints.BOOKS}
    stick = style.yardstick(books)
    own = style.row("alpha", books["alpha"], stick, 10, 0, "alpha")
    assert set(own.to_books) == {"beta", "gamma"} and own.texture is not None
    assert own.texture.low <= own.texture.value <= own.texture.high
    blank = style.look("blank", np.full((128, 128), 255, np.uint8), [stranger])
    nothing = style.row("blank", [blank], stick, 10, 0)
    assert (nothing.pictures, nothing.judged, nothing.texture, nothing.to_books) == (1, None, None, {})
