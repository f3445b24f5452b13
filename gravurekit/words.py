"""Words and links that came from the web, made fit to be shown: no word of them is trusted."""

import re

LONGEST = 300  # characters of a text that are shown
LONGEST_LINK = 4096

# What no page may hold (surrogates), nobody sees (controls), or shows a text in another order than it has
STRANGE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
WEB = re.compile(r"https?://[^\s\"<>\\/?#][^\s\"<>\\]*", re.IGNORECASE)


def clean(text: str) -> str:
    """`text` with a mark in the place of whatever is STRANGE."""
    return STRANGE.sub("\ufffd", text)


def short(text: str, longest: int = LONGEST) -> str:
    """`text`, or its beginning if it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def web(url: str) -> str:
    """`url` if it may become a link: http and https only, so never `javascript:`; else empty."""
    return url if len(url) <= LONGEST_LINK and WEB.fullmatch(url) and not STRANGE.search(url) else ""
