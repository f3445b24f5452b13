"""Chance that is counted, not drawn from a generator: a pure function of the seed and of what it is for.

So any process, any batch and any resumption of a training find the same. On the host numbers for the samples of a
batch; on the device one for each pixel.
"""

import numpy as np
import torch
from torch import Tensor

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
KEY_BITS = 24  # of a key of `grain`: what a float32 holds exactly


def chance(seed: int, places: np.ndarray, stream: int, count: int) -> np.ndarray:
    """`count` numbers for each of some samples.

    seed     ≥ 0, of the training
    places   (B,) int64 ≥ 0, which samples of the endless stream of a training they are
    stream   what the numbers are for: other streams give other numbers
    returns  (B, count) float32 in 0 ≤ x < 1, multiples of 2⁻²⁴
    """
    state = np.zeros((len(places), count), np.uint64)
    for word in (
        np.array(seed & _WORD, np.uint64),
        np.array(stream & _WORD, np.uint64),
        np.asarray(places, np.int64).astype(np.uint64)[:, None],
        np.arange(count, dtype=np.uint64)[None],
    ):
        state = _mixed((state ^ word) + np.array(_GOLDEN, np.uint64))
    return (state >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def _mixed(words: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014), (…) uint64 → the same shape; products wrap around."""
    words = (words ^ (words >> np.uint64(30))) * np.array([0xBF58476D1CE4E5B9], np.uint64)
    words = (words ^ (words >> np.uint64(27))) * np.array([0x94D049BB133111EB], np.uint64)
    return words ^ (words >> np.uint64(31))


def grain(keys: Tensor, height: int, width: int) -> Tensor:
    """Noise, computed where the keys are: no generator, so the same on any device.

    keys     (B, 1) float32, whole numbers of at most KEY_BITS bits
    width    a multiple of 4
    returns  (B, 1, height, width) uint8, all values equally likely and each pixel's its own
    """
    words = torch.arange(height * width // 4, device=keys.device, dtype=torch.int32).reshape(height, width // 4)
    # The keys are spread over all bits, since below them are the words'. Of a word each byte is a pixel.
    scrambled = _scrambled(keys.to(torch.int32)[:, :, None, None] * (0x9E3779B1 - (1 << 32)) ^ words)
    return scrambled.view(torch.uint8)


def _scrambled(words: Tensor) -> Tensor:
    """Wellons' 32-bit hash "lowbias32", in place: (…) int32 → itself. int32 has no logical shift, hence the masks;
    products wrap around."""
    words.bitwise_xor_((words >> 16).bitwise_and_(0xFFFF))
    words.mul_(0x7FEB352D).bitwise_xor_((words >> 15).bitwise_and_(0x1FFFF))
    words.mul_(0x846CA68B - (1 << 32)).bitwise_xor_((words >> 16).bitwise_and_(0xFFFF))
    return words
