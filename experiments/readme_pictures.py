"""The pictures of README, from a finished demo/: `python experiments/readme_pictures.py demo docs/pictures`. Those of
a report and of the studio need the extra `browser`, and Chromium."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gravurekit import Colorizer, Steer, folder, images, palette
from gravurekit.storage import write_bytes
from gravurekit.styles import engrave

HEIGHT = 480
GAP = np.full((HEIGHT, 10, 3), 255, np.uint8)


def beside(views: list[np.ndarray]) -> np.ndarray:
    """Pictures at one height beside one another: (HEIGHT, W, 3) uint8 sRGB."""
    row = [images.resize(v, round(v.shape[1] * HEIGHT / v.shape[0]), HEIGHT) for v in views]
    return np.concatenate([part for view in row for part in (view, GAP)][:-1], axis=1)


def layers(demo: Path, url: str) -> np.ndarray:
    """Photograph, ink, wash and print of the picture with this URL, as `engrave` draws it."""
    found = next(item for item in folder.read(demo / "clean") if url in item.url)
    photo = images.fit_short_side(images.read(demo / "clean" / found.file_name).pixels, engrave.DRAWN, 4096)
    drawn = engrave.draw(photo, engrave.Settings(), np.random.default_rng([0, int(found.key, 16), 0]))
    small = drawn.resized(512, photo.shape[0] * 512 // photo.shape[1])
    ink = np.repeat(small.plain[..., None], 3, axis=2)
    return beside([photo, ink, small.wash, small.print])


def panels(demo: Path, labels: tuple[str, ...]) -> np.ndarray:
    """The panels of the prints with these labels, one beside the other."""
    by_label = {item.label: item.key for item in folder.read(demo / "prints")}
    return beside([images.read(demo / "coloured" / f"{by_label[label]}-panel.png").pixels for label in labels])


def back(demo: Path) -> np.ndarray:
    """Held-back drawings, two of them: the figure, its ink, and the ink coloured by a network that never saw it, by its
    own guess and told the figure's palette."""
    held = [line for line in map(json.loads, open(demo / "shards" / "index.jsonl")) if line["split"] == "test"]
    drawn = {item.key: item for item in folder.read(demo / "styled")}
    clean = {item.key: item for item in folder.read(demo / "clean")}
    (run,) = (path for path in (demo / "runs").iterdir() if (path / "model.safetensors").is_file())
    colorizer = Colorizer.load(run)
    views = []
    for line in held[:2]:
        item = drawn[line["key"]]
        photo = images.read(demo / "clean" / clean[line["key"]].file_name).pixels
        ink = images.read(demo / "styled" / item.plain_file_name).pixels
        told = Steer(palette(images.read(demo / "styled" / item.wash_file_name).pixels))
        views += [photo, ink, colorizer.colour(ink).pixels, colorizer.colour(ink, steer=told).pixels]
    return beside(views)


def report(demo: Path) -> np.ndarray:
    """The page of demo/clean in a browser: what came of it, and a copy beside its twin."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        page = Path(scratch, "report.html")
        subprocess.run(
            [sys.executable, "-m", "gravurekit", "report", str(demo / "clean"), "--out", str(page)], check=True
        )
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1000, "height": 760}, reduced_motion="reduce")
        view.goto(page.as_uri())
        shots = []
        for name, first in (("top", ""), ("pictures", "#pictures"), ("opened", "#chips button:has-text('duplicate')")):
            if name == "pictures":
                view.locator(first).scroll_into_view_if_needed()
                view.evaluate(
                    "scrollTo(0, document.querySelector('#pictures').getBoundingClientRect().top + scrollY - 10)"
                )
            if name == "opened":
                view.click(first)
                view.locator(".open").first.click()
            view.screenshot(path=Path(scratch, f"{name}.png"))
            shots.append(images.read(Path(scratch, f"{name}.png")).pixels)
        browser.close()
    return in_a_row(shots)


def in_a_row(shots: list[np.ndarray]) -> np.ndarray:
    """Screenshots of one size beside one another."""
    gap = np.full((shots[0].shape[0], 12, 3), 128, np.uint8)
    return np.concatenate([part for shot in shots for part in (shot, gap)][:-1], axis=1)


def studio(demo: Path) -> np.ndarray:
    """The studio in demo/, in a browser: copies to be judged, a photograph that is drawn, a print with a hint."""
    from playwright.sync_api import sync_playwright

    photo = next(item for item in folder.read(demo / "clean") if "/kaftan/002" in item.url)
    plate = next(item for item in folder.read(demo / "prints") if item.label == "kaftan")
    words = [sys.executable, "-m", "gravurekit", "-C", str(demo), "studio", "--port", "0", "--json"]
    with sync_playwright() as driver:
        serving = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert serving.stdout
            address = json.loads(serving.stdout.readline())["address"]
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1000, "height": 760}, reduced_motion="reduce")
            shots = list(seen(page, address, demo / "clean" / photo.file_name, demo / "prints" / plate.file_name))
            browser.close()
        finally:
            serving.terminate()
            serving.wait()
    return in_a_row([images.decode(shot).pixels for shot in shots])


def seen(page: Any, address: str, photo: Path, plate: Path) -> Iterator[bytes]:
    """Review, Stylize and Colorize, as PNG."""
    page.goto(f"{address}#review/copies")
    page.wait_for_selector("#review-cards img")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#review-cards img')].slice(0, 6).every((one) => one.complete)"
    )
    yield page.screenshot()
    page.goto(f"{address}#stylize")
    page.wait_for_selector("#draw-knobs .knob")
    page.set_input_files("#draw-drop input", photo)
    page.wait_for_selector("#said:has-text('drawn at')")
    yield page.screenshot()
    page.goto(f"{address}#colorize")
    page.wait_for_selector("#run-about:not(:empty)")
    page.set_input_files("#colour-drop input", plate)
    page.wait_for_selector("#said:has-text('is coloured')")
    before = page.get_attribute("#colour-compare .over", "src")
    box = page.locator(".places").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.45 * box["height"])
    page.wait_for_selector(f"#colour-compare .over:not([src='{before}'])")
    page.wait_for_timeout(500)
    yield page.screenshot()


def main(demo: Path, out: Path) -> None:
    """Write layers.jpg, demo.jpg, back.jpg, report.jpg and studio.jpg."""
    write_bytes(out / "layers.jpg", images.encode_jpeg(layers(demo, "/kaftan/002"), 88))
    shown = ("yeniceri kiyafeti", "cubbe", "kaftan")
    write_bytes(out / "demo.jpg", images.encode_jpeg(panels(demo, shown), 85))
    write_bytes(out / "back.jpg", images.encode_jpeg(images.fit_long_side(back(demo), 1800), 85))
    write_bytes(out / "report.jpg", images.encode_jpeg(images.fit_long_side(report(demo), 2000), 85))
    write_bytes(out / "studio.jpg", images.encode_jpeg(images.fit_long_side(studio(demo), 2000), 85))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
