"""What the pages of reports have in common: each is one HTML file that fetches nothing and trusts no word."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gravurekit.errors import UsageError
from gravurekit.receipt import Plan, flat
from gravurekit.words import clean, short, web


def refuse_to_overwrite(out: Path) -> None:
    """Raises UsageError if `out` is there and no page of ours: only those give way to a new one."""
    if out.exists():
        ours = out.is_file() and b'content="gravurekit report"' in out.read_bytes()[:2000]
        if not ours:
            raise UsageError(f"{out} is there already, and no report: name another file with --out")


def template(name: str, **filters: Callable[..., Any]) -> Any:
    """The template `name` of this room, with `filters` besides those that all pages have."""
    from jinja2 import Environment, StrictUndefined

    room = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_clean, trim_blocks=True, lstrip_blocks=True
    )
    room.filters.update(web=web, short=short, number="{:,}".format, **filters)
    return room.from_string(Path(__file__).with_name(name).read_text("utf-8"))


def _clean(value: Any) -> Any:
    """What the template puts out: text without what is STRANGE; HTML (of a macro, made of such text) and numbers as
    they are."""
    return clean(value) if type(value) is str else value


def knobs(plan: Plan) -> dict[str, str]:
    """The settings of a stage in words, by name; those of the table [NAME] as NAME.KNOB."""
    return {name: said(value) for name, value in flat(plan.settings).items()} | {"revision": str(plan.revision)}


def said(value: Any) -> str:
    """A knob's value in words."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value in (None, "") else str(value)


def lines(chunks: Iterable[str]) -> Iterator[str]:
    """Text that comes in chunks, line by line, so that a page of thousands of thumbnails is never whole in memory."""
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + str(chunk)).split("\n")  # str: Markup would escape whatever is joined to it
        yield from whole
    if rest:
        yield rest
