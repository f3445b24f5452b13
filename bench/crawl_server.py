"""The host that bench/crawl.py crawls: an HTTP/1.1 server with latency, quick enough to be nobody's bottleneck.

    python bench/crawl_server.py [--latency SECONDS] [--per-page COUNT] [--port PORT]

    /images/async?q=QUERY&first=N    results N and the following, marked up as Bing's asynchronous picture search does
    /pictures/ANY/PATH.jpg           a JPEG of about 100 kB, no two paths alike
    anything else                    404, at once

It prints its address, and ends when its standard input does.
"""

import argparse
import asyncio
import html
import io
import json
import re
import socket
import sys
import zlib
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
from PIL import Image

BASES = 64
SIZE = (800, 600)
BYTES = 100_000
CONNECTION_CLOSE = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)


def base(seed: int) -> bytes:
    """A drawn picture as a JPEG of about BYTES: clouds of every size as in a photograph, and grain."""
    chance = np.random.default_rng(seed)
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    for octave in range(2, 9):
        small = chance.normal(0, 255, (2**octave * 3 // 4, 2**octave, 3)).clip(-255, 255)
        cloud = Image.fromarray((128 + small / 2).astype(np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
        pixels += (np.asarray(cloud, np.float32) - 128) * 0.55 ** (octave - 2)
    pixels += chance.normal(0, 11, pixels.shape[:2])[..., None]
    image = Image.fromarray((128 + pixels * 0.5).clip(0, 255).astype(np.uint8))
    low, high = 30, 98
    while low < high:  # the lowest quality that reaches the size
        middle = (low + high) // 2
        low, high = (low, middle) if len(_jpeg(image, middle)) >= BYTES else (middle + 1, high)
    return _jpeg(image, low)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=2)
    return buffer.getvalue()


class Site:
    """What the server answers to a path."""

    def __init__(self, per_page: int) -> None:
        self.address = ""
        self.per_page = per_page
        self.bases = [base(seed) for seed in range(BASES)]

    def answer(self, target: str) -> tuple[str, bytes, bytes]:
        """Status line and Content-Type, and the body in two parts; the second isn't copied for each request."""
        parts = urlsplit(target)
        if parts.path.startswith("/pictures/"):
            picture = self.bases[zlib.crc32(target.encode()) % BASES]
            comment = target.encode()  # a JPEG comment makes the bytes of each address its own
            start = picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            return "200 OK\r\nContent-Type: image/jpeg", start, picture[2:]
        if parts.path == "/images/async":
            asked = parse_qs(parts.query)
            page = self.page(asked["q"][0], int(asked.get("first", ["0"])[0]))
            return "200 OK\r\nContent-Type: text/html; charset=utf-8", page.encode(), b""
        return "404 Not Found\r\nContent-Type: text/plain", b"not found", b""

    def page(self, query: str, first: int) -> str:
        """The HTML of results `first` and the following; there is no end."""
        rows = "\n".join(self._row(query, n) for n in range(first, first + self.per_page))
        return f'<div class="dgControl hover"><ul class="dgControl_list" data-row="0">\n{rows}\n</ul></div>\n'

    def _row(self, query: str, n: int) -> str:
        name = f"{quote(query.replace(' ', '-'), safe='')}/{n:05}"
        about = {
            "sid": "", "cturl": "", "cid": f"{zlib.crc32(name.encode()):08X}",
            "purl": f"{self.address}/pages/{name}.html",
            "murl": f"{self.address}/pictures/{name}.jpg", "turl": f"{self.address}/thumbs?id=OIP.{n}&pid=15.1",
            "md5": f"{n:032x}", "shkey": "", "t": f"{query}, number {n}", "mid": f"{n:040X}", "desc": f"A {query}",
        }  # fmt: skip
        packed, title = html.escape(json.dumps(about, separators=(",", ":"))), html.escape(about["t"])
        return (
            f'<li data-idx="{n + 1}"><div class="iuscp isv"><div class="imgpt"><a class="iusc" m="{packed}" '
            f'href="/images/search?view=detailV2&amp;id={about["cid"]}"><div class="img_cont hoff">'
            f'<img class="mimg" src="{html.escape(about["turl"])}" alt="{title}"></div></a>'
            f'<div class="img_info hon"><span class="nowrap">{SIZE[0]} x {SIZE[1]} · jpeg</span></div></div>'
            f'<div class="infopt"><div class="infpd imgpt"><div class="infnmpt"><a title="{title}">{title}</a>'
            f"</div></div></div></div></li>"
        )


class Connection(asyncio.Protocol):
    """One client: reads requests without a body, answers each after the latency."""

    def __init__(self, site: Site, latency: float) -> None:
        self.site, self.latency = site, latency
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode("ascii")
            answer = self.site.answer(target)
            wait = self.latency if answer[0].startswith("200") else 0.0
            asyncio.get_running_loop().call_later(wait, self.send, bool(CONNECTION_CLOSE.search(head)), *answer)

    def send(self, last: bool, status: str, start: bytes, rest: bytes) -> None:
        length = len(start) + len(rest)
        state = "close" if last else "keep-alive"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: {state}\r\n\r\n"
        self.transport.write(head.encode() + start + rest)
        if last:
            self.transport.close()


async def serve(site: Site, latency: float, port: int) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(site, latency), "127.0.0.1", port, backlog=1024)
    site.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sys.stdout.write(site.address + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--per-page", type=int, default=20)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(Site(options.per_page), options.latency, options.port))


if __name__ == "__main__":
    main()
