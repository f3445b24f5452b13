"""One picture → one sample: which of its files are taken, how they are fitted into the tensors, and their Lab."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gravurekit import storage
from gravurekit.errors import PictureError
from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.shards.writer import Sample

WHITE = 255
SAME_SHAPE = 0.02  # by which the aspect of a photograph may differ from that of its drawing, which is rounded to pixels


@dataclass(frozen=True)
class Form:
    """What the tensors hold: their size in pixels, how a picture is fitted into it, and which pictures these are."""

    width: int
    height: int
    fit: Literal["pad", "crop"]
    input: Literal["plain", "print", "photo"]
    target: Literal["wash", "photo"]
    photo: bool  # L_photo as well

    @property
    def planes(self) -> tuple[str, ...]:
        """The tensors that are pictures, by name, in their order."""
        return ("L", "wash", "L_photo") if self.photo else ("L", "wash")

    @property
    def roles(self) -> tuple[str, ...]:
        """The pictures that are opened: the first is what the network is fed; `photo` is the photograph."""
        return tuple(dict.fromkeys([self.input, self.target, *(["photo"] if self.photo else [])]))


@dataclass(frozen=True)
class Place:
    """Where a picture comes to lie: `box` (y0, x0, y1, x1) in the tensor, and the part of the picture that is taken, as
    shares of its height and width from the top left (y0, x0, y1, x1)."""

    box: tuple[int, int, int, int]
    part: tuple[float, float, float, float] = (0, 0, 1, 1)


def place_of(width: int, height: int, form: Form) -> Place:
    """Where a picture of this size comes to lie. `pad`: all of it, as large as it gets, in the middle; `crop`: the
    largest part of the tensor's own shape, from the middle."""
    if form.fit == "crop":
        scale = min(width / form.width, height / form.height)
        tall, wide = form.height * scale / height, form.width * scale / width
        return Place((0, 0, form.height, form.width), ((1 - tall) / 2, (1 - wide) / 2, (1 + tall) / 2, (1 + wide) / 2))
    scale = min(form.width / width, form.height / height)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (form.height - tall) // 2, (form.width - wide) // 2
    return Place((top, left, top + tall, left + wide))


def placed(pixels: "np.ndarray", place: Place, form: Form) -> "np.ndarray":
    """(H, W, 3) uint8 sRGB → (form.height, form.width, 3) uint8 sRGB, white where there is no picture. By area."""
    import numpy as np

    from gravurekit import images

    height, width = pixels.shape[:2]
    y0, x0, y1, x1 = (
        round(share * side) for share, side in zip(place.part, (height, width, height, width), strict=True)
    )
    top, left, bottom, right = place.box
    taken = pixels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    canvas = np.full((form.height, form.width, 3), WHITE, np.uint8)
    canvas[top:bottom, left:right] = images.resize(np.ascontiguousarray(taken), right - left, bottom - top)
    return canvas


def sample_of(files: Mapping[str, Path], form: Form, label: int) -> "Sample":
    """The sample of a picture whose files are said by role. Raises PictureError if one can't be read, or isn't of the
    same shape."""
    import numpy as np

    from gravurekit import color, images
    from gravurekit.shards.writer import Sample

    pictures = {role: images.read(files[role]).pixels for role in form.roles}
    height, width = pictures[form.input].shape[:2]
    for role, pixels in pictures.items():
        _refuse_other_shape(role, pixels.shape, form.input, (height, width))
    place = place_of(width, height, form)
    lab = {
        role: np.moveaxis(color.lab_to_lab8(color.rgb_to_lab(placed(pixels, place, form))), -1, 0)
        for role, pixels in pictures.items()
    }
    planes = {"L": lab[form.input][:1], "wash": lab[form.target]}
    if form.photo:
        planes["L_photo"] = lab["photo"][:1]
    return Sample({name: np.ascontiguousarray(plane) for name, plane in planes.items()}, place.box, label)


def _refuse_other_shape(role: str, shape: tuple[int, ...], first: str, size: tuple[int, int]) -> None:
    """Layers of one drawing are equal in size; a photograph has at least the same shape."""
    (height, width), (tall, wide) = shape[:2], size
    alike = abs(height * wide / (width * tall) - 1) <= SAME_SHAPE + 1 / min(size)
    if not (alike if "photo" in (role, first) else (height, width) == size):
        raise PictureError("unequal-layers", f"{first} {wide}×{tall} and {role} {width}×{height} differ in size")


def files_of(
    item: Record, source: Path, photos: Path | None, photo_names: Mapping[str, str], form: Form
) -> dict[str, Path]:
    """The files of a picture by role. `photo_names`: the photographs in `photos` by key. Raises PictureError if there
    is no photograph of it."""
    drawn = bool(item.plain_file_name)
    files = {role: storage.at_hand(source / name, sum) for role, (name, sum) in layers_of(item, form).items()}
    if "photo" in form.roles:
        key = item.photo_key or item.key
        if not drawn:
            files["photo"] = storage.at_hand(source / item.file_name, item.sha256)
        elif photos is None or key not in photo_names:
            raise PictureError("no-photograph", f"the photograph {key} isn't in {photos or 'any folder'}")
        else:
            files["photo"] = photos / photo_names[key]
    return files


def layers_of(item: Record, form: Form) -> dict[str, tuple[str, str]]:
    """By role, the name and the sha256 of the layers of a drawing that are opened."""
    files = {
        "plain": (item.plain_file_name, item.plain_sha256),
        "wash": (item.wash_file_name, item.wash_sha256),
        "print": (item.file_name, item.sha256),
    }
    return {role: file for role, file in files.items() if file[0] and role in form.roles}


def about(form: Form) -> dict[str, Any]:
    """What the numbers of a shard mean, for its header and the manifest."""
    from gravurekit import shards

    return {
        **shards.ENCODING,
        "input": shards.MEANINGS[form.input],
        "target": shards.TARGETS[form.target],
        "size": f"{form.width}x{form.height}",
        "fit": form.fit,
    }
