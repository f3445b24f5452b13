"""onnx: a trained network for onnxruntime and others that know nothing of torch. Two graphs, so that many pictures, or
many parts of one, are coloured under one look at the whole:

    global.onnx   L of the picture at the global size → its vector, and how probable each class is
    colour.onnx   L of any size, and that vector → a and b, and maybe the lightness of the wash
    model.json    what goes in and comes out; the network's config; what is known of its training, licences included

Nothing is written that doesn't say in onnxruntime what the network itself says.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gravurekit import settings as base
from gravurekit import storage
from gravurekit.errors import MissingExtra, ModelError
from gravurekit.exports import _graph, _proof

if TYPE_CHECKING:
    from onnx import ModelProto

    from gravurekit.model.network import ColorizationNetwork

REVISION = 1
GLOBAL, COLOUR, CARD = "global.onnx", "colour.onnx", "model.json"
OURS = re.compile(r"(?:global|colour)\.onnx|model\.json")
KEY = "gravurekit"  # what CARD says, in each graph's metadata, is under this name
CLOSE = 1e-3  # how far onnxruntime may be from torch: ab units, units of L, and odds


class Settings(base.Settings):
    """What is decided when a network is handed over."""

    temperature: float = Field(
        0.38,
        gt=0,
        le=1,
        description="Of a network with bins: 1 gives the mean of its colours, dull; towards 0 the likeliest, vivid.",
    )


def check() -> None:
    """Raises MissingExtra without onnx or onnxruntime."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise MissingExtra("export onnx", "onnx") from None


def convert(model: Path, out: Path, settings: Settings) -> tuple[list[str], dict[str, Any]]:
    """Write the network of a model file into the folder `out`: the names of the files, and the figures that are told.

    Raises ModelError for a model that can't be used, or that onnxruntime doesn't reckon as torch does.
    """
    from gravurekit.metadata import file_sha256
    from gravurekit.model import checkpoint
    from gravurekit.model.predictor import Predictor

    network, about = checkpoint.load_model(model, "cpu")
    graphs = {GLOBAL: _graph.scene(network), COLOUR: _graph.colour(network, settings.temperature)}
    card = _card(network, about, file_sha256(model), graphs, settings)
    data = {name: _finished(graph, card) for name, graph in graphs.items()}
    differences = _proof.differences(Predictor(network, about), data[GLOBAL], data[COLOUR], settings.temperature)
    if far := [f"{name} by {most:.2g}" for name, most in differences.items() if not most <= CLOSE]:
        raise ModelError(f"{model}: in onnxruntime its {', '.join(far)} differ from torch's: train again, or report it")
    for name, content in data.items():
        storage.write_bytes(out / name, content)
    storage.write_json(out / CARD, card)
    return [*data, CARD], {"largest difference": differences}


# ---- what goes along -----------------------------------------------------------------------------------


def _card(
    network: "ColorizationNetwork", about: dict[str, Any], sha256: str, graphs: "dict[str, ModelProto]",
    settings: Settings,
) -> dict[str, Any]:  # fmt: skip
    from gravurekit.model import palette, tiles

    config = network.config
    card: dict[str, Any] = {
        "format": 1,
        "kind": "gravurekit colorization network",
        "model": sha256,
        "config": config.to_dict(),
        "about": about,
        "opset": _graph.OPSET,
        "graphs": {name: _told(graph, config.classes) for name, graph in graphs.items()},
        "multiple": 8,
        "halo": tiles.HALO,
    }
    if config.palette:
        card["palette"] = {"nodes": palette.SIDE, "step": palette.STEP, "reach": palette.REACH}
    if config.bins:
        card["temperature"] = settings.temperature
    return card


def _told(graph: "ModelProto", classes: tuple[str, ...]) -> dict[str, Any]:
    """Names, shapes and meanings of what goes in and comes out."""
    meaning = {
        "L": "CIE L, 0..100",
        "vector": "what is in the picture; all tiles of one share it; another picture's lends its mood",
        "hints": "a and b in ab units, and 1 where they are told; 0 elsewhere",
        "palette": "square roots of the shares of colours on nodes of ab, a's in rows, then 1; all 0: not told",
        "probabilities": f"of the classes {', '.join(classes)}",
        "ab": "CIE a and b",
        "lightness": "CIE L of the wash, 0..100",
    }
    return {
        way: {value.name: {"shape": _shape(value), "is": meaning[value.name]} for value in values}
        for way, values in (("inputs", graph.graph.input), ("outputs", graph.graph.output))
    }


def _shape(value: Any) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def _finished(graph: "ModelProto", card: dict[str, Any]) -> bytes:
    """The bytes of a graph that is well formed and carries `card`."""
    from onnx import checker

    graph.metadata_props.add(key=KEY, value=json.dumps(card, sort_keys=True, ensure_ascii=False))
    checker.check_model(graph, full_check=True)
    return graph.SerializeToString(deterministic=True)
