"""The tab Review: what the filter kept and dropped, judged by looking. Each decision is in its file at once."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gravurekit.errors import DataError, UsageError
from gravurekit.record import Record
from gravurekit.reports import _gallery, _sections
from gravurekit.reports._thumbs import thumbnails
from gravurekit.studio._cases import Cases, Marks, decidable, twin_of
from gravurekit.studio.desk import Desk, body_of
from gravurekit.studio.filtered import FilteredFolder, Now
from gravurekit.studio.refusals import NotFound
from gravurekit.words import clean, short

SIDES = {"small": 320, "large": 1280}  # px
CACHED = {"Cache-Control": "private, max-age=31536000, immutable"}  # the address says which bytes it is of
WORD = 300  # characters


def routes(desk: Desk) -> list[web.RouteDef]:
    """What is answered here."""
    folder = FilteredFolder(desk)

    async def overview(_: web.Request) -> web.Response:
        return web.json_response(_overview(folder, await folder.now()))

    async def cards(request: web.Request) -> web.Response:
        return web.json_response(_cards(await _there(folder), request.query.get("view", ""), _number(request)))

    async def facts(request: web.Request) -> web.Response:
        now = await _there(folder)
        return web.json_response(_facts(now, _found(now.cases, request.match_info["key"])))

    async def picture(request: web.Request) -> web.Response:
        words = request.match_info
        return await _picture(desk, (await _there(folder)).cases, words["sha256"], words["size"])

    async def decide(request: web.Request) -> web.Response:
        said = await body_of(request)
        try:
            item = await folder.decide(str(said.get("key")), str(said.get("decision")))
        except KeyError:
            raise NotFound("there is no such picture here any more: load the page again") from None
        now = await _there(folder)
        return web.json_response({"card": _card(item, now.cases, now.marks), "overview": _overview(folder, now)})

    return [
        web.get("/api/review", overview),
        web.get("/api/review/cards", cards),
        web.get("/api/review/facts/{key}", facts),
        web.get("/api/review/pictures/{sha256}/{size}", picture),
        web.post("/api/review/decisions", decide),
    ]


# ---- what is there ---------------------------------------------------------------------------------------


async def _there(folder: FilteredFolder) -> Now:
    now = await folder.now()
    if now is None:
        raise NotFound("there is no filtered folder any more: load the page again")
    return now


def _found(cases: Cases, key: str) -> Record:
    if key not in cases.by_key:
        raise NotFound("there is no such picture here any more: load the page again")
    return cases.by_key[key]


def _number(request: web.Request) -> int:
    try:
        return int(request.query.get("page", "1"))
    except ValueError:
        raise UsageError("a page has a number") from None


def _overview(folder: FilteredFolder, now: Now | None) -> dict[str, Any]:
    """The views, with how many pictures each has, and what is to be done with the decisions."""
    told = {"folder": folder.path.name, "file": folder.file_name, "command": folder.command}
    if now is None:
        return told | {"views": [], "pending": False}
    views = [
        {"id": view.id, "name": _word(view.name), "count": len(view.items), "dropped": view.dropped}
        for view in now.cases.views(now.marks)
    ]
    return told | {"views": views, "pending": now.pending}


def _cards(now: Now, name: str, number: int) -> dict[str, Any]:
    """A page of a view."""
    cases, marks = now.cases, now.marks
    try:
        view = cases.view(name, marks)
    except KeyError:
        raise NotFound("there is no such view any more: load the page again") from None
    page = cases.page(view, number)
    groups = [
        {
            "kept_key": _word(group.kept_key),
            "lead": _card(group.lead, cases, marks) if group.lead else None,
            "size": group.size,
            "cards": [_card(item, cases, marks) for item in group.items],
        }
        for group in page.groups
    ]
    decided = sum(item.key in marks.made for item in view.items)
    return {"page": page.number, "pages": page.pages, "total": page.total, "decided": decided, "groups": groups}


# ---- one picture -----------------------------------------------------------------------------------------


def _card(item: Record, cases: Cases, marks: Marks) -> dict[str, Any]:
    """A picture as the page shows it among others."""
    mark, doubt, twin = marks.of(item), cases.doubts.get(item.key), twin_of(item)
    address = f"/api/review/pictures/{item.sha256}" if cases.file(item, SIDES["small"]) else ""
    return {
        "key": item.key,
        "title": _word(item.title),
        "label": _word(item.label),
        "size": [item.width, item.height],
        "dropped": bool(item.reason),
        "reason": _word(item.reason),
        "detail": _word(item.detail),
        "doubt": doubt.said if doubt else "",
        "twin": _word(twin),
        "copy": bool(twin) and not cases.same_pixels(item),
        "decidable": decidable(item),
        "picture": address,
        "keep": mark.keep,
        "apart": [_word(key) for key in mark.apart],
    }


def _facts(now: Now, item: Record) -> dict[str, Any]:
    """All that is known of a picture, and its kept twin to compare it with."""
    cases, cuts = now.cases, _sections.cuts_of(now.cases.content)
    twin = cases.by_key.get(twin_of(item))
    figures = [
        [name.replace("_", " "), f"{value:.4g}", _sections.about(cuts.get(name)) if name in cuts else ""]
        for name, value in _sections.figures_of(item).items()
    ]
    words = {
        "key": item.key,
        "size": f"{item.width} × {item.height}" if item.width else "",
        "keywords": ", ".join(item.keywords),
        "label": ", ".join(item.labels),
        "source": item.source,
        "licence": item.license,
    }
    return {
        "card": _card(item, cases, now.marks),
        "twin": _card(twin, cases, now.marks) if twin and twin is not item and not twin.reason else None,
        "facts": [[name, clean(short(word, _gallery.LINK))] for name, word in _said(words, _gallery.facts_of(item))],
        "figures": figures,
    }


def _said(*parts: dict[str, str]) -> Iterable[tuple[str, str]]:
    """What isn't empty."""
    return ((name, word) for part in parts for name, word in part.items() if word)


def _word(text: str) -> str:
    """Words from elsewhere, made fit to be shown."""
    return clean(short(text, WORD))


async def _picture(desk: Desk, cases: Cases, sha256: str, size: str) -> web.Response:
    item = cases.by_sha256.get(sha256)
    file = cases.file(item, SIDES[size]) if item and size in SIDES else None
    if file is None:
        raise NotFound("there is no such picture here")
    (thumb,) = await desk.line.do(thumbnails, (file,), quick=True)
    if thumb.fault:
        raise DataError(thumb.fault)
    return web.Response(body=thumb.jpeg, content_type="image/jpeg", headers=CACHED)
