"""What a command line says of colours, and the palettes that a run keeps for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensors import flip, sample, write_folder

from gravurekit import images, moods, swatches
from gravurekit.errors import DataError, UsageError
from gravurekit.shards import INDEX, LEARNED, palette
from gravurekit.shards.palette import Palettes
from gravurekit.shards.reader import ShardSet
from gravurekit.stages import _palettes, _steering

MODEL = "a" * 64


def picture(path: Path, rgb: tuple[int, int, int] = (200, 60, 60)) -> Path:
    path.write_bytes(images.encode_png(np.full((24, 16, 3), rgb, np.uint8)))
    return path


# ---- palettes.json -------------------------------------------------------------------------------------


def counted(seed: int) -> np.ndarray:
    item = sample(seed)
    return palette.counted(item.planes["wash"], item.box)


def run_of(place: Path, told: list[dict[str, Any]], reverse: bool = False) -> tuple[Path, ShardSet]:
    """A run's folder with its list, and the shards; sample n is what `told[n]` says of it, in files of 8."""
    source, run = place / "shards", place / "run"
    source.mkdir(parents=True)
    run.mkdir()
    manifest = write_folder(source, {"train": (8,) * (len(told) // 8), "val": (2,)})
    lines = [json.loads(line) for line in (source / INDEX).read_text().splitlines()]
    lines = [line | more for line, more in zip(lines, [*told, {}, {}], strict=True) if line["split"] == "train"]
    sums = {"labels": Palettes(), "keywords": Palettes()}
    for n, line in enumerate(lines):
        for kind, palettes in sums.items():
            for word in line[kind]:
                palettes.add(word, counted(n))
    manifest["palettes"] = {
        kind: {word: {"samples": n, "ab": text} for word, (n, text) in palettes.told().items()}
        for kind, palettes in sums.items()
    }
    (source / "manifest.json").write_text(json.dumps(manifest))
    (run / LEARNED).write_text("".join(json.dumps(line) + "\n" for line in (lines[::-1] if reverse else lines)))
    return run, ShardSet(source, "train", fields=("wash", "box"))


TOLD = [
    {"labels": ["Kaftan"], "keywords": ["red dress"] if n % 4 == 0 else [], "photo_key": f"photo-{n // 2}",
     "cluster": f"cluster-{n // 4}" if n < 16 else ""}
    for n in range(48)
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 48 samples: 4 clusters of four, and 16 pictures of none, of which each has two drawings."""
    run, samples = run_of(tmp_path_factory.mktemp("trained"), TOLD)
    _palettes.write(run, samples)
    return run


def test_a_run_keeps_the_palettes_of_its_labels_and_keywords(trained: Path) -> None:
    word = _palettes.find(trained, "kaftan")
    assert (word.name, word.samples, len(word.some)) == ("Kaftan", 48, _palettes.SINGLE)
    assert np.array_equal(word.summed, sum(counted(n) for n in range(48)))
    dress = _palettes.find(trained / "model.safetensors", " Red_Dress")
    assert (dress.name, dress.samples) == ("red dress", 12)
    assert len(dress.some) == 4 + 8  # one of each cluster, and each picture of none


def test_single_palettes_are_of_different_clusters(trained: Path) -> None:
    whose = {palette.to_text(counted(n)): TOLD[n]["cluster"] or TOLD[n]["photo_key"] for n in range(48)}
    some = json.loads((trained / _palettes.FILE).read_text())["labels"]["Kaftan"]["some"]
    assert len({whose[text] for text in some}) == len(some) == _palettes.SINGLE


def test_neither_their_order_nor_the_time_decides_which_are_kept(trained: Path, tmp_path: Path) -> None:
    run, samples = run_of(tmp_path, TOLD, reverse=True)
    for _ in range(2):
        _palettes.write(run, samples)
        assert (run / _palettes.FILE).read_bytes() == (trained / _palettes.FILE).read_bytes()


def test_nobodys_name_is_in_it(trained: Path) -> None:
    text = (trained / _palettes.FILE).read_text()
    assert not [word for word in ("photo-", "cluster-", "key-", "http") if word in text]


def test_of_too_many_words_the_large_ones_have_single_palettes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_palettes, "WORDS", 1)
    run, samples = run_of(tmp_path, TOLD)
    _palettes.write(run, samples)
    assert len(_palettes.find(run, "kaftan").some) == _palettes.SINGLE
    dress = _palettes.find(run, "red dress")
    assert dress.some == () and dress.summed.sum() > 0


def test_a_damaged_sample_ends_it(tmp_path: Path) -> None:
    run, samples = run_of(tmp_path, [{"labels": ["coat"], "keywords": []}] * 8)
    flip(next((tmp_path / "shards").glob("train-*")), "wash", 3)
    with pytest.raises(DataError, match="row 3"):
        _palettes.write(run, samples)
    assert not (run / _palettes.FILE).exists()


@pytest.mark.parametrize(
    "asked, said", [("kaftn", "did you mean 'kaftan'"), ("zeppelin", "it knew Kaftan, red dress"), ("", "it knew")]
)
def test_a_word_that_the_training_didnt_know(trained: Path, asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _steering.as_word(trained, asked)


@pytest.mark.parametrize(
    "text, said",
    [
        (None, "no palettes beside the model"),
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"labels": {}}', "damaged"),
        ("[" * 99999, "damaged"),
        ('{"format": 2, "labels": {}, "keywords": {}}', "pip install --upgrade"),
        ('{"format": 1, "labels": {"coat": {}}, "keywords": {}}', "damaged at 'coat'"),
        ('{"format": 1, "labels": {"coat": {"samples": 1, "ab": "900,0:1", "some": []}}, "keywords": {}}', "at 'coat'"),
        ('{"format": 1, "labels": {"coat": {"samples": 1, "ab": "0,0:1", "some": 7}}, "keywords": {}}', "at 'coat'"),
    ],
)
def test_palettes_that_are_missing_or_damaged(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / _palettes.FILE).write_text(text)
    with pytest.raises(DataError, match=said):
        _steering.as_word(tmp_path, "coat")


# ---- --as, --samples -----------------------------------------------------------------------------------


def test_one_sample_is_the_sum_and_several_are_pictures(trained: Path) -> None:
    (one,) = _steering.as_word(trained, "kaftan")
    assert np.array_equal(one.histogram, _palettes.find(trained, "kaftan").summed) and "48 pictures" in one.said
    four = _steering.as_word(trained, "kaftan", 4, seed=7)
    assert len({asked.histogram.tobytes() for asked in four}) == 4
    assert [a.histogram.tobytes() for a in four] == [
        a.histogram.tobytes() for a in _steering.as_word(trained, "kaftan", 4, seed=7)
    ]
    assert len({_steering.as_word(trained, "kaftan", 2, seed)[0].histogram.tobytes() for seed in range(20)}) > 3


@pytest.mark.parametrize("seed", range(6))
def test_samples_lie_far_from_one_another(seed: int) -> None:
    """Of ten pictures in three families of colours, three samples are of all three."""
    families = ["red", "teal", "gold"]
    some = [swatches.histogram(swatches.colours(families[n % 3]), neutral=0.3 + n / 50) for n in range(10)]
    word = _palettes.Word("coat", 10, some[0], tuple(some))
    chosen = _palettes.several(word, 3, seed)
    numbers = [next(n for n, one in enumerate(some) if one is found) for found in chosen]
    assert {n % 3 for n in numbers} == {0, 1, 2}
    assert len(_palettes.several(word, 10, seed)) == 10


@pytest.mark.parametrize("samples, said", [(13, "12 palettes are kept"), (0, "at least 1"), (-1, "at least 1")])
def test_more_samples_than_there_are(trained: Path, samples: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _steering.as_word(trained, "kaftan", samples)


# ---- --palette, --hint, --like -------------------------------------------------------------------------


def test_a_palette_is_a_picture_or_colours(tmp_path: Path) -> None:
    found = _steering.palette(str(picture(tmp_path / "p.png")))
    assert found.histogram.sum() == 24 * 16 and "p.png" in found.said and str(tmp_path) not in found.said
    told = _steering.palette("#a01828, red")
    assert np.array_equal(told.histogram, swatches.histogram(swatches.colours("#a01828,red")))
    assert told.said == "#a01828,#cc262c"


def test_a_palette_that_is_neither(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for text, said in [
        (str(tmp_path / "text.png"), "can't be read"),
        (str(tmp_path / "absent.png"), "no such picture"),
        ("absent.jpg", "no such picture"),
        (str(tmp_path), "no such picture"),
        ("reddd", "did you mean 'red'.*picture's file"),
        ("x" * 5000, "no colour"),
        ("\0", "no colour"),
    ]:
        with pytest.raises(UsageError, match=f"(?s)--palette.*{said}"):
            _steering.palette(text)


def test_hints_have_a_place_and_a_colour() -> None:
    one, other = _steering.hints(["3,4,#a01828", "1.5, 0 , ochre"])
    assert one == swatches.Hint(3, 4, (160, 24, 40))
    assert other == swatches.Hint(1.5, 0, swatches.PIGMENTS["ochre"])
    _steering.check_inside([one, other], 4, 5, "a.png")
    assert _steering.hints([]) == ()


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "write x,y,colour"),
        ("3,4", "write x,y,colour"),
        ("a,b,red", "write x,y,colour"),
        ("nan,4,red", "write x,y,colour"),
        ("inf,4,red", "write x,y,colour"),
        ("3,4,", "is no colour"),
        ("3,4,redd", "did you mean 'red'"),
        ("3,4,red,blue", "is no colour"),
    ],
)
def test_what_is_no_hint(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"--hint.*{said}"):
        _steering.hints([text])


@pytest.mark.parametrize("text", ["-1,0,red", "0,-0.5,red", "4,0,red", "0,5,red", "1e9,0,red"])
def test_a_hint_outside_the_picture_is_told_its_size(text: str) -> None:
    with pytest.raises(UsageError, match="outside a.png, which is 4×5 px"):
        _steering.check_inside(_steering.hints([text]), 4, 5, "a.png")


def test_too_many_hints() -> None:
    with pytest.raises(UsageError, match="too many"):
        _steering.hints(["1,1,red"] * (_steering.MOST_HINTS + 1))


def brightness(pixels: np.ndarray) -> np.ndarray:
    return np.full(256, pixels.mean(), np.float32)


def test_moods_of_pictures_and_files_have_a_mean(tmp_path: Path) -> None:
    black, white = picture(tmp_path / "b.png", (0, 0, 0)), picture(tmp_path / "w.png", (240, 240, 240))
    assert _steering.mood([], MODEL, brightness) is None
    one = _steering.mood([black, white], MODEL, brightness)
    assert one and one.of == ("b.png", "w.png") and np.allclose(one.vector, 120)
    moods.save(tmp_path / "kept.safetensors", one)
    again = _steering.mood([tmp_path / "kept.safetensors", white], MODEL, brightness)
    assert again and again.of == ("b.png", "w.png", "w.png") and np.allclose(again.vector, 160)
    with pytest.raises(UsageError, match="another model"):
        _steering.mood([tmp_path / "kept.safetensors"], "b" * 64, brightness)


@pytest.mark.parametrize("name", ["absent.png", "absent.safetensors", "text.png"])
def test_a_mood_of_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="no such|can't be read"):
        _steering.mood([tmp_path / name], MODEL, brightness)
