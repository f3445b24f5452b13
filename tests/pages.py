"""Looking at the pages that reports are: what a browser would find in them, and that they fetch nothing."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

EVIL = "\"'><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(2)>"
DATA = "application/json"


class Page(HTMLParser):
    """What a browser would find in a page. `words`: all that people may come to read, those of the data as well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.style = ""
        self.scripts: list[str] = []
        self.data: Any = None
        self._data, self._inside = "", ""
        self.feed(text)
        self.close()
        if self._data:
            self.data = json.loads(self._data)
            self.words += "\n".join(strings(self.data))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "script":
            self._inside = "data" if found.get("type") == DATA else "script"
            if self._inside == "script":
                self.scripts.append("")
        if tag == "style":
            self._inside = "style"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self._data += data
        elif self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.style += data
        else:
            self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Everything that could be fetched: the tag, and where it leads."""
        loads = {"src", "href", "srcset", "data", "poster", "action", "formaction", "background", "ping", "xlink:href"}
        for tag, attrs in self.tags:
            yield from ((tag, value) for name, value in attrs.items() if name in loads)

    @property
    def pictures(self) -> list[str]:
        """The addresses of the pictures in the data."""
        found = (
            self.data["thumbs"]
            if isinstance(self.data, dict)
            else [[one["src"], 1, 1] for one in self.data if "src" in one]
        )
        return [one[0] for one in found if len(one) == 3]

    @property
    def items(self) -> list[dict[str, Any]]:
        """The pictures of the gallery, each with its `group` by name, `facets` by name, and the captions of its
        `shots`, those that can be seen."""
        assert isinstance(self.data, dict)
        thumbs = self.data["thumbs"]
        return [
            item
            | {"group": self.data["groups"][item["group"]][0]}
            | {"facets": {name: [said[n][0] for n in item["facets"][place]] for place, (name, said) in
                          enumerate(self.data["facets"])}}
            | {"shots": [caption for caption, thumb in item.get("shots", []) if len(thumbs[thumb]) == 3]}
            for item in self.data["items"]
        ]  # fmt: skip


def strings(value: Any) -> Iterator[str]:
    """All texts in data, names of its parts as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def check_closed(page: Page) -> None:
    """Nothing in a page is fetched from elsewhere, nothing moves by itself, and the only script is the one that the
    page's policy names."""
    for tag, address in page.addresses():
        if not address.startswith(("data:image/jpeg;base64,", "#")):
            assert tag == "a" and re.match("https?://", address), (tag, address)
    assert not {tag for tag, _ in page.tags} & {
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "image",
        "foreignobject",
        "animate",
        "set",
    }
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert all(attrs.get("rel") == "noopener noreferrer" for attrs in page.all("a") if attrs["href"][0] != "#")
    assert not re.search(r"url\((?!#)|@import", page.style)
    assert not any(attrs.get("http-equiv", "").lower() == "refresh" for attrs in page.all("meta"))
    policy = next(
        attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    sums = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert len(sums) <= 1 and all(f"script-src 'sha256-{one}'" in policy for one in sums)
    assert "default-src 'none'" in policy and ("script-src 'none'" in policy) == (not sums)
    pictures = page.pictures if page.data is not None else []
    assert all(
        src.startswith("data:image/jpeg;base64,") or re.fullmatch(r"[\w.%-]+_files/thumbnails/[0-9a-f]{20}\.jpg", src)
        for src in pictures
    )
