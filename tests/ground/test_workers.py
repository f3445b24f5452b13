"""Worker processes that die, hang, grow, and say what can't be said: each costs its own task, and is told why."""

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workspace import is_alive, until

from gravurekit.executor import Executor, Local, Outcome, Serial
from gravurekit.workers import TOO_LARGE, Crew, Limits, guarded, resident

KILLED = "killed the process"
ROOM = 300  # MB: more than a process of these tests needs


@pytest.fixture(autouse=True)
def _nobody_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def by_index(outcomes: Iterator[Outcome[Any]]) -> list[Outcome[Any]]:
    return sorted(outcomes, key=lambda outcome: outcome.index)


# ---- deaths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["segfault", "kill", "leave", "leave_as_if_too_large", "abort"])
def test_a_function_that_always_dies_loses_all_its_tasks_and_no_more(way: str, tasks: ModuleType) -> None:
    assert by_index(Local(2).map(getattr(tasks, way), range(3))) == [Outcome(n, None, KILLED) for n in range(3)]


def test_one_that_closes_its_pipe_and_lives_is_ended(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gravurekit.workers.PATIENCE", 0.1)
    assert list(Local(1).map(tasks.shut_all_files, range(1))) == [Outcome(0, None, KILLED)]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(deaths=st.lists(st.booleans(), max_size=9), jobs=st.integers(1, 3))
def test_whichever_tasks_die_the_others_are_done(deaths: list[bool], jobs: int, tasks: ModuleType) -> None:
    numbers = [100 * (n + 1) if dies else n for n, dies in enumerate(deaths)]
    expected = [Outcome(n, None, KILLED) if x >= 100 else Outcome(n, x * x) for n, x in enumerate(numbers)]
    assert by_index(Local(jobs).map(tasks.square_or_die, numbers)) == expected


@pytest.mark.slow
def test_many_deaths_leave_no_open_file(tasks: ModuleType) -> None:
    list(Local(2).map(tasks.kill, range(2)))
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    list(Local(2).map(tasks.kill, range(8)))
    gc.collect()
    assert not before or len(os.listdir("/proc/self/fd")) <= before


def test_one_that_dies_while_it_has_nothing_to_do_costs_no_task(tasks: ModuleType) -> None:
    with Crew(2, Limits()) as crew:
        pids = []
        for n in range(4):
            crew.give(tasks.own_pid, (n, None))
            (answer,) = crew.answers(wait=True)
            assert answer.item[0] == n and not answer.lost
            pids.append(answer.value)
            (worker,) = crew._all
            worker.process.kill()
            worker.process.join()
    assert len(set(pids)) == 4


def test_one_that_dies_while_it_tells_a_large_answer_is_a_death(tasks: ModuleType) -> None:
    with Crew(2, Limits()) as crew:
        crew.give(tasks.killed_while_it_tells, (0, 50_000_000))
        assert not crew.answers(wait=False)
        process = next(iter(crew._all)).process
        process.join()  # it has told 200 kB of it by then
        (answer,) = crew.answers(wait=True)
        assert (answer.lost, answer.value, answer.error) == (KILLED, None, None)
        crew.give(tasks.square, (1, 5))
        assert [answer.value for answer in crew.answers(wait=True)] == [25]


def test_one_that_is_killed_before_it_begins_costs_no_task(tasks: ModuleType) -> None:
    with Crew(2, Limits()) as crew:
        for n in range(2):
            crew.give(tasks.square, (n, n + 2))
        for worker in list(crew._all):
            worker.process.kill()
        found: list[Any] = []
        while len(found) < 2:
            found += crew.answers(wait=True)
    assert sorted(answer.value for answer in found) == [4, 9]


def test_processes_that_cant_begin_are_an_error_and_no_fault_of_the_tasks(tmp_path: Path) -> None:
    """A script without `if __name__ == "__main__"`: each worker would run it, and start workers."""
    (tmp_path / "bare.py").write_text(
        "from gravurekit.executor import Local\nprint(list(Local(2).map(abs, range(200))))\n"
    )
    done = subprocess.run([sys.executable, "bare.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "GravurekitError: 5 worker processes ended before they began" in done.stderr
    assert "__name__ == '__main__'" in done.stderr and not done.stdout


# ---- time and memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["hang", "hang_in_c", "hang_deaf"])
def test_a_task_that_takes_too_long_is_lost_at_once(way: str, tasks: ModuleType) -> None:
    assert list(Local(1, Limits(seconds=0.5)).map(getattr(tasks, way), range(1))) == [
        Outcome(0, None, "took longer than 0.5 s")
    ]


def test_only_those_that_take_too_long_are_lost(tasks: ModuleType) -> None:
    found = by_index(Local(2, Limits(seconds=0.5)).map(tasks.hang_unless_even, range(5)))
    late = "took longer than 0.5 s"
    assert found == [Outcome(n, None, late) if n % 2 else Outcome(n, n * n) for n in range(5)]


@pytest.mark.parametrize("way", ["swell", "swell_in_numpy", "swell_in_c"])
def test_a_task_that_needs_too_much_memory_is_lost(way: str, tasks: ModuleType) -> None:
    found = list(Local(1, Limits(megabytes=ROOM)).map(getattr(tasks, way), range(1)))
    assert found == [Outcome(0, None, "needed more than 300 MB of memory")]


@pytest.mark.slow
def test_only_those_that_need_too_much_memory_are_lost(tasks: ModuleType) -> None:
    found = by_index(Local(2, Limits(megabytes=ROOM)).map(tasks.swell_if_odd, range(4)))
    large = "needed more than 300 MB of memory"
    assert found == [Outcome(n, None, large) if n % 2 else Outcome(n, n * n) for n in range(4)]


@pytest.mark.slow
def test_what_a_process_kept_of_earlier_tasks_loses_none(tasks: ModuleType) -> None:
    """Each runs once more in a new process, whoever had it first."""
    found = by_index(Local(1, Limits(megabytes=ROOM)).map(tasks.keep_much, range(4)))
    assert found == [Outcome(n, n) for n in range(4)]


def test_a_limit_holds_outside_of_the_main_thread_too(tasks: ModuleType) -> None:
    """Somebody else's processes may do their tasks in any thread."""
    code = (
        "import sys, threading; from gravurekit.workers import *; import worker_tasks as tasks\n"
        "one = threading.Thread(target=guarded, args=(tasks.hang, 0, Limits(0.2)))\none.start(); one.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(tasks.__file__).parent, check=False)
    assert Limits(0.2).why(done.returncode) == "took longer than 0.2 s"


def test_what_is_done_in_time_is_disturbed_by_nothing_afterwards() -> None:
    before = signal.getsignal(signal.SIGALRM)
    try:
        assert guarded(abs, -3, Limits(0.2, 100_000)) == 3
        threading.Event().wait(0.4)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_why_a_process_ended_is_told_only_of_limits_that_there_are() -> None:
    limits = Limits(1800, 4000)
    assert limits.why(-signal.SIGALRM) == "took longer than 1800 s"
    assert limits.why(TOO_LARGE) == "needed more than 4,000 MB of memory"
    assert {limits.why(code) for code in (None, 0, 1, -9, -11)} == {KILLED}
    assert {Limits().why(code) for code in (-signal.SIGALRM, TOO_LARGE)} == {KILLED}


def test_the_memory_of_a_process_that_is_gone_is_none() -> None:
    assert resident() > 10_000_000 and resident(2**22 + 1) == 0


# ---- what travels --------------------------------------------------------------------------------------


def test_a_result_of_200_mb_comes_whole(tasks: ModuleType) -> None:
    (found,) = Local(1).map(tasks.bytes_of, [200_000_000])
    assert found.value == b"x" * 200_000_000


@pytest.mark.parametrize("jobs", [1, 2])
def test_tasks_larger_than_a_pipe_get_through(jobs: int, tasks: ModuleType) -> None:
    sizes = [0, 1, 65_536, 262_144, 5_000_000, 1, 3_000_000, 5_000_000]
    found = by_index(Local(jobs).map(tasks.length, (b"x" * size for size in sizes)))
    assert [outcome.value for outcome in found] == sizes


@pytest.mark.parametrize(("way", "kind", "said"), [
    ("raise_unpackable", RuntimeError, "Unpackable: .*it can't travel"),
    ("raise_half_packable", RuntimeError, "HalfPackable: 1 and 2"),
    ("lock", RuntimeError, "what came of a task can't be handed over: TypeError.*lock"),
    ("surprise", RuntimeError, "what came of a task can't be read: ValueError.*no number"),
    ("leave_by_the_front_door", SystemExit, "7"),
])  # fmt: skip
def test_what_cant_travel_is_an_error_of_the_callers_and_no_death(
    way: str, kind: type[BaseException], said: str, tasks: ModuleType
) -> None:
    with pytest.raises(kind, match=said):
        list(Local(2).map(getattr(tasks, way), range(3)))


def test_an_error_says_where_it_was_raised(tasks: ModuleType) -> None:
    with pytest.raises(ValueError, match="seven") as caught:
        list(Local(1).map(tasks.refuse_seven, [7]))
    assert "worker_tasks.py" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("function", [lambda task: task, threading.Lock().__enter__], ids=["lambda", "of a lock"])
def test_a_function_that_cant_travel_is_an_error(function: Any) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        list(Local(2).map(function, range(3)))


def test_a_function_that_a_worker_doesnt_find_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone_by_then.py").write_text("def work(task):\n    return task\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_by_then  # type: ignore[import-not-found]

    (tmp_path / "gone_by_then.py").unlink()
    with pytest.raises(ModuleNotFoundError, match="gone_by_then"):
        list(Local(2).map(gone_by_then.work, range(3)))


# ---- from one map to the next -----------------------------------------------------------------------------


def test_processes_stay_for_the_next_map_and_go_with_their_executor(tasks: ModuleType) -> None:
    executor = Local(1)
    pids = {outcome.value for _ in range(3) for outcome in executor.map(tasks.own_pid, range(3))}
    assert len(pids) == 1 and len(multiprocessing.active_children()) == 1
    del executor
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_they_go_when_they_arent_needed_and_others_come(tasks: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text(
        f"import multiprocessing, sys\nsys.path[:0] = {[*map(str, shared_with(tasks))]!r}\n"
        "import worker_tasks as tasks\nfrom gravurekit import workers\nfrom gravurekit.executor import Local\n"
        "from workspace import until\n"
        "workers.REST = 0.1\n"
        "if __name__ == '__main__':\n"
        "    executor, pids = Local(1), set()\n"
        "    for _ in range(3):\n"
        "        pids |= {outcome.value for outcome in executor.map(tasks.own_pid, range(2))}\n"
        "        assert until(lambda: not multiprocessing.active_children())\n"
        "    assert len(pids) >= 3\n"
    )
    done = subprocess.run([sys.executable, "short.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def shared_with(tasks: ModuleType) -> tuple[Path, Path]:
    """Where what tests share lies."""
    here = Path(tasks.__file__ or "").parent
    return here, here.parent


def test_a_map_within_a_map_has_processes_of_its_own(tasks: ModuleType) -> None:
    executor, found = Local(2), []
    for outer in executor.map(tasks.square, range(4)):
        found += [inner.value for inner in executor.map(tasks.square, [outer.value])]
    assert sorted(found) == [0, 1, 16, 81] and len(multiprocessing.active_children()) <= 2
    del executor


def test_they_work_where_their_caller_is(tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Local(1)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert [outcome.value for outcome in executor.map(tasks.where, [0])] == [str(tmp_path / name)]
    del executor


# ---- tasks that come ------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 3])
def test_tasks_are_asked_for_only_as_workers_get_free(jobs: int, tasks: ModuleType) -> None:
    asked, given_out = 0, 0

    def coming() -> Iterator[int]:
        nonlocal asked
        for number in range(60):
            asked += 1
            yield number

    for _ in Local(jobs).map(tasks.square, coming()):
        given_out += 1
        assert asked - given_out <= jobs  # those in hand, and those answered that are given out next
    assert asked == given_out == 60


def slowly(count: int) -> Iterator[int | None]:
    """Two Nones before each task, and some at the end."""
    for number in range(count):
        yield from (None, None, number)
    yield from (None, None)


@pytest.mark.parametrize("executor", [Serial, *(partial(Local, n) for n in (1, 2, 3))], ids=["serial", "1", "2", "3"])
def test_tasks_that_come_slowly_are_numbered_as_they_come(executor: Callable[[], Executor], tasks: ModuleType) -> None:
    assert by_index(executor().map(tasks.square, slowly(7))) == [Outcome(n, n * n) for n in range(7)]


def test_what_is_done_is_given_out_while_no_task_comes(tasks: ModuleType) -> None:
    done: list[int] = []

    def coming() -> Iterator[int | None]:
        yield 3
        while not done:  # without an end, were nothing given out meanwhile
            yield None
        yield 4

    for outcome in Local(2).map(tasks.square, coming()):
        done.append(outcome.value or 0)
    assert done == [9, 16]


def test_an_error_of_the_tasks_themselves_is_the_callers(tasks: ModuleType) -> None:
    def coming() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(Local(2).map(tasks.square, coming()))


def test_an_error_of_the_listener_leaves_nobody(tasks: ModuleType) -> None:
    with pytest.raises(KeyError):
        for outcome in Local(2).map(tasks.square, range(50)):
            raise KeyError(outcome)


def test_the_parent_doesnt_grow_with_the_number_of_tasks(tasks: ModuleType) -> None:
    def most(count: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for outcome in Local(2).map(tasks.length, (b"x" * 10_000 for _ in range(count))):
            assert outcome.value == 10_000
        return tracemalloc.get_traced_memory()[1] - before

    most(10)
    tracemalloc.start()
    try:
        few, many = most(50), most(1000)
    finally:
        tracemalloc.stop()
    assert many < few + 200_000  # all of them are ten million


# ---- Ctrl-C, and a parent that is killed ----------------------------------------------------------------


RUN = """
import multiprocessing, sys, threading
sys.path.insert(0, {tasks!r})
import worker_tasks
from gravurekit import cli
from gravurekit.executor import Local

def app():
    for _ in Local(2).map(worker_tasks.note_and_wait, [{place!r}] * 4):
        pass

if __name__ == "__main__":
    cli.app = app
    cli.main()
"""


@pytest.fixture
def at_work(tmp_path: Path, tasks: ModuleType) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A program of ours whose two workers are in the middle of a library's call, and their pids."""
    place = tmp_path / "pids"
    place.mkdir()
    script = tmp_path / "run.py"
    script.write_text(RUN.format(tasks=str(Path(tasks.__file__).parent), place=str(place)))
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.PIPE, text=True)
    try:
        assert until(lambda: len(list(place.iterdir())) == 2)
        yield process, [int(path.name) for path in place.iterdir()]
    finally:
        process.kill()
        process.communicate()


def all_gone(pids: list[int]) -> bool:
    return until(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize("whole_group", [False, True], ids=["the parent", "the group"])
def test_ctrl_c_ends_workers_in_the_middle_of_a_call(
    at_work: tuple[subprocess.Popen[str], list[int]], whole_group: bool
) -> None:
    process, pids = at_work
    (partial(os.killpg, process.pid) if whole_group else process.send_signal)(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Traceback" not in said
    assert all_gone(pids)


def test_a_killed_parent_leaves_no_orphan_in_the_middle_of_a_call(
    at_work: tuple[subprocess.Popen[str], list[int]],
) -> None:
    if sys.platform != "linux":
        pytest.skip("where the system can't end them, they end after the call")
    process, pids = at_work
    process.kill()
    assert all_gone(pids)


def test_workers_that_begin_hear_nothing_of_ctrl_c(tmp_path: Path, tasks: ModuleType) -> None:
    """Ctrl-C for the whole group while processes start, again and again: nobody says a word."""
    (tmp_path / "run.py").write_text(
        f"import os, signal, sys\nsys.path.insert(0, {str(Path(tasks.__file__).parent)!r})\n"
        "import worker_tasks\nfrom gravurekit.executor import Local\n"
        "if __name__ == '__main__':\n"
        "    came = []\n"
        "    signal.signal(signal.SIGINT, lambda *what: came.append(what))\n"
        "    print('ready', flush=True)\n"
        "    while len(came) < 8:\n"
        "        assert [one.value for one in Local(2).map(worker_tasks.square, [3, 3])] == [9, 9]\n"
    )
    process = subprocess.Popen(
        [sys.executable, "run.py"], cwd=tmp_path, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    pause = threading.Event()
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        pause.wait(0.03)  # a process takes longer to begin
    _, said = process.communicate()
    # the program itself may be told while Python lets go of its handlers
    assert process.returncode in (0, -signal.SIGINT) and "worker" not in said and "spawn" not in said
