"""A preview: one picture and what stylize makes of it, on a sheet: photograph | ink | wash | print, whole, and below
each a detail at 1:1, because whole pictures are reduced on a screen and lines are lost.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from gravurekit import storage
from gravurekit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.layers import Layers

CELL = 480  # px, the side of the squares that pictures are fitted into, and of the details
GAP = 12
CAPTION = 28
OURS = b"Software\0gravurekit preview"


def write(photo: "np.ndarray", layers: "Layers", out: Path) -> None:
    """Write the sheet, a PNG, to `out`. `photo` (H, W, 3) uint8 sRGB, of the size of the layers.

    Raises UsageError if `out` is there already and no sheet of ours.
    """
    from gravurekit import images

    refuse_to_overwrite(out)
    views = {"photograph": photo, "ink (plain)": _three(layers.plain), "wash": layers.wash, "print": layers.print}
    storage.write_bytes(out, images.encode_png(sheet(views), software="gravurekit preview"))


def refuse_to_overwrite(out: Path) -> None:
    """Raises UsageError if `out` is there and no sheet of ours: only those give way."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: the preview is a .png; name one with --out")
    if out.exists() and not (out.is_file() and OURS in out.read_bytes()[:200]):
        raise UsageError(f"{out} is there already, and no preview: name another file with --out")


def sheet(views: "dict[str, np.ndarray]") -> "np.ndarray":
    """Views of one picture by caption, (H, W, 3) uint8 sRGB of one size → (h, w, 3) uint8 sRGB: each whole, and below
    it a detail at 1:1, the same one of all, where the first view has most to show."""
    import numpy as np

    from gravurekit import images

    first = next(iter(views.values()))
    height, width = first.shape[:2]
    scale = min(1.0, CELL / max(height, width))
    wide, tall = max(1, round(width * scale)), max(1, round(height * scale))
    top, left, side = _detail(first)
    columns = []
    for caption, view in views.items():
        whole = _on_white(images.resize(view, wide, tall), tall)
        detail = _on_white(view[top : top + side, left : left + side], min(CELL, height))
        gap = np.full((GAP, CELL, 3), 255, np.uint8)
        columns += [np.concatenate([_title(caption), whole, gap, detail]), None]
    rule = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)  # type: ignore[union-attr]
    return np.concatenate([rule if column is None else column for column in columns[:-1]], axis=1)


def _detail(photo: "np.ndarray") -> tuple[int, int, int]:
    """Top, left and side, px, of the square of the photograph with most change in it, rather in the middle of its upper
    half than elsewhere: there faces are."""
    import cv2
    import numpy as np

    height, width = photo.shape[:2]
    tall, wide = min(CELL, height), min(CELL, width)
    change = np.minimum(np.abs(cv2.Laplacian(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.CV_32F)), 64)
    down, across = np.arange(height)[:, None] / height - 0.3, np.arange(width)[None, :] / width - 0.5
    change *= np.exp(-(down**2 + across**2) / 0.08).astype(np.float32)
    # a square that lies within the picture is centred on one of these points
    sums = cv2.boxFilter(change, -1, (wide, tall), borderType=cv2.BORDER_CONSTANT)
    inner = sums[tall // 2 : height - (tall - 1) // 2, wide // 2 : width - (wide - 1) // 2]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return int(row), int(column), CELL


def _title(text: str) -> "np.ndarray":
    import cv2
    import numpy as np

    strip = np.full((CAPTION, CELL, 3), 255, np.uint8)
    return cv2.putText(strip, text, (0, CAPTION - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (60, 60, 60), 1, cv2.LINE_AA)


def _on_white(view: "np.ndarray", tall: int) -> "np.ndarray":
    """`view` at the top left of a white field as wide as a cell."""
    import numpy as np

    field = np.full((tall, CELL, 3), 255, np.uint8)
    field[: view.shape[0], : view.shape[1]] = view
    return field


def _three(grey: "np.ndarray") -> "np.ndarray":
    """(H, W) → (H, W, 3)."""
    import numpy as np

    return np.repeat(grey[..., None], 3, axis=2)
