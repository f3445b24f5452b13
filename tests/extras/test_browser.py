"""Reports in a real browser: paging, filters, sliders by mouse and keyboard; nothing fetched; nothing that people with
other eyes or hands can't use.

Needs Chromium (Debian: `apt-get install chromium`) and the extra `browser`; without them it skips.
"""

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import MARKS, SIZES, grave
from workspace import run_here

from gravurekit import images
from gravurekit.metadata import DROPPED, METADATA, read_lines

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -c constraints.txt -e '.[browser]'")

pytestmark = MARKS
PAGES = ("raw", "clean", "styled", "shards", "run", "evaluation", "style")
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def pages(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("raw", "clean", "styled", "shards"):
        shutil.copytree(world / name, folder / name)
    books(folder)
    knobs = ("--steps", "8", "--batch", "4", "--validate-every", "4", "--quiet")
    few = ("--samples", "4", "--resamples", "10", "--quiet")
    judged = ("--pictures", "4", "--lessons", "8", "--patches", "32", "--epochs", "1", "--resamples", "10", "--quiet")
    for words in (
        ("train", "shards", *knobs),
        ("evaluate", "colors", "--out", "reports/run-colors.json", *few),
        ("evaluate", "style", "styled", "--photos", "clean", "--prints", "books", *judged),
    ):
        assert run_here("-C", str(folder), *words).exit_code == 0, words
    (run,) = (folder / "runs").iterdir()
    sources = dict.fromkeys(PAGES[:4]) | {"run": str(run), "evaluation": "reports/run-colors.json",
                                          "style": "reports/styled-style.json"}  # fmt: skip
    for name, source in sources.items():
        words = ("report", source or name, "--out", f"pages/{name}.html", "--quiet")
        assert run_here("-C", str(folder), *words).exit_code == 0, name
    return {name: folder / "pages" / f"{name}.html" for name in PAGES}


def books(folder: Path) -> None:
    """Two books of prints, made of drawings."""
    drawings = sorted((folder / "styled" / "images").glob("*"))
    for number, path in enumerate(drawings[:12]):
        target = folder / "books" / ("one", "two")[number % 2] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Open]:
    """Opens a page; at the end nothing was fetched that doesn't lie beside it, and nothing was complained about."""
    contexts, asked, said = [], [], []

    def open_page(name: str, size: str = "wide", scheme: str = "light", **more: Any) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", **more
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    folder = next(iter(pages.values())).parent.as_uri()
    assert all(url.startswith((folder, "data:")) for url in asked) and not said
    for context in contexts:
        context.close()


def tiles(page: Any) -> list[str]:
    """The keys of the pictures that are shown."""
    return [found.inner_text() for found in page.locator("#tiles .tile code").all()]


def chip(page: Any, name: str) -> Any:
    return page.locator("#chips button", has_text=name).first


def choice(page: Any, name: str) -> Any:
    return page.locator("#selects label", has_text=name).locator("select")


# ---- the gallery ---------------------------------------------------------------------------------------


def test_pages_are_turned_by_mouse_and_by_keys(opened: Open, world: Path) -> None:
    kept, dropped = read_lines(world / "raw" / METADATA), read_lines(world / "raw" / DROPPED)
    everything = len(kept) + len(dropped)
    page = opened("raw")
    first = tiles(page)
    assert len(first) == 60 and page.locator("#pages").inner_text() == f"of {math.ceil(everything / 60)}"
    page.click("#next")
    second = tiles(page)
    assert (
        not set(first) & set(second)
        and f"61 to {min(120, everything)} of {everything}" in page.locator("#status").inner_text()
    )
    page.keyboard.press("[")
    assert tiles(page) == first and page.locator("#previous").is_disabled()
    page.keyboard.press("]")
    assert tiles(page) == second
    page.locator("#page").fill("1")
    page.keyboard.press("Enter")
    assert tiles(page) == first
    page.click("#last")
    assert page.locator("#next").is_disabled() and len(tiles(page)) == (everything % 60 or 60)


def test_filters_search_and_order(opened: Open, world: Path) -> None:
    dropped = read_lines(world / "clean" / DROPPED)
    reason = dropped[0].reason
    page = opened("clean")
    chip(page, reason).click()
    assert set(tiles(page)) == {item.key for item in dropped if item.reason == reason}
    assert chip(page, reason).get_attribute("aria-pressed") == "true"
    chip(page, "all").click()
    kept = read_lines(world / "clean" / METADATA)
    label = kept[0].label
    texts = choice(page, "label").locator("option").all_inner_texts()
    choice(page, "label").select_option(label=next(text for text in texts if text.startswith(f"{label} (")))
    chip(page, "kept").click()
    assert set(tiles(page)) == {item.key for item in kept if label in item.labels}
    choice(page, "sort by").select_option(label="entropy")
    figures = {item.key: item.scores["entropy"] for item in kept}
    assert [figures[key] for key in tiles(page)] == sorted(figures[key] for key in tiles(page))
    page.click("#turn")
    assert [figures[key] for key in tiles(page)] == sorted((figures[key] for key in tiles(page)), reverse=True)
    page.keyboard.press("/")
    page.keyboard.type(kept[0].key)
    playwright.expect(page.locator(".tile")).to_have_count(1)
    assert tiles(page) == [kept[0].key]
    page.reload()  # where one was is in the address
    assert tiles(page) == [kept[0].key] and page.locator("#search").input_value() == kept[0].key
    page.locator("#search").fill("nothing has this name")
    playwright.expect(page.locator(".tile")).to_have_count(0)
    assert page.locator("#status").inner_text() == "No picture fits."


def test_the_keyboard_alone_goes_everywhere(opened: Open) -> None:
    page = opened("raw")
    page.locator(".open").first.focus()
    focused = "[...document.querySelectorAll('.open')].indexOf(document.activeElement)"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == 1
    page.keyboard.press("ArrowDown")
    below = page.evaluate(focused)
    assert below > 1
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == 0
    page.keyboard.press("End")
    assert page.evaluate(focused) == 59
    page.keyboard.press("Enter")
    assert page.locator("#viewer").is_visible()
    last = page.locator("#viewer-title").inner_text()
    page.keyboard.press("ArrowRight")  # on to the next page
    assert page.locator("#viewer-title").inner_text() != last
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_hidden() and page.locator("#page").input_value() == "2"
    assert page.evaluate(focused) == 0


def test_a_click_tells_where_a_picture_is_from(opened: Open, world: Path) -> None:
    best = next(item for item in read_lines(world / "raw" / METADATA) if item.page_url)
    page = opened("raw")
    page.locator("#search").fill(best.key)
    playwright.expect(page.locator(".tile")).to_have_count(1)
    page.locator(".open").click()
    told = page.locator("#told").inner_text()
    for word in (best.key, best.source, best.url, best.page_url, best.keywords[0], best.sha256):
        assert word in told
    assert page.locator(f'#told a[href="{best.page_url}"]').count() == 1


def test_a_duplicate_is_shown_with_its_twin_and_leads_to_it(opened: Open, world: Path) -> None:
    copies = [item for item in read_lines(world / "clean" / DROPPED) if item.kept_key]
    page = opened("clean")
    chip(page, copies[0].reason).click()
    page.locator(".open").first.click()
    assert page.locator("#pair img").count() == 2 and copies[0].detail in page.locator("#told").inner_text()
    page.locator("#told button").click()
    assert copies[0].kept_key in tiles(page)


# ---- sliders -------------------------------------------------------------------------------------------


def test_the_slider_between_layers_is_moved_by_keys_and_by_mouse(opened: Open) -> None:
    page = opened("styled")
    page.locator(".open").first.click()
    options = page.locator("#left option").all_inner_texts()
    assert options == ["photograph", "ink", "wash", "print"]
    where = "Number(getComputedStyle(document.querySelector('#pair')).getPropertyValue('--at').replace('%', ''))"
    assert page.evaluate(where) == 50
    page.locator("#slider").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(where) == 55
    box = page.locator("#pair .over").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    page.mouse.up()
    assert abs(page.evaluate(where) - 20) <= 1 and page.locator("#slider").input_value() == str(page.evaluate(where))
    page.locator("#right").select_option("1")
    assert page.locator("#pair .over").get_attribute("alt").startswith("ink: ")
    assert abs(page.evaluate(where) - 20) <= 1


def test_what_the_slider_uncovers_is_the_other_layer(opened: Open, tmp_path: Path) -> None:
    page = opened("styled")
    page.locator(".open").first.click()
    shown = {}
    for end in ("Home", "End"):
        page.locator("#slider").focus()
        page.keyboard.press(end)
        page.locator("#pair .over").screenshot(path=tmp_path / f"{end}.png")
        shown[end] = images.read(tmp_path / f"{end}.png").pixels.astype(int)
    assert abs(shown["Home"] - shown["End"]).mean() > 5  # print, and photograph


def test_the_panels_of_a_run_go_through_its_steps(opened: Open) -> None:
    page = opened("run")
    image = page.locator("#panel-image")
    last = image.get_attribute("src")
    assert page.locator("#panel-step").inner_text().startswith("step 8") and image.is_visible()
    page.locator("#panel-slider").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#panel-step").inner_text().startswith("step 4") and image.get_attribute("src") != last
    page.locator("#panel-slider").fill("1")
    assert image.get_attribute("src") == last


# ---- for everybody -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(name: str, scheme: str, opened: Open) -> None:
    page = opened(name, scheme=scheme)
    serious = list(grave(page))
    if page.locator(".open").count():
        page.locator(".open").first.click()
        serious += grave(page)
    assert not serious


def test_axe_would_find_it(opened: Open) -> None:
    page = opened("raw")
    page.evaluate("document.body.append(document.createElement('button'))")
    assert [rule for rule, _ in grave(page)] == ["button-name"]


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_screen_needs_no_scrolling_sideways(name: str, opened: Open) -> None:
    page = opened(name, "narrow")
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(over) == 0
    if page.locator(".open").count():
        page.locator(".open").first.click()
        assert page.evaluate(over) == 0 and page.locator("#close").is_visible()
        assert (
            page.evaluate(
                "document.querySelector('#viewer').scrollWidth - document.querySelector('#viewer').clientWidth"
            )
            == 0
        )


def test_without_scripts_the_figures_are_there_and_the_rest_is_told(opened: Open) -> None:
    page = opened("clean", java_script_enabled=False)
    assert "allow it to see them" in page.locator("noscript").inner_text()
    assert page.locator("svg.plot").count() > 5
