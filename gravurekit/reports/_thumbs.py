"""Small pictures for a page: made in tasks, put into the page or, where there are many, in a folder beside it."""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from gravurekit import storage
from gravurekit.errors import PictureError
from gravurekit.executor import Executor
from gravurekit.metadata import file_sha256
from gravurekit.parts import TASK_SIZE
from gravurekit.progress import Watch

if TYPE_CHECKING:
    import numpy as np

QUALITY = 80  # of their JPEG
FOLDER = "thumbnails"
OURS = re.compile(r"[0-9a-f]{20}\.jpg")


@dataclass(frozen=True)
class File:
    """A picture on disk that is to be shown `side` px long. An empty `path` is one that must not be read; if `sha256`
    is given, only those very bytes are shown; `sized`: its size in px is known, so a reduced reading will do."""

    path: str
    side: int
    sha256: str = ""
    sized: bool = False


@dataclass(frozen=True)
class Thumb:
    """A JPEG of `width` × `height` px of a picture of `size` px, or the `fault` that stands in its way."""

    jpeg: bytes = field(default=b"", repr=False)
    width: int = 0
    height: int = 0
    size: tuple[int, int] = (0, 0)
    fault: str = ""


@dataclass(frozen=True)
class Shown:
    """A Thumb that has its place: `src`, an address for the page."""

    src: str = ""
    width: int = 0
    height: int = 0
    size: tuple[int, int] = (0, 0)
    fault: str = ""


OUTSIDE = Shown(fault="not shown: its name leads out of the folder")


class Place(Protocol):
    """Where small pictures are put."""

    def put(self, jpeg: bytes) -> str:
        """An address for the page."""

    def settle(self) -> None:
        """All are put: the page that names them may be written."""

    def finish(self) -> None:
        """The page is written: what older pages had there may go."""


class Inside:
    """In the page itself."""

    def put(self, jpeg: bytes) -> str:
        return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()

    def settle(self) -> None:
        pass

    def finish(self) -> None:
        pass


class Beside:
    """In a folder beside the page, named by what they are, so that those of an older page are there until the new one
    is, and the same ones aren't written twice."""

    def __init__(self, files: Path) -> None:
        self._folder = files / FOLDER
        self._address = f"{quote(os.fsencode(files.name))}/{FOLDER}"
        self._names: set[str] = set()
        self._there = {entry.name: entry.stat().st_size for entry in _entries(self._folder)}

    def put(self, jpeg: bytes) -> str:
        name = hashlib.sha256(jpeg).hexdigest()[:20] + ".jpg"
        if self._there.get(name) != len(jpeg):  # a machine that lost its power may have left an empty one
            if not self._names:
                storage.make_folder(self._folder)
            storage.write_unsettled(self._folder / name, jpeg)
            self._there[name] = len(jpeg)
        self._names.add(name)
        return f"{self._address}/{name}"

    def settle(self) -> None:
        storage.settle()

    def finish(self) -> None:
        for name in self._there.keys() - self._names:
            if OURS.fullmatch(name):
                storage.remove(self._folder / name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    return list(os.scandir(folder)) if folder.is_dir() else []


def sweep(files: Path) -> None:
    """Remove what a page had beside it, now that it has nothing there."""
    Beside(files).finish()


def make(files: Sequence[File], place: Place, executor: Executor, watch: Watch) -> Mapping[File, Shown]:
    """Small pictures of the files, at their places. One that kills its process costs only itself."""
    return {file: placed(thumb, place) for file, thumb in _made(files, thumbnails, executor, watch)}


def placed(thumb: Thumb, place: Place) -> Shown:
    """A Thumb put at its place."""
    src = place.put(thumb.jpeg) if thumb.jpeg else ""
    return Shown(src, thumb.width, thumb.height, thumb.size, thumb.fault)


def _made(
    files: Sequence[File], function: Callable[[tuple[File, ...]], list[Thumb]], executor: Executor, watch: Watch
) -> Iterator[tuple[File, Thumb]]:
    watch.begin("thumbnails", len(files))
    killers: list[File] = []
    tasks = [tuple(files[n : n + TASK_SIZE]) for n in range(0, len(files), TASK_SIZE)]
    for outcome in executor.map(function, tasks):
        done = tasks[outcome.index]
        if outcome.value is None:
            killers += done
        else:
            yield from zip(done, outcome.value, strict=True)
            watch.advance(len(done))
    for single in executor.map(function, [(file,) for file in killers]):
        yield killers[single.index], single.value[0] if single.value else Thumb(fault=f"reading it {single.lost}")
        watch.advance()


def thumbnails(files: tuple[File, ...]) -> list[Thumb]:
    """A Thumb of each file: `side` px on its long side, or smaller if the picture is."""
    return [_thumbnail(file) for file in files]


def _thumbnail(file: File) -> Thumb:
    from gravurekit import images

    try:
        path = storage.at_hand(Path(file.path))
        if not path.is_file():  # nor is a pipe or a device ever opened
            return Thumb(fault="missing")
        picture = images.read(path, reduce_to=file.side if file.sized else None)
        if file.sha256 and file_sha256(path) != file.sha256:
            return Thumb(fault="no longer the file that was judged")
    except PictureError as error:
        return Thumb(fault=f"can't be read: {error.detail}")
    except OSError as error:  # gone in between
        return Thumb(fault=f"can't be read: {error.strerror}")
    return reduced(picture.pixels, file.side)


def reduced(pixels: "np.ndarray", side: int) -> Thumb:
    """(H, W, 3) uint8 sRGB → a Thumb, its long side `side` px or shorter."""
    from gravurekit import images

    height, width = pixels.shape[:2]
    small = images.fit_long_side(pixels, side)
    jpeg = images.encode_jpeg(small, QUALITY, subsampling=2)
    return Thumb(jpeg, small.shape[1], small.shape[0], (width, height))
