"""The line of work: whose turn it is, what those who wait are told, what becomes of tasks that end their process."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import line_tasks
import pytest
from workspace import is_alive, until

from gravurekit.errors import PictureError
from gravurekit.studio.line import Line
from gravurekit.studio.refusals import Lost, TooMany
from gravurekit.workers import Limits

Play = Callable[[Line], Awaitable[Any]]


def played(play: Play, size: int = 1, limits: Limits = Limits(60), most: int = 8) -> Any:
    """What comes of a play with a line in it."""

    async def run() -> Any:
        line = Line(size, limits, most)
        try:
            return await play(line)
        finally:
            await line.close()

    return asyncio.run(run())


async def seen(path: Path, word: str) -> None:
    """Wait until a task has written its word down."""
    assert await asyncio.to_thread(until, lambda: path.is_file() and word in path.read_text().split())


def test_tasks_are_done_in_their_order_and_small_ones_first(tmp_path: Path) -> None:
    book, told = tmp_path / "book", {"b": list[int](), "c": list[int]()}

    async def play(line: Line) -> list[str]:
        first = asyncio.create_task(line.do(line_tasks.held, (book, "a")))
        await seen(book, "a")
        slow = [
            asyncio.create_task(line.do(line_tasks.noted, (book, name), told=told[name].append)) for name in ("b", "c")
        ]
        quick = asyncio.create_task(line.do(line_tasks.noted, (book, "q"), quick=True))
        await asyncio.sleep(0)
        (tmp_path / "go").touch()
        return list(await asyncio.gather(first, *slow, quick))

    assert played(play) == ["a", "b", "c", "q"]
    assert book.read_text().split() == ["a", "q", "b", "c"]
    assert told["b"][0] == 0 and told["c"][0] == 1 and told["c"][-1] == 0, "how many are before one"


def test_whoever_goes_away_gives_up_the_turn(tmp_path: Path) -> None:
    book = tmp_path / "book"

    async def play(line: Line) -> int:
        first = asyncio.create_task(line.do(line_tasks.held, (book, "a")))
        await seen(book, "a")
        gone = asyncio.create_task(line.do(line_tasks.noted, (book, "gone")))
        last = asyncio.create_task(line.do(line_tasks.noted, (book, "last")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        waiting = line.waiting
        (tmp_path / "go").touch()
        await asyncio.gather(first, last)
        return waiting

    assert played(play) == 1
    assert book.read_text().split() == ["a", "last"]


def test_more_than_may_wait_are_sent_away(tmp_path: Path) -> None:
    book = tmp_path / "book"

    async def play(line: Line) -> list[Any]:
        first = asyncio.create_task(line.do(line_tasks.held, (book, "a")))
        await seen(book, "a")
        others = [asyncio.create_task(line.do(line_tasks.noted, (book, str(n)))) for n in range(3)]
        await asyncio.sleep(0)
        (tmp_path / "go").touch()
        return list(await asyncio.gather(first, *others, return_exceptions=True))

    done = played(play, most=2)
    assert done[:3] == ["a", "0", "1"] and isinstance(done[3], TooMany) and "2 tasks are waiting" in str(done[3])


@pytest.mark.parametrize(
    ("task", "limits", "said"),
    [
        (line_tasks.killed, Limits(60), "killed the process"),
        (line_tasks.gorged, Limits(60, 1500), "needed more than 1,500 MB"),
        (line_tasks.gorged, Limits(1), "took longer than 1 s"),
    ],
)
def test_a_task_that_ends_its_process_costs_itself_alone(
    tmp_path: Path, task: Callable[[object], Any], limits: Limits, said: str
) -> None:
    async def play(line: Line) -> Any:
        with pytest.raises(Lost, match=said):
            await line.do(task, None)
        return await line.do(line_tasks.noted, (tmp_path / "book", "next"))

    assert played(play, limits=limits) == "next"


def test_errors_are_the_askers() -> None:
    async def play(line: Line) -> None:
        with pytest.raises(PictureError, match="a web page"):
            await line.do(line_tasks.refused, None)

    played(play)


def test_at_the_end_no_process_stays(tmp_path: Path) -> None:
    book = tmp_path / "book"

    async def play(line: Line) -> list[int]:
        pids = await asyncio.gather(*(line.do(line_tasks.process, None) for _ in range(4)))
        busy = asyncio.create_task(line.do(line_tasks.held, (book, "a")))  # is in hand when all ends
        await seen(book, "a")
        waiting = asyncio.create_task(line.do(line_tasks.noted, (book, "never")))
        await asyncio.sleep(0)
        await line.close()
        assert isinstance((await asyncio.gather(busy, return_exceptions=True))[0], Lost | asyncio.CancelledError)
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
        return pids

    pids = played(play, size=2)
    assert not any(is_alive(pid) for pid in pids)
    assert book.read_text().split() == ["a"]
