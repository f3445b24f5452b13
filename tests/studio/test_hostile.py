"""What a studio is asked by nobody who means well, and workspaces in which pipes and links lie where files belong."""

import gzip
import http.client
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from filtering import QUICK, drawn, put
from studio_server import MARK, Client, studio
from workspace import run_here, until

from gravurekit.errors import UsageError
from gravurekit.stages import _decisions
from gravurekit.studio import uploads
from gravurekit.studio._trainings import Glance, look_over


def sent(client: Client, *lines: bytes, body: bytes = b"") -> bytes:
    """The answer to a request that is sent as it is."""
    place = urlsplit(client.root)
    with socket.create_connection((place.hostname, place.port), 30) as connection:
        host = b"Host: " + place.netloc.encode()
        connection.sendall(b"\r\n".join([lines[0], host, b"Connection: close", *lines[1:], b"", b""]) + body)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_an_origin_that_is_no_address_is_refused(open_studio: Client) -> None:
    assert b" 403 " in sent(open_studio, b"GET /api/styles HTTP/1.1", b"Origin: http://[")[:20]


def test_a_token_that_is_no_text_is_refused(painting: Path) -> None:
    with studio(painting, token=True) as client:
        port = str(urlsplit(client.root).port).encode()
        assert b" 403 " in sent(client, b"GET /api/styles HTTP/1.1", b"Cookie: gravurekit-studio-%s=\xff" % port)[:20]
        assert b" 403 " in sent(client, b"GET /api/styles HTTP/1.1", b"Authorization: Bearer \xff")[:20]


def test_a_second_studio_doesnt_lock_out_the_first(painting: Path) -> None:
    with studio(painting, token=True) as first, studio(painting, token=True) as second:
        browser = requests.Session()  # which has one cookie of a name for all ports
        for client in (first, second, first):
            if client is not first or not browser.cookies:
                browser.get(client.address, timeout=30)
            assert browser.get(client.root + "/api/styles", timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["/api/uploads", "/api/stylize"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_cant_be_unpacked_is_refused(open_studio: Client, path: str, coding: str) -> None:
    answer = open_studio.post(path, data=b"none" * 100, headers=MARK | {"Content-Encoding": coding})
    assert answer.status_code == 400 and "can't be read" in answer.json()["error"]


def test_a_body_that_swells_is_cut_off(open_studio: Client) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    answer = open_studio.post("/api/uploads", data=bomb, headers=MARK | {"Content-Encoding": "gzip"})
    assert answer.status_code == 413


def test_json_is_read_whatever_charset_it_says_to_have(open_studio: Client) -> None:
    kind = {"Content-Type": "application/json; charset=nonesuch"}
    answer = open_studio.post("/api/presets", data=b"{}", headers=MARK | kind)
    assert answer.status_code == 400 and "preset's name" in answer.json()["error"]


def test_what_is_no_http_is_nothing_for_the_terminal(open_studio: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert b" 400 " in sent(open_studio, b"GET / HTTP/1.1", b"Host: again")[:20]
    assert not [record for record in caplog.records if record.exc_info]


def test_files_that_stop_arriving_hinder_nobody_for_long(open_studio: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "STALL", 0.2)
    place = urlsplit(open_studio.root)
    stuck = [http.client.HTTPConnection(place.hostname or "", place.port, timeout=30) for _ in range(uploads.AT_ONCE)]
    for connection in stuck:
        connection.putrequest("POST", "/api/uploads")
        for name, value in (MARK | {"Content-Length": "1000"}).items():
            connection.putheader(name, value)
        connection.endheaders(b"some")
    assert open_studio.upload(b"").status_code == 422
    for connection in stuck:
        answer = connection.getresponse()
        assert answer.status == 408 and b"too slowly" in answer.read()
        connection.close()


# ---- workspaces ------------------------------------------------------------------------------------------


def test_decisions_that_are_a_pipe_hold_nobody_up(tmp_path: Path) -> None:
    put(tmp_path / "raw", "x.jpg", drawn(3))
    assert run_here("-C", str(tmp_path), "filter", *QUICK).exit_code == 0
    os.mkfifo(tmp_path / "decisions.jsonl")
    with studio(tmp_path) as client:
        answer = client.get("/api/review")
        assert answer.status_code == 400 and "is no file" in answer.json()["error"]


def test_a_line_of_a_thousand_brackets_is_no_decision(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="line 1, is no decision"):
        _decisions.read(tmp_path / "d.jsonl")


@pytest.mark.parametrize("name", [".gravurekit", ".gravurekit.lock"])
def test_a_pipe_in_a_run_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text('{"kind": "start", "step": 0}\n')
    os.mkfifo(tmp_path / "run" / name)
    signal.alarm(20)
    try:
        look_over(Glance(tmp_path))
    finally:
        signal.alarm(0)


def test_presets_that_lead_elsewhere_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for target in (tmp_path / "elsewhere", tmp_path / "place" / "presets"):  # out of the workspace; in circles
        (tmp_path / "place" / "presets").unlink(missing_ok=True)
        (tmp_path / "place" / "presets").symlink_to(target)
        with studio(tmp_path / "place") as client:
            answer = client.post("/api/presets", {"name": "a", "style": "engrave", "knobs": {}})
        assert answer.status_code == 400 and "out of the workspace" in answer.json()["error"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_palettes_that_lie_elsewhere_are_not_read(painting: Path, tmp_path: Path) -> None:
    shutil.copytree(painting / "runs" / "loud", tmp_path / "place" / "runs" / "loud")
    shutil.move(tmp_path / "place" / "runs" / "loud" / "palettes.json", tmp_path / "palettes.json")
    (tmp_path / "place" / "runs" / "loud" / "palettes.json").symlink_to(tmp_path / "palettes.json")
    with studio(tmp_path / "place") as client:
        assert client.get("/api/colorize").json()["runs"] == []


# ---- the end ---------------------------------------------------------------------------------------------


def test_ctrl_c_waits_for_nobody_who_sends_half_a_file(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    began = time.monotonic()
    with studio(place) as client:
        address = urlsplit(client.root)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        connection.putrequest("POST", "/api/uploads")
        for name, value in (MARK | {"Content-Length": "1000"}).items():
            connection.putheader(name, value)
        connection.endheaders(b"some")
        assert until(lambda: client.get("/api/styles").status_code == 200)
    assert time.monotonic() - began < 8
    connection.close()


def test_processes_inherit_no_path_that_an_import_changed_for_a_moment() -> None:
    """cv2 puts its own folder first while it is imported; a process spawned just then took cv2.typing for typing."""
    said = "import sys, gravurekit.studio.server; assert 'cv2' in sys.modules"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0


def test_what_nobody_foresaw_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gravurekit.toml").write_text('[paths]\nclean = "a\\u0000b"\n')
    with studio(tmp_path) as client:
        answer = client.get("/api/review")
        assert answer.status_code == 500 and "a fault of the studio" in answer.json()["error"]
    assert "null byte" in caplog.text


def test_a_store_that_cant_be_had_costs_the_other_tabs_nothing(tmp_path: Path) -> None:
    (tmp_path / "gravurekit.toml").write_text('[paths]\nclean = "nosuch-scheme-of-a-store://bucket/clean"\n')
    with studio(tmp_path) as client:
        assert client.get("/api/colorize").status_code == 200
        assert client.get("/api/styles").status_code == 200
