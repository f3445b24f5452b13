"""What colorize does to one print: read it, colour it once or several times, encode what comes of it."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import __version__
from gravurekit import record as records
from gravurekit.coloured import INK, PANEL, PAPER, WASH, beside, sheet_name
from gravurekit.record import Record
from gravurekit.stages import _steering

if TYPE_CHECKING:
    import numpy as np

    from gravurekit.colorizer import Colorizer, Coloured, Look, Steer
    from gravurekit.stages._steering import Asked

AT_ONCE = 40_000_000  # px that are coloured at once: some 50 bytes of memory each
SOFTWARE = f"gravurekit {__version__}"
SHOWN = 640  # px, the long side of a sample on the sheet of all
CLASSES = 5  # of what the network takes a picture for, that a Record tells
# Who sent a print there: fields of the input's Record that the output's keeps
KEPT = ("labels", "keywords", "source", "url", "page_url", "title", "creator", "license", "license_url", "robots")
# as IPTC names it: made of a picture and of what a trained network added
ADDED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF \
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" \
xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" ext:DigitalSourceType="{kind}"/></rdf:RDF></x:xmpmeta>\
<?xpacket end="r"?>"""


@dataclass(frozen=True)
class Print:
    """A picture to colour: where it is, what is known of it, and the names of the files that come of it, one for each
    sample, with the digest of all that decides each."""

    path: Path
    sha256: str
    item: Record
    names: tuple[str, ...]
    made_from: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What all prints of a run have in common.

    look      how colours come onto them
    palettes  a palette for each sample, and what it is, in words; None: none
    steer     hints and mood
    said      what of it metadata tell
    panel, layers, photo: which files are wanted
    """

    look: "Look"
    palettes: "Sequence[Asked | None]"
    steer: "Steer"
    said: Mapping[str, Any]
    panel: bool
    layers: bool

    def steered(self, asked: "Asked | None") -> "Steer":
        """What the network is told for the sample with this palette."""
        return self.steer if asked is None else replace(self.steer, palette=asked.histogram)


class Room:
    """Lets in so many pixels at once, and a picture of more when nothing else is in."""

    def __init__(self, pixels: int = AT_ONCE) -> None:
        self._most, self._taken = pixels, 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + pixels <= self._most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


@dataclass(frozen=True, eq=False)
class Made:
    """What came of a print: its Records, one for each sample; the bytes of files by name, those that Records name
    last; and notes of the network."""

    items: tuple[Record, ...]
    files: Mapping[str, bytes]
    notes: tuple[str, ...]


def colour(each: Print, colorizer: "Colorizer", wanted: Wanted, room: Room) -> Made:
    """Raises PictureError for what isn't fit to be coloured, UsageError for a hint outside of it, ModelError for a
    style of the training that this gravurekit can't draw."""
    from gravurekit import images

    data = images.contents_of(each.path, each.sha256)
    wide, tall = images.size_in(data)
    with room.taken(wide * tall):
        return made_of(each, images.decode(data).pixels, colorizer, wanted)


def made_of(each: Print, pixels: "np.ndarray", colorizer: "Colorizer", wanted: Wanted) -> Made:
    """`colour` of a print that is open already: `pixels` (H, W, 3) uint8 sRGB. Of its path only the name counts."""
    from gravurekit import images

    height, width = pixels.shape[:2]
    _steering.check_inside(wanted.steer.hints, width, height, each.path.name)
    files: dict[str, bytes] = {}
    items: list[Record] = []
    small: list[np.ndarray] = []
    for number, (name, asked) in enumerate(zip(each.names, wanted.palettes, strict=True)):
        done = colorizer.colour(pixels, wanted.look, wanted.steered(asked))
        said = _said(each, colorizer, wanted, asked, done)
        files |= _files(name, pixels, done, wanted, said)
        items.append(_record(each, number, done, files[name], several=len(each.names) > 1))
        small.append(images.fit_long_side(done.pixels, SHOWN))
    if len(each.names) > 1:
        said["palette"] = [asked.said for asked in wanted.palettes if asked is not None]
        files[sheet_name(each.names[0])] = images.encode_png(_sheet(small), SOFTWARE, _about(said), images.QUICK)
    last = {name: files.pop(name) for name in each.names}
    return Made(tuple(items), files | last, done.notes)


# ---- what is written ------------------------------------------------------------------------------------


def _record(each: Print, number: int, done: "Coloured", data: bytes, several: bool) -> Record:
    kept = {name: getattr(each.item, name) for name in KEPT}
    height, width = done.pixels.shape[:2]
    return Record(
        **kept | {"title": each.item.title or each.path.name},
        key=records.key_of(each.sha256),
        file_name=each.names[number],
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        variant=number if several else None,
        made_from=each.made_from[number],
        scores={f"class {label}": round(odds, 4) for label, odds in done.classes[:CLASSES]},
    )


def _files(
    name: str, pixels: "np.ndarray", done: "Coloured", wanted: Wanted, said: Mapping[str, Any]
) -> dict[str, bytes]:
    from gravurekit import images, tint

    about = _about(said)
    found = {name: images.encode_png(done.pixels, SOFTWARE, about, images.QUICK)}
    names = beside(name)
    if wanted.panel:
        found[names[PANEL]] = images.encode_png(
            tint.panel(pixels, done.fed, done.pixels), SOFTWARE, about, images.QUICK
        )
    if wanted.layers and done.apart is not None:
        ink, wash, paper = tint.layers(pixels, done.apart, done.wash, wanted.look.paper)
        for kind, layer in ((INK, ink), (WASH, wash), (PAPER, paper)):
            found[names[kind]] = images.encode_png(layer, SOFTWARE, about, images.QUICK)
    return found


def _said(
    each: Print, colorizer: "Colorizer", wanted: Wanted, asked: "Asked | None", done: "Coloured"
) -> dict[str, Any]:
    """What a file tells of how it came to be, and of whom."""
    of = {"name": each.path.name, "sha256": each.sha256}
    said = {"of": of | whose(each.item), "model": colorizer.digest, **wanted.said}
    if asked is not None:
        said["palette"] = asked.said
    if done.notes:
        said["notes"] = list(done.notes)
    return said


def whose(item: Record) -> dict[str, str]:
    """Where a print is from, who made it, and what may be done with it, as far as that is known. The address of one
    that somebody had in a folder says nothing to others."""
    names = ("url", "page_url", "creator", "license", "license_url")
    facts = {name: str(getattr(item, name)) for name in names if getattr(item, name)}
    return {name: fact for name, fact in facts.items() if not fact.startswith("folder:")}


def _about(said: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a PNG. No time: the same print comes out in the same bytes."""
    return {
        "Description": f"{said['of']['name']}, colourised: its colours are a network's, and people's who steered it",
        "gravurekit": json.dumps(said, sort_keys=True, ensure_ascii=False),
        "XML:com.adobe.xmp": XMP.format(kind=ADDED),
    }


# ---- several samples on a sheet -------------------------------------------------------------------------


def _sheet(pictures: "Sequence[np.ndarray]") -> "np.ndarray":
    """Pictures of one size, (h, w, 3) uint8 each, in rows that make a square of them, as far as it goes."""
    import numpy as np

    height, width = pictures[0].shape[:2]
    across = min(len(pictures), max(1, round((len(pictures) * height / width) ** 0.5)))
    down = -(-len(pictures) // across)
    gap = 12
    sheet = np.full((down * (height + gap) - gap, across * (width + gap) - gap, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // across * (height + gap), number % across * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet
