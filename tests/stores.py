"""Folders on object stores, for tests: what lies in one, and a server that speaks S3 on this machine."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workspace import digests

from gravurekit import objects
from gravurekit.storage import write_bytes


def taken_down(url: str, place: Path) -> Path:
    """A folder on this disk with all that lies below a URL."""
    for name in objects.below(url):
        write_bytes(place / name, objects.read(f"{url}/{name}") or b"")
    return place


def digests_of(url: str, place: Path, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """`workspace.digests` of what lies below a URL; `place`: where it may be put."""
    return digests(taken_down(url, place), but=but)


# ---- a server ------------------------------------------------------------------------------------------


@dataclass
class Line:
    """The way to the server, which can be cut. `cuts`: how many of the next uploads of more than `after` bytes end in
    the middle; `down`: nobody answers; `seen`: what was asked for."""

    address: str = ""
    cuts: int = 0
    after: int = 20_000
    down: bool = False
    seen: list[str] = field(default_factory=list)


@dataclass
class Store:
    """A server with a bucket, `plates`; `line` leads to it."""

    line: Line
    direct: str  # its address, without the line
    environment: dict[str, str]  # by which programs find it

    def client(self, kind: str = "s3", **keys: str) -> Any:
        """boto3's client of the server itself."""
        import boto3

        keys = keys or {"aws_access_key_id": "owner", "aws_secret_access_key": "secret"}
        return boto3.client(kind, endpoint_url=self.direct, region_name="us-east-1", **keys)

    def reader(self) -> dict[str, str]:
        """The environment of somebody who may read and list, and not write."""
        iam = self.client("iam")
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName="reader")
        rule = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@contextmanager
def running(cache: Path) -> Iterator[Store]:
    """A real server that speaks S3, on loopback, behind a line that can be cut."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with _line(port) as line:
            environment = {
                "AWS_ENDPOINT_URL": line.address,
                "AWS_ACCESS_KEY_ID": "owner",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_MAX_ATTEMPTS": "1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "GRAVUREKIT_CACHE": str(cache),
            }
            found = Store(line, f"http://{host}:{port}", environment)
            found.client().create_bucket(Bucket="plates")
            yield found
    finally:
        server.stop()


@contextmanager
def _line(port: int) -> Iterator[Line]:
    line = Line()
    ear = socket.create_server(("127.0.0.1", 0))
    line.address = f"http://127.0.0.1:{ear.getsockname()[1]}"

    def listen() -> None:
        while True:
            try:
                caller, _ = ear.accept()
            except OSError:
                return
            threading.Thread(target=_carry, args=(caller, port, line), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield line
    finally:
        ear.close()


def _carry(caller: socket.socket, port: int, line: Line) -> None:
    """Bytes there and back, until somebody has enough or the line is cut."""
    if line.down:
        caller.close()
        return
    with suppress(OSError), caller, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_pour, args=(server, caller), daemon=True)
        back.start()
        sent = 0
        while data := caller.recv(16384):
            if data[:4] in (b"PUT ", b"GET ", b"HEAD", b"POST", b"DELE"):
                sent = 0
                line.seen.append(data.split(b"\r\n", 1)[0].decode())
            sent += len(data)
            if line.down or (line.cuts and line.seen[-1].startswith(("PUT", "POST")) and sent > line.after):
                line.cuts -= not line.down
                for end in (caller, server):
                    end.shutdown(socket.SHUT_RDWR)
                return
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
        back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def in_environment(store: Store) -> dict[str, str]:
    """The environment of a program of its own that finds the server."""
    return os.environ | store.environment
