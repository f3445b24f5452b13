"""stub"""

import numpy as np, torch

COUNT = 313
SIDE = 27
TEMPERATURE = 0.38
CENTRES = torch.zeros(313, 2)


def annealed_mean(l, t=TEMPERATURE):
    return torch.zeros(len(l), 2, *l.shape[2:])


def cross_entropy(l, ab):
    return l.mean(1, keepdim=True)


def rebalancing(histogram, uniform=0.5, sigma=5.0):
    from scipy.ndimage import gaussian_filter

    p = histogram / histogram.sum()
    q = gaussian_filter(p, sigma / 10)
    w = 1 / ((1 - uniform) * q + uniform / 313)
    return (w / (p * w).sum()).astype(np.float32)


def looked_up(table, ab):
    i = (ab / 10).round().long() + 13
    i = i.clamp(0, 26)
    return table.flatten()[i[:, :1] * 27 + i[:, 1:]]
