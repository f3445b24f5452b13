"""Panels: the same few pictures again and again, what becomes of prints that can't be read, and that a training never
notices."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from workspace import patchwork, run_here

from gravurekit import color, images, shards, storage
from gravurekit.errors import DataError, StorageError, UsageError
from gravurekit.model import palette
from gravurekit.model.network import NetworkConfig, build
from gravurekit.reports import training
from gravurekit.shards.reader import read_manifest
from gravurekit.stages import _panels
from gravurekit.stages._panels import Panels, prepare

SIZE = (32, 48)  # width and height of the samples


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of some pictures, each drawn twice."""
    place = tmp_path_factory.mktemp("made")
    patchwork(place / "photos/kaftan", 14)
    style = ("--short-side", "64", "--style", "cartoon", "--variants", "2", "--executor", "serial", "--quiet")
    size = ("--size", "x".join(map(str, SIZE)), "--val-share", "0.3", "--executor", "serial", "--quiet")
    assert run_here("-C", str(place), "stylize", "photos", "drawn", *style).exit_code == 0
    assert run_here("-C", str(place), "shard", "drawn", "tensors", *size).exit_code == 0
    return place / "tensors"


def network(**options: bool) -> Any:
    config = NetworkConfig(("kaftan",), "average", 32, L_mean=0.5, **options)
    return build(config, 3).eval()


def panels(run: Path, made: Path, samples: int = 3, watch: Path | None = None, said: list[str] | None = None) -> Panels:
    found = prepare(run, made, samples, watch, True, (said if said is not None else []).append)
    assert found is not None
    return found


def plate(path: Path, height: int = 60, width: int = 40, seed: int = 0) -> Path:
    """A print: a square of hatching on yellowish paper."""
    pixels = np.full((height, width, 3), (240, 228, 200), np.uint8)
    pixels[height // 4 : -height // 4, width // 4 : -width // 4 : 2] = 30 + seed
    storage.write_bytes(path, images.encode_png(pixels))
    return path


def rows_of(run: Path) -> list[dict[str, Any]]:
    return storage.read_json_lines(run / training.PANELS / training.ROWS)


def shape_of(rows: int, columns: int) -> tuple[int, int, int]:
    """Of a sheet."""
    tall, wide = _panels.CELL, round(_panels.CELL * SIZE[0] / SIZE[1])
    blocks = -(-rows // _panels.ROWS_EACH)
    each = -(-rows // blocks)
    gap, between = _panels.GAP, _panels.BETWEEN * (blocks > 1)
    width = blocks * (gap + columns * (wide + gap) + between)
    return _panels.HEAD + gap + each * (tall + _panels.CAPTION + gap), width, 3


# ---- which pictures ------------------------------------------------------------------------------------


def index_of(folder: Path, keys: list[tuple[str, int | None, str]]) -> dict[str, Any]:
    """An index of one sample a line, in shards of two; its manifest."""
    files: dict[str, list[str]] = {}
    lines = []
    for key, variant, split in keys:
        mine = files.setdefault(split, [])
        mine.append(key)
        entry = {"split": split, "shard": f"{split}-{(len(mine) - 1) // 2}", "row": (len(mine) - 1) % 2, "key": key}
        lines.append(json.dumps(entry | {"photo_key": "", "variant": variant, "labels": []}))
    storage.write_lines(folder / shards.INDEX, lines)
    listed = [
        {"split": split, "file": f"{split}-{n // 2}", "samples": len(mine[n : n + 2])}
        for split, mine in files.items()
        for n in range(0, len(mine), 2)
    ]
    return {"shards": listed}


def chosen(folder: Path, manifest: dict[str, Any], count: int) -> list[tuple[str, int]]:
    return [(entry["key"], number) for number, entry in _panels.chosen(folder, manifest, "val", count)]


def test_pictures_that_come_later_change_hardly_any_of_those_that_are_shown(tmp_path: Path) -> None:
    keys = [f"{n:016x}" for n in range(200)]
    few = [(key, None, "train" if n % 3 == 0 else "val") for n, key in enumerate(keys[:100])]
    before = chosen(tmp_path, index_of(tmp_path, few), 6)
    assert len(before) == 6 and len({key for key, _ in before}) == 6
    # the numbers are those that the reader gives the samples of the split
    held_back = [key for key, _, split in few if split == "val"]
    assert all(held_back[number] == key for key, number in before)
    many = [*few, *((key, None, "val") for key in keys[100:])]
    after = chosen(tmp_path, index_of(tmp_path, many), 6)
    stayed = [key for key, _ in before if key in dict(after)]
    others = [key for key, _ in after if key not in dict(before)]
    assert stayed and set(others) <= set(keys[100:])
    # whatever the order of the index
    assert [key for key, _ in chosen(tmp_path, index_of(tmp_path, many[::-1]), 6)] == [key for key, _ in after]


def test_of_several_drawings_of_a_picture_the_first_is_shown(tmp_path: Path) -> None:
    keys = [(f"{n:016x}", variant, "val") for variant in (2, 0, 1) for n in range(4)]
    found = chosen(tmp_path, index_of(tmp_path, keys), 9)
    assert sorted(key for key, _ in found) == [f"{n:016x}" for n in range(4)]
    assert all(keys[number] == (key, 0, "val") for key, number in found)


def test_without_held_back_pictures_some_of_the_others_are_shown(made: Path, tmp_path: Path) -> None:
    panels(tmp_path / "a", made)
    assert {row["split"] for row in rows_of(tmp_path / "a")} == {"val"}
    shutil.copytree(made, tmp_path / "tensors")
    manifest = read_manifest(made)
    manifest["shards"] = [shard for shard in manifest["shards"] if shard["split"] == "train"]
    storage.write_json(tmp_path / "tensors" / shards.MANIFEST, manifest)
    panels(tmp_path / "b", tmp_path / "tensors")
    assert [row["split"] for row in rows_of(tmp_path / "b")] == ["train"] * 3


def test_nothing_to_show_is_no_panel(made: Path, tmp_path: Path) -> None:
    assert prepare(tmp_path / "run", made, 0, None, True, print) is None
    assert not (tmp_path / "run").exists()


# ---- drawing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "columns"),
    [({}, 4), ({"palette": True, "lightness": True, "hints": True}, 5), ({"bins": True, "lightness": True}, 4)],
)
def test_a_sheet_is_written_and_the_training_never_notices(
    options: dict[str, bool], columns: int, made: Path, tmp_path: Path
) -> None:
    learner = network(**options)
    before, chance = {name: tensor.clone() for name, tensor in learner.state_dict().items()}, torch.get_rng_state()
    found = panels(tmp_path / "run", made)
    sheet = found.look(learner, 40)
    path = tmp_path / "run/panels/0000040.png"
    assert sheet.shape == shape_of(3, columns) and np.array_equal(images.read(path).pixels, sheet)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance) and not learner.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in learner.parameters())
    data = path.read_bytes()
    panels(tmp_path / "run", made).look(learner, 40)
    assert path.read_bytes() == data


class Mirror:
    """In the place of a network: its a says which picture's style it was given, its b how much of it is the palette
    of; a half of the value each."""

    def __init__(self, told: bool = False, sick: bool = False) -> None:
        self.config = NetworkConfig(("x",), "average", 32, palette=told, L_mean=0.5)
        self.sick = sick

    def parameters(self) -> Any:
        return iter([torch.zeros(1)])

    def __call__(self, L: Any, square: Any = None, palette: Any = None) -> Any:
        style = (L if square is None else square).mean((1, 2, 3))
        told = torch.zeros(len(L)) if palette is None else palette[:, :-1].pow(4).sum(1)
        flat = torch.stack([style, 100 * told], 1)[:, :, None, None]
        answer = flat.expand(-1, -1, L.shape[2] // 2, L.shape[3] // 2)
        return (answer * float("nan") if self.sick else answer), None

    def ab(self, colour: Any) -> Any:
        return colour / 2

    def wash_lightness(self, colour: Any) -> Any:
        return None


def test_each_row_gets_its_own_style_then_that_of_the_next_row() -> None:
    L = torch.stack([torch.full((1, 48, 32), 20.0 + 10 * n) for n in range(9)])
    mirror: Any = Mirror()
    own = [float(answer.ab[0, 0, 0]) for answer in _panels._asked(mirror, L)]
    swapped = [float(answer.ab[5, 5, 0]) for answer in _panels._asked(mirror, L, None, L.roll(-1, 0))]
    assert own == pytest.approx([10 + 5 * n for n in range(9)])
    assert swapped == pytest.approx([*own[1:], own[0]], abs=1e-4)


def test_samples_are_told_their_own_palettes_and_prints_those_of_the_samples(made: Path, tmp_path: Path) -> None:
    for n in range(4):
        plate(tmp_path / f"prints/{n}.png", seed=n)
    found = panels(tmp_path / "run", made, 3, tmp_path / "prints")
    mirror: Any = Mirror(told=True)
    palettes = found._palettes(mirror)
    assert palettes is not None and palettes.shape == (7, palette.CELLS + 1) and bool((palettes[:, -1] == 1).all())
    assert torch.equal(palettes, palettes[:3][torch.tensor([0, 1, 2, 0, 1, 2, 0])])
    assert len({tuple(row) for row in palettes.tolist()}) == 3
    told = [f"{row.caption}  (told the palette of row {n})" for n, row in enumerate(found._rows[3:5], 1)]
    assert found._captions(True)[3:5] == told and found._captions(False)[3] == found._rows[3].caption
    assert found.draw(mirror, 1).shape == shape_of(7, 5)
    assert panels(tmp_path / "only", made, 0, tmp_path / "prints").draw(mirror, 1).shape == shape_of(4, 4)


def test_a_sample_is_shown_as_the_print_that_it_is_of(made: Path, tmp_path: Path) -> None:
    """Where the ink is black it is black, where there is none the wash shows; and it is the whole picture, without its
    padding."""
    for row in panels(tmp_path / "run", made)._rows:
        height, width = row.original.shape[:2]
        assert row.sheet.shape == SIZE[::-1] and row.sheet[row.place].shape == (height, width) == row.apart.ink.shape
        outside = row.sheet.copy()
        outside[row.place] = 100
        assert (outside > 99).all()
        lab, ink = color.rgb_to_lab(row.original), color.rgb_to_lab(row.ground)[..., 0]
        assert (lab[..., 0] <= ink + 1.5).all() and np.abs(lab[ink < 1, 1:]).max(initial=0) < 3
        assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 3


def test_a_network_that_went_astray_is_drawn_without_colours(made: Path, tmp_path: Path) -> None:
    sick: Any = Mirror(sick=True)
    found = panels(tmp_path / "run", made)
    sheet = found.look(sick, 7).astype(int)
    left = _panels.GAP + 2 * (round(_panels.CELL * SIZE[0] / SIZE[1]) + _panels.GAP)
    result = sheet[60:200, left : left + 100]
    assert np.ptp(result, axis=2).max() <= 1 and result.std() > 10


def test_photographs_keep_their_lightness(made: Path, tmp_path: Path) -> None:
    manifest = dict(read_manifest(made)) | {"input": "photo"}
    rows, tensors = _panels._samples(made, manifest, 2, True)
    found = Panels(tmp_path / "run", rows, tensors)
    mirror: Any = Mirror()
    answers = _panels._asked(mirror, torch.from_numpy(np.stack([row.sheet for row in rows]))[:, None])
    for row, coloured in zip(rows, found._coloured(answers), strict=True):
        assert np.abs((color.rgb_to_lab(coloured) - color.rgb_to_lab(row.ground))[..., 0]).max() < 2


# ---- prints --------------------------------------------------------------------------------------------


def test_prints_that_cant_be_read_are_told_and_left_out(made: Path, tmp_path: Path) -> None:
    watch = tmp_path / "prints"
    plate(watch / "good.png")
    plate(watch / "wide.png", 9, 4000)
    plate(watch / "tall.png", 4000, 9)
    plate(watch / "thin.png", 3, 400)
    plate(watch / "héllo\u202e\n.png", seed=1)
    storage.write_bytes(watch / "broken.jpg", b"\xff\xd8\xffhalf")
    storage.write_bytes(watch / "page.png", b"<html>")
    said: list[str] = []
    found = panels(tmp_path / "run", made, 2, watch, said)
    shown = {row.said["file"] for row in found._rows[2:]}
    assert shown == {"good.png", "wide.png", "tall.png", "héllo\u202e\n.png"}
    assert sorted(text.partition(" isn't watched")[0] for text in said) == [
        str(watch / name) for name in ("broken.jpg", "page.png", "thin.png")
    ]
    assert found.look(network(), 1).shape == shape_of(6, 4)


def test_there_are_at_most_so_many_prints_and_always_the_same(made: Path, tmp_path: Path) -> None:
    for n in range(2 * _panels.PRINTS):
        plate(tmp_path / f"prints/{n}.png", seed=n)
    first, second = (panels(tmp_path / name, made, 0, tmp_path / "prints") for name in "ab")
    assert len(first._rows) == _panels.PRINTS and [r.said for r in first._rows] == [r.said for r in second._rows]


def test_a_print_lies_in_a_white_sheet_of_the_trained_size_its_paper_brought_to_white(
    made: Path, tmp_path: Path
) -> None:
    plate(tmp_path / "prints/a.png", 60, 60)
    (row,) = panels(tmp_path / "run", made, 0, tmp_path / "prints")._rows
    assert row.sheet.shape == SIZE[::-1] and row.place == (slice(8, 40), slice(0, 32))
    assert row.sheet[:8].min() == row.sheet[-8:].min() == 100 and row.sheet[9, 1] > 98 and row.sheet.min() < 60
    assert row.original[2, 2].tolist() == [240, 228, 200]  # on its own paper


def test_a_style_that_isnt_here_leaves_prints_out(made: Path, tmp_path: Path) -> None:
    plate(tmp_path / "prints/a.png")
    for style in ({"name": "etching", "settings": {}, "short_side": 64, "max_long_side": 96}, {"name": "cartoon"}):
        said: list[str] = []
        manifest = dict(read_manifest(made)) | {"style": style}
        assert _panels._prints(tmp_path / "prints", manifest, said.append) == [] and "can't draw it anew" in said[0]
    (row,) = _panels._prints(tmp_path / "prints", dict(read_manifest(made)) | {"style": {}}, print)
    assert row.sheet.min() < 60


def empty(path: Path) -> None:
    storage.make_folder(path)


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [(lambda path: None, UsageError, "no such folder"), (empty, DataError, "no picture in it")],
)
def test_a_folder_without_prints_is_an_error(
    make: Callable[[Path], None], kind: type, said: str, made: Path, tmp_path: Path
) -> None:
    make(tmp_path / "prints")
    with pytest.raises(kind, match=said):
        panels(tmp_path / "run", made, 1, tmp_path / "prints")


# ---- on the disk ---------------------------------------------------------------------------------------


def test_a_disk_that_refuses_ends_the_training(made: Path, tmp_path: Path) -> None:
    found = panels(tmp_path / "run", made)
    shutil.rmtree(tmp_path / "run/panels")
    storage.write_text(tmp_path / "run/panels", "in the way")
    with pytest.raises(StorageError, match="panels"):
        found.look(network(), 1)


def test_a_damaged_sample_ends_the_training_unless_nobody_looks(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "tensors")
    (path,) = (tmp_path / "tensors").glob("val-*.safetensors")
    data = bytearray(path.read_bytes())
    for place in range(5000, len(data), 997):
        data[place] ^= 1
    path.unlink()
    storage.write_bytes(path, bytes(data))
    with pytest.raises(DataError, match="checksum"):
        prepare(tmp_path / "a", tmp_path / "tensors", 3, None, True, print)
    assert prepare(tmp_path / "b", tmp_path / "tensors", 3, None, False, print)


def test_of_many_sheets_some_are_kept_the_first_and_the_last_among_them(made: Path, tmp_path: Path) -> None:
    found = panels(tmp_path / "run", made, 1)
    mirror: Any = Mirror()
    storage.write_text(tmp_path / "run/panels/mine.png", "somebody's")
    for step in range(100, 100 * (_panels.MOST + 41), 100):
        storage.write_bytes(tmp_path / f"run/panels/{step:07d}.png", b"")
        found._thin_out()
    found.look(mirror, 12_345_678)
    names = sorted((path.name for path in (tmp_path / "run/panels").glob("[0-9]*.png")), key=_panels._step)
    assert _panels.MOST // 2 < len(names) <= _panels.MOST
    assert (
        names[0] == "0000100.png"
        and names[-1] == "12345678.png"
        and names[-2] == f"{100 * (_panels.MOST + 40):07d}.png"
    )
    steps = [_panels._step(name) for name in names[:-1]]
    assert max(after - before for before, after in zip(steps, steps[1:], strict=False)) <= 400
    assert (tmp_path / "run/panels/mine.png").exists()


def test_the_list_names_each_picture_once_also_those_of_before(made: Path, tmp_path: Path) -> None:
    plate(tmp_path / "prints/a.png")
    panels(tmp_path / "run", made, 2)
    storage.append_line(tmp_path / "run/panels" / training.ROWS, '{"key": "to')
    storage.write_text(tmp_path / f"run/panels/0000040.png.x{storage.ASIDE}", "half")
    panels(tmp_path / "run", made, 3, tmp_path / "prints")
    panels(tmp_path / "run", made, 0, tmp_path / "prints")
    rows = rows_of(tmp_path / "run")
    assert len(rows) == 4 and len({row["key"] for row in rows}) == 4 and rows[3]["file"] == "a.png"
    assert not list((tmp_path / "run/panels").glob(f"*{storage.ASIDE}"))
