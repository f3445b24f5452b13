"""A trained network as ONNX graphs, node by node. Batch normalisation, which at work is no more than a factor and a
summand of each channel, is folded into the layer before it.

Nothing is traced: the network is a short list of common layers, so the same network gives the same bytes with any
torch, the nodes have the names of the paper's table, and no path of this machine gets into a file.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gravurekit.errors import GravurekitError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

    from gravurekit.model.network import ColorizationNetwork

OPSET, IR_VERSION = 17, 8  # of 2022: what reads ONNX at all reads these
Shape = Sequence[int | str]  # a letter stands for a number that differs from call to call


class _Graph:
    """A graph that grows: `add` gives the name of what a node makes, which is the node's own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        return self.split(op, [name], *inputs, **attributes)[0]

    def split(self, op: str, names: list[str], *inputs: str, **attributes: Any) -> list[str]:
        from onnx import helper

        self.nodes.append(helper.make_node(op, list(inputs), names, name=names[0], **attributes))
        return names

    def constant(self, name: str, values: Any, kind: type = np.float32) -> str:
        from onnx import numpy_helper

        array: np.ndarray = np.ascontiguousarray(values, kind)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def model(self, name: str, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> "onnx.ModelProto":
        """The whole. Names of constants are those of the layers, so none is there twice."""
        from onnx import TensorProto, helper

        come, go = (
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape) for value, shape in values.items()]
            for values in (inputs, outputs)
        )
        graph = helper.make_graph(self.nodes, name, come, go, initializer=self.weights)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="gravurekit")


# ---- the two graphs ------------------------------------------------------------------------------------


def scene(network: "ColorizationNetwork") -> "onnx.ModelProto":
    """What is in a picture: L (B, 1, S, S) at the global size, of a network with hints also these (B, 3, S, S) → vector
    (B, 256), probabilities (B, classes)."""
    graph, config, parts = _Graph(), network.config, network.global_features
    features = _low(graph, network)
    for name in ("G1", "G2", "G3", "G4"):
        features = _through(graph, features, f"global_features.{name}", getattr(parts, name))
    if config.head == "average":
        features = graph.add("GlobalAveragePool", "global_features.mean", features)
    features = graph.add("Flatten", "global_features.flat", features, axis=1)
    for name in ("G5", "G6"):
        features = _through(graph, features, f"global_features.{name}", getattr(parts, name))
    graph.add("Identity", "vector", _through(graph, features, "global_features.G7", parts.G7))
    logits = _through(graph, features, "classification", network.classification)
    graph.add("Softmax", "probabilities", logits, axis=1)
    outputs: dict[str, Shape] = {
        "vector": ("B", network.fusion.W_global.in_features),
        "probabilities": ("B", len(config.classes)),
    }
    side = config.global_size
    return graph.model("global", _seen(network, side, side), outputs)


def colour(network: "ColorizationNetwork", temperature: float) -> "onnx.ModelProto":
    """The colours of a picture: L (B, 1, H, W), a vector of `scene`, and what else the network can be told: palette (B,
    CELLS + 1), hints (B, 3, H, W) → ab (B, 2, H, W), and lightness (B, 1, H, W) of the wash if it says that. H and W
    are multiples of 8. `temperature` is of bins."""
    from gravurekit.model.palette import CELLS

    graph, config = _Graph(), network.config
    mid = _through(graph, _low(graph, network), "mid_level", network.mid_level)
    said = _through(graph, _fused(graph, network, mid), "colorization", network.colorization)
    planes = _ab_and_lightness(graph, network, said, temperature)
    for name, plane in planes.items():
        scales = graph.constant(f"{name}.scales", (1, 1, 2, 2))
        way = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        graph.add("Resize", name, plane, "", scales, **way)
    inputs = _seen(network, "H", "W") | {"vector": ("B", network.fusion.W_global.in_features)}
    if config.palette:
        inputs["palette"] = ("B", CELLS + 1)
    outputs: dict[str, Shape] = {"ab": ("B", 2, "H", "W"), "lightness": ("B", 1, "H", "W")}
    return graph.model("colour", inputs, {name: outputs[name] for name in planes})


# ---- parts of both -------------------------------------------------------------------------------------


def _seen(network: "ColorizationNetwork", height: int | str, width: int | str) -> dict[str, Shape]:
    """What the low-level features are of."""
    hints: dict[str, Shape] = {"hints": ("B", 3, height, width)} if network.config.hints else {}
    return {"L": ("B", 1, height, width), **hints}


def _low(graph: _Graph, network: "ColorizationNetwork") -> str:
    """As ColorizationNetwork.low, but that a and b of hints come in ab units, as people have them."""
    config = network.config
    share = graph.add("Div", "L.share", "L", graph.constant("hundred", 100))
    seen = graph.add("Sub", "L.seen", share, graph.constant("L_mean", config.L_mean))
    if config.hints:
        units = graph.constant("hints.units", [[[config.ab_limit]], [[config.ab_limit]], [[1]]])
        seen = graph.add("Concat", "seen", seen, graph.add("Div", "hints.share", "hints", units), axis=1)
    return _through(graph, seen, "low_level", network.low_level)


def _fused(graph: _Graph, network: "ColorizationNetwork", mid: str) -> str:
    """As Fusion.forward: its norm folded into each of the summands."""
    fusion = network.fusion
    factor, summand = _folded(fusion.norm)
    weight = graph.constant("fusion.W_mid.weight", _array(fusion.W_mid.weight) * factor[:, None, None, None])
    fused = graph.add("Conv", "fusion.W_mid", mid, weight, graph.constant("fusion.bias", summand))
    everywhere = {"W_global": "vector"}
    if network.config.palette:
        everywhere["W_palette"] = _through(graph, "palette", "palette_features", network.palette_features)
    axes = graph.constant("fusion.axes", (2, 3), np.int64)
    for name, told in everywhere.items():
        rows = graph.constant(f"fusion.{name}.weight", _array(getattr(fusion, name).weight) * factor[:, None])
        flat = graph.add("Gemm", f"fusion.{name}", told, rows, transB=1)
        place = graph.add("Unsqueeze", f"fusion.{name}.everywhere", flat, axes)
        fused = graph.add("Add", f"fusion.with.{name}", fused, place)
    return graph.add("Relu", "fusion", fused)


def _ab_and_lightness(graph: _Graph, network: "ColorizationNetwork", said: str, temperature: float) -> dict[str, str]:
    """As the end of ColorizationNetwork.paint, its `ab` and its `wash_lightness`: the planes at half size."""
    from gravurekit.model import bins

    config, found = network.config, dict[str, str]()
    if config.lightness:
        sizes = graph.constant("said.sizes", (bins.COUNT if config.bins else 2, 1), np.int64)
        said, light = graph.split("Split", ["said.ab", "said.lightness"], said, sizes, axis=1)
        share = graph.add("Sigmoid", "lightness.share", light)
        found["lightness"] = graph.add("Mul", "lightness.half", share, graph.constant("lightness.limit", 100))
    if config.bins:
        sharp = graph.add("Div", "bins.sharp", said, graph.constant("bins.temperature", temperature))
        odds = graph.add("Softmax", "bins.odds", sharp, axis=1)
        centres = graph.constant("bins.centres", bins.CENTRES.numpy().T[:, :, None, None])
        return {"ab": graph.add("Conv", "ab.half", odds, centres), **found}
    twice = graph.add("Mul", "ab.twice", graph.add("Sigmoid", "ab.share", said), graph.constant("two", 2))
    signed = graph.add("Sub", "ab.signed", twice, graph.constant("one", 1))
    return {"ab": graph.add("Mul", "ab.half", signed, graph.constant("ab.limit", config.ab_limit)), **found}


# ---- layers --------------------------------------------------------------------------------------------


def _through(graph: _Graph, value: str, name: str, module: "nn.Module") -> str:
    """What `value` becomes in a chain of layers."""
    layers = [*_layers(name, module), ("", None)]
    for (here, layer), (_, after) in pairwise(layers):
        value = _layer(graph, value, here, layer, after)
    return value


def _layers(name: str, module: "nn.Module") -> "Iterator[tuple[str, nn.Module]]":
    from torch import nn

    if isinstance(module, nn.Sequential):
        for part, inner in module.named_children():
            yield from _layers(f"{name}.{part}", inner)
    else:
        yield name, module


def _layer(graph: _Graph, value: str, name: str, layer: "nn.Module | None", after: "nn.Module | None") -> str:
    from torch import nn

    way: dict[str, Any]
    match layer:
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return value  # the layer before has it in its weights
        case nn.ReLU():
            return graph.add("Relu", name, value)
        case nn.Upsample(mode="nearest"):
            scales = graph.constant(f"{name}.scales", (1, 1, layer.scale_factor, layer.scale_factor))
            way = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            return graph.add("Resize", name, value, "", scales, **way)
        case nn.Linear():
            return graph.add("Gemm", name, value, *_weights(graph, name, layer, after), transB=1)
        case nn.Conv2d(groups=1, dilation=(1, 1), padding_mode="zeros"):
            way = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": [*layer.padding] * 2}
            return graph.add("Conv", name, value, *_weights(graph, name, layer, after), **way)
    raise GravurekitError(f"{name}: there is no ONNX yet for a layer {layer!r}")


def _weights(graph: _Graph, name: str, layer: Any, after: "nn.Module | None") -> tuple[str, str]:
    """The names of weights (outputs, …) and bias (outputs,) of a layer, with the norm `after` it, if it is one."""
    from torch import nn

    weight = _array(layer.weight)
    bias = np.zeros(len(weight)) if layer.bias is None else _array(layer.bias)
    if isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d):
        factor, summand = _folded(after)
        weight, bias = weight * factor.reshape(-1, *[1] * (weight.ndim - 1)), bias * factor + summand
    return graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)


def _folded(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand (channels,) float64 of a batch normalisation at work."""
    factor = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    return factor, _array(norm.bias) - _array(norm.running_mean) * factor


def _array(tensor: "Tensor") -> np.ndarray:
    """float64, so that what is folded is rounded once."""
    return tensor.detach().cpu().double().numpy()
