"""Controls: what anybody can make of a photograph without drawing anything. A measure that takes one of them for a
print measures something else than prints.
"""

from collections.abc import Callable

import cv2
import numpy as np

from gravurekit import crafts

REVISION = 1

Control = Callable[[np.ndarray, np.random.Generator], np.ndarray]
# (H, W, 3) uint8 sRGB, chance → (H, W) uint8 grey


def _grey(photo: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def photo(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photograph, grey."""
    return _grey(photo)


def blurred(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus."""
    return cv2.GaussianBlur(_grey(photo), (0, 0), rng.uniform(1.0, 2.5))


def grain(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With the grain of a fast film."""
    white = rng.standard_normal(photo.shape[:2]).astype(np.float32)
    noise = cv2.GaussianBlur(white, (0, 0), rng.uniform(0.3, 1.0))
    return _levels(_grey(photo) + noise * (rng.uniform(12, 40) / noise.std()))


def oversharpened(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Unsharp masking, far too much of it."""
    grey = _grey(photo).astype(np.float32)
    soft = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.8, 2.0))
    return _levels(grey + rng.uniform(2.0, 6.0) * (grey - soft))


def black_flood(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is darker than its surroundings, or dark, is black, the rest white: a stencil."""
    grey = cv2.GaussianBlur(_grey(photo), (0, 0), rng.uniform(0.8, 2.0)).astype(np.float32)
    limit = np.percentile(grey, rng.uniform(35, 60)) * 0.6 + cv2.blur(grey, (61, 61)) * 0.4
    return _levels(255 / (1 + np.exp(-(grey - limit) / 3)))


def halftone(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The dots of a newspaper."""
    angle, pitch = rng.uniform(0, np.pi / 2), rng.uniform(3.5, 7.0)
    along, across = _phases(photo.shape[:2], angle, pitch), _phases(photo.shape[:2], angle + np.pi / 2, pitch)
    return _screened(_grey(photo), (np.cos(along) + np.cos(across)) / 2, pitch)


def line_screen(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Straight parallel lines, wide where it is dark: a banknote's way, which knows no form."""
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(3.5, 7.0)
    return _screened(_grey(photo), np.cos(_phases(photo.shape[:2], angle, pitch)), pitch)


def cartoon(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The report's filter, with its own numbers: the lines of the style `cartoon`."""
    style = crafts.load("styles", "cartoon")
    return style.draw(photo, style.Settings(), rng).plain


CONTROLS: dict[str, Control] = {
    "photo": photo,
    "photo blurred": blurred,
    "photo + grain": grain,
    "photo oversharpened": oversharpened,
    "black flood": black_flood,
    "halftone": halftone,
    "line screen": line_screen,
    "cartoon": cartoon,
}


def outlines(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines where the light changes, by a difference of Gaussians, and nothing between them."""
    grey = _grey(photo).astype(np.float32)
    sigma = rng.uniform(0.7, 1.6)
    soft = cv2.GaussianBlur(grey, (0, 0), sigma)
    change = soft - rng.uniform(0.96, 1.0) * cv2.GaussianBlur(grey, (0, 0), 1.6 * sigma)
    return _levels(255 * (1 + np.tanh(np.minimum(change - rng.uniform(0, 2), 0) * rng.uniform(0.2, 1.0))))


def sketched(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The photograph over its own blurred self: the "pencil sketch" of picture programs."""
    grey = _grey(photo).astype(np.float32)
    return _levels(255 * (grey + 1) / (cv2.GaussianBlur(grey, (0, 0), rng.uniform(2, 12)) + 1))


def dithered(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black or white by chance, as dark as the photograph."""
    noise = cv2.GaussianBlur(rng.random(photo.shape[:2]).astype(np.float32), (0, 0), rng.uniform(0.3, 1.2))
    limit = 0.5 + (noise - noise.mean()) / (noise.std() + 1e-6) * 0.28
    return _levels(255 / (1 + np.exp(-(_grey(photo) / 255 - limit) * 18)))


def posterized(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few flat tones."""
    soft = cv2.bilateralFilter(_grey(photo), 7, 40, 4).astype(np.float32)
    count = int(rng.integers(2, 6))
    return _levels(np.rint(soft / 255 * count) / count * 255)


def thresholded(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black where it is darker than around it: the cartoon's lines, with any numbers."""
    grey = cv2.medianBlur(_grey(photo), int(rng.choice([3, 5, 7])))
    return cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, int(rng.choice([7, 9, 13, 21])), rng.uniform(1, 6)
    )


def thin_edges(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Canny's edges, a pixel or so wide, black on white."""
    soft = cv2.GaussianBlur(_grey(photo), (0, 0), rng.uniform(0.5, 1.5))
    low = rng.uniform(20, 80)
    found = cv2.Canny(soft, low, rng.uniform(2, 3) * low).astype(np.float32)
    return _levels(255 - cv2.GaussianBlur(found, (0, 0), rng.uniform(0.25, 0.8)) * rng.uniform(1, 2))


def pencil(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """OpenCV's pencil sketch: noise smeared along the edges."""
    return cv2.pencilSketch(
        photo,
        sigma_s=rng.uniform(20, 120),
        sigma_r=rng.uniform(0.03, 0.12),
        shade_factor=rng.uniform(0.02, 0.09),
    )[0]


def smoothed(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """OpenCV's stylization: flat regions and dark edges."""
    return _grey(cv2.stylization(photo, sigma_s=rng.uniform(20, 90), sigma_r=rng.uniform(0.2, 0.6)))


def ordered(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black or white by a fixed pattern of thresholds (Bayer's), in pixels of 1 or 2."""
    side = int(rng.integers(1, 3))
    table = np.kron(np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]), np.ones((side, side)))
    height, width = photo.shape[:2]
    limit = np.tile(table, (height // len(table) + 1, width // len(table) + 1))[:height, :width]
    return np.where(_grey(photo) > 16 * limit + 8, 255, 0).astype(np.uint8)


# Shown to the judge as well: what it has seen nothing like it may take for anything
OTHERS: dict[str, Control] = {
    "outlines": outlines,
    "sketched": sketched,
    "dithered": dithered,
    "posterized": posterized,
    "thresholded": thresholded,
    "thin edges": thin_edges,
    "pencil": pencil,
    "smoothed": smoothed,
    "ordered": ordered,
}


def _phases(shape: tuple[int, ...], angle: float, pitch: float) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return (2 * np.pi / pitch) * (np.cos(angle) * x + np.sin(angle) * y)


def _screened(grey: np.ndarray, wave: np.ndarray, pitch: float) -> np.ndarray:
    """Ink where the wave, -1..1, is below the tone; edges about a pixel wide."""
    tone = cv2.GaussianBlur(grey, (0, 0), pitch / 3).astype(np.float32) / 255
    return _levels(255 / (1 + np.exp(-(wave + 1.8 * tone - 0.8) * 2 * pitch)))


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
