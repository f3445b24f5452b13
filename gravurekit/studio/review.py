"""The tab Review."""

from aiohttp import web

from gravurekit.studio.desk import Desk


def routes(desk: Desk) -> list[web.RouteDef]:
    """What is answered here."""
    return []
