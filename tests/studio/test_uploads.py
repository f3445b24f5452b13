"""Dropped pictures: bounded, proven by the guarded decoder, never believed in what they are called."""

import http.client
import io
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from odd_pictures import BAD, GOOD, header_only
from PIL import Image
from studio_server import MARK, Client

from gravurekit.studio.refusals import Gone
from gravurekit.studio.shelf import Kept, Shelf
from gravurekit.studio.uploads import _attachment, _named


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_is_taken_by_what_it_is(open_studio: Client, name: str) -> None:
    make, _, size = GOOD[name]
    answer = open_studio.upload(make(), name)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["width"], told["height"]) == size
    preview = open_studio.get(told["preview"])
    assert preview.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(preview.content)).size == size


@pytest.mark.parametrize("name", [name for name, (_, reason) in BAD.items() if reason != "too-big"])
def test_what_is_no_picture_is_refused_with_words(open_studio: Client, name: str) -> None:
    answer = open_studio.upload(BAD[name][0](), name)
    assert answer.status_code == 422 and "can't be used" in answer.json()["error"]


def test_a_picture_of_too_many_pixels_is_refused(open_studio: Client) -> None:
    answer = open_studio.upload(header_only(60_000, 60_000))
    assert answer.status_code == 422 and "pixels" in answer.json()["error"] or "60000" in answer.json()["error"]


def test_a_body_that_is_said_to_be_huge_isnt_read(open_studio: Client) -> None:
    place = urlsplit(open_studio.root)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.putrequest("POST", "/api/uploads")
    connection.putheader("Content-Length", str(2 << 30))
    for name, value in MARK.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()  # though not a byte of it was sent
    assert answer.status == 413 and b"more than 2 MB" in answer.read()
    connection.close()


def test_a_body_that_goes_on_for_ever_is_cut_off(open_studio: Client) -> None:
    def flood() -> Iterator[bytes]:
        yield from (bytes(1 << 20) for _ in range(200))

    try:
        assert open_studio.post("/api/uploads", data=flood(), headers=MARK).status_code == 413
    except OSError:  # it hung up on us
        pass
    assert open_studio.get("/").status_code == 200


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("print.png", "print.png"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("C%3A%5CWindows%5Cwin.ini", "win.ini"),
        ("..", "picture"),
        ("", "picture"),
        ("a%00b%0D%0ASet-Cookie%3A x.png", "a�b Set-Cookie: x.png"),
        ("k%C4%B1rm%C4%B1z%C4%B1.jpg", "kırmızı.jpg"),
        ("%FF%FE.png", "��.png"),
        (".hidden", "hidden"),
    ],
)
def test_names_lead_nowhere(said: str, name: str) -> None:
    assert _named(said).split() == name.split()
    assert not set('/\\\r\n"') & set(_attachment(_named(said)).removeprefix('attachment; filename="').removesuffix('"'))


def test_a_long_name_is_cut() -> None:
    assert len(_named("x" * 5000)) <= 80


def test_the_same_picture_is_kept_once(open_studio: Client) -> None:
    data = GOOD["plain.jpg"][0]()
    assert open_studio.upload(data, "a").json()["id"] == open_studio.upload(data, "b").json()["id"]


def test_a_shelf_holds_what_there_is_room_for() -> None:
    shelf = Shelf(100)
    names = [shelf.put(Kept(bytes(30))) for _ in range(3)]
    assert len(set(names)) == 3 and all(len(name) >= 16 for name in names)
    assert len(shelf.get(names[0]).data) == 30  # asked for last
    shelf.put(Kept(bytes(40)))
    assert len(shelf.get(names[0]).data) == 30
    with pytest.raises(Gone):
        shelf.get(names[1])


def test_a_shelf_takes_one_thing_that_is_too_large() -> None:
    shelf = Shelf(100)
    first, large = shelf.put(Kept(bytes(50))), shelf.put(Kept(bytes(500)))
    assert len(shelf.get(large).data) == 500
    with pytest.raises(Gone):
        shelf.get(first)
    shelf.put(Kept(bytes(10)))
    with pytest.raises(Gone):
        shelf.get(large)


def test_putting_something_again_takes_no_more_room() -> None:
    shelf = Shelf(100)
    other = shelf.put(Kept(bytes(40)))
    for _ in range(5):
        shelf.put(Kept(bytes(50)), "same")
    assert len(shelf.get(other).data) == 40


def test_private_tags_dont_come_back(open_studio: Client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera's maker"
    out = io.BytesIO()
    Image.fromarray(np.full((40, 30, 3), 120, np.uint8)).save(out, "JPEG", exif=exif)
    told = open_studio.upload(out.getvalue()).json()
    assert b"maker" not in open_studio.get(told["preview"]).content
