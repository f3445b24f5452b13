"""The verb colorize as people type it: what can be asked for, what lies in the folder then, what each file tells."""

import json
import os
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from colouring import (
    CLASSES,
    ab_of,
    bytes_of,
    coloured,
    engraved,
    lines_of,
    pixels_of,
    put,
    put_prints,
    refused,
    said_of,
    texts_of,
    write_palettes,
    write_run,
)
from workspace import copied, run_here

from gravurekit import color, metadata, moods, receipt, storage, swatches
from gravurekit.model.difference import delta_e_2000
from gravurekit.progress import SILENT
from gravurekit.record import Record

MODEL = ("--model", "run")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prints, a run that can be told everything, one of other weights, and one that can be told nothing."""
    place = tmp_path_factory.mktemp("made")
    put_prints(place / "prints")
    write_run(place / "run")
    write_run(place / "other", seed=4)
    write_run(place / "paper", palette=False)
    put(place / "large.png", engraved(2, 300, 300))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        coloured("prints", *MODEL, "--out", "done")
    return place


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(moods, "LENGTH", 16)  # of a narrow network
    return copied(made, tmp_path / "here", monkeypatch)


# ---- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", ["keep", "white", "tint"])
def test_layers_multiply_back_to_the_result(here: Path, paper: str) -> None:
    grey = color.srgb_to_linear(engraved(7)) * color.srgb_to_linear(np.array((236, 220, 180), np.uint8))
    put(here / "toned.png", color.linear_to_srgb(grey))
    coloured("prints/0.png", "toned.png", "--layers", "--paper", paper, "--palette", "red", *MODEL)
    for name in ("0", "toned"):
        result, ink, wash, under = (
            color.srgb_to_linear(pixels_of(here / f"coloured/{name}{end}.png"))
            for end in ("", "-ink", "-wash", "-paper")
        )
        again = color.linear_to_srgb(ink * wash * under).astype(int)
        assert np.abs(again - color.linear_to_srgb(result)).max() <= 3  # of 8-bit layers
        assert np.ptp(ink, axis=-1).max() == 0 and np.hypot(*ab_of(here / f"coloured/{name}-wash.png")) > 1


def test_each_file_tells_how_it_came_to_be(here: Path) -> None:
    words = ("prints/0.png", "--layers", "--panel", "--palette", "red,#e0b088", "--hint", "40,50,teal", *MODEL)
    files = coloured(*words, "--saturation", "1.5")["facts"]["files"]
    assert files == ["0.png", "0-panel.png", "0-ink.png", "0-wash.png", "0-paper.png"]
    for name in files:
        texts = texts_of(here / "coloured" / name)
        assert texts["Software"].startswith("gravurekit ") and "colourised" in texts["Description"]
        kind = next(xml.fromstring(texts["XML:com.adobe.xmp"].split("?>")[1].split("<?xpacket")[0]).iter(
            "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
        ))  # fmt: skip
        source = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
        assert kind.attrib[source].endswith("/compositeWithTrainedAlgorithmicMedia")
        said = json.loads(texts["gravurekit"])
        assert said["of"] == {"name": "0.png", "sha256": metadata.file_sha256(here / "prints/0.png")}
        assert said["model"] == metadata.file_sha256(here / "run/model.safetensors")
        assert said["palette"] == "#cc262c,#e0b088" and said["settings"]["hint"] == ["40,50,teal"]
        assert (said["settings"]["saturation"], said["settings"]["paper"]) == (1.5, "keep")
    before = bytes_of(here / "coloured")
    coloured(*words, "--saturation", "1.5", "--out", "again")
    assert bytes_of(here / "again") == before


def test_no_file_tells_where_things_lie_on_this_machine(here: Path) -> None:
    put(here / "palette.png", engraved(4, paper=(200, 60, 60)))
    coloured(str(here / "prints"), "--palette", str(here / "palette.png"), "--like", str(here / "prints/1.png"),
             "--model", str(here / "run"))  # fmt: skip
    assert said_of(here / "coloured/0.png")["palette"] == "colours of palette.png"
    assert said_of(here / "coloured/0.png")["like"] == ["1.png"]
    for path in (here / "coloured").iterdir():
        assert str(here).encode() not in path.read_bytes()
    texts = [text for name in ("0.png", "1.png") for text in texts_of(here / "coloured" / name).values()]
    assert not [text for text in texts if str(here) in text]


def test_records_tell_classes_and_whose_the_print_is(here: Path) -> None:
    facts = {"url": "http://a.example/1.jpg", "creator": "A. Engraver", "license": "CC0-1.0", "title": "A plate"}
    write_folder(here / "clean", facts)
    coloured("clean", *MODEL)
    (item,) = lines_of(here / "coloured").values()
    assert set(item.scores) == {f"class {name}" for name in CLASSES} and sum(item.scores.values()) == pytest.approx(1)
    assert {name: getattr(item, name) for name in facts} == facts and item.labels == ("kaftan",)
    assert (item.width, item.height) == (90, 120)
    assert said_of(here / "coloured" / item.file_name)["of"].items() >= {
        ("url", facts["url"]), ("creator", facts["creator"]), ("license", facts["license"])
    }  # fmt: skip
    # named twice, it is one print, and what is known of it isn't forgotten; a corrected licence reaches the result
    assert coloured("clean", f"clean/{NAME}", *MODEL)["fresh"] and coloured(f"clean/{NAME}", "clean", *MODEL)["fresh"]
    write_folder(here / "clean", facts | {"license": "CC-BY-4.0"})
    assert not coloured("clean", *MODEL)["fresh"]
    assert said_of(here / "coloured" / item.file_name)["of"]["license"] == "CC-BY-4.0"


NAME = "images/0000000000000001.png"


def write_folder(root: Path, facts: dict[str, str]) -> None:
    from gravurekit import folder

    put(root / NAME, engraved(1))
    item = Record(key="0" * 15 + "1", file_name=NAME, sha256=metadata.file_sha256(root / NAME), labels=("kaftan",),
                  width=90, height=120, **facts)  # fmt: skip
    storage.write_text(root / metadata.MARKER, "filter\n")
    with folder.opened(root, "filter", (), SILENT):
        plan = receipt.Plan(stage="filter", revision=1, settings={}, inputs={})
        folder.finish(root, plan, [item], [], 0.1)


def test_the_same_bytes_for_any_order_and_any_number_of_workers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here / "more/0.png", engraved(9))  # a name that is there twice
    names = ["prints/0.png", "prints/1.png", "prints/2.png", "more/0.png"]
    words = ("--panel", "--layers", "--as", "kaftan", *MODEL)
    coloured(*names, *words, "--out", "one")
    for workers, order in ((1, names[::-1]), (4, names[2:] + names[:2])):
        monkeypatch.setattr(os, "cpu_count", lambda workers=workers: workers)
        coloured(*order, *words, "--out", f"with-{workers}")
        assert bytes_of(here / f"with-{workers}") == bytes_of(here / "one")
        assert lines_of(here / f"with-{workers}") == lines_of(here / "one")
    assert coloured(*names[::-1], *words, "--out", "one")["fresh"]
    assert len(bytes_of(here / "one")) == 4 * 5


# ---- freshness -----------------------------------------------------------------------------------------


def test_what_was_asked_the_same_is_fresh_and_what_changed_isnt(here: Path) -> None:
    put(here / "palette.png", engraved(4, paper=(200, 60, 60)))
    coloured("prints/2.png", "--like", "prints/1.png", "--save-like", "kept.safetensors", *MODEL, "--out", "none")
    asked = {
        "palette.png": ("--palette", "palette.png"),
        "kept.safetensors": ("--like", "kept.safetensors"),
        "run/palettes.json": ("--as", "kaftan"),
        "run/model.safetensors": (),
    }
    other = moods.load(here / "kept.safetensors", metadata.file_sha256(here / "run/model.safetensors"))
    changes = {
        "palette.png": lambda: put(here / "palette.png", engraved(4, paper=(60, 60, 200))),
        "kept.safetensors": lambda: moods.save(
            here / "kept.safetensors", moods.Mood(other.vector + 1, other.of, other.model)
        ),
        "run/palettes.json": lambda: write_palettes(here / "run", ("navy", "teal")),
        "run/model.safetensors": lambda: write_run(here / "run", seed=8),
    }
    for name, words in asked.items():
        ask = ("prints/0.png", *words, *MODEL, "--out", f"of-{Path(name).stem}")
        before = None
        for _ in range(2):
            summary = coloured(*ask)
            assert summary["fresh"] == (before is not None)
            before = bytes_of(here / str(summary["out"]))
        changes[name]()
        assert not coloured(*ask)["fresh"], name
        assert bytes_of(here / f"of-{Path(name).stem}") != before, name
        assert coloured(*ask)["fresh"]


def test_a_palettes_picture_counts_by_what_it_is(here: Path) -> None:
    put(here / "palette.png", engraved(4, paper=(200, 60, 60)))
    coloured("prints", "--palette", "palette.png", *MODEL)
    assert coloured("prints", "--palette", str(here / "palette.png"), "--model", str(here / "run"))["fresh"]
    assert coloured("prints", "--palette", "palette.png", "--model", "run/model.safetensors")["fresh"]


def test_other_settings_leave_nothing_of_the_last_ones_beside(here: Path) -> None:
    coloured("prints/0.png", "--layers", "--panel", *MODEL)
    assert len(bytes_of(here / "coloured")) == 5
    coloured("prints/0.png", "--panel", "--saturation", "2", *MODEL)
    assert set(bytes_of(here / "coloured")) == {"0.png", "0-panel.png"}


# ---- colours that people ask for -----------------------------------------------------------------------


def test_a_palette_of_colours_and_of_a_picture(here: Path) -> None:
    put(here / "blue.png", np.full((20, 30, 3), (40, 70, 200), np.uint8))
    for n, colours in enumerate(("#c02030", "#2040c0", "blue.png", ",".join(["#a01828"] * 12))):
        coloured("prints/0.png", "--palette", colours, *MODEL, "--out", f"out{n}")
    red, blue, picture, _ = (ab_of(here / f"out{n}/0.png") for n in range(4))
    assert np.abs(red - blue).max() > 1 and np.abs(blue - picture).max() > 0.01
    refused(2, "prints/0.png", "--palette", "blue.png", "--as", "kaftan", *MODEL)


@pytest.mark.parametrize("words, said", [
    (("--palette", "redd"), "did you mean 'red'"),
    (("--palette", "nowhere.png"), "no such picture"),
    (("--palette", "run/palettes.json"), "can't be read"),
    (("--palette", "x" * 4000), "no colour"),
    (("--as", "kaftn"), "did you mean 'kaftan'"),
    (("--as", "zeppelin"), "it knew kaftan, red dress"),
    (("--as", "kaftan", "--samples", "7"), "palettes are kept"),
    (("--samples", "3"), "--as"),
    (("--hint", "30,30,redd"), "did you mean 'red'"),
    (("--hint", "30,30"), "write x,y,colour"),
    (("--hint", "30,30,red", "--hint", "90,30,red"), "lies outside 0.png, which is 90×120 px"),
    (("--hint", "-1,30,red"), "lies outside 0.png"),
    (("--like", "nowhere.png"), "no such picture"),
    (("--like", "prints"), "no such picture"),
    (("--like", "run/palettes.json"), "can't be read"),
    (("--like", "run/model.safetensors"), "too large|no mood"),
    (("--like", "other.safetensors"), "made with another model"),
    (("--save-like", "kept.safetensors"), "name a picture"),
    (("--like", "prints/1.png", "--save-like", "run/model.safetensors"), "is there already"),
    (("--like", "prints/1.png", "--save-like", "kept.png"), "must end with"),
    (("--photo", "--layers"), "neither ink nor paper"),
])  # fmt: skip
def test_what_steers_nothing_is_refused_and_changes_nothing(here: Path, words: tuple[str, ...], said: str) -> None:
    other = metadata.file_sha256(here / "other/model.safetensors")
    moods.save(here / "other.safetensors", moods.Mood(np.ones(16, np.float32), ("a.png",), other))
    before = {path.name: path.read_bytes() for path in (here / "done").iterdir()}
    model = (here / "run/model.safetensors").read_bytes()
    text = refused(2, "prints", "large.png", *words, *MODEL, "--out", "done")
    assert re.search(said, text), text
    assert {path.name: path.read_bytes() for path in (here / "done").iterdir()} == before
    assert (here / "run/model.safetensors").read_bytes() == model
    assert coloured("prints", *MODEL, "--out", "done")["fresh"]


def test_as_a_label_and_as_a_keyword(here: Path) -> None:
    for n, word in enumerate(("Kaftan", "red_dress")):
        coloured("prints/0.png", "--as", word, *MODEL, "--out", f"out{n}")
    assert said_of(here / "out0/0.png")["palette"] == "as kaftan, 6 pictures"
    assert said_of(here / "out1/0.png")["palette"] == "as red dress, 6 pictures"


def test_a_run_without_palettes(here: Path) -> None:
    storage.remove(here / "run/palettes.json")
    text = refused(5, "prints", "--as", "kaftan", *MODEL)
    assert "no palettes beside the model" in text and not (here / "coloured").exists()


def test_four_samples_and_a_sheet(here: Path) -> None:
    words = ("prints/0.png", "--as", "kaftan", "--samples", "4", *MODEL)
    coloured(*words)
    made = bytes_of(here / "coloured")
    names = [f"0-sample-{n}.png" for n in range(1, 5)]
    assert set(made) == {*names, "0-samples.png"}
    pictures = [pixels_of(here / "coloured" / name).astype(int) for name in names]
    assert min(np.abs(a - b).max() for n, a in enumerate(pictures) for b in pictures[:n]) > 8
    lines = lines_of(here / "coloured")
    assert [lines[name].variant for name in names] == [0, 1, 2, 3]
    assert len({said_of(here / "coloured" / name)["palette"] for name in names}) == 4
    assert len(said_of(here / "coloured/0-samples.png")["palette"]) == 4
    sheet = pixels_of(here / "coloured/0-samples.png")
    assert sheet.shape == (2 * 120 + 12, 2 * 90 + 12, 3)
    assert np.array_equal(sheet[:120, :90], pictures[0])
    coloured(*words, "--out", "again")
    assert bytes_of(here / "again") == made
    coloured(*words, "--seed", "5", "--out", "others")
    assert bytes_of(here / "others") != made


def test_hints_are_met_where_they_lie(here: Path) -> None:
    hints = {(30, 30): "#c02030", (60, 90): "#2040c0"}
    words = [word for (x, y), colour in hints.items() for word in ("--hint", f"{x},{y},{colour}")]
    coloured("prints/1.png", *words, "--layers", "--saturation", "0", *MODEL)
    wash = color.rgb_to_lab(pixels_of(here / "coloured/1-wash.png"))
    for (x, y), colour in hints.items():
        wanted = (
            swatches.as_wash(swatches.colour(colour)) * 0
            + color.rgb_to_lab(np.array([[swatches.colour(colour)]], np.uint8))[0, 0]
        )
        assert delta_e_2000(wash[y, x][None], wanted[None])[0] < 5
    assert np.hypot(wash[2, 2, 1], wash[2, 2, 2]) < 2  # the margin


def test_in_the_manner_of_others_that_is_kept(here: Path) -> None:
    coloured("prints/0.png", *MODEL, "--out", "plain")
    like = ("--like", "prints/1.png", "--like", "prints/2.png")
    coloured("prints/0.png", *like, "--save-like", "kept.safetensors", *MODEL)
    kept = (here / "kept.safetensors").read_bytes()
    coloured("prints/0.png", "--like", "kept.safetensors", *MODEL, "--out", "again")
    assert np.array_equal(pixels_of(here / "again/0.png"), pixels_of(here / "coloured/0.png"))
    assert said_of(here / "again/0.png")["like"] == said_of(here / "coloured/0.png")["like"] == ["1.png", "2.png"]
    coloured("prints/0.png", *like, "--like-strength", "0", *MODEL, "--out", "none")
    assert np.array_equal(pixels_of(here / "none/0.png"), pixels_of(here / "plain/0.png"))
    assert not np.array_equal(pixels_of(here / "coloured/0.png"), pixels_of(here / "plain/0.png"))
    # kept again: the same is nothing new, another needs to be told
    coloured("prints/0.png", *like, "--save-like", "kept.safetensors", "--strength", "0.9", *MODEL)
    other = ("prints/0.png", "--like", "prints/0.png", "--save-like", "kept.safetensors", *MODEL)
    assert "--overwrite" in refused(2, *other) and (here / "kept.safetensors").read_bytes() == kept
    coloured(*other, "--overwrite")
    assert (here / "kept.safetensors").read_bytes() != kept


def test_a_damaged_mood(here: Path) -> None:
    (here / "kept.safetensors").write_bytes(b"\0" * 400)
    assert "damaged" in refused(5, "prints", "--like", "kept.safetensors", *MODEL)


def test_a_network_that_can_be_told_nothing_says_so_and_does_what_it_can(here: Path) -> None:
    hints = ("--hint", "40,50,#2040c0")
    result = run_here("colorize", "prints", "--palette", "#c02030", *hints, "--model", "paper", "--out", "red")
    assert result.exit_code == 0
    for note in ("wasn't made to be told colours", "wasn't made to be given hints"):
        assert result.stderr.count(note) == 1  # not once for each print
        assert note in json.dumps(said_of(here / "red/0.png")["notes"])
    coloured("prints", "--palette", "#2040c0", "--model", "paper", "--out", "blue")
    red, blue = (ab_of(here / f"{name}/0.png") for name in ("red", "blue"))
    assert red[1] - blue[1] > 2  # yellow to blue
    coloured("prints/0.png", "--as", "kaftan", "--samples", "2", "--model", "paper", "--out", "samples")
    one, two = (pixels_of(here / f"samples/0-sample-{n}.png") for n in (1, 2))
    assert not np.array_equal(one, two)


# ---- how much ------------------------------------------------------------------------------------------


def test_no_strength_is_the_print_itself(here: Path) -> None:
    put(here / "toned.png", engraved(7, paper=(236, 220, 180)))
    coloured("prints", "toned.png", "--strength", "0", "--palette", "red", *MODEL)
    for path in [*(here / "prints").iterdir(), here / "toned.png"]:
        assert np.array_equal(pixels_of(here / "coloured" / path.name), pixels_of(path))
    coloured("prints/0.png", "--saturation", "0", *MODEL, "--out", "grey")
    assert np.abs(ab_of(here / "grey/0.png") - ab_of(here / "prints/0.png")).max() < 0.2


def test_paper_is_kept_white_or_tinted(here: Path) -> None:
    put(here / "toned.png", engraved(7, paper=(236, 220, 180)))
    corners = {}
    for paper in ("keep", "white", "tint"):
        coloured("toned.png", "--paper", paper, *MODEL, "--out", paper)
        corners[paper] = pixels_of(here / paper / "toned.png")[2, 2].astype(int)
    assert np.abs(corners["keep"] - (236, 220, 180)).max() <= 1
    assert corners["white"].min() >= 250
    assert 5 < corners["tint"][0] - corners["tint"][2] < 60


def test_a_photograph_keeps_its_lightness_and_a_sheet_its_size(here: Path) -> None:
    put(here / "photo.png", np.random.default_rng(1).integers(60, 200, (40, 60, 1), np.uint8).repeat(3, 2))
    coloured("photo.png", "--photo", "--palette", "red", "--hint", "3,3,blue", "--work-size", "96", "--feed", "tone",
             "--panel", *MODEL)  # fmt: skip
    before, after = (
        color.rgb_to_lab(pixels_of(path))[..., 0] for path in (here / "photo.png", here / "coloured/photo.png")
    )
    assert np.abs(before - after).mean() < 0.6 and (here / "coloured/photo-panel.png").is_file()
