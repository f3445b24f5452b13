"""The proof that a download is a picture: it is decoded, whole. In a process of its own, which a decoder may crash.

This file imports little, because each worker imports it.
"""

from pathlib import Path
from typing import Any

from gravurekit import images, storage
from gravurekit.errors import PictureError
from gravurekit.record import key_of
from gravurekit.stages._journal import INCOMING
from gravurekit.words import clean

Task = tuple[Path, tuple[str, ...]]


def prove(task: Task) -> list[dict[str, Any]]:
    """Decode pictures of `incoming/`; those that decode are linked to `images/KEY.ext`. A journal entry each."""
    out, names = task
    return [_proof(out, sha256) for sha256 in names]


def _proof(out: Path, sha256: str) -> dict[str, Any]:
    path = out / INCOMING / sha256
    try:
        picture = images.read(path)
    except PictureError as error:
        return {"sha256": sha256, "reason": error.reason, "detail": clean(error.detail)}
    name = f"images/{key_of(sha256)}.{picture.extension}"
    storage.link_or_copy(path, out / name)
    return {"sha256": sha256, "file_name": name, "width": picture.width, "height": picture.height}
