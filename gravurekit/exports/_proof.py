"""Do two ONNX graphs say what the network says? Both are shown the same noise, and told the same colours."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from gravurekit.model.predictor import Predictor

SIZES = ((64, 64), (40, 136))  # height and width, px, beside the global size


def differences(predictor: "Predictor", scene: bytes, colour: bytes, temperature: float) -> dict[str, float]:
    """How far onnxruntime is from torch at most, by the name of what comes out; nan where either says no number."""
    sessions = _session(scene), _session(colour)
    found: dict[str, float] = {}
    side = predictor.network.config.global_size
    for seed, (height, width) in enumerate(((side, side), *SIZES)):
        told = _told(predictor, height, width, seed)
        wanted = predictor.predict(
            told["L"], palette=told.get("palette"), hints=told.get("hints"), temperature=temperature
        )
        odds = dict(wanted.classes)
        expected: dict[str, np.ndarray] = {
            "ab": wanted.ab.transpose(2, 0, 1),
            "probabilities": np.array([odds[name] for name in predictor.network.config.classes]),
        }
        if wanted.lightness is not None:
            expected["lightness"] = wanted.lightness
        for name, said in _said(*sessions, told, side).items():
            off = np.abs(said.squeeze() - expected[name].squeeze()).max()
            found[name] = float(np.maximum(off, found.get(name, 0.0)))  # nan stays
    return found


def _told(predictor: "Predictor", height: int, width: int, seed: int) -> dict[str, np.ndarray]:
    """Arguments of Predictor.predict, as far as the network takes them: noise that is coarse and fine, and a hint."""
    from gravurekit.model.palette import CELLS

    rng, config = np.random.default_rng(seed), predictor.network.config
    coarse = np.kron(rng.uniform(0, 60, (height // 8, width // 8)), np.ones((8, 8)))
    told = {"L": (coarse + rng.uniform(0, 40, (height, width))).astype(np.float32)}
    if config.palette:
        told["palette"] = np.append(np.sqrt(rng.dirichlet(np.full(CELLS, 0.1))), 1).astype(np.float32)
    if config.hints:
        told["hints"] = np.zeros((height, width, 3), np.float32)
        told["hints"][8:20, 16:24] = (40, -30, 1)
    return told


def _said(
    scene: "InferenceSession", colour: "InferenceSession", told: dict[str, np.ndarray], side: int
) -> dict[str, np.ndarray]:
    """What comes out of the graphs, by name, but for the vector."""
    import torch

    from gravurekit.model.network import resized, resized_hints

    fed = {"L": told["L"][None, None]}
    square = {
        "L": fed["L"] if fed["L"].shape[2:] == (side, side) else resized(torch.from_numpy(fed["L"]), side).numpy()
    }
    if "hints" in told:
        fed["hints"] = np.ascontiguousarray(told["hints"].transpose(2, 0, 1))[None]
        square["hints"] = resized_hints(torch.from_numpy(fed["hints"]), side).numpy()
    if "palette" in told:
        fed["palette"] = told["palette"][None]
    first = _run(scene, square)
    fed["vector"] = first.pop("vector")
    return first | _run(colour, fed)


def _session(graph: bytes) -> "InferenceSession":
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 3  # errors
    return InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _run(session: "InferenceSession", fed: dict[str, np.ndarray]) -> dict[str, Any]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, fed), strict=True))
