"""The studio's speed, as somebody at its page feels it: how soon the page can be used, from a slider to the picture,
from a print to its colours; and what ten people at once wait for and take.

    python bench/studio.py DATA        # DATA/figures (photographs), DATA/prints; needs Chromium and the extra `browser`

The network has the size of a trained one (224 px, average head) and has learned nothing, which takes as long.
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from filter_goals import Goal, at_most, say, table

from gravurekit import images
from gravurekit.model.checkpoint import save_model
from gravurekit.model.network import NetworkConfig, build

TIMES = 11
PEOPLE, ROUNDS = 10, 3
HEADERS = {"X-Gravurekit": "studio"}
# from a change to the picture that comes of it, decoded and in its place
CHANGE = """
([compare, act]) => new Promise((done) => {
  const over = document.querySelector(`#${compare}-compare .over`), began = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    over.decode().then(() => done(performance.now() - began));
  });
  seen.observe(over, { attributes: true, attributeFilter: ["src"] });
  if (act[0] === "click") document.querySelector(act[1]).click();
  else { const field = document.querySelector(act[1]); field.value = act[2];
    field.dispatchEvent(new Event("input", { bubbles: true })); }
})
"""


def workspace(folder: Path, data: Path) -> tuple[Path, Path]:
    """A workspace with one network; a photograph, and a print of 1024 × 1024 px."""
    config = NetworkConfig(("a", "b"), "average", 224, palette=True, hints=True, lightness=True, L_mean=0.5)
    (folder / "runs" / "bench").mkdir(parents=True)
    save_model(folder / "runs" / "bench" / "model.safetensors", build(config, 0).eval(), {"size": [224, 224]})
    photo = sorted((data / "figures").rglob("*.jpg"))[3]
    plate = images.read(sorted((data / "prints").rglob("*.jpg"))[5]).pixels
    square = folder / "plate.png"
    square.write_bytes(images.encode_png(images.resize(plate, 1024, 1024)))
    return photo, square


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    words = [sys.executable, "-m", "gravurekit", "-C", str(folder), "studio", "--port", "0", "--json"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, json.loads(process.stdout.readline())["address"].rstrip("/")


def middle(take: Callable[[int], float]) -> tuple[float, float]:
    """The median and the worst of several."""
    found = [take(n) for n in range(TIMES)]
    return statistics.median(found), max(found)


def at_the_page(page: Any, address: str, photo: Path, plate: Path) -> dict[str, tuple[float, float]]:
    """Seconds, median and worst, of what somebody waits for."""
    rows = {}
    began = time.perf_counter()
    page.goto(f"{address}/#stylize")
    page.wait_for_selector("#draw-knobs .knob")
    rows["page usable, the studio just started"] = (time.perf_counter() - began,) * 2

    def again(_: int) -> float:
        began = time.perf_counter()
        page.goto("about:blank")
        page.goto(f"{address}/#stylize")
        page.wait_for_selector("#draw-knobs .knob")
        return time.perf_counter() - began

    rows["page usable"] = middle(again)
    began = time.perf_counter()
    page.set_input_files("#draw-drop input", photo)
    page.wait_for_selector("#draw-view:not([hidden])")
    rows["a photograph dropped in, to its drawing"] = (time.perf_counter() - began,) * 2
    page.wait_for_timeout(1000)
    slider = ["input", "#draw-knobs input"]
    rows["slider to picture, 512 px"] = middle(
        lambda n: page.evaluate(CHANGE, ["draw", [*slider, str(3 + n / 2)]]) / 1e3
    )
    page.goto(f"{address}/#colorize")
    page.wait_for_function("() => document.querySelector('#run-about').textContent")
    began = time.perf_counter()
    page.set_input_files("#colour-drop input", plate)
    page.wait_for_function("() => document.querySelector('#said').textContent.endsWith('is coloured')")
    rows["a print of 1024 × 1024 dropped in, to its colours"] = (time.perf_counter() - began,) * 2
    page.wait_for_timeout(1000)
    slider = ["input", "#colour-knobs input"]
    rows["saturation to colours, 1024 × 1024"] = middle(
        lambda n: page.evaluate(CHANGE, ["colour", [*slider, str(1 + n / 4)]]) / 1e3
    )
    rows["hint to colours, 1024 × 1024"] = middle(
        lambda n: page.evaluate(CHANGE, ["colour", ["click", ".places"]]) / 1e3
    )
    return rows


def goals(rows: dict[str, tuple[float, float]]) -> list[Goal]:
    """Medians against what is asked for."""
    wanted = {"page usable": 2.0, "slider to picture": 0.5, "saturation to": 2.5, "hint to": 2.5}
    return [
        at_most("studio", name, usual, most, " s")
        for name, (usual, _) in rows.items()
        for begin, most in wanted.items()
        if name.startswith(begin)
    ]


def resident(pid: int) -> float:
    """MB."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1e3


def ten_people(address: str, plate: Path, pid: int) -> None:
    """Each drops the plate in, in a size of their own, and has it coloured again and again."""
    pixels = images.read(plate).pixels

    def person(n: int) -> list[tuple[float, int]]:
        out = []
        data = images.encode_png(images.resize(pixels, 1024 - n, 1024))
        upload = requests.post(f"{address}/api/uploads", data=io.BytesIO(data), headers=HEADERS, timeout=600).json()[
            "id"
        ]
        for turn in range(ROUNDS):
            began = time.perf_counter()
            body = {"upload": upload, "run": "bench", "knobs": {"saturation": 1 + turn / 4}}
            answer = requests.post(f"{address}/api/colorize", json=body, headers=HEADERS, timeout=600)
            lines = [json.loads(line) for line in answer.text.splitlines()]
            assert "done" in lines[-1], lines
            out.append((time.perf_counter() - began, max(line.get("ahead", 0) for line in lines)))
        return out

    before = resident(pid)
    began = time.perf_counter()
    with ThreadPoolExecutor(PEOPLE) as people:
        told = [one for many in people.map(person, range(PEOPLE)) for one in many]
    took = time.perf_counter() - began
    waits = sorted(seconds for seconds, _ in told)
    say(f"{PEOPLE} people at once, {ROUNDS} colourings of 1024 × 1024 each: {len(told) / took:.2f} a second; waits of "
        f"{statistics.median(waits):.1f} s (median), {waits[-1]:.1f} s (worst); up to {max(n for _, n in told)} before "
        f"one; the server's memory {before:.0f} → {resident(pid):.0f} MB")  # fmt: skip


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        photo, plate = workspace(Path(folder), data)
        process, address = started(Path(folder))
        try:
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                rows = at_the_page(browser.new_page(viewport={"width": 1280, "height": 900}), address, photo, plate)
                browser.close()
            for name, (usual, worst) in rows.items():
                say(f"{name:52} {usual:6.2f} s, worst {worst:5.2f} s")
            ten_people(address, plate, process.pid)
            table(goals(rows))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
