"""What `transfer` compares pictures by: a stack of convolutions from one of three places.

    random:SEED        embedded and untrained: random filters of three sizes
    model:RUN          the low-level part of one's own trained colorizer, RUN/model.safetensors
    vgg19:PATH         VGG-19's convolutions from a torchvision state dict, as .pth or .safetensors
    vgg19:torchvision  the same, as torchvision itself fetches them

The room `model/` is this one's neighbour, so its classes aren't used here: of a model file only the six convolutions
of `low_level` are read, and of its header the mean that the first of them was fed with. Nothing that only colours need
is loaded or checked.
"""

import importlib
import importlib.util
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gravurekit.errors import UsageError

FORMS = "random:SEED, model:runs/NAME, vgg19:FILE or vgg19:torchvision"
FIRST = "low_level.L1.0.weight"
MODEL_FILE, MODEL_VERSIONS = "model.safetensors", (1, 2, 3)
RANDOM_SCALES, RANDOM_CHANNELS, RANDOM_SIDE = 3, 48, 7
# torchvision's `features`: output channels of the 3×3 convolutions, "M" where the picture is halved
VGG19 = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512)
# what torch's unpickler raises on files that aren't its own
UNREADABLE = (
    OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, LookupError, TypeError,
    AttributeError, AssertionError,
)  # fmt: skip
VGG_FILE = "a torchvision state dict of VGG-19 (features.0.weight, …)"


@dataclass(frozen=True)
class Spec:
    """`--features`, taken apart: `kind` random, model or vgg19, and what stands after the colon."""

    kind: str
    value: str

    @property
    def file(self) -> Path | None:
        """The file of weights that it needs, if it does."""
        if self.kind == "random" or self == Spec("vgg19", "torchvision"):
            return None
        path = Path(self.value)
        return path / MODEL_FILE if self.kind == "model" and path.suffix != ".safetensors" else path


def parsed(text: str) -> Spec:
    """Raises UsageError for what isn't one of the forms, or a file that isn't there."""
    kind, _, value = text.partition(":")
    number = value.isascii() and value.isdigit() and int(value) < 2**63
    if not value or kind not in ("random", "model", "vgg19") or (kind == "random" and not number):
        raise UsageError(f"--features {text}: write it as {FORMS}")
    spec = Spec(kind, value)
    if spec.kind == "vgg19" and not spec.file and importlib.util.find_spec("torchvision") is None:
        raise UsageError(
            "--features vgg19:torchvision: torchvision isn't installed: `pip install torchvision`, name a file that "
            "you have (vgg19:FILE), or use random:0, which needs nothing"
        )
    if spec.file and not spec.file.is_file():
        hint = (
            "run `gravurekit train` first, or name a run that is finished" if kind == "model" else f"it is {VGG_FILE}"
        )
        raise UsageError(f"--features {text}: there is no file {spec.file}; {hint}")
    return spec


def spoken(spec: Spec) -> str:
    """What people should know of these features, in one line."""
    return {
        "random": "random features are untrained: they know lines by their size, direction and tone, not what is drawn",
        "model": f"features of {spec.value}, trained to colour",
        "vgg19": "features of VGG-19, trained on ImageNet",
    }[spec.kind]


class Features(nn.Module):
    """(B, 1, H, W) float32 sRGB grey 0..1 → a list of features (B, C, H/stride, W/stride) float32, one a `stride`.

    `feed` makes of the grey what the first stage was trained on. H and W must be multiples of the last stride.
    """

    def __init__(self, feed: Callable[[Tensor], Tensor], stages: Sequence[nn.Module], strides: Sequence[int]) -> None:
        super().__init__()
        self.feed = feed
        self.stages = nn.ModuleList(stages)
        self.strides = tuple(strides)
        self.requires_grad_(False)
        self.eval()

    def forward(self, grey: Tensor) -> list[Tensor]:
        found, current = [], self.feed(grey)
        for stage in self.stages:
            current = stage(current)
            found.append(current)
        return found

    def at(self, grey: Tensor, places: Sequence[Tensor]) -> list[Tensor]:
        """The features at some places alone: for each stage, indices (B, K) int64 into its flattened grid →
        (B, C, K) float32."""
        return [
            seen.flatten(2).gather(2, index[:, None].expand(-1, seen.shape[1], -1))
            for seen, index in zip(self(grey), places, strict=True)
        ]


class RandomFilters(Features):
    """The picture softened by 1, 2 and 4 px, each through one convolution with random orthogonal filters whose taps
    are as far apart.

    48 orthogonal filters of 7×7 taps are nearly a basis of all patches of that size: two pictures with equal
    distributions of these features have equal patches. Nothing needs to be learnt for that, and a deeper stack of
    random convolutions gains nothing by it. Each stage sees every pixel: halved pictures would leave their grid in
    what descends by them.
    """

    def forward(self, grey: Tensor) -> list[Tensor]:
        current = self.feed(grey)
        return [stage(_softened(current, 2**n)) for n, stage in enumerate(self.stages)]

    def at(self, grey: Tensor, places: Sequence[Tensor]) -> list[Tensor]:
        """As above, from the patches at those places: on a CPU a fraction of the work. A GPU has the time, and adds
        up the gradients of patches that overlap in no fixed order."""
        if grey.is_cuda:
            return super().at(grey, places)
        current, found = self.feed(grey), []
        for number, (stage, index) in enumerate(zip(self.stages, places, strict=True)):
            assert isinstance(stage, nn.Sequential) and isinstance(stage[0], nn.Conv2d)
            patches = _patches(_softened(current, 2**number), index, 2**number)
            found.append(stage[1]((patches @ stage[0].weight.flatten(1).T).transpose(1, 2)))
        return found


def _softened(grey: Tensor, side: int) -> Tensor:
    """(B, 1, H, W) → the same size: means of `side` × `side` px."""
    return F.avg_pool2d(F.pad(grey, (0, side - 1, 0, side - 1)), side, stride=1) if side > 1 else grey


def _patches(grey: Tensor, index: Tensor, apart: int) -> Tensor:
    """(B, 1, H, W) and (B, K) int64, indices into a flattened (H, W) → (B, K, 49): what a filter sees there whose taps
    are `apart` px from one another."""
    reach = RANDOM_SIDE // 2 * apart
    width = grey.shape[3]
    padded = F.pad(grey, (reach, reach, reach, reach))
    corner = index // width * padded.shape[3] + index % width
    steps = torch.arange(RANDOM_SIDE) * apart
    around = (steps[:, None] * padded.shape[3] + steps).flatten()
    every = (corner[:, :, None] + around).flatten(1)
    return padded.flatten(1).gather(1, every).view(len(grey), -1, RANDOM_SIDE**2)


def load(spec: Spec, depth: int) -> Features:
    """The first `depth` stages (all, if there are fewer), on the CPU. Raises UsageError for files that don't fit."""
    if spec.kind == "random":
        return random_filters(int(spec.value), depth)
    if spec.kind == "model":
        assert spec.file is not None
        return _of_model(spec.file, depth)
    weights = _torchvision() if spec.file is None else _state_dict(spec.file)
    return vgg19(weights, depth, str(spec.file or "torchvision"))


# ---- random --------------------------------------------------------------------------------------------


def random_filters(seed: int, depth: int) -> Features:
    """Untrained features; a function of the seed alone, the global generator isn't touched."""
    generator = torch.Generator().manual_seed(seed)
    stages = []
    for number in range(min(depth, RANDOM_SCALES)):
        layer = _bare(1, RANDOM_CHANNELS, RANDOM_SIDE, bias=False, dilation=2**number)
        nn.init.orthogonal_(layer.weight, generator=generator)
        stages.append(nn.Sequential(layer, nn.LeakyReLU(0.1)))
    return RandomFilters(lambda grey: grey - 0.5, stages, [1] * len(stages))


# ---- a trained colorizer -------------------------------------------------------------------------------


def _of_model(path: Path, depth: int) -> Features:
    """Stages L1-L2, L3-L4 and L5-L6 of a model file's `low_level`."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("gravurekit", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys() if name.startswith("low_level.")}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise UsageError(
            f"{path} is damaged or no safetensors file ({error}): train again, or name another run"
        ) from None
    kinds = [("model", version) for version in MODEL_VERSIONS]
    if not isinstance(header, dict) or (header.get("kind"), header.get("version")) not in kinds:
        raise UsageError(f"{path} is no model file of this gravurekit: name a run that `gravurekit train` has finished")
    mean = float(header["config"]["L_mean"])
    first = weights.get(FIRST)
    if first is not None and first.ndim == 4:  # what follows lightness are hints, of which there are none here
        weights[FIRST] = first[:, :1].contiguous()
    stages = [
        nn.Sequential(_normed(weights, f"L{n}", 2, path), _normed(weights, f"L{n + 1}", 1, path)) for n in (1, 3, 5)
    ]
    depth = min(depth, len(stages))
    return Features(lambda grey: lightness(grey) / 100 - mean, stages[:depth], [2 ** (n + 1) for n in range(depth)])


def _normed(weights: dict[str, Tensor], name: str, stride: int, path: Path) -> nn.Sequential:
    """Convolution, batch normalisation by what training has seen, ReLU."""
    kernel = weights.get(f"low_level.{name}.0.weight")
    if kernel is None or kernel.ndim != 4:
        raise UsageError(f"{path} holds no low_level.{name}: name a run that this gravurekit has trained")
    layer = nn.Sequential(
        _bare(kernel.shape[1], kernel.shape[0], 3, stride, bias=False),
        nn.BatchNorm2d(kernel.shape[0]),
        nn.ReLU(),
    )
    prefix = f"low_level.{name}."
    _fill(layer, {key.removeprefix(prefix): w for key, w in weights.items() if key.startswith(prefix)}, path)
    return layer


def lightness(grey: Tensor) -> Tensor:
    """sRGB grey 0..1 → CIE L 0..100, differentiable. OpenCV's, from which colorizers learn, is within 0.2 of it."""
    # Both branches of a `where` get a gradient, so neither may be infinite in any place.
    linear = torch.where(grey <= 0.04045, grey / 12.92, ((grey.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    return torch.where(linear <= 0.008856, 903.3 * linear, 116 * linear.clamp(min=0.008856) ** (1 / 3) - 16)


# ---- VGG-19 --------------------------------------------------------------------------------------------


def vgg19(weights: dict[str, Tensor], depth: int, source: str) -> Features:
    """relu1_1, relu2_1, … of a torchvision state dict, with average pooling as in Gatys et al. (2016)."""
    stages: list[nn.Module] = []
    layers: list[nn.Module] = []
    inputs, index, first = 3, 0, True  # `first`: the next convolution is the first at its size
    for outputs in VGG19:
        if len(stages) == depth:
            break
        if isinstance(outputs, str):
            layers.append(nn.AvgPool2d(2))
            index, first = index + 1, True
            continue
        layer = _bare(inputs, outputs, 3)
        names = {part: f"features.{index}.{part}" for part in ("weight", "bias")}
        _fill(layer, {part: weights[name] for part, name in names.items() if name in weights}, source, VGG_FILE)
        layers += [layer, nn.ReLU()]
        if first:
            stages.append(nn.Sequential(*layers))
            layers = []
        inputs, index, first = outputs, index + 2, False
    return Features(_imagenet, stages, [2**n for n in range(len(stages))])


def _imagenet(grey: Tensor) -> Tensor:
    """As torchvision feeds VGG-19: RGB 0..1, less ImageNet's mean, by its deviation."""
    mean = grey.new_tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = grey.new_tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (grey - mean) / deviation


def _state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a .safetensors file, or of what torch.save wrote; read without running anything in it."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys() if name.startswith("features.")}  # noqa: SIM118
        found = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        brief = (str(error).strip() or type(error).__name__).splitlines()[0][:80]
        raise UsageError(f"{path} can't be read ({brief}): it should be {VGG_FILE}") from None
    tensors = found if isinstance(found, dict) else {}
    return {str(name): tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def _torchvision() -> dict[str, Tensor]:
    models = importlib.import_module("torchvision.models")
    try:
        network = models.vgg19(weights=models.VGG19_Weights.IMAGENET1K_V1)
    except OSError as error:
        raise UsageError(f"--features vgg19:torchvision: the weights can't be fetched ({error}): name a file") from None
    return dict(network.state_dict())


def _bare(inputs: int, outputs: int, side: int, stride: int = 1, bias: bool = True, dilation: int = 1) -> nn.Conv2d:
    """A convolution whose weights are still to be filled in: making them up would draw on torch's global generator."""
    padding = side // 2 * dilation
    layer = nn.Conv2d(inputs, outputs, side, stride, padding, dilation, bias=bias, device="meta")
    return layer.to_empty(device="cpu")


def _fill(layer: nn.Module, weights: dict[str, Tensor], source: object, should: str = "") -> None:
    """Put weights into a layer. Raises UsageError if any is missing or has another shape."""
    wanted = layer.state_dict()
    for name, tensor in wanted.items():
        here = tuple(weights[name].shape) if name in weights else "missing"
        if here != tuple(tensor.shape):
            todo = f"it should be {should}" if should else "name a run that this gravurekit has trained"
            raise UsageError(f"{source} doesn't fit: a {name} of {tuple(tensor.shape)} is {here}; {todo}")
    layer.load_state_dict(weights)
