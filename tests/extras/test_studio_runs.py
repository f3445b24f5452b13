"""The studio's tab Runs in a real browser: a training is seen to begin, to go on and to end, without a touch; keys,
narrow screens, other eyes.

Needs Chromium (Debian: `apt-get install chromium`) and the extra `browser`; without them it skips.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsing import MARKS, SIZES, grave
from runs_made import KNOBS, SHARDS, goes_on, made, panel_at, step
from studio_server import studio
from training import NARROW, narrow
from workspace import patchwork, run_here

from gravurekit import storage
from gravurekit.metadata import LOCK
from gravurekit.studio import _pace, runs

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -c constraints.txt -e '.[browser]'")

pytestmark = MARKS
LONG = 40_000  # ms within which something comes
LINES = [step(n, loss=1 / n, colour_loss=2 / n) for n in range(1, 60)]
ENDED = "ended <b>it&amp;#x"  # the name of a training
Open = Callable[..., Any]


@contextmanager
def opening(browser: Any, folder: Path) -> Iterator[Open]:
    """Opens the page of a studio in `folder`; at the end nothing was fetched that isn't its, nor complained about."""
    contexts, asked, said = [], [], []
    with studio(folder) as client:

        def open_page(place: str = "#runs", size: str = "wide", scheme: str = "light") -> Any:
            width, height = SIZES[size]
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            contexts.append(context)
            page = context.new_page()
            page.clock.install()
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(f"{client.root}/{place}")
            return page

        yield open_page
        for context in contexts:
            context.close()
        assert all(url.startswith((client.root, "data:")) for url in asked) and not said


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes is drawn anew at once."""
    for module, name in ((runs, "LEAST"), (_pace, "SHARE")):
        monkeypatch.setattr(module, name, 1)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training, one that was ended and has panels, one that is damaged."""
    place = tmp_path_factory.mktemp("settled")
    patchwork(place / "photos/kaftan", 8)
    with narrow():
        for words in (*SHARDS, ("train", "shards", "--steps", "8", "--validate-every", "4", *KNOBS)):
            assert run_here("-C", str(place), *words).exit_code == 0, words
    ended = made(place / "runs" / ENDED, *LINES, step(59, "validation", score=1.25))
    for number in (20, 40, 59):
        panel_at(ended, number, 1000)
    storage.write_text(made(place / "runs/torn", *LINES, "half") / "receipt.json", "{")
    return place


@pytest.fixture
def opened(browser: Any, workspace: Path) -> Iterator[Open]:
    with opening(browser, workspace) as open_page:
        yield open_page


def tab_to(page: Any, words: str) -> None:
    """Go on by the Tab key to what begins with these words."""
    for _ in range(40):
        if page.evaluate("document.activeElement.textContent").startswith(words):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{words} can't be reached")


def chosen(page: Any, name: str) -> Any:
    """The page, when it shows a training with its charts."""
    playwright.expect(page.locator("#runs-name")).to_have_text(name, timeout=LONG)
    page.wait_for_selector("#runs-charts svg", timeout=LONG)
    return page


# ---- a training that goes on -----------------------------------------------------------------------------


@pytest.mark.usefixtures("quickly")
def test_a_training_is_seen_to_begin_to_go_on_and_to_end(browser: Any, tmp_path: Path) -> None:
    patchwork(tmp_path / "photos/kaftan", 8)
    for words in SHARDS:
        assert run_here("-C", str(tmp_path), *words).exit_code == 0, words
    with opening(browser, tmp_path) as open_page:
        page = open_page()
        playwright.expect(page.locator("#runs-none")).to_contain_text("gravurekit train", timeout=LONG)
        flags = ("--steps", "1500", "--validate-every", "100", *KNOBS)
        process = subprocess.Popen([*NARROW, "train", "shards", *flags], cwd=tmp_path)
        try:
            watched(page)
            assert process.wait(300) == 0
        finally:
            process.kill()
            process.wait()
        badges = page.locator(".runs-badge")
        playwright.expect(badges.first).to_have_text("finished", timeout=LONG)
        playwright.expect(badges.last).to_have_text("finished", timeout=LONG)
        playwright.expect(page.locator("#runs-said")).to_contain_text("step 1,500 of 1,500")
        playwright.expect(page.locator("#runs-faults")).to_be_hidden()


def watched(page: Any) -> None:
    """The page of a training that runs moves by itself; what people do in it stays as they did it."""
    slider, image = page.locator("#runs-slider"), page.locator("#runs-panel img")
    playwright.expect(page.locator("#runs-badge")).to_have_text("running", timeout=LONG)
    page.wait_for_selector("#runs-charts svg", timeout=LONG)
    moved = "({svg, said}) => document.querySelector('#runs-charts').innerHTML !== svg && "
    moved += "document.querySelector('#runs-said').textContent !== said"
    before = {"svg": page.locator("#runs-charts").inner_html(), "said": page.locator("#runs-said").inner_text()}
    page.wait_for_function(moved, arg=before, timeout=LONG)
    playwright.expect(image).to_be_visible(timeout=LONG)  # a panel appeared
    first = image.get_attribute("src")
    slider.focus()
    height = slider.bounding_box()["y"]
    page.evaluate("document.querySelector('#runs-charts').firstElementChild.ours = true")
    playwright.expect(image).not_to_have_attribute("src", first, timeout=LONG)  # another one: it stays at the end
    assert slider.input_value() == slider.get_attribute("max")
    page.keyboard.press("Home")
    playwright.expect(image).to_have_attribute("src", re.compile("/panels/100[?]"), timeout=LONG)
    last = slider.get_attribute("max")
    playwright.expect(slider).not_to_have_attribute("max", last, timeout=LONG)  # one more: it stays where it is
    assert slider.input_value() == "0" and "/panels/100?" in image.get_attribute("src")
    assert page.evaluate("document.activeElement.id") == "runs-slider"
    assert abs(slider.bounding_box()["y"] - height) < 2  # what grew above it pushed nothing away
    assert page.evaluate("document.querySelector('#runs-charts').firstElementChild.ours")  # the same element
    assert "(score " in page.locator("#said").inner_text()


@pytest.mark.usefixtures("quickly")
def test_it_asks_only_while_somebody_looks(browser: Any, tmp_path: Path) -> None:
    run = made(tmp_path / "runs/a", *LINES)
    asked: list[str] = []
    with opening(browser, tmp_path) as open_page:
        page = chosen(open_page(), "a")
        page.on("request", lambda request: asked.append(request.url))

        def asks() -> bool:
            asked.clear()
            for _ in range(5):
                page.clock.run_for(60_000)
            return any("/api/runs" in url for url in asked)

        assert asks()
        page.evaluate("location.hash = '#stylize'")
        page.wait_for_selector("#tab-runs", state="hidden")
        page.wait_for_load_state("networkidle")
        assert not asks()
        page.evaluate("location.hash = '#runs'")
        page.wait_for_selector("#tab-runs", state="visible")
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.wait_for_load_state("networkidle")
        assert not asks()
        goes_on(run, step(60, loss=1))
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        playwright.expect(page.locator("#runs-said")).to_contain_text("step 60", timeout=LONG)


def test_where_there_is_no_answer_it_says_so_and_goes_on(browser: Any, tmp_path: Path) -> None:
    made(tmp_path / "runs/a", *LINES)
    with opening(browser, tmp_path) as open_page:
        page = chosen(open_page(), "a")
        page.route("**/api/runs", lambda route: route.fulfill(status=200, body="{"))
        page.clock.run_for(4_000)
        playwright.expect(page.locator("#runs-trouble")).to_contain_text("asked for again by itself", timeout=LONG)
        assert page.locator("#runs-charts svg").count()  # what there was stays
        page.unroute("**/api/runs")
        page.clock.run_for(10_000)
        playwright.expect(page.locator("#runs-trouble")).to_be_hidden(timeout=LONG)


# ---- one after the other ---------------------------------------------------------------------------------


def test_the_address_says_which_one_is_shown(opened: Open) -> None:
    page = opened()
    chosen(page, page.locator(".runs-called").first.text_content())
    page.locator(".runs-list a", has_text="ended").click()
    chosen(page, ENDED)
    assert page.evaluate("decodeURIComponent(location.hash)") == f"#runs/{ENDED}"
    assert page.locator(".runs-list a[aria-current]").count() == 1 and page.locator("#tab-runs b").count() == 0
    page.reload()
    chosen(page, ENDED)
    playwright.expect(page.locator("#runs-wrong")).to_contain_text("isn't finished")
    page.go_back()
    page.evaluate("location.hash = '#runs/nobody'")
    playwright.expect(page.locator("#runs-trouble")).to_have_text("There is no training called nobody.")
    playwright.expect(page.locator("#runs-one")).to_be_hidden()


def test_the_keyboard_alone_goes_everywhere(opened: Open) -> None:
    page = opened()
    page.wait_for_selector(".runs-list a")
    page.locator(".tabs a").last.focus()
    tab_to(page, "ended")
    page.keyboard.press("Enter")
    chosen(page, ENDED)
    image, said = page.locator("#runs-panel img"), page.locator("#runs-step")
    playwright.expect(said).to_have_text("step 59 (score 1.25)")
    playwright.expect(image).to_be_visible(timeout=LONG)
    page.keyboard.press("ArrowLeft")  # from wherever one is
    playwright.expect(said).to_have_text("step 40")
    page.clock.run_for(1000)
    playwright.expect(image).to_have_attribute("alt", re.compile("at step 40: "), timeout=LONG)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    playwright.expect(said).to_have_text("step 59 (score 1.25)")
    tab_to(page, "Panels")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "runs-slider"
    page.keyboard.press("Home")
    playwright.expect(said).to_have_text("step 20")


def test_a_live_one_has_a_badge_with_a_word(browser: Any, tmp_path: Path) -> None:
    run = made(tmp_path / "runs/a", *LINES)
    with storage.locked(run / LOCK), opening(browser, tmp_path) as open_page:
        page = chosen(open_page(), "a")
        assert (
            page.locator("#runs-badge").inner_text() == page.locator(".runs-list .runs-badge").inner_text() == "running"
        )
        assert page.locator("#runs-faults").is_hidden()


# ---- for everybody ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(size: str, scheme: str, opened: Open) -> None:
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for name in (ENDED, "torn"):
        page = chosen(opened(f"#runs/{name}", size, scheme), name)
        assert page.evaluate(over) == 0
        assert not list(grave(page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_a_training_it_is_as_well(scheme: str, browser: Any, tmp_path: Path) -> None:
    with opening(browser, tmp_path) as open_page:
        page = open_page("#runs", "narrow", scheme)
        page.wait_for_selector("#runs-none", state="visible", timeout=LONG)
        assert not list(grave(page))
