"""Record: what is known of one picture. Frozen; a stage makes a new one."""

import hashlib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gravurekit.errors import DataError

KEY_LENGTH = 16
_NONE_SAID: set[str] = set()


class Record(BaseModel):
    """One picture in one folder. `key` is its name for life: the first 16 hex digits of the sha256 of the bytes that
    were first crawled. A Record that was dropped says why in `reason` and `detail`, and of which picture it is a copy
    in `kept_key`. A link that never gave a picture has the key of its URL and an empty `sha256`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    file_name: str = ""  # relative to the folder, with "/"
    sha256: str = ""  # of this folder's file, which differs from the crawled one once a stage has changed it
    width: int = 0
    height: int = 0
    labels: tuple[str, ...] = ()  # in keyword-file order; the first is the training class
    keywords: tuple[str, ...] = ()
    source: str = ""
    rank: int = 0  # its place among what that source found for the first of the keywords: 1 is the best; 0: no search
    url: str = ""
    page_url: str = ""
    title: str = ""
    creator: str = ""
    license: str = ""
    license_url: str = ""
    robots: str = ""  # what its host said of crawlers: allowed, not asked, or overruled: and the word
    pixels_sha256: str = ""
    phash: str = ""  # 64 bits in hex, as imagehash.phash gives them
    phash_algorithm: str = ""
    scores: dict[str, float] = {}
    cluster: str = ""  # key of the best of the near copies; pictures of one cluster share a split
    variant: int | None = None
    photo_key: str = ""
    plain_file_name: str = ""
    plain_sha256: str = ""
    wash_file_name: str = ""
    wash_sha256: str = ""
    made_from: str = ""  # digest of all that decided this folder's file: the picture's bytes, settings, revision, seed
    reason: str = ""
    detail: str = ""
    kept_key: str = ""

    @property
    def label(self) -> str:
        """The training class; empty if there is none."""
        return self.labels[0] if self.labels else ""

    def but(self, **changes: Any) -> "Record":
        """A copy with `changes`."""
        return self.model_copy(update=changes)

    def to_json(self) -> str:
        """One line of metadata.jsonl: what differs from the defaults."""
        return self.model_dump_json(exclude_defaults=True)


def from_json(line: str | bytes, where: str) -> Record:
    """The Record of one line. Raises DataError naming `where` if it isn't one."""
    try:
        return Record.model_validate_json(line)
    except ValidationError as error:
        raise _no_record(where, error) from None


def from_lines(lines: Iterable[bytes], where: str) -> list[Record]:
    """The Records of lines. Raises DataError naming `where` and the number of the line that is none."""
    found: list[Record] = []
    try:
        for line in lines:
            item = Record.model_validate_json(line)
            # pydantic's list of the fields that the line had: nobody asks for it, and it is most of the memory
            object.__setattr__(item, "__pydantic_fields_set__", _NONE_SAID)
            found.append(item)
    except ValidationError as error:
        raise _no_record(f"{where}, line {len(found) + 1}", error) from None
    return found


def _no_record(where: str, error: ValidationError) -> DataError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    fault = f"{key}: {first['msg']}" if key else first["msg"]
    return DataError(f"{where} isn't a Record ({fault}): make the folder again")


def key_of(sha256: str) -> str:
    """The key of a picture whose first bytes had this sha256 (hex)."""
    return sha256[:KEY_LENGTH]


def key_of_url(url: str) -> str:
    """The key of a link that gave no picture."""
    return key_of(hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest())
