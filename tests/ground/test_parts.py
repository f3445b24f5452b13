"""Work in parts: a kill costs the tasks in hand, and the lines come in the order of the items."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gravurekit import parts
from gravurekit.executor import Executor, Local, Serial, make_executor
from gravurekit.progress import SILENT, Silent


@pytest.fixture
def run(tmp_path: Path, tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`run(items, …)` with output in `out/` and a note of each call in `calls/`."""
    (tmp_path / "calls").mkdir()
    monkeypatch.setattr(parts, "LEAST_TASKS", 1)

    def ran(
        items: list[str],
        executor: Executor | None = None,
        plan: str = "plan",
        function: Any = None,
        watch: Any = SILENT,
    ) -> list[str]:
        work = parts.Work(function or tasks.noted, tasks.quarantined, str(tmp_path / "calls"))
        return parts.run(tmp_path / "out", "look", plan, items, work, executor or Serial(), watch)

    return ran


def called(tmp_path: Path) -> list[str]:
    """The parts that were worked on, sorted; the notes are cleared."""
    notes = sorted((tmp_path / "calls").iterdir())
    for note in notes:
        note.unlink()
    return [note.name.split(".")[0] for note in notes]


def names(count: int) -> list[str]:
    return [f"item {n} ı" for n in range(count)]


@pytest.mark.parametrize("name", ["serial", "local"])
def test_lines_come_in_the_order_of_the_items(name: str, run: Callable, tmp_path: Path) -> None:
    assert run(names(130), make_executor(name, 2)) == [f"{name}!" for name in names(130)]
    assert called(tmp_path) == ["00000", "00001", "00002"]


@pytest.mark.parametrize(("count", "parts_made"), [(1, 1), (20, 20), (33, 17), (2048, 32), (2049, 33), (6400, 100)])
def test_few_items_make_small_tasks(
    count: int, parts_made: int, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "LEAST_TASKS", 32)
    assert run(names(count)) == [f"{name}!" for name in names(count)]
    assert len(called(tmp_path)) == parts_made


def test_no_items_give_no_lines(run: Callable) -> None:
    assert run([]) == []


def test_finished_parts_are_not_done_again(run: Callable, tmp_path: Path) -> None:
    run(names(130))
    called(tmp_path)
    (tmp_path / "out" / "parts" / "look" / "00001.jsonl").unlink()
    assert run(names(130)) == [f"{name}!" for name in names(130)]
    assert called(tmp_path) == ["00001"]


def test_a_run_that_was_stopped_goes_on_from_there(run: Callable, tmp_path: Path, tasks: ModuleType) -> None:
    def stop_at_the_second(items: list[str], context: Any, stem: Path) -> list[str]:
        if stem.name == "00001":
            raise KeyboardInterrupt
        return tasks.noted(items, context, stem)

    with pytest.raises(KeyboardInterrupt):
        run(names(130), function=stop_at_the_second)
    assert called(tmp_path) == ["00000"]
    assert run(names(130)) == [f"{name}!" for name in names(130)]
    assert called(tmp_path) == ["00001", "00002"]


def test_parts_of_another_plan_are_thrown_away(run: Callable, tmp_path: Path) -> None:
    run(names(70))
    called(tmp_path)
    stale = tmp_path / "out" / "parts" / "look" / "00001-03.jsonl"
    stale.write_text("of a death long ago\n")
    assert run(names(65), plan="another") == [f"{name}!" for name in names(65)]
    assert called(tmp_path) == ["00000", "00001"] and not stale.exists()


def test_one_poisonous_item_is_quarantined_alone(run: Callable, tasks: ModuleType) -> None:
    items = names(68)
    items[66] = "poison"
    expected = [f"{name}!" for name in items]
    expected[66] = "poison killed the process"
    assert run(items, Local(2), function=tasks.noted_or_die) == expected


def test_the_watch_is_told_of_every_item_once(run: Callable, tmp_path: Path) -> None:
    told: list[tuple[str, Any]] = []

    class Watcher(Silent):
        def begin(self, what: str, total: int | None) -> None:
            told.append((what, total))

        def advance(self, units: int = 1) -> None:
            told.append(("advance", units))

    run(names(130))
    (tmp_path / "out" / "parts" / "look" / "00002.jsonl").unlink()
    run(names(130), watch=Watcher())
    assert told == [("look", 130), ("advance", 128), ("advance", 2)]
