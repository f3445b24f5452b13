"""Who may ask the studio: names, origins, marks, tokens; and what it says with every answer."""

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from studio_server import MARK, Client, studio

from gravurekit.studio.guard import is_loopback


def asked(client: Client, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Ask with exactly these headers, and a path that no library tidies up."""
    place = urlsplit(client.root)
    own = {"Host": place.netloc} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in own.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:1", "[::1]:8000"])
def test_it_answers_to_names_of_this_machine(open_studio: Client, host: str) -> None:
    assert asked(open_studio, "GET", "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8470", "127.0.0.1.evil.example", "0", "[", "10.0.0.7", ""]
)
def test_it_answers_to_no_other_name(open_studio: Client, host: str) -> None:
    status, said = asked(open_studio, "GET", "/api/styles", Host=host)
    assert status == 403 and "no name of this machine" in said


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/styles", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}),
        ("/api/styles", {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"}),
        ("/api/styles", {"Origin": "http://evil.example"}),
        ("/api/styles", {"Origin": "null"}),
        ("/api/styles", {"Origin": "http://127.0.0.1:1"}),
        ("/", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}),
    ],
)
def test_other_pages_may_not_ask(open_studio: Client, path: str, headers: dict[str, str]) -> None:
    status, said = asked(open_studio, "GET", path, **headers)
    assert status == 403 and "another page" in said


def test_other_pages_may_have_a_link_to_it(open_studio: Client) -> None:
    assert asked(open_studio, "GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


@pytest.mark.parametrize(
    "path", ["/api/presets", "/api/uploads", "/api/stylize", "/api/colorize", "/api/colorize/file"]
)
def test_nothing_is_changed_for_other_pages(open_studio: Client, painting: Path, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    own = {"Origin": open_studio.root}
    for headers in (form, form | {"Origin": "http://evil.example"} | MARK, form | own):
        assert open_studio.post(path, data="name=a", headers=headers).status_code == 403
    assert not (painting / "presets").exists()


@pytest.mark.parametrize("path", ["/", "/static/studio.js", "/api/styles", "/nothing", "/results/none"])
def test_every_answer_says_what_a_browser_may_do_with_it(open_studio: Client, path: str) -> None:
    headers = open_studio.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers and "aiohttp" not in headers["Server"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/%2e%2e/secret.txt",
        "/static//etc/passwd",
        "/static/index.html",
        "/results/../../secret.txt",
        "/results/%2fetc%2fpasswd",
        "/../secret.txt",
        "/secret.txt",
        "/gravurekit.toml",
        "//etc/passwd",
    ],
)
def test_no_file_is_read_by_its_path(open_studio: Client, path: str) -> None:
    status, said = asked(open_studio, "GET", path)
    assert status in (400, 404, 410) and "nobody may read" not in said and "root:" not in said


def test_a_token_lets_in_and_leaves_the_address(painting: Path) -> None:
    with studio(painting, token=True) as client:
        assert "token=" in client.address
        token = client.address.partition("token=")[2]
        assert client.get("/").status_code == 403 and client.get("/api/styles").status_code == 403
        assert client.get("/", params={"token": "wrong"}).status_code == 403
        assert client.get("/api/styles", params={"token": token}).status_code == 403, "only the page is opened so"
        welcome = requests.get(client.address, allow_redirects=False, timeout=30)
        assert welcome.status_code == 303 and welcome.headers["Location"] == "/"
        assert "HttpOnly" in welcome.headers["Set-Cookie"] and "SameSite=Strict" in welcome.headers["Set-Cookie"]
        shown = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{client.root}/api/styles", headers=shown, timeout=30).status_code == 200
        assert requests.get(f"{client.root}/api/styles", cookies=welcome.cookies, timeout=30).status_code == 200


def test_beyond_this_machine_there_is_always_a_token(painting: Path) -> None:
    with studio(painting, host="0.0.0.0") as client:
        port = urlsplit(client.root).port
        assert "token=" in client.address
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=30).status_code == 403


@pytest.mark.parametrize(
    ("host", "ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.2", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours
