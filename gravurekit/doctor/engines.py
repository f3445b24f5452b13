"""The engines: every source is asked for a picture, all at once, and none is waited for long."""

import asyncio
import os
import time
from contextlib import aclosing
from pathlib import Path

from gravurekit import crafts, foreign
from gravurekit.doctor.diagnosis import Engine, Finding
from gravurekit.doctor.trouble import reason
from gravurekit.errors import DataError, FetchError, GravurekitError
from gravurekit.pipeline import Wishes
from gravurekit.sources import Terms
from gravurekit.stages import crawl

QUERY = "dress"  # what an engine is asked for; all of them have some
PATIENCE, CONNECT = 10.0, 5.0  # seconds for an engine in all, and until it is connected
TODO = {
    "missing": "correct [paths] sources",
    "no answer": "check the network, or take another source; --source sample needs none",
}

Answer = int | BaseException | None  # milliseconds, what went wrong, or "nothing found"


def look(wishes: Wishes, online: bool, findings: list[Finding]) -> tuple[Engine, ...]:
    """The sources that [paths] names, and every other one that is searched."""
    known = crafts.names("sources")
    chosen = [source for source in dict.fromkeys(wishes.settings("paths").sources) if _craft(source) in known]
    # files of one's own are looked at only if they are chosen
    searched = [name for name in known if crafts.load("sources", name).NEEDS_KEYWORDS]
    others = [name for name in searched if name not in map(_craft, chosen)]
    found = {source: Engine(source, source in chosen, "not asked") for source in [*chosen, *others]}
    found |= {source: _folder(source) for source in chosen if _craft(source) == "folder"}
    asked = [name for name, item in found.items() if item.state == "not asked" and (online or not _asks_a_host(name))]
    for source, answer in zip(asked, asyncio.run(_ask(asked, wishes)), strict=True):
        found[source] = _engine(source, source in chosen, answer)
    for item in found.values():
        if item.chosen and item.state in TODO:
            kind = "silent" if item.state == "no answer" else item.state
            what = f"{item.name}: {item.state} ({item.detail})"
            findings.append(Finding("engines", item.name, kind, what, TODO[item.state]))
    return tuple(found.values())


def _craft(source: str) -> str:
    return source.partition(":")[0]


def _asks_a_host(source: str) -> bool:
    return bool(crafts.load("sources", _craft(source)).ASKS_A_HOST)


def _folder(source: str) -> Engine:
    """A folder source: how many pictures it has."""
    folder = source.partition(":")[2]
    if not os.path.isdir(folder):
        return Engine(source, True, "missing", detail="no such folder")
    try:
        count = len(foreign.picture_files(Path(folder)))
    except DataError as error:
        return Engine(source, True, "missing", detail=reason(error))
    return Engine(source, True, "answers" if count else "found nothing", pictures=count)


async def _ask(sources: list[str], wishes: Wishes) -> list[Answer]:
    """Ask all of them at once. One that breaks in a way of its own is a finding like any other."""
    return await asyncio.gather(*(_first(source, wishes) for source in sources), return_exceptions=True)


async def _first(source: str, wishes: Wishes) -> int | None:
    """Milliseconds until the first result; None if there is none."""
    name, _, argument = source.partition(":")
    craft = crafts.load("sources", name)
    knobs = crafts.settings_of("sources", "crawl", name, wishes.tables("crawl"))
    hasty = {"max_bytes": 1 << 24, "connect_timeout": CONNECT, "timeout": PATIENCE, "tries": 1}
    crawling = wishes.settings("crawl").model_copy(update=hasty)
    web, terms = crawl.web_of(crawling, [source], wishes.settings("paths").endpoints), Terms(contact=crawling.contact)
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE), web, craft.connect(argument, knobs, web, terms) as connection:
        async with aclosing(connection.search(QUERY if craft.NEEDS_KEYWORDS else "")) as results:
            async for _ in results:
                return round((time.perf_counter() - began) * 1000)
    return None


def _engine(source: str, chosen: bool, answer: Answer) -> Engine:
    if answer is None:
        return Engine(source, chosen, "found nothing", detail=f"it answered, but knows nothing of {QUERY!r}")
    if isinstance(answer, int):
        return Engine(source, chosen, "answers", answer)
    ours = isinstance(answer, FetchError | GravurekitError)
    detail = reason(answer) if ours else f"{type(answer).__name__}: {reason(answer)}"
    if isinstance(answer, TimeoutError):
        detail = f"nothing came within {PATIENCE:g} s"
    return Engine(source, chosen, "no answer", detail=detail)
