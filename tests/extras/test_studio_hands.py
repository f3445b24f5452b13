"""What people do to Stylize and Colorize that nobody planned: they drop the next picture onto the one that they see, go
away and come back, and lose the studio meanwhile; where the focus is then, and whether what they set is still there.

Needs Chromium (Debian: `apt-get install chromium`) and the extra `browser`; without them it skips.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import MARKS
from colouring import engraved, write_run
from prints import photograph
from studio_server import Client

from gravurekit import images
from gravurekit.storage import write_bytes

pytestmark = MARKS
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a network, and pictures beside it."""
    folder = tmp_path_factory.mktemp("place")
    write_run(folder / "runs" / "loud", whole=True)
    write_bytes(folder / "photo.png", images.encode_png(photograph(3)))
    write_bytes(folder / "plate.png", images.encode_png(engraved(2, 240, 180)))
    write_bytes(folder / "wide.png", images.encode_png(engraved(3, 150, 300)))
    return folder


def drop(page: Any, selector: str, path: Path | None) -> None:
    """Drop a file onto a place, as from a desktop; or something that is no file, as from another page."""
    transfer = page.evaluate_handle(
        "([data, name]) => { const all = new DataTransfer(); "
        "if (data) all.items.add(new File([new Uint8Array(data)], name)); return all; }",
        [list(path.read_bytes()) if path else None, path.name if path else ""],
    )
    page.dispatch_event(selector, "drop", {"dataTransfer": transfer})


def told(page: Any, text: str) -> None:
    page.wait_for_function("text => document.querySelector('#said').textContent.includes(text)", arg=text)


def coloured(page: Any, path: Path, place: str = "#colour-drop") -> None:
    page.wait_for_function("() => document.querySelector('#run-about').textContent")
    drop(page, place, path)
    told(page, f"{path.name} is coloured")


# ---- knobs -----------------------------------------------------------------------------------------------


def test_a_knob_that_nobody_moved_is_what_the_command_has(tab: Open, client: Client, place: Path) -> None:
    page = tab("stylize")
    page.wait_for_selector("#draw-knobs .knob")
    with page.expect_request("**/api/stylize") as asked:
        drop(page, "#draw-drop", place / "photo.png")
    told_of = client.get("/api/styles").json()
    style = next(one for one in told_of["styles"] if one["name"] == told_of["chosen"])
    assert asked.value.post_data_json["knobs"] == {knob["name"]: knob["default"] for knob in style["knobs"]}
    told(page, "drawn")
    page.get_by_label("specks, to").focus()
    with page.expect_request("**/api/stylize") as asked:
        page.keyboard.press("ArrowUp")
    assert asked.value.post_data_json["knobs"]["specks"] == [0, pytest.approx(1.8, abs=0.11)]


def test_at_full_size_the_slider_stays_in_sight_and_keys_scroll(tab: Open, place: Path) -> None:
    page = tab("stylize", "narrow")
    page.wait_for_selector("#draw-knobs .knob")
    drop(page, "#draw-drop", place / "photo.png")
    told(page, "drawn")
    page.click("#draw-large")
    page.get_by_role("region", name="drawing, at 1:1").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('#draw-compare .window').scrollTop > 0")
    page.evaluate("() => scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })")
    box = page.locator("#draw-compare input").bounding_box()
    assert 0 < box["y"] < 844 - box["height"], "it stays in sight of the last knob"


def test_the_line_follows_the_mouse(tab: Open, place: Path) -> None:
    page = tab("stylize")
    page.wait_for_selector("#draw-knobs .knob")
    drop(page, "#draw-drop", place / "photo.png")
    told(page, "drawn")
    box = page.locator("#draw-compare .pair").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 60)
    page.mouse.up()
    assert page.input_value("#draw-compare input") == "80"


# ---- one picture after the other -------------------------------------------------------------------------


def test_the_next_picture_may_be_dropped_onto_the_one_that_is_seen(tab: Open, place: Path) -> None:
    page = tab("colorize")
    coloured(page, place / "plate.png")
    page.locator(".places").click()
    assert page.locator("#hints li").count() == 1
    told(page, "is coloured")
    coloured(page, place / "wide.png", ".places")
    assert page.locator("#hints li").count() == 0
    assert page.locator("#colour-compare .pair").evaluate("pair => pair.style.aspectRatio") == "300 / 150"


def test_another_picture_is_seen_before_it_is_coloured(tab: Open, place: Path) -> None:
    page = tab("colorize")
    coloured(page, place / "plate.png")
    page.route("**/api/colorize", lambda route: None)  # never answered
    drop(page, "#colour-drop", place / "wide.png")
    page.wait_for_function("() => document.querySelector('#colour-compare .over').naturalWidth === 300")
    page.locator(".places").click(position={"x": 3, "y": 3})
    assert page.locator("#hints .n").nth(1).inner_text().startswith("at "), "of the picture that is seen"
    page.unroute_all(behavior="ignoreErrors")


def test_what_is_no_file_is_told(tab: Open) -> None:
    page = tab("colorize")
    drop(page, "#colour-drop", None)
    assert "no file" in page.inner_text("#complaint")
    assert page.inner_text("#said") == ""


def test_hints_stay_when_the_studio_lost_the_picture(tab: Open, place: Path) -> None:
    page = tab("colorize")
    coloured(page, place / "plate.png")
    drop(page, "#like-drop", place / "photo.png")
    page.wait_for_selector("#likes li")
    page.locator(".places").click()
    page.wait_for_function("() => !document.querySelector('#colour-drop').hasAttribute('aria-busy')")
    gone = '{"error": "not kept any more", "status": 410}\n'
    page.route("**/api/colorize", lambda route: route.fulfill(body=gone), times=1)
    with page.expect_request("**/api/uploads"), page.expect_response("**/api/colorize"):
        page.get_by_label("saturation").press("ArrowUp")
    told(page, "is coloured")
    assert page.locator("#hints li").count() == 1 and page.locator("#likes li").count() == 1


# ---- focus, and going about ------------------------------------------------------------------------------


def test_the_focus_stays_where_something_is_changed(tab: Open, place: Path) -> None:
    page = tab("colorize")
    coloured(page, place / "plate.png")
    page.locator(".places").press("Enter")
    page.get_by_label("hint 1: colour").focus()
    page.get_by_label("hint 1: colour").fill("#00aa44")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "hint 1: colour"
    drop(page, "#like-drop", place / "photo.png")
    page.get_by_label("Remove photo.png").press("Enter")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Choose a picture"
    page.locator(".places").press("ArrowLeft")
    assert page.locator(".pair [role=status]").last.inner_text() == "86, 120 px"


def test_a_tab_that_couldnt_be_filled_is_filled_the_next_time(tab: Open) -> None:
    page = tab("review")
    page.route("**/api/**", lambda route: route.abort())
    for name in ("stylize", "colorize"):
        page.click(f"#to-{name}")
        page.wait_for_selector("#complaint:not([hidden])")
    page.unroute_all()
    for name, control in (("stylize", "#draw-knobs .knob"), ("colorize", "#colour-run option")):
        page.click(f"#to-{name}")
        page.wait_for_selector(control, state="attached")
        assert page.locator(f"#tab-{name} .board input[type=file]").count() == 1
        assert page.title().lower().startswith(name)


def test_a_jump_to_the_work_is_no_tab(tab: Open) -> None:
    page = tab("main")
    assert page.locator("#tab-review").is_visible()


def test_a_run_that_was_trained_meanwhile_can_be_chosen(tab: Open, place: Path) -> None:
    page = tab("colorize")
    page.wait_for_selector("#colour-run option", state="attached")
    chosen = page.input_value("#colour-run")
    write_run(place / "runs" / "newer", whole=True)
    page.click("#to-stylize")
    page.click("#to-colorize")
    page.wait_for_selector("#colour-run option[value=newer]", state="attached")
    assert page.input_value("#colour-run") == chosen
