"""Validation figures, and the score that nobody wins by going grey."""

from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000
from torch import Tensor, nn
from training import CONFIG, Blocks, recipe

from gravurekit.model.network import NetworkConfig
from gravurekit.model.validation import Examiner, score


class Sayer(nn.Module):
    """Says one colour whatever it sees, and the second class; another colour if it is told a palette."""

    def __init__(self, ab: tuple[float, float] = (0, 0), told: tuple[float, float] = (0, 0), **options: Any) -> None:
        super().__init__()
        self.config = NetworkConfig(CONFIG.classes, "average", 32, L_mean=0.5, **options)
        self.weight = nn.Parameter(torch.zeros(1))
        self.said, self.told = ab, told

    def forward(self, L: Tensor, palette: Tensor | None = None) -> tuple[Tensor, Tensor]:
        half = L.shape[-2] // 2, L.shape[-1] // 2
        ab = torch.tensor(self.said if palette is None else self.told, dtype=torch.float32)
        p = (ab / 110 + 1) / 2
        return p[None, :, None, None].expand(len(L), 2, *half), torch.tensor([[0.0, 1.0]]).expand(len(L), 2)

    def ab(self, p: Tensor) -> Tensor:
        return (2 * p - 1) * 110

    def wash_lightness(self, p: Tensor) -> None:
        return None


def figures(network: Any, samples: Any = None, most: int = 0) -> dict[str, Any]:
    return Examiner(samples or Blocks(5), recipe(), False, 2, most).figures(network, None)


def test_of_a_network_that_says_grey() -> None:
    found = figures(Sayer())
    assert found["ab_error"] == pytest.approx((3 * np.hypot(30, 20) + 2 * 40) / 5)
    assert found["chroma_ratio"] == 0 and found["top1"] == pytest.approx(0.4)
    assert found["class_loss"] == pytest.approx(np.log(1 + np.e) - 0.4, rel=1e-5)
    assert found["delta_e"] == found["delta_e_grey"] and found["score"] == pytest.approx(2)
    assert "delta_e_palette" not in found


def test_colours_are_compared_at_the_washs_own_lightness() -> None:
    wash = Blocks(5).batch(np.arange(5))["wash"].astype(float)
    lab = np.stack([wash[:, 0, 0, 0] * 100 / 255, wash[:, 1, 0, 0] - 128, wash[:, 2, 0, 0] - 128], axis=1)
    guess = lab.copy()
    guess[:, 1:] = (10, -5)
    found = figures(Sayer((10, -5)))
    assert found["delta_e"] == pytest.approx(deltaE_ciede2000(lab, guess).mean(), rel=1e-4)
    grey = lab * (1, 0, 0)
    assert found["delta_e_grey"] == pytest.approx(deltaE_ciede2000(lab, grey).mean(), rel=1e-4)


def test_without_labels_and_without_colour_nothing_is_divided_by_zero() -> None:
    unlabelled = Blocks(2, label=np.array([-1, -1]), wash=np.full((2, 3, 32, 32), 128, np.uint8))
    found = figures(Sayer(), unlabelled)
    assert found["top1"] is None and found["chroma_ratio"] is None and found["loss"] == 0
    assert np.isfinite(found["score"])


def test_a_network_that_takes_palettes_is_asked_with_and_without() -> None:
    samples = Blocks(4, wash=np.tile(np.array([150, 158, 148], np.uint8)[:, None, None], (4, 1, 32, 32)))
    samples.changes["wash"] = np.broadcast_to(np.array([150, 158, 148], np.uint8)[:, None, None], (2, 3, 32, 32)).copy()
    found = figures(Sayer((0, 0), told=(30, 20), palette=True), samples)
    assert found["delta_e_palette"] == pytest.approx(0, abs=0.02) and found["chroma_ratio_palette"] == pytest.approx(1)
    assert found["variation"] is None and found["score"] == pytest.approx(0.5, abs=0.01)  # one colour: it doesn't vary


def test_a_part_is_taken_evenly_out_of_the_whole() -> None:
    asked: list[int] = []

    class Noting(Blocks):
        def batch(self, indices: np.ndarray, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
            asked.extend(indices.tolist())
            return super().batch(indices, out)

    figures(Sayer(), Noting(101), most=5)
    assert sorted(asked) == [0, 25, 50, 75, 100]


@pytest.mark.parametrize("sepia", [(0.0, 0.0), (18.0, 12.0), (5.0, -20.0), (60.0, 40.0)])
def test_one_colour_over_everything_gains_nothing_by_its_chroma(sepia: tuple[float, float]) -> None:
    found = figures(Sayer(sepia))
    assert found["variation"] == pytest.approx(0, abs=1e-6)
    assert found["score"] == pytest.approx(1 + found["delta_e"] / found["delta_e_grey"])


def test_variation_is_the_slope_over_the_truth() -> None:
    class Half(Sayer):
        """Half of the true colours, and a cast over all."""

        def forward(self, L: Tensor, palette: Tensor | None = None) -> tuple[Tensor, Tensor]:
            bright = (L[:, :, ::2, ::2] > 60).float()
            ab = torch.cat([15 * bright, 10 * bright - 20 * (1 - bright)], dim=1) + 7
            return (ab / 110 + 1) / 2, torch.zeros(len(L), 2)

    assert figures(Half())["variation"] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(
    ("delta_e", "variation", "wanted"), [(0, 1, 0), (8, 0, 2), (8, 0.5, 1.5), (4, 1, 0.5), (8, 2, 2), (6, None, 0.75)]
)
def test_the_score_wants_both_the_right_colour_and_as_much_of_it(delta_e: float, variation: Any, wanted: float) -> None:
    said = {"delta_e": delta_e, "delta_e_grey": 8.0, "variation": variation}
    assert score(said) == pytest.approx(wanted)
    both = said | {"delta_e_palette": 0.0, "variation_palette": 1.0}
    assert score(both) == pytest.approx(wanted / 2)
