"""The sample engine: an HTTP server on loopback that answers like Bing's asynchronous picture search.

    /images/async?q=QUERY&first=N     20 results: HTML with a JSON in the attribute `m` of each link
    /pictures/SLUG/NNN.EXT?w=800      the pictures, drawn at the request

`python -m gravurekit.sample` runs it by hand, for `crawl --source bing --endpoint bing=http://127.0.0.1:PORT
--allow-private-addresses`.
"""

import html
import json
import socket
import threading
from contextlib import suppress
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from gravurekit.sample import catalogue

PAGE = 20


class _Server(ThreadingHTTPServer):
    """Its threads end with it: one that draws while the interpreter shuts down would abort the process."""

    daemon_threads = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: set[socket.socket] = set()

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._connections.discard(request)

    def server_close(self) -> None:
        """Hang up on clients that keep their connection open, then wait for the threads."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no news."""


class Engine:
    """The server as a context manager. `address` is its base URL; `log` the paths of picture requests, in order."""

    def __init__(self, port: int = 0) -> None:
        self.log: list[str] = []
        self._asked_twice: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler_of(self))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serve in this thread until Ctrl-C."""
        self._server.serve_forever()

    def first_request(self, path: str) -> bool:
        """Whether a picture is asked for the first time; notes the request."""
        with self._lock:
            self.log.append(path)
            first = path not in self._asked_twice
            self._asked_twice.add(path)
            return first


@lru_cache(maxsize=256)
def _results(query: str) -> tuple[catalogue.Item, ...]:
    return tuple(catalogue.results(query))


def results_page(query: str, first: int, base: str) -> str:
    """The HTML of results `first` and the following; past the end the last page once more, as Bing does."""
    found = _results(query)
    start = min(first, max(0, (len(found) - 1) // PAGE * PAGE))
    rows = "\n".join(_row(n, item, base) for n, item in list(enumerate(found))[start : start + PAGE])
    return f'<div class="dgControl hover"><ul class="dgControl_list" data-row="0">\n{rows}\n</ul></div>\n'


def _row(n: int, item: catalogue.Item, base: str) -> str:
    about = {
        "purl": f"{base}/pages/{item.name.replace('/', '-')}.html",
        "murl": f"{base}/pictures/{item.name}?w=800",
        "turl": f"{base}/thumbs/{item.name}",
        "t": item.title,
        "desc": "",
    }
    packed = html.escape(json.dumps(about, ensure_ascii=False), quote=True)
    return (
        f'<li data-idx="{n + 1}"><div class="iuscp isv"><div class="imgpt"><a class="iusc" m="{packed}" href="#">'
        f'<div class="img_cont hoff"></div></a></div><div class="infopt"><div class="infpd imgpt">'
        f'<div class="infnmpt">{html.escape(item.title)}</div></div></div></div></li>'
    )


def _handler_of(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/images/async":
                asked = parse_qs(parts.query)
                first = asked.get("first", ["0"])[0]
                page = results_page(asked.get("q", [""])[0], int(first) if first.isdigit() else 0, self._base())
                self._answer(200, "text/html; charset=utf-8", page.encode())
            elif parts.path.startswith("/pictures/"):
                self._picture(unquote(parts.path.removeprefix("/pictures/")))
            else:
                self._answer(404, "text/plain", b"not found")

        def _picture(self, name: str) -> None:
            query = name.partition("/")[0].replace("-", " ")
            item = next((item for item in _results(query) if item.name == name), None)
            first = engine.first_request(name)
            if item is None or item.status == 404:
                self._answer(404, "text/plain", b"not found")
            elif item.status == 429 and first:
                self._answer(429, "text/plain", b"too many requests", {"Retry-After": "1"})
            else:
                # the type is a guess by name, as on many real hosts
                self._answer(200, "image/jpeg", item.body())

        def _base(self) -> str:
            return f"http://{self.headers.get('Host') or engine.address.removeprefix('http://')}"

        def _answer(self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                **(more or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """The crawler tells what it did; the engine is silent."""

    return Handler
