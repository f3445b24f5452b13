"""Stylize and Colorize in a real browser: a picture is dropped in and drawn, a slider changes it; a print is coloured,
a hint changes it there and not elsewhere; by keyboard alone; for everybody.

Needs Chromium (Debian: `apt-get install chromium`) and the extra `browser`; without them it skips.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import MARKS, grave, looking, sideways
from colouring import engraved, write_run
from PIL import Image
from prints import photograph
from studio_server import Client, studio

from gravurekit import color, images
from gravurekit.stages import _presets
from gravurekit.storage import write_bytes

pytestmark = MARKS
TABS = ("review", "stylize", "colorize", "runs")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two networks, and pictures beside it."""
    folder = tmp_path_factory.mktemp("place")
    write_run(folder / "runs" / "loud", whole=True)
    write_run(folder / "runs" / "plain", whole=True, palette=False, hints=False, lightness=True)
    write_bytes(folder / "photo.png", images.encode_png(photograph(3)))
    write_bytes(folder / "plate.png", images.encode_png(engraved(2, 480, 360)))
    write_bytes(folder / "torn.png", images.encode_png(photograph(3))[:2000])
    return folder


def source(page: Any, name: str, which: str = "over") -> str:
    return str(page.get_attribute(f"#{name}-compare .{which}", "src"))


def moved_on(page: Any, name: str, before: str) -> str:
    """Wait until another picture is shown."""
    page.wait_for_function(
        "([name, before]) => document.querySelector(`#${name}-compare .over`).getAttribute('src') !== before",
        arg=[name, before],
    )
    return source(page, name)


def pixels(client: Client, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.get(address).content)).convert("RGB"))


def drop(page: Any, selector: str, path: Path) -> None:
    """Drop a file onto a place, as from a desktop."""
    data = list(path.read_bytes())
    transfer = page.evaluate_handle(
        "([data, name]) => { const all = new DataTransfer(); "
        "all.items.add(new File([new Uint8Array(data)], name)); return all; }",
        [data, path.name],
    )
    page.dispatch_event(selector, "drop", {"dataTransfer": transfer})


def drawn(page: Any, place: Path) -> str:
    drop(page, "#draw-drop", place / "photo.png")
    page.wait_for_selector("#draw-view:not([hidden])")
    return source(page, "draw")


def coloured(page: Any, place: Path, run: str) -> str:
    page.wait_for_selector("#colour-run option", state="attached")
    page.select_option("#colour-run", run)
    page.wait_for_function(
        "() => document.querySelector('#run-about').textContent && !document.querySelector('#said').textContent"
    )
    drop(page, "#colour-drop", place / "plate.png")
    page.wait_for_function("() => document.querySelector('#said').textContent.endsWith('is coloured')")
    return source(page, "colour")


# ---- Stylize ---------------------------------------------------------------------------------------------


def test_a_picture_is_dropped_in_and_drawn_and_a_slider_changes_it(tab: Any, client: Client, place: Path) -> None:
    page = tab("stylize")
    before = drawn(page, place)
    photo = pixels(client, source(page, "draw", "under")).astype(int)
    assert photo.shape == pixels(client, before).shape
    knob = page.get_by_label("darkness, to")
    knob.focus()
    for _ in range(3):
        page.keyboard.press("PageDown")
    after = moved_on(page, "draw", before)
    page.wait_for_function("() => !document.querySelector('#draw-drop').hasAttribute('aria-busy')")
    after = source(page, "draw")
    assert pixels(client, after).mean() > pixels(client, before).mean() + 2, "less ink"
    assert page.locator("#complaint").is_hidden()


def test_layers_styles_and_chance(tab: Any, client: Client, place: Path) -> None:
    page = tab("stylize")
    before = drawn(page, place)
    page.select_option("#draw-right", "ink")
    ink = moved_on(page, "draw", before)
    assert np.ptp(pixels(client, ink).astype(int), axis=-1).max() <= 12, "no colour"
    page.click("#draw-again")
    other = moved_on(page, "draw", ink)
    page.select_option("#draw-style", "cartoon")
    assert moved_on(page, "draw", other)
    assert page.locator("#draw-knobs .knob").count() == 9
    assert page.locator("#draw-style option[value=transfer]").is_disabled()


def test_a_preset_is_saved_and_chosen_again(tab: Any, place: Path) -> None:
    page = tab("stylize")
    page.wait_for_selector("#draw-knobs .knob")
    page.select_option("#draw-preset", "wood")
    low = page.get_by_label("pitch, from")
    low.focus()
    page.keyboard.press("ArrowRight")
    page.fill("#draw-name", "bolder")
    page.keyboard.press("Enter")
    page.wait_for_selector("#draw-kept:not([hidden])")
    assert page.inner_text("#draw-command") == "gravurekit stylize --style engrave --preset presets/bolder.toml"
    kept = _presets.read("engrave", str(place / "presets" / "bolder.toml"))["engrave"]
    assert kept["pitch"][0] == pytest.approx(2.65, abs=0.051) and kept["light"] == [0.12, 0.22]
    page.reload()
    page.wait_for_selector("#draw-preset option[value=bolder]", state="attached")
    page.select_option("#draw-preset", "bolder")
    assert float(page.get_by_label("pitch, from").input_value()) == pytest.approx(kept["pitch"][0], abs=0.051)


def test_a_file_that_is_no_picture_is_refused_in_words(tab: Any, place: Path) -> None:
    page = tab("stylize")
    drop(page, "#draw-drop", place / "torn.png")
    page.wait_for_selector("#complaint:not([hidden])")
    assert page.inner_text("#complaint").startswith("torn.png: this picture can't be used")


def test_a_file_that_is_too_large_isnt_even_sent(tab: Any, place: Path) -> None:
    page = tab("stylize")
    page.evaluate("() => { document.body.dataset.upload = '0.001'; }")
    drop(page, "#draw-drop", place / "photo.png")
    page.wait_for_selector("#complaint:not([hidden])")
    assert "at most" in page.inner_text("#complaint")


# ---- Colorize --------------------------------------------------------------------------------------------


def test_a_print_is_coloured_and_a_hint_changes_it_there_and_not_elsewhere(
    tab: Any, client: Client, place: Path
) -> None:
    page = tab("colorize")
    before = coloured(page, place, "plain")
    box = page.locator(".places").bounding_box()
    page.fill("#hint-colour", "#c02030")
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25)
    after = moved_on(page, "colour", before)
    one, other = (color.rgb_to_lab(pixels(client, address))[..., 1:] for address in (before, after))
    moved = np.abs(other - one).sum(axis=-1)
    height, width = moved.shape
    assert moved[int(height * 0.22) : int(height * 0.28), int(width * 0.45) : int(width * 0.55)].mean() > 15
    assert moved[int(height * 0.8) :].mean() < 1.5
    assert page.locator("#hints li").count() == 1 and page.locator(".dot").count() == 1
    page.get_by_label("Remove hint 1").click()
    assert np.array_equal(pixels(client, moved_on(page, "colour", after)), pixels(client, before))


def test_the_hand_on_the_brush(tab: Any, client: Client, place: Path) -> None:
    page = tab("colorize")
    shown = coloured(page, place, "loud")
    page.get_by_label("saturation").focus()
    page.keyboard.press("Home")
    moved_on(page, "colour", shown)
    page.wait_for_function("() => !document.querySelector('#colour-drop').hasAttribute('aria-busy')")
    assert np.abs(color.rgb_to_lab(pixels(client, source(page, "colour")))[..., 1:]).mean() < 3
    page.keyboard.press("ArrowUp")
    shown = moved_on(page, "colour", source(page, "colour"))
    page.select_option("#word", "kaftan")
    shown = moved_on(page, "colour", shown)
    page.fill("#palette", "teal")
    shown = moved_on(page, "colour", shown)
    assert page.input_value("#word") == ""
    drop(page, "#like-drop", place / "photo.png")
    shown = moved_on(page, "colour", shown)
    assert page.locator("#likes li").count() == 1
    assert page.locator("#class-list li").count() == 2
    page.fill("#palette", "nocolour")
    page.wait_for_selector("#complaint:not([hidden])")
    assert "no colour" in page.inner_text("#complaint")


def test_the_download_has_its_metadata(tab: Any, place: Path, tmp_path: Path) -> None:
    page = tab("colorize")
    coloured(page, place, "loud")
    with page.expect_download() as coming:
        page.click("#colour-save")
    coming.value.save_as(tmp_path / "a.png")
    assert coming.value.suggested_filename == "plate-coloured.png"
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (360, 480) and "colourised" in image.text["Description"]  # type: ignore[attr-defined]


# ---- for everybody ---------------------------------------------------------------------------------------


def test_the_keyboard_alone_colours_a_print(tab: Any, client: Client, place: Path) -> None:
    page = tab("stylize")
    page.on("filechooser", lambda chooser: chooser.set_files(place / "plate.png"))
    page.locator("#to-stylize").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#tab-colorize:not([hidden])")
    page.wait_for_function("() => document.querySelector('#run-about').textContent")
    for _ in range(6):  # on to the field where files are chosen
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.type") == "file":
            break
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#said').textContent.endsWith('is coloured')")
    before = source(page, "colour")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "places"
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    assert moved_on(page, "colour", before)
    assert "at 172, 220 px" in page.inner_text("#hints")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.type") == "range"
    page.keyboard.press("End")
    assert "100 %" in page.evaluate("() => document.activeElement.getAttribute('aria-valuetext')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(tab: Any, place: Path, scheme: str) -> None:
    page = tab("stylize", scheme=scheme, bypass_csp=True)
    found = grave(page)
    drawn(page, place)
    found += grave(page)
    page.goto(page.url.partition("#")[0] + "#colorize")
    coloured(page, place, "loud")
    page.locator(".places").click()
    found += grave(page)
    assert not found


@pytest.mark.parametrize("name", TABS)
def test_a_narrow_screen_needs_no_scrolling_sideways(tab: Any, place: Path, name: str) -> None:
    page = tab(name, "narrow")
    assert sideways(page) == 0
    if name == "stylize":
        drawn(page, place)
    if name == "colorize":
        coloured(page, place, "loud")
    assert sideways(page) == 0
    assert page.locator(f"#to-{name}").get_attribute("aria-current") == "page"


def test_it_says_when_nobody_answers_any_more(browser: Any, place: Path) -> None:
    with studio(place) as own, looking(browser, f"{own.root}/#stylize") as page:
        drawn(page, place)
        page.route("**/api/**", lambda route: route.abort())
        page.click("#draw-again")
        page.wait_for_selector("#complaint:not([hidden])")
        assert "still running" in page.inner_text("#complaint")
