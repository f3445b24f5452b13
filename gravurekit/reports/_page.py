"""What the pages of reports have in common: each is one HTML file that fetches nothing from the web and trusts no
word; the only script that a browser runs in it is ours, by its hash."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gravurekit import storage
from gravurekit.errors import UsageError
from gravurekit.receipt import Plan, flat
from gravurekit.words import clean, short

if TYPE_CHECKING:
    from gravurekit.reports._plots import Plot

SOURCES = Path(__file__).with_name("page")
PLOTS = "plots"
OURS = re.compile(r"[A-Za-z0-9-]+\.png")  # how plots are named
EXTRA_WORDS = "_files"  # ends the name of the folder beside a page, as browsers name it


def refuse_to_overwrite(out: Path) -> None:
    """Raises UsageError if `out` is there and no page of ours, only those give way to a new one; or if it is no .html:
    pages of one name would share what lies beside them."""
    if out.exists():
        ours = out.is_file() and b'content="gravurekit report"' in out.read_bytes()[:2000]
        if not ours:
            raise UsageError(f"{out} is there already, and no report: name another file with --out")
    if out.suffix != ".html":
        raise UsageError(f"{out}: a report is an .html: name such a file with --out")


def files_of(out: Path) -> Path:
    """The folder beside a page, for what it can't hold."""
    return out.with_name(out.stem + EXTRA_WORDS)


def write(out: Path, name: str, page: Mapping[str, Any], scripts: Sequence[str] = ()) -> None:
    """Write the page `out` by the template `name`, with `scripts`, files of ours, one after the other."""
    script = "\n".join((SOURCES / script).read_text("utf-8") for script in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    told = {"script": _as_it_is(script), "script_source": _as_it_is(f"'sha256-{digest}'" if script else "'none'")}
    storage.write_lines(out, lines(template(name).generate(told | dict(page))))


def _as_it_is(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def template(name: str) -> Any:
    """The template `name` of `page/`. `raw`: text that is HTML, or within a script's data, already."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    room = Environment(
        loader=FileSystemLoader(SOURCES), autoescape=True, undefined=StrictUndefined, finalize=_clean,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    room.filters.update(short=short, number="{:,}".format, raw=_as_it_is, svg=_svg)
    return room.get_template(name)


def _svg(plot: "Plot") -> Any:
    return _as_it_is(plot.svg())


def _clean(value: Any) -> Any:
    """What the template puts out: text without what is STRANGE; HTML (of a macro, made of such text) and numbers as
    they are."""
    return clean(value) if type(value) is str else value


def write_plots(files: Path, plots: "Iterable[Plot]") -> list[Path]:
    """Write drawings as PNG files into the folder beside a page, from which those of an older page go."""
    written = []
    for plot in plots:
        written.append(files / PLOTS / f"{plot.name}.png")
        storage.write_bytes(written[-1], plot.png())
    for path in (files / PLOTS).glob("*.png"):
        if path not in written and OURS.fullmatch(path.name):
            storage.remove(path)
    return written


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
