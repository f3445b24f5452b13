"""What of a picture is shown: a drawing has layers and a photograph, a coloured print what lies beside it, a dropped
picture its twin."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gravurekit import coloured, folder
from gravurekit.errors import GravurekitError
from gravurekit.record import Record
from gravurekit.reports._content import Content, below
from gravurekit.reports._thumbs import File

PHOTOGRAPH, INK, WASH, PRINT = "photograph", "ink", "wash", "print"


@dataclass(frozen=True)
class Layers:
    """Of the pictures of a folder."""

    content: Content

    def of(self, item: Record, side: int) -> list[tuple[str, File]]:
        """Pictures with captions, `side` px: a single one has none."""
        if item.reason:
            return list(self._dropped(item, side))
        if item.plain_file_name or item.wash_file_name:
            return list(self._drawn(item, side))
        if self.content.stage == "colorize":
            return list(self._coloured(item, side))
        return [("", self._file(item, item.file_name, side))]

    def have(self, item: Record) -> bool:
        """Whether there is more than one to see."""
        if item.reason:
            return bool(item.file_name and item.sha256 and self.content.input and item.kept_key in self._by_key)
        return bool(item.plain_file_name or self.content.stage == "colorize")

    def photograph(self, item: Record) -> tuple[Path, Record] | None:
        """The photograph that a picture was drawn of, if it is where it was."""
        photo = self._photographs.get(item.photo_key or item.key)
        path = below(self.content.input, photo.file_name) if photo and self.content.input else ""
        return (Path(path), photo) if photo and path else None

    def _drawn(self, item: Record, side: int) -> Iterator[tuple[str, File]]:
        if found := self.photograph(item):
            yield PHOTOGRAPH, File(str(found[0]), side, found[1].sha256, bool(found[1].width))
        names = {INK: item.plain_file_name, WASH: item.wash_file_name, PRINT: item.file_name}
        for caption, name in names.items():
            yield caption, self._file(item, name, side)

    def _coloured(self, item: Record, side: int) -> Iterator[tuple[str, File]]:
        names = coloured.beside(item.file_name)
        for kind in (coloured.INK, coloured.WASH):  # the bare paper shows nothing, and a panel is three pictures wide
            path = self.content.file_of(names[kind])
            if path and Path(path).is_file():
                yield kind, File(path, side)
        yield "coloured", self._file(item, item.file_name, side)

    def _dropped(self, item: Record, side: int) -> Iterator[tuple[str, File]]:
        """Its own picture, if it is still where it came from, and that of its kept twin. The receipt names a folder
        elsewhere: nothing of it is shown but the very file that was judged."""
        if not (self.content.input and item.file_name and item.sha256):
            return
        yield "dropped", File(below(self.content.input, item.file_name), side, item.sha256, bool(item.width))
        if twin := self._by_key.get(item.kept_key):
            yield "kept instead", self._file(twin, twin.file_name, side)

    def _file(self, item: Record, name: str, side: int) -> File:
        return File(self.content.file_of(name), side, sized=bool(item.width))

    @cached_property
    def _by_key(self) -> Mapping[str, Record]:
        return {item.key: item for item in reversed(self.content.kept)}

    @cached_property
    def _photographs(self) -> Mapping[str, Record]:
        """By key, what is known of the photographs; nothing if their folder can't be read."""
        if self.content.input is None or self.content.stage != "stylize":
            return {}
        try:
            return {item.key: item for item in folder.read(self.content.input)}
        except GravurekitError:
            return {}
