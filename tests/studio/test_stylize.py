"""The tab Stylize over HTTP: what it draws is what the command draws, what it saves the command takes."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prints import photograph
from studio_server import Client, studio
from workspace import run_here

from gravurekit import images
from gravurekit.stages import _presets
from gravurekit.storage import write_bytes, write_text


@pytest.fixture(scope="module")
def photo() -> bytes:
    return images.encode_png(photograph(4))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Path:
    """A workspace with one photograph."""
    folder = tmp_path_factory.mktemp("own")
    write_bytes(folder / "photos" / "a.png", photo)
    return folder


@pytest.fixture(scope="module")
def client(own: Path) -> "Client":  # type: ignore[misc]
    with studio(own) as found:
        yield found


def layer(client: Client, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(client.get(address).content)).convert("RGB"), np.int16)


def drawn(client: Client, upload: str, **said: object) -> dict[str, object]:
    *_, last = client.work("/api/stylize", {"upload": upload, "side": 128} | said)
    return last


@pytest.mark.parametrize("style", ["cartoon", "engrave"])
def test_it_draws_what_the_command_draws(client: Client, own: Path, photo: bytes, style: str) -> None:
    upload = client.upload(photo).json()["id"]
    done = drawn(client, upload, style=style, seed=3)["done"]
    words = (
        "-C",
        str(own),
        "stylize",
        "photos",
        f"out-{style}",
        "--style",
        style,
        "--short-side",
        "128",
        "--seed",
        "3",
        "--quiet",
    )
    assert run_here(*words).exit_code == 0
    (print_file,) = (own / f"out-{style}" / "images").iterdir()
    (plain_file,) = (own / f"out-{style}" / "plain").iterdir()
    for name, file, most in (("print", print_file, 6), ("ink", plain_file, 3)):  # but for what JPEGs do
        ours, theirs = layer(client, done["layers"][name]), images.read(file).pixels.astype(np.int16)  # type: ignore[index]
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).mean() < most


def test_a_knob_changes_the_drawing(client: Client, photo: bytes) -> None:
    upload = client.upload(photo).json()["id"]
    one = drawn(client, upload, knobs={"darkness": [0.3, 0.3]})["done"]
    other = drawn(client, upload, knobs={"darkness": [1.0, 1.0]})["done"]
    light, dark = (layer(client, done["layers"]["ink"]).mean() for done in (one, other))  # type: ignore[index]
    assert light > dark + 10


def test_what_it_saves_the_command_takes(client: Client, own: Path) -> None:
    saved = client.post("/api/presets", {"name": "fine", "style": "engrave", "knobs": {"pitch": [2.5, 3.0]}})
    assert saved.json() == {
        "name": "fine", "path": "presets/fine.toml",
        "command": "gravurekit stylize --style engrave --preset presets/fine.toml",
    }  # fmt: skip
    assert _presets.read("engrave", str(own / "presets" / "fine.toml"))["engrave"]["pitch"] == [2.5, 3.0]
    again = client.post("/api/presets", {"name": "fine", "style": "engrave", "knobs": {}})
    assert again.status_code == 409
    again = client.post("/api/presets", {"name": "fine", "style": "engrave", "knobs": {}, "replace": True})
    assert again.status_code == 200
    (style,) = (one for one in client.get("/api/styles").json()["styles"] if one["name"] == "engrave")
    assert {"fine", "steel", "wood"} <= style["presets"].keys()
    words = (
        "-C",
        str(own),
        "stylize",
        "photos",
        "by-preset",
        "--preset",
        "presets/fine.toml",
        "--short-side",
        "64",
        "--quiet",
    )
    assert run_here(*words).exit_code == 0


def test_it_replaces_only_its_own_presets(client: Client, own: Path) -> None:
    write_text(own / "presets" / "theirs.toml", "[stylize.engrave]\npitch = 3.0\n")
    (own / "elsewhere.toml").write_text("# Made in the studio: gravurekit stylize --preset x\n")
    (own / "presets" / "link.toml").symlink_to(own / "elsewhere.toml")
    for name in ("theirs", "link"):
        answer = client.post("/api/presets", {"name": name, "style": "engrave", "knobs": {}, "replace": True})
        assert answer.status_code == 400 and "the studio's" in answer.json()["error"]
    assert "pitch = 3.0" in (own / "presets" / "theirs.toml").read_text()
    assert "x" in (own / "elsewhere.toml").read_text()


@pytest.mark.parametrize(
    "name", ["../a", "a/b", "", ".", "..", "a.toml", "é", "-a", "a b", "x" * 65, "a\n", 7, None, "/etc/x", "steel"]
)
def test_a_preset_lies_nowhere_else(client: Client, own: Path, name: object) -> None:
    before = {path.name for path in own.rglob("*.toml")}
    answer = client.post("/api/presets", {"name": name, "style": "engrave", "knobs": {}})
    assert answer.status_code == 400
    assert {path.name for path in own.rglob("*.toml")} == before


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"style": "../engrave"}, "no style"),
        ({"style": "transfer"}, "isn't drawn in the studio"),
        ({"style": 3}, "is a name"),
        ({"knobs": {"pich": 3}}, "did you mean 'pitch'"),
        ({"knobs": {"pitch": [1, 99]}}, "pitch"),
        ({"knobs": {"pitch": "x"}}, "pitch"),
        ({"knobs": []}, "object"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "whole number"),
        ({"side": 100_000}, "short side"),
    ],
)
def test_what_cant_be_drawn_is_told(client: Client, photo: bytes, said: dict[str, object], word: str) -> None:
    upload = client.upload(photo).json()["id"]
    answer = client.post("/api/stylize", {"upload": upload} | said)
    assert answer.status_code == 400 and word in answer.json()["error"], answer.text


def test_a_picture_that_isnt_kept_is_asked_for_again(client: Client) -> None:
    for name in ("0" * 64, None, 7, {"a": 1}):
        assert client.post("/api/stylize", {"upload": name}).status_code == 410


@pytest.mark.parametrize("body", ["", "[]", "{", "null", "[" * 100_000, '{"a": NaN}'])
def test_what_isnt_json_is_refused(client: Client, body: str) -> None:
    headers = {"X-Gravurekit": "studio", "Content-Type": "application/json"}
    answer = client.post("/api/stylize", data=body.encode(), headers=headers)
    assert answer.status_code in (400, 410), answer.text


def test_more_json_than_anybody_says_is_refused(client: Client) -> None:
    assert client.post("/api/stylize", {"upload": "x" * (2 << 20)}).status_code == 413
