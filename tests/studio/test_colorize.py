"""The tab Colorize over HTTP: what it saves is what the command writes; hints, palettes, moods; nothing is read that
wasn't dropped in."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colouring import engraved, said_of, texts_of
from PIL import Image
from studio_server import Client
from workspace import run_here

from gravurekit import color, images
from gravurekit.storage import write_bytes


@pytest.fixture(scope="module")
def plate() -> bytes:
    return images.encode_png(engraved(2, 240, 180))


@pytest.fixture
def upload(open_studio: Client, plate: bytes) -> str:
    return str(open_studio.upload(plate, "plate.png").json()["id"])


def coloured(client: Client, upload: str, **said: Any) -> dict[str, Any]:
    *_, last = client.work("/api/colorize", {"upload": upload, "run": "loud"} | said)
    assert "done" in last, last
    return dict(last["done"])


def ab(client: Client, address: str) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(client.get(address).content)).convert("RGB"))
    return np.asarray(color.rgb_to_lab(pixels)[..., 1:])


def test_the_runs_are_offered_with_what_they_can_be_told(open_studio: Client) -> None:
    offer = open_studio.get("/api/colorize").json()
    assert set(offer["runs"]) == {"loud", "plain"}
    assert [knob["name"] for knob in offer["knobs"]][:2] == ["saturation", "strength"]
    loud, plain = (open_studio.get(f"/api/colorize/{name}").json() for name in ("loud", "plain"))
    assert loud["palette"] and loud["hints"] and loud["words"] == ["kaftan", "red dress"] and loud["size"] == [48, 64]
    assert not plain["palette"] and not plain["hints"] and plain["words"] == []


def test_a_print_is_coloured_and_told_what_it_is(open_studio: Client, upload: str) -> None:
    done = coloured(open_studio, upload)
    assert np.abs(ab(open_studio, done["picture"])).mean() > 1
    assert {name for name, _ in done["classes"]} == {"kaftan", "hat"}
    assert sum(odds for _, odds in done["classes"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("knobs", "flags"),
    [
        ({}, ()),
        ({"saturation": 1.5, "paper": "white"}, ("--saturation", "1.5", "--paper", "white")),
        ({"palette": "red, teal"}, ("--palette", "red, teal")),
        ({"word": "kaftan"}, ("--as", "kaftan")),
        ({"hint": ["60,60,#a01828"]}, ("--hint", "60,60,#a01828")),
        ({"photo": True}, ("--photo",)),
    ],
)  # fmt: skip
def test_what_is_saved_is_what_the_command_writes(
    open_studio: Client, upload: str, plate: bytes, tmp_path: Path, painting: Path, knobs: Any, flags: tuple[str, ...]
) -> None:
    *_, last = open_studio.work("/api/colorize/file", {"upload": upload, "run": "loud", "knobs": knobs})
    answer = open_studio.get(last["done"]["file"])
    assert answer.headers["Content-Disposition"] == 'attachment; filename="plate-coloured.png"'
    ours = tmp_path / "ours.png"
    write_bytes(ours, answer.content)
    write_bytes(tmp_path / "plate.png", plate)
    words = ("colorize", str(tmp_path / "plate.png"), "--model", str(painting / "runs" / "loud"), "--out",
             str(tmp_path / "out"), *flags, "--quiet")  # fmt: skip
    result = run_here(*words)
    assert result.exit_code == 0, result.output
    theirs = tmp_path / "out" / "plate.png"
    assert np.array_equal(images.read(ours).pixels, images.read(theirs).pixels)
    assert texts_of(ours) == texts_of(theirs) and said_of(ours)["model"]


@pytest.mark.parametrize("kind", ["ink", "wash", "paper", "panel"])
def test_layers_can_be_had_as_well(open_studio: Client, upload: str, kind: str) -> None:
    *_, last = open_studio.work("/api/colorize/file", {"upload": upload, "run": "loud", "kind": kind})
    assert last["done"]["name"] == f"plate-{kind}.png"
    assert Image.open(io.BytesIO(open_studio.get(last["done"]["file"]).content)).format == "PNG"


def test_a_hint_changes_the_colour_there_and_not_elsewhere(open_studio: Client, upload: str) -> None:
    plain = ab(open_studio, coloured(open_studio, upload, run="plain")["picture"])
    hinted = ab(open_studio, coloured(open_studio, upload, run="plain", knobs={"hint": ["90,60,#c02030"]})["picture"])
    moved = np.abs(hinted - plain).sum(axis=-1)
    assert moved[50:70, 80:100].mean() > 15
    assert moved[200:, :].mean() < 1.5


def test_the_mood_of_another_picture_is_taken(open_studio: Client, upload: str) -> None:
    other = open_studio.upload(images.encode_png(engraved(5, 200, 300)), "other.png").json()["id"]
    own, lent = coloured(open_studio, upload), coloured(open_studio, upload, likes=[other])
    none = coloured(open_studio, upload, likes=[other], knobs={"like_strength": 0})
    difference = [
        np.abs(ab(open_studio, one["picture"]) - ab(open_studio, own["picture"])).mean() for one in (lent, none)
    ]
    assert difference[0] > 0.05 and difference[1] < 0.01
    *_, last = open_studio.work("/api/colorize/file", {"upload": upload, "run": "loud", "likes": [other]})
    assert b"other.png" in open_studio.get(last["done"]["file"]).content


def test_what_a_network_wasnt_made_for_is_noted(open_studio: Client, upload: str) -> None:
    done = coloured(open_studio, upload, run="plain", knobs={"palette": "red", "hint": ["9,9,red"]})
    assert len(done["notes"]) == 2 and "palette" in done["notes"][0]


@pytest.mark.parametrize(
    ("said", "status", "word"),
    [
        ({"run": "../loud"}, 404, "no such run"),
        ({"run": None}, 404, "no such run"),
        ({"kind": "secret"}, 400, "kind"),
        ({"knobs": {"palette": "red", "word": "kaftan"}}, 400, "leave one out"),
        ({"knobs": {"photo": True, "paper": "white"}}, 400, "photograph"),
        ({"knobs": {"saturation": 99}}, 400, "saturation"),
        ({"knobs": {"device": "cuda"}}, 400, "can't be set here"),
        ({"knobs": {"overwrite": True}}, 400, "can't be set here"),
        ({"knobs": {"work_size": 4096}}, 400, "can't be set here"),
        ({"knobs": 3}, 400, "object"),
        ({"likes": ["0" * 64]}, 410, "drop it in again"),
        ({"likes": "x"}, 400, "list"),
        ({"likes": ["x"] * 9}, 400, "at most 8"),
    ],
)  # fmt: skip
def test_what_cant_be_done_is_told(open_studio: Client, upload: str, said: Any, status: int, word: str) -> None:
    answer = open_studio.post("/api/colorize", {"upload": upload, "run": "loud"} | said)
    assert answer.status_code == status and word in answer.json()["error"], answer.text


@pytest.mark.parametrize(
    ("knobs", "word"),
    [
        ({"hint": ["999,1,red"]}, "outside"),
        ({"hint": ["1,1,nocolour"]}, "no colour"),
        ({"word": "turban"}, "no label or keyword"),
        ({"palette": "a picture"}, "no colour"),
    ],
)
def test_words_that_steer_nothing_are_told(open_studio: Client, upload: str, knobs: Any, word: str) -> None:
    *_, last = open_studio.work("/api/colorize", {"upload": upload, "run": "loud", "knobs": knobs})
    assert word in last["error"] and last["status"] == 400


def test_a_palette_never_names_a_file(open_studio: Client, upload: str, painting: Path) -> None:
    write_bytes(painting.parent / "red.png", images.encode_png(np.full((9, 9, 3), (200, 20, 20), np.uint8)))
    for name in (painting.parent / "red.png", "../red.png"):
        *_, last = open_studio.work("/api/colorize", {"upload": upload, "run": "loud", "knobs": {"palette": str(name)}})
        assert "no colour" in last["error"]


def test_a_run_that_leads_out_of_the_workspace_isnt_offered(
    open_studio: Client, painting: Path, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    write_bytes(tmp_path / "far" / "model.safetensors", (painting / "runs" / "loud" / "model.safetensors").read_bytes())
    link = painting / "runs" / "far"
    link.symlink_to(tmp_path / "far")
    try:
        assert "far" not in open_studio.get("/api/colorize").json()["runs"]
        assert open_studio.get("/api/colorize/far").status_code == 404
    finally:
        link.unlink()


def test_a_damaged_model_is_told(open_studio: Client, upload: str, painting: Path) -> None:
    write_bytes(painting / "runs" / "torn" / "model.safetensors", b"\x08\0\0\0\0\0\0\0{}      ")
    try:
        assert open_studio.get("/api/colorize/torn").status_code == 409
        *_, last = open_studio.work("/api/colorize", {"upload": upload, "run": "torn"})
        assert last["status"] == 409
    finally:
        (painting / "runs" / "torn" / "model.safetensors").unlink()
