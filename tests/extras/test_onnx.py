"""A training that is handed over as ONNX says in onnxruntime what its network says in torch (the extra `onnx`)."""

import itertools
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exporting import QUICK, hand_over, photograph
from training import NARROW, narrow
from workspace import digests, run_here

from gravurekit import audit, folder, images, metadata, shards, storage
from gravurekit.errors import GravurekitError, ModelError
from gravurekit.exports import _graph
from gravurekit.exports import onnx as craft
from gravurekit.exports.onnx import CARD, COLOUR, GLOBAL, KEY
from gravurekit.model import bins
from gravurekit.model.checkpoint import load_model, save_model
from gravurekit.model.network import OPTIONS, ColorizationNetwork, NetworkConfig, build, resized_hints
from gravurekit.model.palette import CELLS
from gravurekit.model.predictor import MODEL_FILE, Predictor
from gravurekit.model.tiles import HALO
from gravurekit.receipt import Plan
from gravurekit.stages import _handing_run

onnx = pytest.importorskip("onnx", reason="pip install 'gravurekit[onnx]'")
ort = pytest.importorskip("onnxruntime", reason="pip install 'gravurekit[onnx]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # of other people's packages

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
PLAIN = NetworkConfig(("dress", "hat", "coat"), "average", 64, L_mean=0.6)
PAPER = replace(PLAIN, head="paper", global_size=224)
EVERYTHING = dict.fromkeys(OPTIONS, True)
ABOUT = {"licenses": {"CC-BY-4.0": 2}, "style": {"name": "engrave"}, "source": "Würzburg"}
CLOSE = 1e-3  # ab units: the goal


@pytest.fixture(autouse=True)
def _narrow() -> Iterator[None]:
    with narrow():
        yield


def trained(config: NetworkConfig) -> ColorizationNetwork:
    """A network as a training leaves it: its outputs differ from place to place, its norms are other than at first."""
    network, chance = build(config, seed=3), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("norm.weight", ".1.weight", "running_var")) and tensor.ndim == 1:
                tensor.uniform_(0.7, 1.4, generator=chance)
            elif name.endswith((".1.bias", "norm.bias", "running_mean")):
                tensor.normal_(0, 0.1, generator=chance)
        network.get_parameter("colorization.C5.weight").mul_(20 if config.bins else 60)
        network.get_parameter("classification.K2.weight").mul_(30)
    return network.eval()


def a_run(path: Path, network: ColorizationNetwork) -> Path:
    """A finished training with a list of whose pictures it learned from."""
    storage.write_text(path / metadata.MARKER, "train\n")
    save_model(path / MODEL_FILE, network, ABOUT)
    facts: dict[str, Any] = {name: "" for name in ("title", "license_url", "page_url", "source")}
    lines = [
        facts | {"key": f"{n:016x}", "photo_key": f"{n:016x}", "creator": "Jeanne", "license": "CC-BY-4.0",
                 "url": f"https://museum.example/{n}.jpg"}
        for n in (1, 2)
    ]  # fmt: skip
    storage.write_lines(path / shards.LEARNED, map(json.dumps, lines))
    files = {name: metadata.file_sha256(path / name) for name in (MODEL_FILE, shards.LEARNED)}
    folder.seal(path, Plan(stage="train", revision=1, settings={}, inputs={}), 2, [], (), 1.0, {}, files)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return a_run(tmp_path / "runs/a", trained(replace(PLAIN, palette=True, hints=True, lightness=True)))


def handed(tmp_path: Path, network: ColorizationNetwork, **knobs: Any) -> Path:
    """The network as the craft writes it."""
    save_model(tmp_path / MODEL_FILE, network, ABOUT)
    craft.convert(tmp_path / MODEL_FILE, tmp_path / "out", craft.Settings(**knobs))
    return tmp_path / "out"


def say(path: Path, **told: np.ndarray) -> dict[str, np.ndarray]:
    """What a graph says of what it takes."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    fed = {item.name: told[item.name].astype(np.float32) for item in session.get_inputs()}
    return dict(zip([item.name for item in session.get_outputs()], session.run(None, fed), strict=True))


def drawing(*shape: int) -> np.ndarray:
    return (np.random.default_rng(sum(shape)).random(shape) * 100).astype(np.float32)


# ---- it says the same ----------------------------------------------------------------------------------


SOME = [dict(zip(OPTIONS, chosen, strict=True)) for chosen in itertools.product((False, True), repeat=len(OPTIONS))]


@pytest.mark.parametrize("config", [*(replace(PLAIN, **some) for some in SOME), PAPER, replace(PAPER, **EVERYTHING)])
def test_onnxruntime_says_what_torch_says_of_any_size(config: NetworkConfig, tmp_path: Path) -> None:
    network = trained(config)
    out, predictor, side = handed(tmp_path, network), Predictor(network, {}), config.global_size
    spread = 0.0
    for height, width in ((8, 8), (64, 64), (40, 216), (304, 16)):
        L, hints = drawing(height, width), np.zeros((height, width, 3), np.float32)
        hints[1:5, 2:4] = (50, -20, 1)
        palette = np.append(np.sqrt(np.random.default_rng(1).dirichlet(np.ones(CELLS))), 1).astype(np.float32)
        told = {"palette": palette if config.palette else None, "hints": hints if config.hints else None}
        wanted = predictor.predict(L, **told)
        planes = torch.from_numpy(hints.transpose(2, 0, 1)[None].copy())
        square = predictor._square(torch.from_numpy(L)[None, None]).numpy()
        scene = say(out / GLOBAL, L=square, hints=resized_hints(planes, side).numpy())
        said = say(out / COLOUR, L=L[None, None], hints=planes.numpy(), palette=palette[None], vector=scene["vector"])
        assert np.abs(said["ab"][0].transpose(1, 2, 0) - wanted.ab).max() <= CLOSE
        assert ("lightness" in said) == config.lightness == (wanted.lightness is not None)
        if wanted.lightness is not None:
            assert np.abs(said["lightness"][0, 0] - wanted.lightness).max() <= CLOSE
        odds = dict(zip(config.classes, scene["probabilities"][0].tolist(), strict=True))
        assert odds == pytest.approx(dict(wanted.classes), abs=1e-5)
        if not config.hints:
            assert np.abs(scene["vector"][0] - predictor.mood(L)).max() <= 1e-4
        spread = max(spread, float(np.ptp(wanted.ab)))
    assert spread > 1, "a network that says nothing proves nothing"


def test_several_pictures_go_through_at_once(tmp_path: Path) -> None:
    out = handed(tmp_path, trained(replace(PLAIN, palette=True, lightness=True)))
    L, squares, palettes = drawing(3, 1, 48, 80), drawing(3, 1, 64, 64), drawing(3, CELLS + 1) / 1000
    scene = say(out / GLOBAL, L=squares)
    together = scene | say(out / COLOUR, L=L, vector=scene["vector"], palette=palettes)
    for n in range(3):
        first = say(out / GLOBAL, L=squares[n : n + 1])
        alone = first | say(out / COLOUR, L=L[n : n + 1], vector=first["vector"], palette=palettes[n : n + 1])
        for name, values in alone.items():
            assert np.abs(together[name][n] - values[0]).max() <= 1e-4, name


def test_a_tile_that_sees_the_halo_gives_what_the_whole_gives(tmp_path: Path) -> None:
    out = handed(tmp_path, trained(PLAIN))
    assert json.loads((out / CARD).read_bytes())["halo"] == HALO
    L, vector = drawing(1, 1, 240, 208), np.zeros((1, 16), np.float32)
    whole = say(out / COLOUR, L=L, vector=vector)["ab"]
    tile = say(out / COLOUR, L=L[:, :, 80 - HALO : 160 + HALO, : 72 + HALO], vector=vector)["ab"]
    assert np.abs(tile[:, :, HALO : HALO + 80, :72] - whole[:, :, 80:160, :72]).max() <= 1e-4


def test_the_example_of_the_documentation_says_what_the_predictor_says(run: Path) -> None:
    hand_over("onnx", "runs/a", "out")
    (example,) = re.findall(r"\n\n((?:    import json\n)(?:    .*\n|\n)+)", DOCS.read_text("utf-8") + "\n")
    code = "\n".join(line[4:] for line in example.splitlines())
    assert len([line for line in code.splitlines() if line]) <= 27
    known: dict[str, Any] = {}
    exec(compile(code, str(DOCS), "exec"), known)
    for size in ((100, 75), (64, 64), (33, 150)):
        L = drawing(*size)
        wanted = Predictor.load(run, "cpu").predict(L)
        ab, odds = known["colour"](Path("out"), L)
        assert np.abs(ab - wanted.ab).max() <= CLOSE and odds == pytest.approx(dict(wanted.classes), abs=1e-4)


def test_the_temperature_of_bins_is_a_knob(tmp_path: Path) -> None:
    assert craft.Settings().temperature == bins.TEMPERATURE
    network = trained(replace(PLAIN, bins=True))
    out, L = handed(tmp_path, network, temperature=1.0), drawing(64, 64)
    scene = say(out / GLOBAL, L=L[None, None])
    ab = say(out / COLOUR, L=L[None, None], vector=scene["vector"])["ab"][0].transpose(1, 2, 0)
    predictor = Predictor(network, {})
    assert np.abs(ab - predictor.predict(L, temperature=1.0).ab).max() <= CLOSE
    assert np.abs(ab - predictor.predict(L).ab).max() > 10 * CLOSE
    assert json.loads((out / CARD).read_bytes())["temperature"] == 1.0


# ---- what isn't equal isn't written --------------------------------------------------------------------


@pytest.mark.parametrize("way", ["no number", "another network", "no palette"])
def test_what_onnxruntime_doesnt_say_alike_is_not_written(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = trained(replace(PLAIN, palette=True))
    if way == "no number":
        with torch.no_grad():
            network.get_parameter("colorization.C5.bias")[0] = torch.nan
    elif way == "another network":
        real = _graph.colour
        other = build(network.config, seed=9)
        monkeypatch.setattr(_graph, "colour", lambda _, temperature: real(other, temperature))
    else:
        real_add = _graph._Graph.add

        def add(graph: Any, op: str, name: str, *inputs: str, **attributes: Any) -> str:
            if name == "fusion.with.W_palette":
                return real_add(graph, "Identity", name, inputs[0])
            return real_add(graph, op, name, *inputs, **attributes)

        monkeypatch.setattr(_graph._Graph, "add", add)
    with pytest.raises(ModelError, match="ab by .* differ from torch's"):
        handed(tmp_path, network)
    assert [path.name for path in tmp_path.iterdir()] == [MODEL_FILE]


def test_a_layer_that_nobody_taught_it_is_named() -> None:
    network = trained(PLAIN)
    network.mid_level.M1[2] = torch.nn.GELU()
    with pytest.raises(GravurekitError, match=r"mid_level\.M1\.2: there is no ONNX yet for a layer GELU"):
        _graph.colour(network, 0.38)


# ---- what is in the files ------------------------------------------------------------------------------


def test_the_graphs_are_well_formed_and_tell_of_themselves(run: Path) -> None:
    made = hand_over("onnx", "runs/a", "out")
    card = json.loads((run.parents[1] / "out" / CARD).read_bytes())
    network, _ = load_model(run / MODEL_FILE, "cpu")
    assert card["config"] == network.config.to_dict() and card["about"] == ABOUT
    assert card["model"] == metadata.file_sha256(run / MODEL_FILE) and card["palette"]["nodes"] ** 2 == CELLS
    for name in (GLOBAL, COLOUR):
        graph = onnx.load(f"out/{name}")
        onnx.checker.check_model(graph, full_check=True)
        assert [(item.domain, item.version) for item in graph.opset_import] == [("", 17)] and graph.ir_version == 8
        assert {item.key: json.loads(item.value) for item in graph.metadata_props} == {KEY: card}
        assert not {"BatchNormalization", "Pad"} & {node.op_type for node in graph.graph.node}
        session = ort.InferenceSession(f"out/{name}")
        for way, items in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            assert {item.name: item.shape for item in items} == {
                name: about["shape"] for name, about in card["graphs"][name][way].items()
            }
        assert str(Path(_graph.__file__).parent).encode() not in Path(f"out/{name}").read_bytes()
    assert made["facts"]["largest difference"]["ab"] <= CLOSE
    assert (Path("out") / shards.LEARNED).read_bytes() == (run / shards.LEARNED).read_bytes()
    assert "Jeanne" in Path("out/CREDITS.md").read_text("utf-8")
    assert audit.inspect(Path("out"), deep=True).faults == []


def test_every_weight_is_in_one_of_the_graphs() -> None:
    """One that is forgotten, and has learned nothing yet, would make no difference to the proof."""
    network = trained(replace(PLAIN, **EVERYTHING))
    graphs = (_graph.scene(network), _graph.colour(network, 0.38))
    there = {item.name for graph in graphs for item in graph.graph.initializer}
    wanted = {name for name, parameter in network.named_parameters() if parameter.ndim > 1}
    assert wanted <= there


# ---- a folder like those of other stages ---------------------------------------------------------------


def test_again_it_is_fresh_and_elsewhere_the_same_bytes(run: Path) -> None:
    assert not hand_over("onnx", "runs/a", "out")["fresh"] and hand_over("onnx", "runs/a", "out")["fresh"]
    hand_over("onnx", "runs/a", "deep/other")
    one, two = digests(Path("out")), digests(Path("deep/other"))
    assert one.keys() == two.keys() and {name for name in one if one[name] != two[name]} <= {"receipt.json"}
    assert not hand_over("onnx", "runs/a", "out", "--set", "onnx.temperature=0.5")["fresh"]
    Path("out", COLOUR).write_bytes(b"no graph")
    assert not hand_over("onnx", "runs/a", "out")["fresh"] and audit.inspect(Path("out"), deep=True).faults == []
    listed = [json.loads(line) for line in (run / metadata.EXPORTS).read_text("utf-8").splitlines()]
    assert [(entry["format"], entry["out"]) for entry in listed] == [
        ("onnx", "../../deep/other"),
        ("onnx", "../../out"),
    ]
    assert audit.inspect(run, deep=True).faults == []


SLOW = [pytest.param(count, marks=pytest.mark.slow) for count in (1, 2, 4, 5, 6)]


@pytest.mark.parametrize("writes", [3, *SLOW])
def test_after_a_kill_it_ends_in_the_same_bytes(writes: int, run: Path) -> None:
    code = NARROW[2].replace(
        "with narrow():",
        "import os, signal\nfrom gravurekit import storage\nmade = []\nreal = os.replace\n"
        "def dying(*paths):\n    real(*paths)\n    made.append(paths)\n"
        f"    if len(made) == {writes}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.replace = dying\nwith narrow():",
    )
    words = ("export", "onnx", "runs/a", "out", *QUICK)
    done = subprocess.run([NARROW[0], "-c", code, *words], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run_here("credits", "out").exit_code in (2, 5), "half an export passes for a whole one"
    hand_over("onnx", "runs/a", "out")
    hand_over("onnx", "runs/a", "unbroken")
    one, two = digests(Path("out")), digests(Path("unbroken"))
    assert one.keys() == two.keys() and {name for name in one if one[name] != two[name]} <= {"receipt.json"}


def test_what_another_format_left_goes_and_what_is_somebodys_stays(run: Path) -> None:
    for n in range(2):
        storage.write_bytes(Path(f"pictures/{n}.png"), images.encode_png(photograph(n)))
    hand_over("webdataset", "pictures", "out")
    storage.write_text(Path("out/README.md"), "mine")
    hand_over("onnx", "runs/a", "out")
    ours = {GLOBAL, COLOUR, CARD, shards.LEARNED, "CREDITS.md", "CREDITS.csv", "receipt.json", metadata.MARKER}
    assert set(digests(Path("out"))) | {metadata.MARKER} == ours | {"README.md"}
    hand_over("imagefolder", "pictures", "out")
    assert not ours - {"receipt.json", metadata.MARKER, "CREDITS.md", "CREDITS.csv"} & set(os.listdir("out"))
    assert Path("out/README.md").exists() and audit.inspect(Path("out"), deep=True).faults == []


def test_a_network_of_unknown_origin_goes_without_credits(run: Path) -> None:
    storage.copy(run / MODEL_FILE, Path("found") / MODEL_FILE)
    hand_over("onnx", "runs/a", "out")
    result = run_here("export", "onnx", "found", "out", "--executor", "serial")
    assert result.exit_code == 0 and "has no credits" in result.stderr, result.output
    assert set(os.listdir("out")) == {GLOBAL, COLOUR, CARD, "receipt.json", metadata.MARKER}
    assert os.listdir("found") == [MODEL_FILE], "a plain folder is somebody's"


def test_forget_knows_of_the_exports_of_a_training(run: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    away = tmp_path_factory.mktemp("away") / "out"
    hand_over("onnx", "runs/a", "out")
    hand_over("onnx", "runs/a", str(away))
    hand_over("onnx", "runs/a", "gone")
    storage.remove(Path("gone"))
    result = run_here("forget", f"{1:016x}", "--dry-run", "--json", "--quiet")
    told = json.loads(result.stdout)
    assert told["runs"] == ["runs/a"] and told["yours"] == []
    assert sorted(told["exports"]) == sorted(["out", os.path.relpath(away), "gone (onnx, isn't there any more)"])


def test_what_is_no_finished_training_is_refused(run: Path) -> None:
    storage.write_text(Path("mine/letter.txt"), "dear")
    for source, out, code in (
        ("nowhere", "out", 2), ("mine", "out", 2), ("runs/a", "mine", 2), ("runs/a", "runs/a", 2), ("runs/a", "runs", 2)
    ):  # fmt: skip
        assert run_here("export", "onnx", source, out, *QUICK).exit_code == code, (source, out)
    (run / MODEL_FILE).write_bytes((run / MODEL_FILE).read_bytes()[:-9])
    assert run_here("export", "onnx", "runs/a", "out", *QUICK).exit_code == 5
    (run / MODEL_FILE).unlink()
    assert run_here("export", "onnx", "runs/a", "out", *QUICK).exit_code == 5
    (run / "receipt.json").unlink()
    result = run_here("export", "onnx", "runs/a", "out", *QUICK)
    assert result.exit_code == 5 and "isn't finished" in str(result.exception)
    assert not Path("out").exists() and os.listdir("mine") == ["letter.txt"]


def test_the_name_of_the_model_is_the_models() -> None:
    assert _handing_run.MODEL == MODEL_FILE
