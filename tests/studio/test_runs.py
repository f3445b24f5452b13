"""The studio's tab Runs over HTTP: trainings by their names and nothing else; what changed is drawn once, and not
before its time."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from runs_made import goes_on, made, panel_at, step
from studio_server import Client, studio
from workspace import until

from gravurekit import images, storage
from gravurekit.metadata import LOCK
from gravurekit.receipt import RECEIPT
from gravurekit.studio import _pace, runs

LINES = [step(n, loss=1 / n) for n in range(1, 30)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((runs, "GLANCE"), (runs, "LEAST"), (_pace, "SHARE")):  # the test needn't wait
            patch.setattr(module, name, 0)
        with studio(place) as found:
            yield found


def listed(client: Client) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in client.get("/api/runs").json()["runs"]}


def test_a_workspace_without_trainings_has_none(tmp_path: Path) -> None:
    with studio(tmp_path) as client:
        told = client.get("/api/runs").json()
        assert (told["runs"], told["folder"], told["again"]) == ([], "runs", runs.LEAST)
        assert client.get("/api/runs/a").status_code == 404


def test_trainings_are_listed_and_shown(client: Client, place: Path) -> None:
    run = made(place / "runs/first", *LINES, step(29, "validation", score=2.5))
    panel_at(run, 29)
    row = listed(client)["first"]
    assert (row["condition"], row["step"], row["best"]) == ("unfinished", 29, [29, "2.5"])
    told = client.get("/api/runs/first").json()
    assert told["signature"] == row["signature"] and told["wrong"] and "isn't finished" in told["faults"][0]
    assert ["best step", "29 (score 2.5)"] in told["headline"] and told["validated"] == "step 29 (score 2.5)"
    assert [chart["title"] for chart in told["charts"]] == ["Loss", "Score"]
    assert [(sheet["step"], sheet["said"]) for sheet in told["panels"]] == [(29, "step 29 (score 2.5)")]
    assert client.get(f"/api/runs/first?since={told['signature']}").json() == {"same": True, "again": 0}


def test_one_that_goes_on_is_drawn_anew_and_ends(client: Client, place: Path) -> None:
    run = made(place / "runs/going", *LINES)
    with storage.locked(run / LOCK):
        first = client.get("/api/runs/going").json()
        assert first["condition"] == "running" and not first["wrong"]
        goes_on(run, step(30, loss=5.0))
        panel_at(run, 30)
        second = client.get(f"/api/runs/going?since={first['signature']}").json()
        assert second["charts"] != first["charts"] and [sheet["step"] for sheet in second["panels"]] == [30]
    third = client.get(f"/api/runs/going?since={second['signature']}").json()
    assert third["condition"] == "unfinished" == listed(client)["going"]["condition"]


def test_what_is_drawn_is_not_drawn_anew_before_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in ((runs, "GLANCE", 0), (runs, "LEAST", 3), (_pace, "SHARE", 10)):
        monkeypatch.setattr(module, name, value)
    run = made(tmp_path / "runs/a", *LINES)
    with studio(tmp_path) as client:
        first = client.get("/api/runs/a").json()
        goes_on(run, step(30, loss=5.0))
        assert listed(client)["a"]["signature"] != first["signature"]  # it is known that there is more to see
        again = client.get("/api/runs/a").json()
        assert first.pop("again") >= again.pop("again") >= 3 and again == first


def test_those_who_ask_at_once_get_the_same(client: Client, place: Path) -> None:
    made(place / "runs/asked", *LINES)
    with ThreadPoolExecutor(6) as people:
        told = list(people.map(lambda _: client.get("/api/runs/asked").json(), range(6)))
    assert all(one == told[0] for one in told)


STRANGE = [
    "nobody",
    "..",
    "%2e%2e",
    "..%2f..",
    "..%2fsecret",
    ".hidden",
    "first%00",
    "%ff",
    "first%2f..%2ffirst",
    "%20",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_that_is_not_listed_leads_nowhere(name: str, client: Client, place: Path) -> None:
    for folder in ("secret", "runs/.hidden"):
        panel_at(made(place / folder, *LINES), 1)
    made(place / "runs/first", *LINES)
    for path in (f"/api/runs/{name}", f"/api/runs/{name}/panels/1"):
        response = client.get(path)
        assert response.status_code == 404 and response.headers["Content-Type"].startswith("application/json")


def test_a_panel_is_a_small_picture_that_browsers_keep(client: Client, place: Path) -> None:
    run = made(place / "runs/shown", *LINES)
    panel_at(run, 200, 4000)
    (sheet,) = client.get("/api/runs/shown").json()["panels"]
    response = client.get(f"/api/runs/shown/panels/200?made={sheet['made']}")
    assert response.headers["Content-Type"] == "image/jpeg" and "immutable" in response.headers["Cache-Control"]
    assert images.decode(response.content).width == 1200
    assert client.get("/api/runs/shown/panels/200").headers["Cache-Control"] == "no-store"


def test_a_panel_that_cannot_be_shown_says_why(client: Client, place: Path) -> None:
    run = made(place / "runs/hurt", *LINES)
    storage.write_bytes(run / "panels/0000200.png", b"half")
    response = client.get("/api/runs/hurt/panels/200?made=1")
    assert response.status_code == 422 and "step 200 isn't shown: it can't be read" in response.json()["error"]
    assert client.get("/api/runs/hurt/panels/300").status_code == 422
    for odd in ("0x1", "-1", "1.5", "1" * 40, "..%2f1", "%D9%A1"):
        assert client.get(f"/api/runs/hurt/panels/{odd}").status_code == 404


def test_one_of_a_newer_gravurekit_is_listed_and_not_read(client: Client, place: Path) -> None:
    run = made(place / "runs/newer", *LINES)
    storage.write_json(run / RECEIPT, {"format": 99})
    assert listed(client)["newer"]["condition"] == "newer"
    response = client.get("/api/runs/newer")
    assert response.status_code == 409 and "newer gravurekit" in response.json()["error"]


def test_a_training_that_is_removed_is_no_longer_there(client: Client, place: Path) -> None:
    made(place / "runs/removed", *LINES)
    assert client.get("/api/runs/removed").status_code == 200
    storage.remove(place / "runs/removed")
    assert until(lambda: "removed" not in listed(client))
    assert client.get("/api/runs/removed").status_code == 404


def test_the_server_draws_nothing_itself() -> None:
    code = "import sys, gravurekit.studio.runs; sys.exit(', '.join({'matplotlib', 'torch'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
