"""Words, addresses and JSON out of what a host answers, which may be anything."""

import json
import re
from html import unescape
from typing import Any
from urllib.parse import quote, urlsplit

from gravurekit.errors import UnknownLayout

MAX_CHARS = 10_000  # of HTML that is read for a title or a name
MAX_URL = 4096

# What a reader of the page wouldn't see: Wikimedia hides labels for machines in titles
_UNSEEN = re.compile(
    r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|<(\w+)\b[^<>]*\bdisplay:\s*none[^<>]*>.*?</\2\s*>",
    re.IGNORECASE | re.DOTALL,
)
_INLINE = re.compile(r"</?(?:a|abbr|b|bdi|cite|em|font|i|q|s|small|span|strong|sub|sup|u|wbr)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z!?][^<>]*>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def encodable(text: str) -> str:
    """`text` with "?" for what UTF-8 can't hold: half an emoji, cut by the host."""
    return text.encode("utf-8", "replace").decode()


def plain(value: object) -> str:
    """HTML as one line of plain text that UTF-8 can hold; "" for what is no string."""
    if not isinstance(value, str):
        return ""
    text = _INLINE.sub("", _UNSEEN.sub(" ", value[:MAX_CHARS]))
    text = _CONTROL.sub(" ", unescape(_TAG.sub(" ", text)))
    return " ".join(encodable(text).split())


def link(value: object) -> str:
    """A web address, as it can be asked for: `//host/…` gets its https, spaces and letters beyond ASCII are encoded,
    the fragment and any password fall off. "" for what is none."""
    if not isinstance(value, str) or len(value) > MAX_URL:
        return ""
    text = encodable(value.strip())
    try:
        parts = urlsplit(f"https:{text}" if text.startswith("//") else text)
        host = parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    netloc = parts.netloc.rpartition("@")[2]
    if _CONTROL.search(netloc):
        return ""
    return parts._replace(netloc=netloc, path=_quoted(parts.path), query=_quoted(parts.query), fragment="").geturl()


def _quoted(text: str) -> str:
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text), safe="%/:?#[]@!$&'()*+,;=~")


def parsed(source: str, page: bytes) -> Any:
    """The JSON of an answer. Raises UnknownLayout if it holds none, or one nested too deeply to be read."""
    try:
        return json.loads(page)
    except (ValueError, RecursionError):
        said = plain(page[:200].decode("utf-8", "replace"))
        raise UnknownLayout(
            f"{source}: the answer isn't JSON ({said[:80] or 'empty'}): try again later, or leave this source out"
        ) from None


def at(value: object, *keys: str) -> Any:
    """What lies below `keys` in nested objects; None where there is nothing, or something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
