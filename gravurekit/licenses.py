"""Licences: one name for what sources spell in twenty ways, and what each allows.

A name is the SPDX identifier where there is one (`CC-BY-SA-4.0`, `CC0-1.0`), else one of CONDITIONS below, else the
words that the source used. Words and addresses are known from end to end or not at all, and what isn't known allows
nothing: a licence is never guessed, neither from something alike nor from a picture's age.
"""

import re
from dataclasses import dataclass
from html import unescape
from typing import Literal
from urllib.parse import unquote

# What people may ask for. `open` is what the Open Definition asks: free to use, change and sell, at most with credit
# and under the same licence; so neither NC nor ND. Drawing a picture as an engraving makes a derivative.
Wish = Literal["any", "open", "public-domain", "commercial", "derivatives"]

REFUSED = {"open": {"NC", "ND"}, "commercial": {"NC"}, "derivatives": {"ND"}}

# What is asked of whoever uses a work, by the name of its licence. Nothing: nobody owns the work, or a library knows of
# no rights in it. The Creative Commons licences have their conditions in their names.
CONDITIONS: dict[str, frozenset[str]] = {
    "CC0-1.0": frozenset(),
    "PDM-1.0": frozenset(),
    "public-domain": frozenset(),
    "US-government-work": frozenset(),
    "no-known-restrictions": frozenset(),
    "copyrighted-free-use": frozenset({"owned"}),
    "attribution": frozenset({"BY"}),
    "OGL-UK-1.0": frozenset({"BY"}),
    "OGL-UK-2.0": frozenset({"BY"}),
    "OGL-UK-3.0": frozenset({"BY"}),
    "GFDL": frozenset({"BY", "SA"}),
    "FAL": frozenset({"BY", "SA"}),
}

_VERSION = r"(?:1\.0|2\.0|2\.1|2\.5|3\.0|4\.0)"
_PORT = (  # the countries whose law a Creative Commons licence was ported to; none of them is "nc", "nd" or "sa"
    "ar|at|au|az|be|bg|br|ca|ch|cl|cn|co|cr|cz|de|dk|ec|ee|eg|es|fi|fr|ge|gr|gt|hk|hr|hu|ie|igo|il|in|it|jp|kr|lu|mk|"
    "mt|mx|my|nl|no|nz|pe|ph|pl|pr|pt|ro|rs|scotland|se|sg|si|th|tw|ug|uk|us|ve|vn|za"
)
# 4.0 was ported to no country's law
_NAME = re.compile(rf"CC-(BY(?:-NC)?(?:-SA|-ND)?)(?:-(?!4\.0-){_VERSION}(?:-(?:{_PORT.upper()}))?)?")

# ---- words: in small letters, one space for spaces, dashes, slashes and commas ------------------------------

_SPACES = re.compile(r"[\s_,/\u2010-\u2015\u2212-]+")
_MAX_WORDS = 200
# Wikimedia's templates. "PD-US" there means: and where it comes from; "PD-old-50" is protected in most countries.
_PD = "pd|old|art|scan|us|anon|self|author|user|expired|auto|eu|no notice|not renewed|70|75|80|90|95|100|1923|1996"
_PHRASES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?:cc|creative commons) ?(?:0|zero)(?: 1\.0)?(?: universal)?(?: public domain(?: dedication)?)?", "CC0-1.0"),
        (r"public domain dedication", "CC0-1.0"),
        (r"(?:cc )?(?:pdm|pd ?mark|public domain mark)(?: 1\.0)?(?: owner)?", "PDM-1.0"),
        (rf"(?:in the )?public ?domain|pd(?: (?:{_PD}))*", "public-domain"),
        (r"(?:united states|u\.?s\.?) government work|pd us ?gov", "US-government-work"),
        (
            r"(?:flickr )?no (?:known )?(?:copyright )?restrictions(?: on publication| on use)?|no known copyright",
            "no-known-restrictions",
        ),
        (r"copyrighted free use", "copyrighted-free-use"),
        (r"attribution", "attribution"),
        (r"(?:ogl(?: uk)?|open government licen[cs]e) v?([123])(?:\.0)?", r"OGL-UK-\1.0"),
        (r"(?:gfdl|gnu free documentation licen[cs]e)(?: (?:version )?1\.[1-3])?(?: only| or later|\+)?", "GFDL"),
        (r"(?:fal|free art licen[cs]e|licence art libre)(?: 1\.[1-3])?", "FAL"),
    )
]
_SHORTER = [
    (re.compile(rf"\b{long}\b"), short)
    for long, short in (
        ("attribution", "by"),
        ("non ?commercial", "nc"),
        ("no ?deriv(?:ative)?s?(?: works)?", "nd"),
        ("share ?alike", "sa"),
    )
]
_CC = re.compile(
    r"(?:(?:cc|creative commons) )?(?P<kind>(?:by|nc|nd|sa)(?: (?:by|nc|nd|sa))*|(?:nc )?sampling\+?)"
    rf"(?: v?(?P<version>{_VERSION})(?: {_VERSION})*)?"  # of several versions, whoever uses the work may choose
    rf"(?: (?:unported|generic|international|(?P<port>{_PORT})))?(?: licen[cs]e)?"
)

# ---- addresses: in small letters --------------------------------------------------------------------------

_CC_SITE = r"(?:(?:https?:)?//)?(?:www\.)?creativecommons\.org"
_END = r"(?:/(?:deed|legalcode)(?:\.[a-z]{2,3}(?:[_-][a-z]+)?)?)?/?(?:[?#].*)?"
_CC_URL = re.compile(rf"{_CC_SITE}/licenses/(?P<kind>[a-z+-]+)/(?P<version>{_VERSION})(?:/(?P<port>{_PORT}))?{_END}")
_PD_URL = re.compile(rf"{_CC_SITE}/(publicdomain/zero/1\.0|publicdomain/mark/1\.0|licenses/publicdomain){_END}")
_PD_NAMES = {"publicdomain/zero/1.0": "CC0-1.0", "publicdomain/mark/1.0": "PDM-1.0"}
_RS_URL = re.compile(r"(?:(?:https?:)?//)?(?:www\.)?rightsstatements\.org/(?:vocab|page)/([a-z-]+)/1\.0/?(?:[?#].*)?")
# All but one keep some right back; NoC-US says only that the law of one country doesn't protect the work.
_STATEMENTS = {
    statement.lower(): statement
    for statement in (
        "InC", "InC-OW-EU", "InC-EDU", "InC-NC", "InC-RUU", "NoC-CR", "NoC-NC", "NoC-OKLR", "NoC-US", "CNE", "UND",
    )
} | {"nkc": "no-known-restrictions"}  # fmt: skip
# An address that speaks of a licence, though it may not be known
_TELLING = re.compile(
    r"creativecommons\.org|rightsstatements\.org|(?<![a-z])(?:nc|nd)(?![a-z])|non.?commercial|no.?deriv|sampling"
    r"|rights.?reserved|(?<![a-z])in.?copyright"
)


@dataclass(frozen=True)
class License:
    """A licence by its one name; empty if the source tells none."""

    name: str = ""
    url: str = ""


def read(said: str, url: str = "") -> License:
    """What a source says of a licence, in words (`CC BY-SA 4.0`, `by-sa 4.0`, `Public domain`, `cc-by-sa-4.0`), by a
    URL, or both. If the two differ, the stricter one counts; if neither is the stricter, nothing is allowed. Words that
    aren't known are kept as they are, and allow nothing, whatever the URL."""
    words, url = " ".join(unescape(said).split()), url.strip()
    here, there = _of_words(words), _of_url(url)
    if not words:
        return License(there or "", url)
    if not here or there is None:
        return License(here or words, url or _address(here))
    if name := stricter(here, there):
        return License(name, url if name == there else _address(name))
    return License(f"{words}, but {url}", url)


def meets(name: str, wish: Wish) -> bool:
    """Whether a licence, by its name here, allows what is asked for. One that isn't known allows nothing."""
    conditions = _conditions(name)
    if wish == "any" or conditions is None:
        return wish == "any"
    return not conditions if wish == "public-domain" else not conditions & REFUSED[wish]


def _conditions(name: str) -> frozenset[str] | None:
    """What a licence asks, by its name here; None if it isn't known, or allows nothing."""
    found = _NAME.fullmatch(name)
    return frozenset(found[1].split("-")) if found else CONDITIONS.get(name)


def both(one: str, other: str) -> str:
    """The name of a licence of which two sources tell. One that says something is better than one that doesn't, of two
    the stricter one counts, and if each asks something of its own, nothing is allowed."""
    if not one or not other:
        return one or other
    return stricter(one, other) or f"{one}, but {other}"


def stricter(one: str, other: str) -> str:
    """Of two names for the licence of one work the one that asks more; if they ask the same, the second. Empty if each
    asks something that the other doesn't, or one isn't known."""
    here, there = _conditions(one), _conditions(other)
    if one == other:
        return one
    if here is None or there is None:
        return ""
    return other if here <= there else one if here >= there else ""


def _of_words(words: str) -> str:
    """The name of what these words say; empty if they aren't known."""
    if len(words) > _MAX_WORDS:
        return ""
    if name := _of_url(words):
        return name
    plain = _SPACES.sub(" ", words.lower()).strip(" .")
    outside, bracket, inside = plain.removesuffix(")").partition("(")
    if bracket and plain.endswith(")"):  # "Public Domain Dedication (CC0)"
        return stricter(_of_phrase(outside.strip()), _of_phrase(inside.strip()))
    return _of_phrase(plain)


def _of_phrase(plain: str) -> str:
    for pattern, name in _PHRASES:
        if found := pattern.fullmatch(plain):
            return found.expand(name)
    for long, short in _SHORTER:
        plain = long.sub(short, plain)
    found = _CC.fullmatch(plain)
    return _creative_commons(found) if found else ""


def _of_url(url: str) -> str | None:
    """The name of the licence behind a URL; empty if it is none that is known, None if the URL tells nothing of it."""
    plain = unquote(url).strip().lower()
    if found := _CC_URL.fullmatch(plain):
        return _creative_commons(found)
    if found := _PD_URL.fullmatch(plain):
        return _PD_NAMES.get(found[1], "public-domain")
    if found := _RS_URL.fullmatch(plain):
        return _STATEMENTS.get(found[1], "")
    return "" if _TELLING.search(plain) else None


def _creative_commons(found: re.Match[str]) -> str:
    """The name of a Creative Commons licence; empty if there is none of this kind."""
    kind = found["kind"].replace(" ", "-")
    asked = kind.upper().split("-")
    parts = [part for part in ("BY", "NC", "SA", "ND") if part in asked]  # in the order of their names
    rest = [part for part in (found["version"], (found["port"] or "").upper()) if part]
    if "sampling" in kind:
        return "-".join(["CC", kind, *rest])
    name = "-".join(["CC", *parts, *rest])
    return name if len(parts) == len(asked) and _NAME.fullmatch(name) else ""


def _address(name: str) -> str:
    """Where a licence can be read, if it lies with Creative Commons."""
    if _NAME.fullmatch(name) and re.search(_VERSION, name):
        kind, version, port = re.split(rf"-({_VERSION})-?", name.removeprefix("CC-").lower())
        return f"https://creativecommons.org/licenses/{kind}/{version}/" + (f"{port}/" if port else "")
    return next((f"https://creativecommons.org/{path}/" for path, known in _PD_NAMES.items() if known == name), "")
