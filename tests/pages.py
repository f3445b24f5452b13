"""Looking at the pages that reports are: what a browser would find in them, and that they fetch nothing."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

EVIL = "\"'><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Everything that could be fetched: the tag, and where it leads."""
        loads = {"src", "href", "srcset", "data", "poster", "action", "formaction", "background", "ping", "xlink:href"}
        for tag, attrs in self.tags:
            yield from ((tag, value) for name, value in attrs.items() if name in loads)


def check_closed(page: Page) -> None:
    """Nothing in a page is fetched, is run, or moves by itself."""
    for tag, address in page.addresses():
        if not address.startswith(("data:image/jpeg;base64,", "#")):
            assert tag == "a" and re.match("https?://", address), (tag, address)
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "image",
        "use",
        "foreignobject",
        "animate",
        "set",
    }
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert all(attrs.get("rel") == "noopener noreferrer" for attrs in page.all("a") if attrs["href"][0] != "#")
    assert not re.search(r"url\(|@import", "".join(page.words.partition("</head>")[0]))
    assert not any(attrs.get("http-equiv", "").lower() == "refresh" for attrs in page.all("meta"))
