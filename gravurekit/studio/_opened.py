"""Opening dropped pictures, in worker processes. The last few stay open: a slider asks for one again and again."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

PREVIEW = 1400  # px, the long side of what is shown of a picture
QUALITY = 90
OPEN = 3  # pictures

_open: "OrderedDict[tuple[str, int | None], np.ndarray]" = OrderedDict()


@dataclass(frozen=True)
class Task:
    """Bytes of a picture, their sha256 (hex), and the most pixels that it may have."""

    data: bytes = field(repr=False)
    sha256: str
    most: int


@dataclass(frozen=True)
class Seen:
    """Width and height of a picture, upright, px, and a JPEG to look at."""

    width: int
    height: int
    preview: bytes = field(repr=False)


def see(task: Task) -> Seen:
    """Open a picture for the first time. Raises PictureError."""
    from gravurekit import images

    pixels = opened(task)
    height, width = pixels.shape[:2]
    return Seen(width, height, images.encode_jpeg(images.fit_long_side(pixels, PREVIEW), QUALITY))


def opened(task: Task, reduce_to: int | None = None) -> "np.ndarray":
    """The picture, (H, W, 3) uint8 sRGB; with `reduce_to` its short side may be smaller, but not below that. Raises
    PictureError."""
    from gravurekit import images

    name = task.sha256, reduce_to
    if name not in _open:
        _open[name] = images.decode(task.data, reduce_to, task.most, thrifty=reduce_to is not None).pixels
        while len(_open) > OPEN:
            _open.popitem(last=False)
    _open.move_to_end(name)
    return _open[name]
