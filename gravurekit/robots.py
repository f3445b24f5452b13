"""What a host asks of crawlers: robots.txt (RFC 9309), and X-Robots-Tag or TDM-Reservation beside a picture."""

from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from protego import Protego

AGENT = "gravurekit"  # the name by which robots.txt can speak of us
MAX_BYTES = 500 * 1024  # of a robots.txt; RFC 9309 lets a crawler stop reading there
OPT_OUTS = ("noai", "noimageai", "noml")
WITH_VALUES = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}  # no names of crawlers


class Rules:
    """One host's robots.txt; without text everything is allowed."""

    def __init__(self, text: bytes = b"") -> None:
        self._parsed = Protego.parse(text[:MAX_BYTES].decode("utf-8-sig", "replace")) if text else None

    def allow(self, url: str) -> bool:
        """Whether we may fetch `url`."""
        return self._parsed is None or self._parsed.can_fetch(url, AGENT)


def address_of(url: str) -> str:
    """Where the robots.txt lies that speaks of `url`."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/robots.txt", "", ""))


def opt_out(tags: Iterable[str], reservation: str = "") -> str:
    """The word by which a host keeps a picture from training: one of OPT_OUTS in its X-Robots-Tag headers, said to all
    or to us by name, or `tdm-reservation`; empty if there is none."""
    for tag in tags:
        name, colon, rest = tag.partition(":")
        named = bool(colon) and "," not in name and name.strip().lower() not in WITH_VALUES
        if named and name.strip().lower() != AGENT:
            continue
        said = {word.strip().lower() for word in (rest if named else tag).split(",")}
        for word in OPT_OUTS:
            if word in said:
                return word
    return "tdm-reservation" if reservation.strip() == "1" else ""
