"""The tab Review in a real browser, by keyboard: what is decided there is what the next run of the filter does."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import MARKS, SIZES, grave
from filtering import drawn, put, reasons, records
from studio_server import studio
from workspace import run_here

from gravurekit import images
from gravurekit.stages._decisions import read

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -c constraints.txt -e '.[browser]'")
expect = playwright.expect

pytestmark = MARKS
FILTER = ("filter", "--relevance", "none", "--executor", "serial", "--quiet")
MANY = 70  # pictures that are kept: more than a page
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a filtered folder: figures, of which two have copies; patterns, more than a page of them."""
    root = tmp_path_factory.mktemp("review")
    for seed in range(4):
        put(root / "raw", f"figure/{seed}.jpg", drawn(seed))
    put(root / "raw", "figure/small.jpg", images.resize(drawn(0), 210, 280), 60)
    put(root / "raw", "figure/cropped.jpg", drawn(1)[8:-6, 5:-7])
    put(root / "raw", "figure/blank.jpg", np.full((300, 260, 3), 244, np.uint8))
    rng = np.random.default_rng(3)
    for n in range(MANY - 4):
        coarse = images.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), 240, 240)
        noise = rng.integers(-25, 26, coarse.shape)
        put(root / "raw", f"pattern/{n}.jpg", np.clip(coarse + noise, 0, 255).astype(np.uint8))
    assert run_here("-C", str(root), *FILTER).exit_code == 0
    return root


@pytest.fixture
def opened(browser: Any, place: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens the page in a workspace of its own; at the end nothing was complained about."""
    root = tmp_path / "workspace"
    shutil.copytree(place, root)
    contexts, said = [], []
    with studio(root) as client:

        def open_page(size: str = "wide", scheme: str = "light") -> Any:
            width, height = SIZES[size]
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            contexts.append(context)
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(client.address)
            expect(page.locator("#review-status")).not_to_be_empty()
            return page

        yield open_page
        for context in contexts:
            context.close()
    assert not said


def show(page: Any, view: str) -> None:
    """One of the views."""
    page.click(f'[data-view="{view}"]')
    page.wait_for_selector(f'#review-cards[data-view="{view}"]')


def shown(page: Any) -> list[str]:
    """The keys of the cards."""
    return [card.get_attribute("data-key") for card in page.locator(".card").all()]


def focused(page: Any) -> str:
    found: str = page.evaluate("document.activeElement.dataset.key || ''")
    return found


def saved(page: Any, word: str) -> None:
    """Waits until the page says so."""
    expect(page.locator("#said")).to_contain_text(f"{word}. Saved in decisions.jsonl")


def copies(root: Path) -> dict[str, str]:
    """By key, the twin."""
    return {key: item.kept_key for key, item in records(root / "clean").items() if item.reason == "duplicate"}


def test_what_is_decided_by_keys_is_what_the_next_run_does(opened: Open, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    page = opened()
    show(page, "copies")
    first, second = (card.get_attribute("data-key") for card in page.locator(".card:not(.leads)").all())
    twins = copies(root)
    page.keyboard.press("Tab")  # from the chips on
    page.locator(f'[data-key="{first}"]').focus()
    page.keyboard.press("n")
    assert focused(page) == second  # the next that isn't decided
    saved(page, "no copy")
    page.keyboard.press("k")
    saved(page, "keep")
    show(page, "kept")
    page.wait_for_selector(".card.in")
    doomed = shown(page)[5]
    page.locator(f'[data-key="{doomed}"]').focus()
    page.keyboard.press("d")
    saved(page, "drop")
    assert page.locator(f'[data-key="{doomed}"] .stamp').inner_text() == "✕ drop"
    assert read(root / "decisions.jsonl").keep == {second: True, doomed: False}
    command = page.locator("#review-command").inner_text().split()
    assert command == ["gravurekit", "filter", "--decisions", "decisions.jsonl"]

    assert run_here("-C", str(root), *FILTER, *command[2:]).exit_code == 0
    found = records(root / "clean")
    assert not found[first].reason and found[first].cluster == first
    assert not found[second].reason and found[second].cluster == twins[second]
    assert reasons(root / "clean")[doomed] == "by-hand"

    page.reload()
    page.wait_for_selector(".card")
    assert page.locator("#review-pending").inner_text() == "clean/ is of all that is decided in decisions.jsonl."
    show(page, "decided")
    expect(page.locator(".card")).to_have_count(4)  # a pair is a decision of both
    page.locator(f'[data-key="{first}"]').focus()
    page.keyboard.press("u")
    saved(page, "undone")
    assert not read(root / "decisions.jsonl").apart


def test_pages_are_turned_and_arrows_go_about(opened: Open) -> None:
    page = opened()
    show(page, "kept")
    expect(page.locator(".card")).to_have_count(60)
    first = shown(page)
    page.keyboard.press("]")
    expect(page.locator("#review-pages")).to_have_text("page 2 of 2")
    second = shown(page)
    assert len(second) == MANY - 60 and not set(first) & set(second)
    expect(page.locator(f'[data-key="{second[0]}"]')).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#review-pages")).to_have_text("page 1 of 2")
    expect(page.locator(f'[data-key="{first[-1]}"]')).to_be_focused()
    page.locator(f'[data-key="{first[1]}"]').focus()
    page.keyboard.press("ArrowDown")
    across = shown(page).index(focused(page)) - 1
    assert across > 1
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert focused(page) == first[2]
    page.locator(f'[data-key="{first[59]}"]').focus()
    page.keyboard.press("k")  # the next undecided one is on the next page
    expect(page.locator("#review-pages")).to_have_text("page 2 of 2")
    expect(page.locator(f'[data-key="{second[0]}"]')).to_be_focused()
    assert page.url.endswith("#review/kept/2")
    page.reload()
    page.wait_for_selector(".card")
    assert shown(page) == second


def test_the_next_one_comes_up_larger_over_the_end_of_a_page(opened: Open) -> None:
    page = opened()
    show(page, "kept")
    last = shown(page)[-1]
    page.locator(f'[data-key="{last}"]').focus()
    page.keyboard.press("Enter")
    expect(page.locator("#review-facts")).to_contain_text(last)
    page.keyboard.press("k")
    expect(page.locator("#review-pages")).to_have_text("page 2 of 2")
    first = shown(page)[0]
    expect(page.locator("#review-facts")).to_contain_text(first)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#review-facts")).to_contain_text(last)
    assert "decided: keep" in page.locator("#review-buttons").inner_text()
    page.keyboard.press("Escape")
    expect(page.locator(f'[data-key="{last}"]')).to_be_focused()


def test_a_copy_is_opened_compared_and_decided(opened: Open, tmp_path: Path) -> None:
    page = opened()
    show(page, "copies")
    first, second = (card.get_attribute("data-key") for card in page.locator(".card:not(.leads)").all())
    page.locator(f'[data-key="{first}"]').focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#review-look .pair .over")
    assert first in page.locator("#review-facts").inner_text()
    page.locator("#review-look input[type=range]").focus()
    page.keyboard.press("End")
    assert page.locator("#review-look .pair").evaluate("pair => pair.style.getPropertyValue('--at')") == "100%"
    page.keyboard.press("n")  # the slider has the focus: it wants no letters
    saved(page, "no copy")
    expect(page.locator("#review-facts")).to_contain_text(second)
    page.keyboard.press("Escape")
    expect(page.locator(f'[data-key="{second}"]')).to_be_focused()  # a dialog tells that it closed a little later
    page.keyboard.press("?")
    page.wait_for_selector("#review-help[open]")
    assert "no copy" in page.locator("#review-help").inner_text()


def test_decisions_of_the_mouse_are_the_same_and_words_tell_what_cant_be(opened: Open, tmp_path: Path) -> None:
    page = opened("narrow")
    show(page, "kept")
    page.wait_for_selector(".card.in")
    card = page.locator(".card").first
    key = card.get_attribute("data-key")
    card.get_by_role("button", name="Drop").click()
    saved(page, "drop")
    assert read(tmp_path / "workspace" / "decisions.jsonl").keep == {key: False}
    card.get_by_role("button", name="Undo").click()
    saved(page, "undone")
    assert not read(tmp_path / "workspace" / "decisions.jsonl").keep
    card.focus()
    page.keyboard.press("n")
    assert "isn't taken for a copy" in page.locator("#said").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_is_for_people_with_other_eyes_and_hands(size: str, scheme: str, opened: Open) -> None:
    page = opened(size, scheme)
    for view in ("doubtful", "copies", "kept", "reason blank"):
        show(page, view)
        page.wait_for_load_state("networkidle")
        if view == "copies":
            page.locator(".card:not(.leads)").first.focus()
            page.keyboard.press("n")
            saved(page, "no copy")
        check(page)
    show(page, "copies")
    page.locator(".card:not(.leads)").last.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#review-look .pair .over")
    check(page)
    unseen = page.locator(".card").evaluate_all(
        "cards => cards.filter((card) => !card.getAttribute('aria-label')).length"
    )
    assert unseen == 0


def check(page: Any) -> None:
    """Nothing that axe finds serious, and nothing beside the window."""
    assert not grave(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert re.search(r"\d+ decided|None\.", page.locator("#review-status").inner_text())


def test_without_a_filtered_folder_it_says_what_makes_one(browser: Any, tmp_path: Path) -> None:
    with studio(tmp_path) as client:
        page = browser.new_page()
        page.goto(client.address)
        page.wait_for_selector("#review-none", state="visible")
        assert "gravurekit filter" in page.locator("#review-none").inner_text()
        page.close()
