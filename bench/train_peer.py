"""How such a network is commonly trained: a plain loop in fp32, each operation by itself, fed by torch's DataLoader.

As in the re-implementations of the paper that bench/train.py is to be compared with: PNG files that Pillow decodes and
OpenCV converts to Lab, one by one in worker processes; Adam; a loss that is asked back at every step. Its layers are
ours, so that only the way of training differs.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from train_ours import WARM, Kind, Spent, network, pictures, spent


def write_files(folder: Path, count: int, side: int) -> Path:
    """PNG files of the pictures, in colour; their class is in their names."""
    folder.mkdir(parents=True)
    for number, sample in enumerate(pictures(count, side)):
        lab = np.moveaxis(sample.planes["wash"], 0, -1).copy()
        lab[..., 0] = sample.planes["L"][0] // 2 + lab[..., 0] // 2
        rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        Image.fromarray(rgb).save(folder / f"{number:05}-{sample.label}.png")
    return folder


class Files(Dataset[tuple[Tensor, Tensor, int]]):
    """L (1, side, side) 0..100, ab (2, side/2, side/2) 0..1, class."""

    def __init__(self, folder: Path, side: int) -> None:
        self.paths, self.side = sorted(folder.glob("*.png")), side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, int]:
        path = self.paths[number]
        rgb = np.asarray(Image.open(path).convert("RGB"))
        rgb = cv2.resize(rgb, (self.side, self.side), interpolation=cv2.INTER_AREA)
        lab = torch.from_numpy(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)).permute(2, 0, 1)
        if torch.rand(()) < 0.5:
            lab = lab.flip(-1)
        ab = F.avg_pool2d((lab[None, 1:] + 110) / 220, 2)[0]
        return lab[:1].contiguous(), ab, int(path.stem.partition("-")[2])


class Loop:
    """Steps of the plain loop, as many as somebody asks for."""

    def __init__(self, kind: Kind, folder: Path, device: str, workers: int) -> None:
        self._device = torch.device(device)
        self._network = network(Kind("paper", kind.side, kind.batch)).to(self._device).train()
        for module in self._network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = True
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=1e-4)
        files = Files(folder, kind.side)
        pin = self._device.type == "cuda"
        self._loader = DataLoader(
            files,
            kind.batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=pin,
            persistent_workers=True,
        )
        self._batches = self._forever()

    def run(self, steps: int) -> Spent:
        self._run(WARM if self._device.type == "cuda" else 1)
        return spent(lambda: self._run(steps))

    def _run(self, steps: int) -> None:
        for _ in range(steps):
            L, ab, label = (tensor.to(self._device) for tensor in next(self._batches))
            self._optimizer.zero_grad()
            colour, logits = self._network(L)
            loss = F.mse_loss(colour, ab) + F.cross_entropy(logits, label) / 300
            loss.backward()
            self._optimizer.step()
            loss.item()

    def _forever(self) -> Iterator[list[Tensor]]:
        while True:
            yield from self._loader

    def close(self) -> None:
        self._batches = iter(())
        del self._loader
