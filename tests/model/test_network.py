"""The network against the paper's layer table."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gravurekit.errors import ModelError
from gravurekit.model import bins
from gravurekit.model.network import (
    OPTIONS,
    PAPER_SIZE,
    ColorizationNetwork,
    NetworkConfig,
    build,
    resized,
    resized_hints,
)
from gravurekit.model.palette import CELLS

# The paper's convolutions and fully connected layers: inputs, outputs, taps, places of the output at 224.
# The fusion's 1×1 convolution has 512 inputs, but its global half is computed at one place only.
BEFORE_BN = {
    "L1": (1, 64, 9, 112**2), "L2": (64, 128, 9, 112**2), "L3": (128, 128, 9, 56**2),
    "L4": (128, 256, 9, 56**2), "L5": (256, 256, 9, 28**2), "L6": (256, 512, 9, 28**2),
    "M1": (512, 512, 9, 28**2), "M2": (512, 256, 9, 28**2),
    "G1": (512, 512, 9, 14**2), "G2": (512, 512, 9, 14**2), "G3": (512, 512, 9, 7**2),
    "G4": (512, 512, 9, 7**2), "G5": (25_088, 1024, 1, 1), "G6": (1024, 512, 1, 1), "G7": (512, 256, 1, 1),
    "F": (512, 256, 1, None),
    "C1": (256, 128, 9, 28**2), "C2": (128, 64, 9, 56**2), "C3": (64, 64, 9, 56**2),
    "C4": (64, 32, 9, 112**2),
    "K1": (512, 256, 1, 1),
}  # fmt: skip
OUTPUTS = {"C5": (32, 2, 9, 112**2), "K2": (256, 205, 1, 1)}


def config(classes: int = 3, **values: Any) -> NetworkConfig:
    return NetworkConfig(tuple(f"class{i}" for i in range(classes)), L_mean=0.5, **values)


def on_meta(made: NetworkConfig) -> ColorizationNetwork:
    with torch.device("meta"):
        return ColorizationNetwork(made).eval()


def lightness(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 100


@pytest.fixture(scope="module")
def small() -> ColorizationNetwork:
    return build(config(head="average", global_size=64), seed=5).eval()


def test_parameter_count_is_the_papers_less_the_biases_that_bn_cancels() -> None:
    every = BEFORE_BN | OUTPUTS
    with_biases = sum(i * o * taps + o for i, o, taps, _ in every.values())
    assert with_biases == 42_353_839
    cancelled = sum(o for _, o, _, _ in BEFORE_BN.values())
    norms = 2 * cancelled  # a scale and a shift for each channel that BN follows
    assert norms == 13_504
    network = on_meta(config(205))
    assert sum(p.numel() for p in network.parameters()) == with_biases - cancelled + norms == 42_360_591
    assert sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules()) == len(BEFORE_BN)


def test_average_head_has_17_million_parameters() -> None:
    average = sum(p.numel() for p in on_meta(config(205, head="average")).parameters())
    assert average == 42_360_591 - (25_088 - 512) * 1024


def test_a_forward_pass_at_224_costs_what_the_table_says() -> None:
    macs = sum(i * o * taps * places for i, o, taps, places in (BEFORE_BN | OUTPUTS).values() if places)
    macs += 256 * 256 * 28**2 + 256 * 256
    with FlopCounterMode(display=False) as counter:
        on_meta(config(205))(torch.empty(1, 1, 224, 224, device="meta"))
    assert counter.get_total_flops() == 2 * macs
    assert counter.get_total_flops() / 1e9 == pytest.approx(17.06, abs=0.005)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (8, 8), (40, 264), (232, 104)])
def test_output_has_half_the_size_of_any_multiple_of_8(height: int, width: int) -> None:
    network = on_meta(config())
    square = torch.empty(2, 1, PAPER_SIZE, PAPER_SIZE, device="meta")
    p, logits = network(torch.empty(2, 1, height, width, device="meta"), square)
    assert p.shape == (2, 2, height // 2, width // 2)
    assert logits.shape == (2, 3)


@pytest.mark.parametrize("shape", [(1, 1, 225, 224), (1, 1, 8, 12), (1, 3, 8, 8), (8, 8)])
def test_other_sizes_are_refused_not_squashed(small: ColorizationNetwork, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        small(torch.zeros(shape))


def test_p_lies_in_0_to_1_and_stands_for_ab(small: ColorizationNetwork) -> None:
    with torch.inference_mode():
        p, _ = small(lightness(1, 1, 32, 48))
    assert 0 <= p.min().item() <= p.max().item() <= 1
    assert small.ab(torch.tensor([[0.0, 1.0]])).tolist() == [[-110, 110]]
    assert small.ab(torch.tensor([[0.5, 0.25]])).tolist() == [[0, -55]]


def test_classification_trains_the_low_level_weights_that_colorization_uses() -> None:
    network = build(config(head="average", global_size=32), seed=5)
    used: list[int] = []
    network.low_level.register_forward_hook(lambda module, *_: used.append(id(module.L1[0].weight)))
    _, logits = network(lightness(2, 1, 40, 48))  # another size than the global path's: two passes
    assert len(used) == 2 and len(set(used)) == 1
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        of_classes = name.startswith(("low_level", "global_features", "classification"))
        assert reached == (of_classes and "G7" not in name), name


def test_at_the_global_size_one_pass_gives_what_two_passes_give() -> None:
    network = build(config(), seed=5).eval()
    passes: list[int] = []
    network.low_level.register_forward_hook(lambda *_: passes.append(1))
    L = lightness(1, 1, PAPER_SIZE, PAPER_SIZE)
    with torch.inference_mode():
        once = network(L)
        assert len(passes) == 1
        twice = network(L, L.clone())
        assert len(passes) == 3
    for one, two in zip(once, twice, strict=True):
        torch.testing.assert_close(one, two)


def vector_of(network: ColorizationNetwork, L: torch.Tensor, hints: torch.Tensor | None = None) -> torch.Tensor:
    side = network.config.global_size
    told = None if hints is None else resized_hints(hints, side)
    return network.scene(network.low(resized(L, side), told))[0]


def test_the_parts_add_up_to_the_whole(small: ColorizationNetwork) -> None:
    L = lightness(1, 1, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(small.paint(small.low(L), vector_of(small, L)), small(L)[0])
        other = small.paint(small.low(L), vector_of(small, 100 - L))
    assert not torch.equal(other, small(L)[0])


def test_outputs_stay_float32_under_autocast(small: ColorizationNetwork) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        p, logits = small(lightness(1, 1, 64, 64))
    assert p.dtype == logits.dtype == torch.float32
    assert not torch.equal(p, p.bfloat16().float()), "p was rounded to bfloat16 on its way"


def test_build_depends_on_the_seed_alone_and_leaves_the_global_rng_alone() -> None:
    made = config(head="average", global_size=32)
    before = torch.get_rng_state()
    first, again, other = (build(made, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["mid_level.M1.0.weight"], other["mid_level.M1.0.weight"])


def test_config_survives_json() -> None:
    made = config(head="average", global_size=128, ab_limit=100.0)
    assert NetworkConfig.from_dict(made.to_dict()) == made


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"classes": "ab"}, "classes"),
        ({"head": "big"}, "head"),
        ({"global_size": 128}, "224"),
        ({"global_size": 100, "head": "average"}, "multiple of 8"),
        ({"ab_limit": 0}, "ab_limit"),
        ({"ab_limit": float("nan")}, "ab_limit"),
        ({"L_mean": "0.5"}, "L_mean"),
        ({"colour": 1}, "colour"),
        ({"palette": 1}, "palette must be true or false"),
        ({"width": 0}, "width must lie in"),
        ({"width": True}, "width must lie in"),
    ],
)
def test_bad_configs_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        NetworkConfig.from_dict(config().to_dict() | change)


@pytest.mark.parametrize("head", ["paper", "average"])
def test_width_multiplies_the_channels_and_leaves_the_vectors_as_they_are(head: str) -> None:
    whole, half = on_meta(config(head=head)), on_meta(config(head=head, width=0.5))
    for name, layer in half.named_modules():
        theirs = whole.get_submodule(name)
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d) and name != "colorization.C5":
            channels = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.num_features
            assert 2 * channels == theirs.weight.shape[0], name
        elif isinstance(layer, nn.BatchNorm1d):
            assert layer.num_features == theirs.num_features, name
    # all but the dense layers behind the average has a quarter of the weights, or half where only one side is narrower
    sizes = [sum(p.numel() for p in network.parameters()) for network in (whole, half)]
    assert 0.25 < sizes[1] / sizes[0] < (0.52 if head == "paper" else 0.31)
    assert [config(width=0.01).channels(n) for n in (32, 512)] == [8, 8]


def test_a_narrow_network_is_whole() -> None:
    made = build(config(head="average", global_size=64, width=0.125, **EVERYTHING), seed=1).eval()
    L, palette, hints = lightness(1, 1, 64, 64), torch.ones(1, CELLS + 1), torch.zeros(1, 3, 64, 64)
    colour, logits = made(L, palette=palette, hints=hints)
    assert colour.shape == (1, bins.COUNT + 1, 32, 32) and logits.shape == (1, 3)
    low = made.low(L)
    vector, _ = made.scene(low)
    assert vector.shape == (1, 256) and low.shape == (1, 64, 8, 8)


# ---- what the paper hasn't got --------------------------------------------------------------------------

EVERYTHING = dict.fromkeys(OPTIONS, True)


@pytest.mark.parametrize(
    ("options", "planes", "more"),
    [
        ({}, 2, 0),
        ({"lightness": True}, 3, 32 * 9 + 1),
        ({"bins": True}, bins.COUNT, (bins.COUNT - 2) * (32 * 9 + 1)),
        ({"bins": True, "lightness": True}, bins.COUNT + 1, (bins.COUNT - 1) * (32 * 9 + 1)),
        ({"hints": True}, 2, 3 * 64 * 9),
        ({"palette": True}, 2, (CELLS + 1) * 256 + 2 * 256 + 256 * 256),
    ],
)
def test_each_option_costs_its_own_weights_and_says_its_own_planes(
    options: dict[str, bool], planes: int, more: int
) -> None:
    plain, network = on_meta(config()), on_meta(config(**options))
    sizes = [sum(p.numel() for p in net.parameters()) for net in (plain, network)]
    assert sizes[1] - sizes[0] == more
    colour, _ = network(torch.empty(2, 1, 40, 24, device="meta"), torch.empty(2, 1, 224, 224, device="meta"))
    assert colour.shape == (2, planes, 20, 12)


@pytest.fixture(scope="module")
def told() -> ColorizationNetwork:
    return build(config(head="average", global_size=64, **EVERYTHING), seed=5).eval()


def test_ab_and_the_washs_lightness_are_read_from_their_planes(told: ColorizationNetwork) -> None:
    colour = torch.full((1, bins.COUNT + 1, 1, 2), -50.0)
    colour[0, 100, 0, 0] = colour[0, 7, 0, 1] = 50
    colour[0, -1] = 0.25
    assert told.ab(colour)[0, :, 0].T.tolist() == bins.CENTRES[[100, 7]].tolist()
    lightness_of = told.wash_lightness(colour)
    assert lightness_of is not None and lightness_of.tolist() == [[[[25, 25]]]]
    without = build(config(head="average", global_size=64), seed=5)
    assert without.wash_lightness(colour[:, :2]) is None


def test_palette_and_hints_change_colours_and_left_out_they_say_nothing(told: ColorizationNetwork) -> None:
    L, palette, hints = lightness(2, 1, 64, 64), torch.zeros(2, CELLS + 1), torch.zeros(2, 3, 64, 64)
    with torch.inference_mode():
        plain, classes = told(L)
        torch.testing.assert_close(told(L, palette=palette, hints=hints)[0], plain)
        palette[:, 5] = palette[:, -1] = 1
        coloured, same = told(L, palette=palette)
        assert not torch.allclose(coloured, plain) and torch.equal(same, classes)
        hints[1, :, 8:12, 8:12] = torch.tensor([0.4, -0.2, 1])[:, None, None]
        hinted, _ = told(L, hints=hints)
    torch.testing.assert_close(hinted[0], plain[0])
    assert not torch.allclose(hinted[1], plain[1])


def test_with_options_too_the_parts_add_up_to_the_whole(told: ColorizationNetwork) -> None:
    L, palette, hints = lightness(1, 1, 40, 48), torch.rand(1, CELLS + 1), torch.rand(1, 3, 40, 48)
    with torch.inference_mode():
        parts = told.paint(told.low(L, hints), vector_of(told, L, hints), palette)
        torch.testing.assert_close(parts, told(L, palette=palette, hints=hints)[0])


def test_a_hint_is_as_strong_in_the_square_copy_as_in_the_picture() -> None:
    hints = torch.zeros(1, 3, 256, 512)
    hints[0, :, 100:102, 300:302] = torch.tensor([0.5, -0.25, 1])[:, None, None]
    small = resized_hints(hints, 64)
    assert small.shape == (1, 3, 64, 64)
    assert small[0, :, 25, 37].tolist() == [0.5, -0.25, 1] and int(small[0, 2].sum()) == 1
    assert not resized_hints(torch.zeros(1, 3, 40, 48), 64).any()


def test_hints_are_heard_from_the_beginning() -> None:
    """They are few and faint beside L: begun as L is, a training finds no use in them."""
    for options in ({}, {"palette": True}):
        plain, hinted = (
            build(NetworkConfig(("a", "b"), L_mean=0.5, hints=hints, **options), seed=0) for hints in (False, True)
        )
        weights = hinted.get_parameter("low_level.L1.0.weight")
        assert weights[:, 1:].std() > 4 * weights[:, :1].std()
        assert plain.get_parameter("low_level.L1.0.weight").shape[1] == 1
