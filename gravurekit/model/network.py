"""The colorization network of Iizuka, Simo-Serra and Ishikawa, "Let there be Color!", SIGGRAPH 2016.

Written from the layer table of the paper; parts are named as there and come in the order of its figure:

    L (+ hints) ── low_level ── mid_level ─────┐
             │ (same weights)                  fusion ── colorization ── ab (+ L of the wash) at half size
    224×224 ─┴─────── global_features ── 256 ──┤
                            │  (palette ─ 256 ─┘)
                            └── 512 ── classification ── classes

What stands in brackets isn't the paper's: options of `NetworkConfig`, for prints, each off unless it is asked for.
Batch normalisation (BN) follows every convolution and fully connected layer but the two outputs. Those layers
have no bias: BN subtracts the mean right after, so a bias could change nothing.
In the shape comments B is the batch, H×W the input size, S the side of the square copy for the global path; channels
are the paper's, which the config's `width` multiplies.
"""

from collections import OrderedDict
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gravurekit.errors import ModelError
from gravurekit.model import bins
from gravurekit.model.convolution import Convolution
from gravurekit.model.palette import CELLS

HEADS = ("paper", "average")
OPTIONS = ("palette", "hints", "lightness", "bins")
HINTS_BEGIN = 8.0  # weights of hints at the beginning, beside those of L: hints are fewer and fainter
PAPER_SIZE = 224  # the paper's head is a matrix over 7×7 places, so it fits this size only


@dataclass(frozen=True)
class NetworkConfig:
    """What the network's shape and scales depend on; kept in every model file.

    classes      names of the classes, at least one
    head         "paper": the 7×7×512 global features flattened; "average": their mean over space, a third of
                 the parameters, for small data sets and any `global_size`
    global_size  side of the square copy that the global path sees
    ab_limit     the output p in 0..1 stands for ab = (2p − 1)·ab_limit
    L_mean       mean of L/100 over the training set: the first layer is fed L/100 − L_mean

    What the paper's network hasn't got:

    palette      it can be told which colours the wash has, and how much of each
    hints        it can be told the colours of some places
    lightness    it says the wash's lightness too: under the ink of a print it isn't that of the print
    bins         in place of a and b it says how likely each of the ab plane's bins is: Zhang, Isola and Efros,
                 "Colorful Image Colorization", 2016
    width        factor on the channels of every convolution but the last; vectors, as the global one, keep their length
    """

    classes: tuple[str, ...]
    head: str = "paper"
    global_size: int = PAPER_SIZE
    ab_limit: float = 110.0
    palette: bool = False
    hints: bool = False
    lightness: bool = False
    bins: bool = False
    width: float = 1.0
    L_mean: float = field(kw_only=True)

    def __post_init__(self) -> None:
        for good, fault in (
            (_is_names(self.classes), f"classes must be different names, at least one, not {self.classes!r}"),
            (self.head in HEADS, f"head must be one of {HEADS}, not {self.head!r}"),
            (_is_size(self.global_size), f"global_size must be a multiple of 8, not {self.global_size!r}"),
            (
                self.head != "paper" or self.global_size == PAPER_SIZE,
                f"head 'paper' needs global_size {PAPER_SIZE}, not {self.global_size!r}; or head 'average'",
            ),
            (_is_number(self.ab_limit, 1, 1000), f"ab_limit must lie in 1..1000, not {self.ab_limit!r}"),
            (_is_number(self.width, 0.01, 4), f"width must lie in 0.01..4, not {self.width!r}"),
            (_is_number(self.L_mean, 0, 1), f"L_mean must lie in 0..1, not {self.L_mean!r}"),
            *((type(getattr(self, name)) is bool, f"{name} must be true or false") for name in OPTIONS),
        ):
            if not good:
                raise ModelError(f"bad network config: {fault}")

    def channels(self, paper: int) -> int:
        """How many channels a convolution has where the paper's has `paper`: a multiple of 8."""
        return 8 * max(1, round(paper * self.width / 8))

    def to_dict(self) -> dict[str, Any]:
        """The config as plain JSON values."""
        return asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: Any) -> "NetworkConfig":
        """The config from what `to_dict` gave; anything unknown, missing or bad is a ModelError."""
        names = {f.name for f in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            found = sorted(values) if isinstance(values, dict) else type(values).__name__
            raise ModelError(f"bad network config: it must hold {sorted(names)}, but holds {found}")
        classes = values["classes"]
        return cls(**values | {"classes": tuple(classes) if isinstance(classes, list) else classes})


def _is_names(names: Any) -> bool:
    return (
        isinstance(names, tuple)
        and len(names) > 0
        and all(isinstance(name, str) and name for name in names)
        and len(set(names)) == len(names)
    )


def _is_size(size: Any) -> bool:
    return type(size) is int and 8 <= size <= 4096 and size % 8 == 0


def _is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


# ---- the building blocks -------------------------------------------------------------------------------


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution, BN, ReLU: (B, inputs, h, w) → (B, outputs, ceil(h/stride), ceil(w/stride))."""
    return nn.Sequential(
        Convolution(inputs, outputs, stride),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def dense(inputs: int, outputs: int) -> nn.Sequential:
    """Fully connected layer, BN, ReLU: (B, inputs) → (B, outputs)."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())


def chain(**layers: nn.Module) -> nn.Sequential:
    """Layers one after another, under the names of the paper's table."""
    return nn.Sequential(OrderedDict(layers))


# ---- the network, top to bottom ------------------------------------------------------------------------


def low_level(config: NetworkConfig) -> nn.Sequential:
    n = config.channels
    return chain(
        L1=conv(1 + 3 * config.hints, n(64), stride=2),  # (B, 64, H/2, W/2); a hint is a, b, and 1 where there is one
        L2=conv(n(64), n(128)),
        L3=conv(n(128), n(128), stride=2),  # (B, 128, H/4, W/4)
        L4=conv(n(128), n(256)),
        L5=conv(n(256), n(256), stride=2),  # (B, 256, H/8, W/8)
        L6=conv(n(256), n(512)),  # (B, 512, H/8, W/8)
    )


def mid_level(config: NetworkConfig) -> nn.Sequential:
    n = config.channels
    return chain(
        M1=conv(n(512), n(512)),
        M2=conv(n(512), n(256)),  # (B, 256, H/8, W/8)
    )


class GlobalFeatures(nn.Module):
    """Low-level features of the square copy (B, 512, S/8, S/8) → G6 (B, 512) and G7 (B, 256)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.head = config.head
        n = config.channels(512)
        self.G1 = conv(n, n, stride=2)  # (B, 512, S/16, S/16)
        self.G2 = conv(n, n)
        self.G3 = conv(n, n, stride=2)  # (B, 512, S/32, S/32): 7×7 at 224
        self.G4 = conv(n, n)
        self.G5 = dense(n * 7 * 7 if self.head == "paper" else n, 1024)
        self.G6 = dense(1024, 512)  # → classification
        self.G7 = dense(512, 256)  # → fusion

    def forward(self, low: Tensor) -> tuple[Tensor, Tensor]:
        features = self.G4(self.G3(self.G2(self.G1(low))))
        flat = features.flatten(1) if self.head == "paper" else features.mean((2, 3))
        scene = self.G6(self.G5(flat))
        return scene, self.G7(scene)


def palette_features() -> nn.Sequential:
    return chain(P1=dense(CELLS + 1, 256))  # of a palette's cells, and 1 if one is given; (B, 256)


class Fusion(nn.Module):
    """Mid-level features (B, 256, h, w), global vector (B, 256), and palette features (B, 256) → (B, 256, h, w).

    The paper's W·[global; mid] at every place. W is split, W_global·global + W_mid·mid: the same sum, but the global
    half is computed once a picture, and no 512-channel copy is made.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        n = config.channels(256)
        self.W_global = nn.Linear(256, n, bias=False)
        self.W_mid = nn.Conv2d(n, n, 1, bias=False)
        if config.palette:
            self.W_palette = nn.Linear(256, n, bias=False)
        self.norm = nn.BatchNorm2d(n)

    def forward(self, mid: Tensor, global_vector: Tensor, palette: Tensor | None = None) -> Tensor:
        everywhere = self.W_global(global_vector)
        if palette is not None:
            everywhere = everywhere + self.W_palette(palette)
        fused: Tensor = self.W_mid(mid) + everywhere[:, :, None, None]
        return F.relu(self.norm(fused))


def colorization(config: NetworkConfig) -> nn.Sequential:
    n, planes = config.channels, (bins.COUNT if config.bins else 2) + config.lightness
    return chain(
        C1=conv(n(256), n(128)),  # (B, 128, H/8, W/8)
        up1=nn.Upsample(scale_factor=2, mode="nearest"),
        C2=conv(n(128), n(64)),  # (B, 64, H/4, W/4)
        C3=conv(n(64), n(64)),
        up2=nn.Upsample(scale_factor=2, mode="nearest"),
        C4=conv(n(64), n(32)),  # (B, 32, H/2, W/2)
        C5=nn.Conv2d(n(32), planes, 3, padding=1),  # (B, 2, H/2, W/2), then the sigmoid in fp32
    )


def classification(classes: int) -> nn.Sequential:
    return chain(K1=dense(512, 256), K2=nn.Linear(256, classes))  # from G6; (B, classes)


class ColorizationNetwork(nn.Module):
    """The whole network. `build` makes one with seeded weights; the bare constructor uses the global RNG.

    Lightness goes in as CIE L in 0..100 (float32); the scaling is done here, so no caller can forget it.

    A `palette` is (B, CELLS + 1) float32 (palette.py), `hints` are (B, 3, H, W) float32 at the size of their L: a and b
    of a place in units of ab_limit, and 1 where there is a hint, else zeros. Both may be left
    out of any call, which says that nothing is known. What comes out is told by `ab` and `wash_lightness`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.low_level = low_level(config)
        self.mid_level = mid_level(config)
        self.global_features = GlobalFeatures(config)
        if config.palette:
            self.palette_features = palette_features()
        self.fusion = Fusion(config)
        self.colorization = colorization(config)
        self.classification = classification(len(config.classes))

    def forward(
        self,
        L_B1HW: Tensor,
        global_L_B1SS: Tensor | None = None,
        *,
        palette: Tensor | None = None,
        hints: Tensor | None = None,
        global_hints: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Colours and classes of pictures.

        L_B1HW         (B, 1, H, W) float32, CIE L 0..100; H and W multiples of 8
        global_L_B1SS  (B, 1, S, S) the same pictures (or, to borrow their mood, others) at the global size, with hints
                       of their own; left out, the network resizes L and hints itself, or takes one pass for both if
                       they have that size
        returns        colour (B, 2, H/2, W/2) float32, p of a and b in 0..1; one more plane, p of the wash's L; with
                       bins, logits of these in the place of a and b; and logits (B, classes) float32
        """
        low = self.low(L_B1HW, hints)
        side = self.config.global_size
        if global_L_B1SS is not None:
            global_low = self.low(global_L_B1SS, global_hints)
        elif L_B1HW.shape[-2:] == (side, side):
            global_low = low
        else:
            global_low = self.low(resized(L_B1HW, side), hints if hints is None else resized_hints(hints, side))
        vector, logits = self.scene(global_low)
        return self.paint(low, vector, palette), logits

    # forward in three steps, for who colours one picture after another, in parts, or in the mood of another

    def low(self, L_B1HW: Tensor, hints: Tensor | None = None) -> Tensor:
        """Low-level features (B, 512, H/8, W/8) of L (B, 1, H, W) 0..100, and of hints (B, 3, H, W)."""
        L = L_B1HW
        if L.ndim != 4 or L.shape[1] != 1 or L.shape[2] % 8 or L.shape[3] % 8:
            raise ValueError(f"L must be (B, 1, H, W) with H and W multiples of 8, not {tuple(L.shape)}")
        seen = L / 100 - self.config.L_mean
        if self.config.hints:
            none = L.new_zeros(len(L), 3, *L.shape[2:])
            seen = torch.cat([seen, none if hints is None else hints], dim=1)
        low: Tensor = self.low_level(seen.contiguous(memory_format=torch.channels_last))
        return low

    def scene(self, low: Tensor) -> tuple[Tensor, Tensor]:
        """Low-level features (B, 512, S/8, S/8) of pictures at the global size → what is in them: the global vector
        (B, 256), and logits (B, classes) float32."""
        scene, vector = self.global_features(low)
        hidden: Tensor = self.classification[0](scene)
        with _full_precision(hidden):
            logits: Tensor = self.classification[1](hidden.float())
            return vector, logits

    def paint(self, low: Tensor, global_vector: Tensor, palette: Tensor | None = None) -> Tensor:
        """Low-level features (B, 512, H/8, W/8) → the colours (B, …, H/2, W/2) float32 under a global vector (B, 256)
        and a palette (B, CELLS + 1)."""
        told = None
        if self.config.palette:
            none = global_vector.new_zeros(len(global_vector), CELLS + 1)
            told = self.palette_features(none if palette is None else palette)
        features: Tensor = self.colorization[:-1](self.fusion(self.mid_level(low), global_vector, told))
        # A bfloat16 sigmoid knows steps of up to 0.8 ab units: both outputs are float32 under autocast too.
        with _full_precision(features):
            colour: Tensor = self.colorization[-1](features.float())
            if not self.config.bins:
                return torch.sigmoid(colour)
            if not self.config.lightness:
                return colour
            return torch.cat([colour[:, :-1], torch.sigmoid(colour[:, -1:])], dim=1)

    def ab(self, colour: Tensor, temperature: float = bins.TEMPERATURE) -> Tensor:
        """What the network said → CIE a and b (B, 2, h, w), −ab_limit..ab_limit. `temperature` is of bins: 1 gives
        their mean, near 0 the likeliest, in between something more vivid than the one, smoother than the other."""
        if self.config.bins:
            return bins.annealed_mean(colour[:, : bins.COUNT], temperature)
        return (2 * colour[:, :2] - 1) * self.config.ab_limit

    def wash_lightness(self, colour: Tensor) -> Tensor | None:
        """What the network said → L of the wash (B, 1, h, w), 0..100; None if it doesn't say it."""
        return 100 * colour[:, -1:] if self.config.lightness else None


def _full_precision(tensor: Tensor) -> torch.autocast:
    # Shapes can be traced on the "meta" device, which has no autocast of its own.
    device = "cpu" if tensor.device.type == "meta" else tensor.device.type
    return torch.autocast(device, enabled=False)


def resized(L: Tensor, side: int) -> Tensor:
    """L (B, 1, h, w) → (B, 1, side, side), each output pixel an average of the input pixels below it."""
    source = L.cpu() if L.device.type == "mps" else L  # not every torch has the antialiased resize on mps
    square = F.interpolate(source, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return square.to(L.device)


def resized_hints(hints: Tensor, side: int) -> Tensor:
    """Hints (B, 3, h, w) → (B, 3, side, side): a place has a hint if any below it has, with the mean of their colours.
    An average over all places would make hints fainter the larger the picture is."""
    size = (side, side)
    given = F.adaptive_avg_pool2d(hints, size)
    share = given[:, 2:]
    colour = given[:, :2] / share.clamp(min=1e-9)
    return torch.where(share > 0, torch.cat([colour, torch.ones_like(share)], dim=1), torch.zeros_like(given))


def build(config: NetworkConfig, seed: int) -> ColorizationNetwork:
    """A new network on the CPU: weights are a function of config and seed, the global RNG isn't touched."""
    with torch.device("meta"):
        network = ColorizationNetwork(config)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    outputs = (network.colorization[-1], network.classification[-1])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            if module in outputs:  # begins at grey and at equal odds
                nn.init.normal_(module.weight, std=0.01, generator=generator)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if config.hints:
        with torch.no_grad():
            network.get_parameter("low_level.L1.0.weight")[:, 1:] *= HINTS_BEGIN
    return network
