"""The same outcomes whichever executor and however many workers; a death costs only its own task."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gravurekit.errors import MissingExtra
from gravurekit.executor import Local, Outcome, Serial, make_executor
from gravurekit.workers import ONE_THREAD


def by_index(outcomes: object) -> list[Outcome[int]]:
    return sorted(outcomes, key=lambda outcome: outcome.index)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("name", "jobs", "count"),
    [("serial", 0, 13), *(("local", n, 13) for n in (1, 2, 3)), ("serial", 0, 0), ("local", 2, 0), ("local", 2, 1)],
)
def test_outcomes_are_those_of_the_tasks(name: str, jobs: int, count: int, tasks: ModuleType) -> None:
    executor = make_executor(name, jobs)
    assert by_index(executor.map(tasks.square, range(count))) == [Outcome(n, n * n) for n in range(count)]


@pytest.mark.parametrize(
    ("jobs", "numbers"),
    [(1, [1, 100, 3]), (3, [1, 2, 100, 3, 4, 200, 5, 6]), (2, [100, 200]), (2, [200])],
    ids=["one worker", "two of eight", "nothing but deaths", "a single task"],
)
def test_a_task_that_kills_its_process_costs_only_itself(jobs: int, numbers: list[int], tasks: ModuleType) -> None:
    found = by_index(Local(jobs).map(tasks.square_or_die, numbers))
    expected = [
        Outcome(n, None, "killed the process") if x >= 100 else Outcome(n, x * x) for n, x in enumerate(numbers)
    ]
    assert found == expected
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("name", ["serial", "local"])
def test_an_exception_of_the_function_is_the_callers(name: str, tasks: ModuleType) -> None:
    with pytest.raises(ValueError, match="seven is refused"):
        list(make_executor(name, 2).map(tasks.refuse_seven, range(30)))
    assert multiprocessing.active_children() == []


def test_an_exception_with_arguments_of_its_own_is_no_death(tasks: ModuleType) -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'gravurekit\[styles\]'"):
        list(Local(2).map(tasks.need_an_extra, range(5)))
    assert multiprocessing.active_children() == []


def test_whoever_stops_listening_leaves_no_process_behind(tasks: ModuleType) -> None:
    outcomes = Local(2).map(tasks.square, range(50))
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("name", "jobs", "expected"),
    [("serial", 8, Serial), ("local", 1, Local), ("local", 2, Local)],
)
def test_an_executor_is_made_by_its_name(name: str, jobs: int, expected: type) -> None:
    assert type(make_executor(name, jobs)) is expected


def test_no_number_of_jobs_means_one_a_core_that_we_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    executor = make_executor("local", 0)
    assert isinstance(executor, Local) and executor.jobs == 5


def surroundings(_: int) -> list[str | None]:
    return [os.environ.get(name) for name in ONE_THREAD]


def test_libraries_of_workers_keep_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ONE_THREAD[0], "7")
    monkeypatch.delenv(ONE_THREAD[1], raising=False)
    assert [outcome.value for outcome in Local(2).map(surroundings, range(2))] == [["1"] * len(ONE_THREAD)] * 2
    assert os.environ[ONE_THREAD[0]] == "7" and ONE_THREAD[1] not in os.environ


def test_a_script_that_comes_through_a_pipe_has_workers_too(tmp_path: Path) -> None:
    script = "from gravurekit.executor import Local\nprint([one.value for one in Local(1).map(abs, [-2, 3])])\n"
    done = subprocess.run([sys.executable], cwd=tmp_path, input=script, capture_output=True, text=True, check=False)
    assert done.stdout == "[2, 3]\n", done.stderr


def test_more_processes_than_the_system_lets_us_have_are_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(
        "import resource\nfrom gravurekit.executor import Local\n"
        "if __name__ == '__main__':\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))\n"
        "    list(Local(40).map(abs, range(200)))\n"
    )
    done = subprocess.run([sys.executable, "many.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "GravurekitError: can't start worker process number" in done.stderr, done.stderr
    assert "Too many open files): give fewer --jobs" in done.stderr
