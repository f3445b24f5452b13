"""Review: what is doubtful, which pictures stand together, and what a decision does; by a real studio over HTTP."""

import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filtering import QUICK, drawn, put, reasons
from PIL import Image
from studio_server import MARK, Client, studio
from typer.testing import Result
from workspace import run_here

from gravurekit import images, metadata
from gravurekit.receipt import Plan, Receipt
from gravurekit.record import Record
from gravurekit.reports._content import Content
from gravurekit.stages._decisions import Decisions, read
from gravurekit.studio import _cases, _doubt
from gravurekit.studio._cases import COPIES, DECIDED, DOUBTFUL, KEPT, Cases, Mark, Marks

Run = Callable[..., Result]


def content(kept: list[Record], dropped: list[Record], **settings: Any) -> Content:
    plan = Plan(stage="filter", revision=1, settings=settings, inputs={})
    counts = {"in": len(kept) + len(dropped), "kept": len(kept)}
    return Content(
        Path("clean"), "filter", Receipt(plan=plan, outputs={}, counts=counts), kept, dropped, [], False, None
    )


def record(key: str, reason: str = "", **more: Any) -> Record:
    return Record(key=key, reason=reason, sha256=key * 2, pixels_sha256=key, **more)


# ---- doubt -----------------------------------------------------------------------------------------------


def test_what_is_near_a_cut_is_doubtful_on_both_sides() -> None:
    kept = [record(f"k{n:03d}", scores={"sharpness": 40.5 + n}) for n in range(100)]
    dropped = [record(f"d{n:03d}", "blurred", scores={"sharpness": 39.5 - n}) for n in range(30)]
    other = record("o", "monochrome", scores={"sharpness": 39.9})  # goes for another reason
    found = _doubt.doubts(content(kept, [*dropped, other], **{"[blurred]": {"min_sharpness": 40.0}}))
    assert "k099" not in found and "d029" not in found
    assert found["k000"].said == "sharpness 40.5, cut at 40" and "o" not in found
    assert {key[0] for key in found} == {"k", "d"} and all(doubt.share <= 0.05 for doubt in found.values())
    shares = [found[key].share for key in sorted(key for key in found if key[0] == "k")]
    assert shares == sorted(shares) and len(shares) < 10


def test_what_is_far_from_a_cut_isnt_doubtful_though_nothing_lies_between() -> None:
    kept = [record(f"{n}", width=400 + n, height=600) for n in range(50)]
    assert not _doubt.doubts(content(kept, [], **{"[too_small]": {"min_side": 64}}))


def test_a_cut_that_is_off_or_skipped_gives_no_doubt() -> None:
    kept = [record(f"{n}", scores={"sharpness": float(n)}) for n in range(50)]
    assert not _doubt.doubts(content(kept, [], **{"[blurred]": {"min_sharpness": 0.0}}))
    assert not _doubt.doubts(content(kept, [], skip=["blurred"], **{"[blurred]": {"min_sharpness": 9.0}}))


def test_who_is_behind_two_cuts_is_as_sure_as_the_farther_one_says() -> None:
    def blank(key: str, spread: float, drawn: float) -> Record:
        return record(key, "blank", scores={"spread": spread, "drawn": drawn})

    kept = [record(f"{n}", scores={"spread": 20.0 + n, "drawn": 0.5 + n / 200}) for n in range(90)]
    tables = {"[blank]": {"min_spread": 5.0, "min_drawn": 0.4}}
    found = _doubt.doubts(content(kept, [blank("both", 4.999, 0.01), blank("one", 50, 0.3999)], **tables))
    assert "both" not in found and found["one"].said == "drawn 0.3999, cut at 0.4"


@pytest.mark.parametrize(("cut", "said"), [(0.0, "no cut"), (0.3, "cut at 0.3")])
def test_the_least_relevant_are_doubtful_where_nothing_is_cut(cut: float, said: str) -> None:
    kept = [record(f"{n:02d}", scores={"figure": 0.301 + n / 100}) for n in range(40)]
    found = _doubt.doubts(content(kept, [], relevance="figure", min_figure=cut))
    assert list(found)[:2] == ["00", "01"] and said in found["00"].said and len(found) < 5


@pytest.mark.parametrize("values", [[], [np.nan], [1.0], [1.0, 1.0, 1.0], [np.nan, 0.0, -1.0, 5.0]])
def test_far_is_a_number_for_whatever_was_measured(values: list[float]) -> None:
    for wide in (False, True):
        found = _doubt.far(np.array(values), 1.0, wide)
        assert np.array_equal(np.isnan(found), np.isnan(values)) and (found[~np.isnan(found)] >= 0).all()


# ---- cases -----------------------------------------------------------------------------------------------


def copy(key: str, of: str, detail: str = "the same bytes") -> Record:
    return record(key, "duplicate", kept_key=of, cluster=of, detail=detail)


def clusters() -> Cases:
    kept = [record("a"), record("b"), record("c"), record("hand", cluster="c")]
    dropped = [
        copy("a1", "a", "code distance 9 of 256, correlation 0.99"), copy("b1", "b"), copy("b2", "b"),
        copy("c1", "c", "mirrored, 44 points fit, 71% of the blocks alike"), copy("x1", "elsewhere"),
        record("s", "too-small"), record("", "unreadable"),
    ]  # fmt: skip
    return Cases(content(kept, dropped), False)


def test_copies_stand_with_the_kept_picture_large_clusters_first_and_then_the_least_sure() -> None:
    cases = clusters()
    marks = Marks(cases, Decisions())
    page = cases.page(cases.view(COPIES, marks), 1)
    assert [(group.kept_key, [item.key for item in group.items]) for group in page.groups] == [
        ("c", ["c1", "hand"]), ("b", ["b1", "b2"]), ("a", ["a1"]), ("elsewhere", ["x1"]),
    ]  # fmt: skip
    assert [group.lead and group.lead.key for group in page.groups] == ["c", "b", "a", None]
    assert [(view.id, len(view.items)) for view in cases.views(marks)] == [
        (DOUBTFUL, 0), (COPIES, 6), ("reason too-small", 1), ("reason unreadable", 1), (KEPT, 4), (DECIDED, 0),
    ]  # fmt: skip


def test_a_cluster_that_goes_on_over_the_page_says_how_large_it_is() -> None:
    many = [copy(f"{n:03d}", "a") for n in range(130)]
    cases = Cases(content([record("a")], many), False)
    view = cases.view(COPIES, Marks(cases, Decisions()))
    pages = [cases.page(view, n) for n in (0, 1, 2, 3, 99)]
    assert [(page.number, len(page.groups[0].items)) for page in pages] == [(1, 60), (1, 60), (2, 60), (3, 10), (3, 10)]
    assert all(page.pages == 3 and page.groups[0].size == 130 and page.groups[0].lead for page in pages)


def test_marks_say_what_was_decided_of_whom() -> None:
    cases = clusters()
    decisions = Decisions({"a": False, "gone": True}, frozenset([("a", "a1"), ("b", "c"), ("b", "b2"), ("a1", "z")]))
    marks = Marks(cases, decisions)
    told = {item.key: marks.of(item) for item in cases.items if marks.of(item).made}
    assert told == {
        "a": Mark(False), "a1": Mark(apart=("a",)), "b": Mark(apart=("c",)), "b2": Mark(apart=("b",)),
        "c": Mark(apart=("b",)),
    }  # fmt: skip
    assert marks.made == told.keys()


@pytest.mark.parametrize(
    ("detail", "least"),
    [
        ("the same bytes", (2, 1.0)), ("code distance 12 of 256, correlation 0.93", (1, 0.93)),
        ("mirrored, 12 points fit, 80% of the blocks alike", (0, 0.8)), ("", (2, 1.0)),
    ],
)  # fmt: skip
def test_how_sure_it_is_that_a_copy_is_one(detail: str, least: tuple[int, float]) -> None:
    assert _cases.sureness(copy("k", "a", detail))[:2] == least


def test_twenty_thousand_pictures_are_put_in_order_quickly() -> None:
    rng = np.random.default_rng(1)
    tables = {
        "[blurred]": {"min_sharpness": 20.0},
        "[blank]": {"min_spread": 5.0},
        "relevance": "figure",
        "min_figure": 0,
    }
    scores = [dict(zip(("sharpness", "spread", "figure"), row, strict=True)) for row in rng.uniform(0, 99, (20_000, 3))]
    items = [record(f"{n:05d}", scores=found, width=300, height=400) for n, found in enumerate(scores)]
    kept, dropped = (
        items[:14_000],
        [item.but(reason="duplicate", kept_key=items[int(item.key) % 3000].key) for item in items[14_000:]],
    )
    began = time.perf_counter()
    cases = Cases(content(kept, dropped, **tables), False)
    built = time.perf_counter()
    marks = Marks(cases, Decisions({item.key: True for item in items[::20]}))
    for name in (DOUBTFUL, COPIES, KEPT, DECIDED):
        assert cases.page(cases.view(name, marks), 3).groups
    assert built - began < 5 and time.perf_counter() - built < 0.5


# ---- over HTTP -------------------------------------------------------------------------------------------


def filled(root: Path) -> dict[str, str]:
    """Five figures, copies of three of them, a page of one tone and a broken file in raw/; their keys by name."""
    raw = root / "raw"
    keys = {f"{seed}": put(raw, f"{'abc'[seed % 3]}/{seed}.jpg", drawn(seed)) for seed in range(5)}
    keys["small copy"] = put(raw, "a/small.jpg", images.resize(drawn(0), 210, 280), 60)
    keys["cropped copy"] = put(raw, "b/cropped.jpg", drawn(1)[8:-6, 5:-7])
    keys["blank"] = put(raw, "a/blank.jpg", np.full((300, 260, 3), 244, np.uint8))
    data = (raw / "a" / "3.jpg").read_bytes()
    (raw / "same.jpg").write_bytes(data[:2] + b"\xff\xfe\x00\x05odd" + data[2:])  # the same pixels
    (raw / "torn.jpg").write_bytes(data[: len(data) // 2])
    return keys


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a filtered folder."""
    root = tmp_path_factory.mktemp("review")
    filled(root)
    assert run_here("-C", str(root), "filter", *QUICK).exit_code == 0
    return root


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[Client]:
    """A studio there."""
    with studio(place) as found:
        yield found


@pytest.fixture
def client(running: Client, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The same; at the end nothing is decided any more."""
    monkeypatch.chdir(place)
    yield running
    (place / "decisions.jsonl").unlink(missing_ok=True)


def cards(client: Client, view: str, page: int = 1) -> list[dict[str, Any]]:
    found = client.get("/api/review/cards", params={"view": view, "page": page}).json()
    return [card for group in found["groups"] for card in group["cards"]]


def counts(client: Client) -> dict[str, int]:
    return {view["id"]: view["count"] for view in client.get("/api/review").json()["views"]}


def decide(client: Client, key: str, what: str) -> dict[str, Any]:
    found: dict[str, Any] = client.post("/api/review/decisions", {"key": key, "decision": what}).json()
    return found


def test_a_page_of_each_view_is_given_with_its_pictures(client: Client, place: Path) -> None:
    found = counts(client)
    assert (found[COPIES], found["reason blank"], found["reason unreadable"], found[KEPT]) == (3, 1, 1, 5)
    for view in found:
        for card in cards(client, view):
            if card["reason"] == "unreadable":
                assert not card["decidable"]
                continue
            answer = client.get(card["picture"] + "/small")
            assert answer.headers["Content-Type"] == "image/jpeg" and "immutable" in answer.headers["Cache-Control"]
            assert max(Image.open(io.BytesIO(answer.content)).size) <= 320


def test_each_decision_is_written_at_once_and_undone(client: Client, place: Path) -> None:
    copies = cards(client, COPIES)
    one = next(card for card in copies if card["copy"])
    now = decide(client, one["key"], "apart")
    assert now["card"]["apart"] == [one["twin"]] and now["overview"]["pending"]
    assert read(place / "decisions.jsonl") == Decisions(apart=frozenset([tuple(sorted((one["key"], one["twin"])))]))
    assert counts(client)[DECIDED] == 1
    decide(client, one["key"], "keep")  # takes its place
    assert read(place / "decisions.jsonl") == Decisions({one["key"]: True})
    decide(client, one["key"], "drop")
    assert cards(client, DECIDED)[0]["keep"] is False
    decide(client, one["key"], "undo")
    assert read(place / "decisions.jsonl") == Decisions() and not client.get("/api/review").json()["pending"]


def test_what_cant_be_decided_is_refused(client: Client, place: Path) -> None:
    torn, kept = cards(client, "reason unreadable")[0], cards(client, KEPT)[0]
    same = next(card for card in cards(client, COPIES) if not card["copy"])
    for key, what, status, said in (
        (torn["key"], "keep", 400, "no decision brings it back"),
        (kept["key"], "apart", 400, "no other picture's copy"),
        (same["key"], "apart", 400, "the same pixels"), (kept["key"], "burn", 400, "is one of"),
        ("../../etc/passwd", "keep", 404, "no such picture"),
    ):  # fmt: skip
        answer = client.post("/api/review/decisions", {"key": key, "decision": what})
        assert answer.status_code == status and said in answer.json()["error"]
    assert client.post("/api/review/decisions", {"key": kept["key"], "decision": "drop"}, headers={}).status_code == 403
    assert client.post("/api/review/decisions", [1]).status_code == 400
    assert not (place / "decisions.jsonl").exists() and MARK


def test_only_what_was_judged_is_shown(client: Client, place: Path) -> None:
    card = cards(client, "reason blank")[0]
    assert client.get(card["picture"] + "/huge").status_code == 404
    assert client.get("/api/review/pictures/" + "0" * 64 + "/small").status_code == 404
    assert client.get("/api/review/facts/none").status_code == 404
    assert client.get("/api/review/cards", params={"view": "no such"}).status_code == 404
    assert client.get("/api/review/cards", params={"view": KEPT, "page": "x"}).status_code == 400
    path = place / "raw" / "a" / "blank.jpg"
    before = path.read_bytes()
    path.write_bytes(images.encode_jpeg(drawn(9), 90))
    answer = client.get(card["picture"] + "/small")
    path.write_bytes(before)
    assert answer.status_code == 409 and "no longer the file" in answer.json()["error"]


def test_the_facts_of_a_copy_name_its_twin(client: Client) -> None:
    card = next(card for card in cards(client, COPIES) if card["copy"])
    found = client.get(f"/api/review/facts/{card['key']}").json()
    assert found["twin"]["key"] == card["twin"] and client.get(found["twin"]["picture"] + "/large").status_code == 200
    assert dict(found["facts"])["key"] == card["key"] and any(name == "sharpness" for name, _, _ in found["figures"])


def test_decisions_made_at_once_are_all_written(client: Client, place: Path) -> None:
    keys = [card["key"] for view in (KEPT, COPIES) for card in cards(client, view)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda key: Client(client.address).post("/api/review/decisions", {"key": key, "decision": "drop"}), keys
            )
        )
    assert read(place / "decisions.jsonl").keep == dict.fromkeys(keys, False)


def test_the_folder_is_read_again_when_the_filter_ran(gravurekit: Run, tmp_path: Path) -> None:
    raw = filled(tmp_path)
    gravurekit("filter", *QUICK)
    with studio(tmp_path) as client:
        decide(client, raw["small copy"], "apart")
        command = client.get("/api/review").json()["command"].split()
        assert command == ["gravurekit", "filter", "--decisions", "decisions.jsonl"]
        assert raw["small copy"] in reasons(tmp_path / "clean")
        gravurekit(*command[1:], *QUICK)
        found = client.get("/api/review").json()
        assert not found["pending"] and counts(client)[COPIES] == 2
        card = next(card for card in cards(client, KEPT) if card["key"] == raw["small copy"])
        assert card["apart"] == [raw["0"]] and not card["twin"]
        decide(client, raw["small copy"], "undo")
        assert client.get("/api/review").json()["pending"]


def test_the_file_that_the_settings_name_is_used(place: Path, tmp_path: Path) -> None:
    (tmp_path / "gravurekit.toml").write_text(
        f'[paths]\nraw = "{place}/raw"\nclean = "{place}/clean"\ndecisions = "mine.jsonl"\n'
    )
    (tmp_path / "mine.jsonl").write_text('{"key": "x", "keep": true}\n')
    with studio(tmp_path) as client:
        found = client.get("/api/review").json()
        assert (found["file"], found["command"]) == ("mine.jsonl", "gravurekit filter")
        card = cards(client, KEPT)[0]
        decide(client, card["key"], "drop")
        assert read(tmp_path / "mine.jsonl").keep == {"x": True, card["key"]: False}
        (tmp_path / "mine.jsonl").write_text("nonsense\n")
        answer = client.get("/api/review")
        assert answer.status_code == 400 and "mine.jsonl, line 1, is no decision" in answer.json()["error"]


def test_what_lies_elsewhere_isnt_shown(place: Path, tmp_path: Path) -> None:
    """The receipt names a folder that the settings don't."""
    (tmp_path / "gravurekit.toml").write_text(f'[paths]\nclean = "{place}/clean"\n')
    with studio(tmp_path) as client:
        dropped, kept = cards(client, "reason blank")[0], cards(client, KEPT)[0]
        assert not dropped["picture"] and client.get(kept["picture"] + "/small").status_code == 200
        sha256 = next(
            item.sha256 for item in metadata.read_lines(place / "clean" / metadata.DROPPED) if item.reason == "blank"
        )
        assert client.get(f"/api/review/pictures/{sha256}/small").status_code == 404


@pytest.mark.parametrize("there", [False, True])
def test_without_a_filtered_folder_it_says_what_makes_one(there: bool, tmp_path: Path) -> None:
    if there:
        put(tmp_path / "clean", "x.jpg", drawn(3))
    with studio(tmp_path) as client:
        assert client.get("/api/review").json()["views"] == []
        assert client.get("/api/review/cards", params={"view": KEPT}).status_code == 404
        assert client.post("/api/review/decisions", {"key": "a", "decision": "keep"}).status_code == 404
        assert json.loads(client.get("/api/review").text)["folder"] == "clean"
