"""A server on this machine that does everything wrong: what the guarded client and the crawl are tested against.

/NAME?QUERY            the method `NAME` of Hostile
/images/async?q=WORDS  a page of Bing's picture search with the links in `site.results[WORDS]`, once
/pictures/NAME         the bytes in `site.bodies[NAME]`, with the headers that `site.headers[NAME]` adds
/robots.txt            `site.robots`, or 404 where it is empty
"""

import gzip
import html
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

SECRET = b"what only this machine may see"
NOTHING_FOUND = b'<div class="dgControl"></div>'


@dataclass
class Site:
    """The server: its address, what it serves, how often each path was asked for, and by whom it was asked last."""

    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    results: dict[str, Sequence[str | Mapping[str, Any]]] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)  # by the words of a search: what is answered instead
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)  # the same: a bare status
    padding: dict[str, int] = field(default_factory=dict)  # the same: so many bytes more
    gate: Callable[[], bool] = lambda: True  # what `/held` waits for
    answers: dict[str, bytes] = field(default_factory=dict)  # by path: JSON of an API
    robots: str = ""
    refuses: int = 0  # a status for every request
    agent: str = ""
    headers_seen: dict[str, str] = field(default_factory=dict)  # of the last request
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return self.url("")

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def of(self, *beginnings: str) -> list[str]:
        """The paths that were asked for and begin so, in order."""
        return [path for path in self.order if path.startswith(beginnings)]

    def forget(self) -> None:
        """As if nobody had asked for anything yet."""
        self.asked.clear()
        self.order.clear()


class Hostile(BaseHTTPRequestHandler):
    """One method a path; `site` counts."""

    site: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path, _, query = unquote_plus(self.path).partition("?")
        self.site.asked[self.path] += 1
        self.site.order.append(self.path)
        self.site.agent = self.headers.get("User-Agent", "")
        self.site.headers_seen = dict(self.headers.items())
        self.close_connection = True
        name = path.strip("/").replace("-", "_") or "fine"
        try:
            if self.site.refuses:
                self.answer(self.site.refuses)
            elif path in self.site.answers:
                self.answer(200, self.site.answers[path], Content_Type="application/json")
            elif path.startswith("/pictures/"):
                self.picture(path.removeprefix("/pictures/"))
            elif path == "/images/async":
                self.results()
            elif path == "/robots.txt":
                self.answer(200 if self.site.robots else 404, self.site.robots.encode())
            else:
                getattr(self, name, self.fine)(query)
        except OSError:
            pass  # the client has left, as it should

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body)), "Connection": "close"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    # ---- an engine, and the host of its pictures -------------------------------------------------------

    def picture(self, name: str) -> None:
        if name not in self.site.bodies:
            return self.answer(404)
        self.answer(200, self.site.bodies[name], **self.site.headers.get(name, {}))

    def results(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        words, first = asked["q"][0], int(asked["first"][0])
        found = [] if first else self.site.results.get(words, [])
        row = '<li><div class="imgpt"><a class="iusc" m="{}" href="#">x</a></div></li>'
        items = [{"murl": item, "t": words} if isinstance(item, str) else item for item in found]
        rows = "".join(row.format(html.escape(json.dumps(item))) for item in items)
        page = f'<div class="dgControl"><ul>{rows}</ul></div>'.encode() if rows else NOTHING_FOUND
        page = self.site.pages.get(words, page) + b" " * self.site.padding.get(words, 0)
        self.answer(self.site.statuses.get(words, 200), page)

    # ---- whatever goes wrong ---------------------------------------------------------------------------

    def fine(self, query: str) -> None:
        self.answer(200, SECRET)

    def echo(self, query: str) -> None:
        self.answer(200, self.path.encode())

    def status(self, query: str) -> None:
        """`STATUS`, or `STATUS&RETRY-AFTER`."""
        status, _, patience = query.partition("&")
        self.answer(int(status), **({"Retry_After": patience} if patience else {}))

    def flaky(self, query: str) -> None:
        """`STATUS&FAILURES&RETRY-AFTER`: so many failures, then a body, or the picture `&NAME`."""
        status, failures, patience, *name = query.split("&", 3)
        if self.site.asked[self.path] > int(failures):
            return self.picture(name[0]) if name else self.answer(200, SECRET)
        if patience == "date":
            patience = formatdate(time.time() + 20, usegmt=True)
        if patience == "now":
            patience = formatdate(time.time(), usegmt=True)
        self.answer(int(status), b"wait", **({"Retry_After": patience} if patience else {}))

    def reset(self, query: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"x" * 1000)
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def short(self, query: str) -> None:
        self.answer(200, b"half", Content_Length="8")

    def understated(self, query: str) -> None:
        """The picture `QUERY`, of which Content-Length promises only the half."""
        body = self.site.bodies[query]
        self.answer(200, body, Content_Length=str(len(body) // 2))

    def overstated(self, query: str) -> None:
        self.answer(200, b"small", Content_Length=str(10**12))

    def endless(self, query: str) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.site.ended.is_set():
            self.wfile.write(b"x" * 65536)

    def bomb(self, query: str) -> None:
        self.answer(200, gzip.compress(b"\0" * 20_000_000), Content_Encoding="gzip")

    def no_gzip(self, query: str) -> None:
        self.answer(200, b"this is no gzip", Content_Encoding="gzip")

    def slow(self, query: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b"x")
            if self.site.ended.wait(0.05):
                return

    def silent(self, query: str) -> None:
        self.site.ended.wait(20)

    def held(self, query: str) -> None:
        """Nothing, but only once the gate is open."""
        while not self.site.gate() and not self.site.ended.wait(0.01):
            pass
        self.answer(404)

    def garbled(self, query: str) -> None:
        """A redirect to bytes that are no text."""
        self.wfile.write(
            b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xe2\x84\x80.example/\r\nContent-Length: 0\r\n\r\n"
        )

    def noise(self, query: str) -> None:
        self.wfile.write(b"\x00\xff not HTTP \r\n\r\n")

    def to(self, query: str) -> None:
        self.answer(302, Location=query)

    def loop(self, query: str) -> None:
        self.answer(302, Location=f"/loop?{int(query) + 1}")

    def count(self, query: str) -> None:
        self.answer(307, Location=f"/count?{int(query) - 1}" if query != "1" else "/fine")

    def nowhere(self, query: str) -> None:
        self.answer(302)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None: ...


@contextmanager
def serving(tls: Any = None) -> Iterator[Site]:
    """A Site on a free port, for as long as the context lasts; `tls`: an ssl.SSLContext, and it speaks https."""
    site = Site()
    handler = type("Handler", (Hostile,), {"site": site})
    with _Server(("127.0.0.1", 0), handler) as running:
        if tls is not None:
            running.socket = tls.wrap_socket(running.socket, server_side=True)
        site.port = running.server_port
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield site
        finally:
            site.ended.set()
            running.shutdown()
            thread.join()
