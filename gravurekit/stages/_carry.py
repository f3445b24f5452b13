"""The kept pictures of a folder, carried into another one: linked, or saved anew where they carry private tags."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import parts, storage
from gravurekit import record as records
from gravurekit.errors import PictureError
from gravurekit.executor import Executor
from gravurekit.progress import Watch
from gravurekit.receipt import Plan
from gravurekit.record import Record
from gravurekit.settings import digest

if TYPE_CHECKING:  # OpenCV loads only when pictures are read
    from gravurekit.probe import Probes

CLOCKS = 5.0  # seconds by which the clock of a share may be behind


def carried(
    source: Path, out: Path, kept: Sequence[Record], probes: "Probes", plan: Plan, began: float,
    executor: Executor, watch: Watch,
) -> tuple[list[Record], list[Record]]:  # fmt: skip
    """Put the kept pictures of `source` into the output: Records of those that lie there now, and of those that were
    lost on the way. `began`: when their sha256 was read, as seconds since 1970."""
    from gravurekit.probe import NAMES

    rows = {item.key: row for row, item in enumerate(probes.records)}
    extensions, private = probes.figures["extension"].tolist(), probes.figures["private"].tolist()
    items = []
    for item in kept:
        row = rows[item.key]
        about = {"extension": NAMES[extensions[row]], "private": bool(private[row]), "record": item.to_json()}
        items.append(json.dumps(about))
    work = parts.Work(carry_part, _quarantined_while_carried, (str(source), str(out), began), (source,))
    # the plan alone doesn't say which: what couldn't be read before a kill may be readable after it
    lines = parts.run(out, "keep", digest([plan.digest, items]), items, work, executor, watch)
    carried = [records.from_json(line, "a part") for line in lines]
    return [item for item in carried if not item.reason], [item for item in carried if item.reason]


def carry_part(items: list[str], context: tuple[str, str, float], stem: Path) -> list[str]:
    """Link the kept pictures into the output. One that carries EXIF or the like (a place, a device, a turn) is saved
    anew, upright and without it: such tags never leave raw/. A Record for each."""
    source, out, began = Path(context[0]), Path(context[1]), context[2]
    lines = []
    asked = [(about, records.from_json(about["record"], "a task")) for about in map(json.loads, items)]
    storage.bring((source / item.file_name, item.sha256) for _, item in asked)
    for about, item in asked:
        try:
            file = storage.at_hand(source / item.file_name, item.sha256)
            lines.append(_carry(file, out, item, about, began).to_json())
        except PictureError as error:
            lines.append(item.but(reason=error.reason, detail=error.detail).to_json())
    return lines


def _carry(path: Path, out: Path, item: Record, about: dict[str, Any], began: float) -> Record:
    from gravurekit import images, probe

    if not about["private"]:
        if _touched(path, began - CLOCKS):
            images.contents_of(path, item.sha256)
        name = f"images/{item.key}.{about['extension']}"
        storage.link_or_copy(path, out / name)
        return item.but(file_name=name)
    pixels = images.decode(images.contents_of(path, item.sha256)).pixels
    lossy = about["extension"] in ("jpg", "webp")
    data = images.encode_jpeg(pixels) if lossy else images.encode_png(pixels)
    name = f"images/{item.key}.{'jpg' if lossy else 'png'}"
    storage.write_bytes(out / name, data)
    saved = images.decode(data).pixels
    return item.but(
        file_name=name, sha256=hashlib.sha256(data).hexdigest(), pixels_sha256=probe.pixels_digest(saved).hex(),
        phash=f"{probe.phash(saved):016x}",
    )  # fmt: skip


def _touched(path: Path, since: float) -> bool:
    """Whether a file went away or was changed, replaced or linked since then, as seconds since 1970."""
    try:
        found = path.stat()
    except OSError:
        return True
    return max(found.st_mtime, found.st_ctime) >= since


def _quarantined_while_carried(line: str, why: str) -> str:
    item = records.from_json(json.loads(line)["record"], "a task")
    return item.but(reason="quarantined", detail=f"reading it {why}").to_json()
