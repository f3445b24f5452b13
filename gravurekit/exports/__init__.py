"""Exports: formats in which pictures and tensors, or trained networks, are handed to other programs. An export is one
file; its name is its name on the command line.

REVISION = 1                             raised when the same samples and settings give other bytes
class Settings(Settings)                 its knobs, the table [export.NAME]
OURS                                     a pattern of all names, relative to the folder, that its files may have:
                                         what an earlier run left is known by it

A format of samples has these as well:

together(settings) -> int                samples of one file, or of one task
write(samples, place, settings) -> [names]
                                         write the samples, which come one by one. For each, what is to be added to its
                                         line of the index: `file_name`, `wash_file_name` …, relative to `place.out`,
                                         with `sha256`, `wash_sha256` …

In their place a format of trained networks has:

convert(model, out, settings) -> [names], {figures}
                                         write the network of a model file into the folder `out`: the names of the
                                         files, and what is told of the work

What it may have besides:

called(split, number, count) -> name     the final name of a file that holds many samples: of `number` among the `count`
                                         files of a split, which is empty if there are none. With it, `write` puts the
                                         samples of a task into one file, `place.stem` with the suffix of that name, or
                                         into none if there are no samples, and has nothing to add to the index
check()                                  raises MissingExtra if a package that it needs isn't installed
close(out, lines) -> [names]             of samples: the last step, in the finished folder: `lines` are those of the
                                         index, an iterable that can be gone through again; names of files that it wrote
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit.record import Record

if TYPE_CHECKING:
    import numpy as np

CLASSES = "classes.json"  # the names of the classes by their numbers

# What goes along with each sample. Scores, hashes and the word of robots.txt are the crawl's own affair
FACTS = (
    "key", "variant", "photo_key", "labels", "keywords", "title", "creator", "license", "license_url", "source", "url",
    "page_url", "cluster", "sha256", "width", "height",
)  # fmt: skip
LAYERS = ("plain", "wash")  # beside the print, in a styled folder
MORE = {"plain": "plain_sha256", "wash": "wash_sha256"}


@dataclass(frozen=True)
class File:
    """A picture's file: its `extension` by content, its bytes, and where those lie on disk."""

    extension: str
    data: bytes
    path: Path


@dataclass(frozen=True)
class Sample:
    """One sample. `name`: unique, of letters, digits and "-"; `facts`: what is known of it, as JSON has it; `label`:
    the number of its class, -1 is none.

    Either `files`: `image` and maybe `plain` and `wash`; or `tensors`, uint8 in OpenCV's 8-bit Lab scaling (L·255/100,
    a+128, b+128): `L` (1, H, W), `wash` (3, H, W), maybe `L_photo` (1, H, W).
    """

    name: str
    facts: dict[str, Any]
    label: int = -1
    files: Mapping[str, File] = field(default_factory=dict)
    tensors: "Mapping[str, np.ndarray]" = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """What all samples of an export have in common: which files or tensors (with their shapes) they may have, which
    facts, and the names of the classes."""

    facts: tuple[str, ...]
    classes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tensors: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a task writes: the folder `out`, what begins the names of files that aren't finished, the split (empty:
    there are none), and what the samples look like."""

    out: Path
    stem: Path
    split: str
    layout: Layout


def facts_of(item: Record, layers: bool) -> dict[str, Any]:
    """What goes along with a picture; of a styled one the sha256 of its `layers` as well."""
    names = (*FACTS, *(MORE.values() if layers else ()))
    return item.model_dump(mode="json", include=set(names))


def name_of(key: str, variant: int | None) -> str:
    """The name of a sample; the first drawing of a picture has the picture's own."""
    return f"{key}-{variant}" if variant else key
