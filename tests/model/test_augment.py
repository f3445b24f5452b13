"""Batches: scaled as they should be, changed as it was asked for, by chances that belong to a sample alone."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from gravurekit.errors import TrainingError, UsageError
from gravurekit.model import augment, hints, palette
from gravurekit.model.augment import PLAIN, Augmentation
from gravurekit.model.batches import Batch, on_device, prepared
from gravurekit.model.network import NetworkConfig

EVERY = NetworkConfig(("coat",), palette=True, hints=True, lightness=True, L_mean=0.5)
PAPER = NetworkConfig(("coat",), L_mean=0.5)
# The rest of what can be asked for
FULL = Augmentation(
    mirror=True, tone=0.2, blur=0.5, noise=2, photographs=0.5, palette_drop=0.5, hints=0.8, crop=(16, 24)
)
quick = settings(max_examples=25, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31)
BOXES = st.tuples(*[st.integers(0, 24)] * 2, *[st.integers(0, 32)] * 2).map(
    lambda s: (min(s[:2]), min(s[2:]), max(s[:2]), max(s[2:]))
)

Samples = dict[str, Tensor]


def made(seed: int, count: int, height: int = 24, width: int = 32, **changes: Any) -> Samples:
    """Samples of noise, each within a box."""
    chance = np.random.default_rng(seed)
    arrays = {
        "L": chance.integers(0, 256, (count, 1, height, width), np.uint8),
        "wash": chance.integers(0, 256, (count, 3, height, width), np.uint8),
        "L_photo": chance.integers(0, 256, (count, 1, height, width), np.uint8),
        "label": chance.integers(-1, 5, count),
        "box": np.tile([3, 2, height - 1, width - 3], (count, 1)),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()} | changes


def tensors(batch: Batch) -> dict[str, Tensor]:
    return {name: value for name, value in vars(batch).items() if value is not None}


def same(one: Batch, other: Batch, **tolerance: float) -> None:
    assert tensors(one).keys() == tensors(other).keys()
    for name, value in tensors(one).items():
        torch.testing.assert_close(tensors(other)[name], value, **{"rtol": 0, "atol": 0, **tolerance}, msg=name)


def of(batch: Batch, number: int) -> Batch:
    return Batch(**{name: value[number : number + 1] for name, value in tensors(batch).items()})


# ---- the plain picture ---------------------------------------------------------------------------------


def plainly(samples: Samples) -> dict[str, np.ndarray]:
    """Scaled place by place, by what the docstring of Batch says."""
    count, _, height, width = samples["L"].shape
    wash, box = samples["wash"].numpy().astype(np.float64), samples["box"].numpy()
    target = np.zeros((count, 3, height // 2, width // 2))
    inside = np.zeros((count, 1, height // 2, width // 2))
    for n, (y0, x0, y1, x1) in enumerate(box):
        for y in range(height // 2):
            for x in range(width // 2):
                rows, columns = slice(max(2 * y, y0), min(2 * y + 2, y1)), slice(max(2 * x, x0), min(2 * x + 2, x1))
                own = wash[n, :, rows, columns].reshape(3, -1)
                inside[n, 0, y, x] = own.shape[1] / 4
                if own.size:
                    target[n, :, y, x] = own.mean(1) * (100 / 255, 1, 1) - (0, 128, 128)
    return {"L": samples["L"].numpy() / 2.55, "ab": target[:, 1:], "wash_L": target[:, :1], "inside": inside}


@quick
@given(SEEDS, BOXES)
def test_with_nothing_on_a_batch_is_the_scaled_picture(seed: int, box: tuple[int, int, int, int]) -> None:
    samples = made(seed, 2, box=torch.tensor([box, (0, 0, 24, 32)]))
    found = tensors(prepared(samples, EVERY))
    for name, expected in plainly(samples).items():
        assert found[name].dtype == torch.float32
        assert found[name].numpy() == pytest.approx(expected, abs=1e-4), name
    assert torch.equal(found["label"], samples["label"])
    assert torch.equal(found["palette"], palette.of(found["ab"], found["inside"]))
    assert "hints" not in found  # none were asked for


def test_what_the_network_doesnt_take_isnt_made() -> None:
    samples = made(0, 2)
    batch = prepared(samples, PAPER, FULL, np.arange(2))
    assert batch.wash_L is batch.palette is batch.hints is None
    without = {name: value for name, value in samples.items() if name not in ("wash", "L_photo")}
    same(
        prepared(without | {"ab": samples["wash"][:, 1:]}, PAPER, replace(FULL, photographs=0), np.arange(2)),
        prepared(samples, PAPER, replace(FULL, photographs=0), np.arange(2)),
    )


def test_padding_counts_nowhere_even_at_an_odd_border() -> None:
    wash = torch.full((1, 3, 16, 16), 158, dtype=torch.uint8)
    box = torch.tensor([[1, 3, 14, 16]])
    wash[:, 1:, :1], wash[:, 1:, 14:], wash[:, 1:, :, :3] = 0, 255, 255
    batch = prepared(made(0, 1, 16, 16, wash=wash, box=box), PAPER)
    assert batch.inside[0, 0, 4].tolist() == [0, 0.5, 1, 1, 1, 1, 1, 1]
    assert batch.inside[0, 0, 0, 1] == 0.25 and bool((batch.inside[0, 0, 7] == 0).all())
    assert bool((batch.ab[0, 0][batch.inside[0, 0] > 0] == 30).all())


HOSTILE = {
    "black": {"L": 0, "wash": 0, "L_photo": 0},
    "white": {"L": 255, "wash": 255, "L_photo": 255},
    "no picture": {"box": [5, 5, 5, 5]},
    "no height": {"box": [24, 0, 24, 32]},
    "turned about": {"box": [20, 30, 3, 2]},
    "beyond": {"box": [0, 0, 65_535, 65_535]},
    "a pixel": {"box": [7, 9, 8, 10]},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("augmentation", [PLAIN, FULL, replace(FULL, crop=None)], ids=["plain", "cropped", "whole"])
def test_whatever_the_samples_the_numbers_are_finite_and_in_range(
    changes: dict[str, Any], augmentation: Augmentation
) -> None:
    samples = made(1, 4)
    for name, value in changes.items():
        samples[name] = torch.tensor(value, dtype=samples[name].dtype).expand_as(samples[name]).clone()
    batch = prepared(samples, EVERY, augmentation, np.arange(4))
    limits = {"L": (0, 100), "ab": (-128, 127), "inside": (0, 1), "wash_L": (0, 100.001), "palette": (0, 1)}
    for name, value in tensors(batch).items():
        assert torch.isfinite(value).all(), name
        low, high = limits.get(name, (-2, 5))
        assert low <= value.min() and value.max() <= high, name
    outside = batch.inside == 0
    assert not batch.ab[outside.expand_as(batch.ab)].any()


def test_a_batch_shares_no_memory_with_the_samples() -> None:
    """The feed fills the same memory again."""
    for augmentation in (PLAIN, replace(PLAIN, mirror=True), FULL):
        samples = made(2, 3)
        batch = prepared(samples, EVERY, augmentation, np.arange(3))
        before = {name: value.clone() for name, value in tensors(batch).items()}
        for value in samples.values():
            value.zero_()
        assert all(torch.equal(value, before[name]) for name, value in tensors(batch).items())


# ---- what is changed -----------------------------------------------------------------------------------


def test_a_crop_is_the_batch_of_cropped_samples() -> None:
    samples, places = made(3, 6), np.arange(40, 46)
    corners = augment.drawn(Augmentation(crop=(16, 24)), (24, 32), places, 5)[:, :2].astype(int)
    assert len({tuple(c) for c in corners.tolist()}) > 2 and not (corners % 2).any()
    found = prepared(samples, EVERY, Augmentation(crop=(16, 24)), places, 5)
    for n, (top, left) in enumerate(corners):
        window = {name: samples[name][n : n + 1, :, top : top + 16, left : left + 24] for name in ("L", "wash")}
        moved = samples["box"][n : n + 1] - torch.tensor([top, left, top, left])
        small = window | {"box": moved.clamp(min=0), "label": samples["label"][n : n + 1]}
        same(prepared(small, EVERY), of(found, n), atol=1e-6)


def test_windows_lie_everywhere_and_never_beyond() -> None:
    corners = augment.drawn(Augmentation(crop=(16, 24)), (24, 32), np.arange(500), 0)[:, :2]
    assert {tuple(c) for c in corners.tolist()} == {(y, x) for y in range(0, 9, 2) for x in range(0, 9, 2)}
    with pytest.raises(TrainingError, match="larger than the samples"):
        augment.drawn(Augmentation(crop=(16, 40)), (24, 32), np.arange(2), 0)


@pytest.mark.parametrize("crop", [None, (16, 24)])
def test_mirroring_turns_picture_colours_and_box_together_and_twice_is_nothing(crop: tuple[int, int] | None) -> None:
    samples, places = made(4, 9, box=torch.tensor([[0, 1, 24, 12]] * 9)), np.arange(9)
    kept, turned = (prepared(samples, EVERY, Augmentation(crop, mirror), places, 1) for mirror in (False, True))
    flags = augment.drawn(Augmentation(crop, True), (24, 32), places, 1)[:, 2] > 0
    assert 0 < flags.sum() < 9
    for n, flag in enumerate(flags):
        for name, value in tensors(of(turned, n)).items():
            plain = tensors(of(kept, n))[name]
            again = value.flip(-1) if flag and value.ndim == 4 else value
            torch.testing.assert_close(again, plain, rtol=0, atol=1e-6 if name == "palette" else 0)


@pytest.mark.parametrize("seed", range(3))
def test_print_stays_print_paper_light_and_ink_dark(seed: int) -> None:
    """Half of a picture is paper, the other half is ink."""
    L = torch.full((64, 1, 16, 16), 255, dtype=torch.uint8)
    L[..., 8:] = 13
    samples = made(seed, 64, 16, 16, L=L, box=torch.tensor([[0, 0, 16, 16]] * 64))
    strong = Augmentation(tone=0.4, blur=0.8, noise=4)
    changed = prepared(samples, PAPER, strong, np.arange(64), seed).L
    assert 0 <= changed.min() and changed.max() <= 100
    paper, ink = changed[..., :5].mean((1, 2, 3)), changed[..., 11:].mean((1, 2, 3))
    assert paper.min() > 85 and ink.max() < 35
    assert paper.std() > 1 and ink.std() > 1  # no two prints are alike


def test_the_tone_keeps_the_order_of_lightness() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(32, -1, -1, -1)
    samples = made(0, 32, 16, 16, L=ramp, box=torch.tensor([[0, 0, 16, 16]] * 32))
    changed = prepared(samples, PAPER, Augmentation(tone=0.3), np.arange(32)).L.flatten(1)
    assert (changed.diff(dim=1) > 0).all()
    middle = changed[:, 128]
    assert middle.min() < 46 and middle.max() > 57


def test_blur_spreads_and_keeps_the_mean() -> None:
    L = torch.zeros(16, 1, 16, 16, dtype=torch.uint8)
    L[:, :, 8, 8] = 255
    samples = made(0, 16, 16, 16, L=L, box=torch.tensor([[0, 0, 16, 16]] * 16))
    for most in (0.5, 1.0):
        changed = prepared(samples, PAPER, Augmentation(blur=most), np.arange(16)).L[:, 0]
        assert changed.sum((1, 2)) == pytest.approx(np.full(16, 100), rel=1e-3)
        y, x = torch.arange(16)[:, None] - 8, torch.arange(16) - 8
        sigma = ((changed * (y**2 + x**2)).sum((1, 2)) / 200).sqrt()
        assert sigma.max() < most and sigma.max() > 0.7 * most and sigma.min() < 0.3 * most
        torch.testing.assert_close(changed, changed.transpose(1, 2), rtol=0, atol=1e-5)
    flat = samples | {"L": torch.full_like(L, 200)}
    assert prepared(flat, PAPER, Augmentation(blur=1.0), np.arange(16)).L == pytest.approx(200 / 2.55, rel=1e-3)


def test_the_padding_stays_white() -> None:
    """There is no print, so nothing that could be printed or scanned otherwise."""
    samples = made(5, 8, L=torch.full((8, 1, 24, 32), 255, dtype=torch.uint8))
    changed = prepared(samples, PAPER, Augmentation(tone=0.4, blur=0.5, noise=4), np.arange(8)).L
    y0, x0, y1, x1 = samples["box"][0].tolist()
    border = torch.ones(24, 32, dtype=torch.bool)
    border[y0:y1, x0:x1] = False
    assert (changed[:, 0, border] == 100).all() and (changed[:, 0, ~border] < 100).any(1).all()


# ---- chances -------------------------------------------------------------------------------------------


def drawn(name: str, augmentation: Augmentation, count: int = 4000) -> np.ndarray:
    draws = torch.from_numpy(augment.drawn(augmentation, (24, 32), np.arange(count), 11))
    return augment.Draws(draws, augmentation)[name].numpy()


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
def test_as_many_samples_are_changed_as_asked_for(share: float) -> None:
    n = 4000
    shares = Augmentation(photographs=share, palette_drop=share, hints=share)
    found = {
        "photographs": drawn("photograph", shares).sum(),
        "dropped palettes": n - drawn("palette", shares).sum(),
        "hints": drawn("hints", shares)[:, 0].sum(),
    }
    for name, count in found.items():
        assert abs(count - n * share) <= 5 * (n * share * (1 - share)) ** 0.5, name
    assert abs(drawn("mirrored", Augmentation(mirror=True)).sum() - n / 2) <= 5 * (n / 4) ** 0.5


def test_photographs_palettes_and_hints_come_where_they_were_drawn() -> None:
    samples, places = made(6, 12), np.arange(12)
    shares = Augmentation(photographs=0.5, palette_drop=0.5, hints=0.5)
    batch = prepared(samples, EVERY, shares, places, 3)
    dice = augment.Draws(torch.from_numpy(augment.drawn(shares, (24, 32), places, 3)), shares)
    plain = prepared(samples, EVERY)
    assert batch.hints is not None and batch.palette is not None and plain.palette is not None
    for n in range(12):
        source = "L_photo" if dice["photograph"][n] else "L"
        assert torch.equal(batch.L[n], samples[source][n].float() * (100 / 255))
        assert torch.equal(batch.palette[n], plain.palette[n] * dice["palette"][n])
        assert bool(batch.hints[n, 2].any()) == bool(dice["hints"][n, 0])
    assert {0, 1} == set(dice["photograph"].flatten().tolist()) == set(dice["palette"].flatten().tolist())


def test_hints_are_painted_at_full_size_in_the_networks_units() -> None:
    colour = torch.tensor([0, 128 + 55, 128 - 22], dtype=torch.uint8)[None, :, None, None].expand(5, 3, 24, 32)
    batch = prepared(made(7, 5, wash=colour), replace(EVERY, ab_limit=110.0), Augmentation(hints=1.0), np.arange(5))
    assert batch.hints is not None and batch.hints.shape == (5, 3, 24, 32)
    mask = batch.hints[:, 2]
    assert set(mask.flatten().tolist()) == {0.0, 1.0}
    assert batch.hints[:, 0] == pytest.approx((0.5 * mask).numpy(), abs=1e-6)
    assert batch.hints[:, 1] == pytest.approx((-0.2 * mask).numpy(), abs=1e-6)
    y0, x0, y1, x1 = made(7, 1)["box"][0].tolist()
    assert mask.sum() == mask[:, y0:y1, x0:x1].sum() > 0


@quick
@given(SEEDS, st.integers(1, 6), st.integers(0, 2**40), st.randoms())
def test_what_becomes_of_a_sample_doesnt_depend_on_the_batch(seed: int, count: int, first: int, shuffle: Any) -> None:
    samples, places = made(seed, count), first + np.arange(count)
    whole = prepared(samples, EVERY, FULL, places, seed)
    order = list(range(count))
    shuffle.shuffle(order)
    mixed = prepared({name: value[order] for name, value in samples.items()}, EVERY, FULL, places[order], seed)
    for n, number in enumerate(order):
        alone = prepared({k: v[number : number + 1] for k, v in samples.items()}, EVERY, FULL, places[[number]], seed)
        for other in (of(mixed, n), of(whole, number)):
            # sums by matrix products may differ in the last bits, nothing else does
            same(alone, other, atol=1e-5)
            assert torch.equal(alone.L, other.L) and torch.equal(alone.ab, other.ab)


@pytest.mark.parametrize("name", [f.name for f in fields(Augmentation)])
def test_what_is_switched_on_changes_nothing_of_the_others(name: str) -> None:
    """And each time a picture comes, it comes in another way."""
    without = replace(FULL, **{name: getattr(PLAIN, name)})
    columns = {"crop": "corner", "mirror": "mirrored", "photographs": "photograph", "blur": "taps"}
    columns |= {"palette_drop": "palette"}
    mine = columns.get(name, name)
    one, other = (
        augment.Draws(torch.from_numpy(augment.drawn(a, (24, 32), np.arange(50), 0)), a) for a in (FULL, without)
    )
    for column in augment.PARTS:
        assert torch.equal(one[column], other[column]) == (column != mine)
        assert len(one[column].unique(dim=0)) > 1


def test_augmenting_needs_to_know_which_samples_these_are() -> None:
    with pytest.raises(ValueError, match="which samples"):
        prepared(made(0, 2), EVERY, FULL)
    with pytest.raises(ValueError, match="must be PLAIN"):
        on_device(made(0, 2), None, EVERY, FULL)


@pytest.mark.parametrize(
    "bad",
    [
        {"tone": -0.1},
        {"tone": 1.5},
        {"blur": 3},
        {"noise": float("nan")},
        {"photographs": 1.1},
        {"hints": -1},
        {"palette_drop": 2},
        {"crop": (12, 16)},
        {"crop": (0, 16)},
    ],
)
def test_an_augmentation_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"bad augmentation: .*{next(iter(bad))}"):
        Augmentation(**bad)


# ---- the half on the device ----------------------------------------------------------------------------


@pytest.mark.parametrize("augmentation", [FULL, replace(FULL, crop=None), PLAIN])
def test_the_device_is_asked_nothing_and_shapes_follow_from_shapes(augmentation: Augmentation) -> None:
    """Tensors without numbers: who looks at one, or makes a shape of it, raises. So a CUDA graph can hold it all."""
    made_of = {
        "L": ((5, 1, 24, 32), torch.uint8),
        "L_photo": ((5, 1, 24, 32), torch.uint8),
        "wash": ((5, 3, 24, 32), torch.uint8),
        "label": ((5,), torch.int64),
        "box": ((5, 4), torch.int64),
    }
    with FakeTensorMode():
        samples = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in made_of.items()}
        batch = on_device(samples, torch.empty(5, augment.COLUMNS), EVERY, augmentation)
    height, width = augmentation.crop or (24, 32)
    half = (height // 2, width // 2)
    shapes = {"L": (5, 1, height, width), "ab": (5, 2, *half), "inside": (5, 1, *half), "wash_L": (5, 1, *half)}
    shapes |= {"label": (5,), "palette": (5, palette.CELLS + 1)}
    shapes |= {"hints": (5, 3, height, width)} if augmentation.hints else {}
    assert {name: tuple(value.shape) for name, value in tensors(batch).items()} == shapes


def test_without_gradients_and_with_a_draw_of_its_own_for_each_column() -> None:
    draws = augment.drawn(FULL, (24, 32), np.arange(3), 0)
    assert draws.shape == (3, augment.COLUMNS) and draws.dtype == np.float32 and hints.COLUMNS < augment.COLUMNS
    batch = on_device(made(0, 3), torch.from_numpy(draws).requires_grad_(), EVERY, FULL)
    assert not any(value.requires_grad for value in tensors(batch).values())
