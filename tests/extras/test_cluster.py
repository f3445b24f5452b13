"""Ray: the same outcomes as in processes of this machine, and the same bytes, whatever happens to workers and nodes."""

import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import cluster_tasks
import pytest
from cluster_tasks import Nodes, members, outcomes
from workspace import digests, patchwork, until

from gravurekit import joining, sight
from gravurekit.cluster import Ray
from gravurekit.errors import MissingExtra, UsageError
from gravurekit.executor import Local, Outcome
from gravurekit.workers import SURROUNDINGS, Limits

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of other people's packages
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc"),
]
PROGRAM = [sys.executable, "-m", "gravurekit"]


# ---- a cluster on this machine: outcomes ---------------------------------------------------------------


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parents[1] / "ground"))
    yield importlib.import_module("worker_tasks")
    sys.path.pop(0)


@pytest.fixture(scope="module")
def own(tasks: ModuleType) -> Iterator[Ray]:
    yield Ray("", 2)
    joining.leave()


@pytest.mark.parametrize("count", [13, 0, 1])
def test_outcomes_are_those_of_the_tasks(count: int, own: Ray, tasks: ModuleType) -> None:
    assert outcomes(own.map(tasks.square, range(count))) == outcomes(Local(2).map(tasks.square, range(count)))


@pytest.mark.parametrize("numbers", [[1, 2, 100, 3, 4, 200, 5, 6], [100, 200], [200]])
def test_a_task_that_kills_its_process_costs_only_itself(numbers: list[int], own: Ray, tasks: ModuleType) -> None:
    found = outcomes(own.map(tasks.square_or_die, numbers))
    assert found == outcomes(Local(2).map(tasks.square_or_die, numbers))
    assert {lost for _, value, lost in found if value is None} == {"killed the process"}


def test_an_exception_of_the_function_is_the_callers(own: Ray, tasks: ModuleType) -> None:
    with pytest.raises(ValueError, match="seven is refused") as caught:
        list(own.map(tasks.refuse_seven, range(30)))
    assert type(caught.value) is ValueError
    with pytest.raises(MissingExtra, match=r"pip install 'gravurekit\[styles\]'"):
        list(own.map(tasks.need_an_extra, range(5)))


def test_whoever_stops_listening_stops_the_work(own: Ray, tasks: ModuleType, tmp_path: Path) -> None:
    listening = own.map(cluster_tasks.misbehave, [(str(tmp_path), "hang", n) for n in (1, 10, 11, 12)])
    assert next(listening).value == 1
    listening.close()  # type: ignore[attr-defined]
    assert outcomes(own.map(tasks.square, range(3))) == [(0, 0, ""), (1, 1, ""), (2, 4, "")]


@pytest.mark.parametrize(
    ("word", "limits", "why", "tries"),
    [
        ("crash", Limits(), "killed the process", 2),
        ("hang", Limits(seconds=1), "took longer than 1 s", 1),
        ("grow", Limits(megabytes=300), "needed more than 300 MB of memory", 2),
        ("kill the worker", Limits(), "", 2),
    ],
)
def test_one_that_takes_too_much_says_so(
    word: str, limits: Limits, why: str, tries: int, own: Ray, tmp_path: Path
) -> None:
    given = [(str(tmp_path), word, number) for number in (1, 2, 11, 3)]
    found = outcomes(Ray("", 2, limits).map(cluster_tasks.misbehave, given))
    assert found == [(0, 1, ""), (1, 4, ""), (2, None if why else 121, why), (3, 9, "")]
    assert len(list(tmp_path.glob("11.*"))) == tries


def test_a_large_result_comes_and_may_be_written_to(own: Ray) -> None:
    (outcome,) = own.map(cluster_tasks.large, [200])
    outcome.value[-1] = 1
    assert len(outcome.value) == 200_000_000


def test_workers_are_where_the_command_was_given(own: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path, Path(__file__).parent):
        monkeypatch.chdir(place)
        assert {outcome.value[0] for outcome in own.map(cluster_tasks.where, range(4))} == {str(place)}
    assert next(own.map(cluster_tasks.where, [0])).value[1] == list(SURROUNDINGS.values())


def test_what_is_finished_is_given_out_while_there_is_no_task_yet(own: Ray, tasks: ModuleType) -> None:
    heard: list[Outcome] = []

    def coming() -> Iterator[int | None]:
        yield 3
        while not heard:
            yield None
        yield 4

    for outcome in own.map(tasks.square, coming()):
        heard.append(outcome)
    assert [outcome.value for outcome in heard] == [9, 16]


def test_tasks_are_asked_for_as_room_gets_free(own: Ray, tasks: ModuleType) -> None:
    asked = []
    listening = own.map(tasks.square, (asked.append(n) or n for n in range(100)))  # type: ignore[func-returns-value]
    next(listening)
    assert len(asked) <= 8
    assert len(list(listening)) == 99


# ---- what can't be joined ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:9", "doesn't answer"),
        ("nowhere.invalid:6379", "doesn't answer"),
        ("ray://127.0.0.1:10001", "Ray Client isn't supported"),
        ("somewhere", "neither HOST:PORT nor auto"),
    ],
)
def test_what_cant_be_joined_is_told_at_once(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        joining._ask(address)


def test_one_that_listens_but_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "ANSWER", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UsageError, match="doesn't answer"):
        joining._ask(f"127.0.0.1:{server.getsockname()[1]}")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"gravurekit\[ray\]"):
        list(Ray("", 1).map(abs, [1]))


# ---- commands on a cluster of this machine that are ended ----------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, and under whole/ what each verb makes of them with --executor local."""
    place = tmp_path_factory.mktemp("place")
    patchwork(place / "photos", 150)
    for verb in VERBS:
        assert run(place, verb, f"whole/{verb}", "--executor", "local").returncode == 0
    return place


VERBS = {
    "crawl": ("crawl", "kaftan", "red dress", "--source", "sample", "--per-keyword", "14", "--out"),
    "filter": ("filter", "photos", "--skip", "too_small", "--relevance", "none"),
    "stylize": ("stylize", "photos", "--short-side", "64", "--style", "cartoon"),
    "shard": ("shard", "whole/stylize", "--size", "64"),
}


def words(place: Path, verb: str, out: str, *further: str) -> list[str]:
    return [*PROGRAM, "-C", str(place), *VERBS[verb], out, *further, "--quiet"]


def run(place: Path, verb: str, out: str, *further: str, **options: object) -> subprocess.CompletedProcess:
    command = words(place, verb, out, *further)
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **options)


def results(out: Path) -> dict[str, str]:
    return digests(out, but=("journal.jsonl",))


def belonging_to(mark: str) -> list[int]:
    """The processes that inherited this from whoever started them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            ours = mark.encode() in path.read_bytes()
            alive = (path.parent / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            continue
        if ours and alive:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    "signals", [[signal.SIGKILL], [signal.SIGINT], [signal.SIGINT] * 2], ids=["kill", "^C", "^C^C"]
)
def test_ended_it_leaves_nobody_behind_and_goes_on_to_the_same_bytes(signals: list[int], place: Path) -> None:
    out, mark = place / f"ended{len(signals)}{signals[0]}", uuid.uuid4().hex
    command = words(place, "stylize", out.name, "--executor", "ray", "--jobs", "2")
    environment = os.environ | {"MARK": mark}
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, env=environment, text=True)
    assert until(lambda: process.poll() is not None or list(out.glob("parts/*/*.*")))
    for number in signals:
        (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGKILL, 0) and "Traceback" not in said
    # Ray's agents try for a minute to tell their head, which is gone, that all is over
    assert until(lambda: not belonging_to(mark), within=180), belonging_to(mark)
    again = run(place, "stylize", out.name, "--executor", "ray", "--jobs", "2")
    assert again.returncode == 0 and again.stderr == ""
    assert results(out) == results(place / "whole" / "stylize")


# ---- several nodes, two of them with clocks that are a day wrong, and a token -------------------------


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("nodes"))
    try:
        nodes.start()
        nodes.add(clock=86400)
        nodes.add(clock=-86400)
        yield nodes
    finally:
        nodes.stop()


@pytest.mark.parametrize("verb", VERBS)
def test_a_stage_makes_the_same_bytes_on_several_nodes(verb: str, nodes: Nodes, place: Path) -> None:
    on = ("--executor", "ray", "--ray-address", nodes.address)
    done = run(place, verb, f"spread/{verb}", *on, env=nodes.environment())
    assert (done.returncode, done.stderr) == (0, "")
    out = place / "spread" / verb
    assert results(out) == results(place / "whole" / verb)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert run(place, verb, f"spread/{verb}", *on, env=nodes.environment()).returncode == 0
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


@pytest.mark.parametrize(
    "further", [{"RAY_AUTH_TOKEN": "another"}, {"RAY_AUTH_TOKEN": ""}, {"RAY_AUTH_MODE": "disabled"}]
)
def test_without_its_token_a_cluster_refuses(
    further: dict[str, str], nodes: Nodes, place: Path, tmp_path: Path
) -> None:
    environment = nodes.environment(HOME=str(tmp_path), **further)
    done = run(place, "stylize", "refused", "--executor", "ray", "--ray-address", nodes.address, env=environment)
    assert done.returncode == 2 and "RAY_AUTH_TOKEN_PATH" in done.stderr and "Traceback" not in done.stderr
    assert not list((place / "refused").glob("images/*"))


SCRIPT = """
import sys, pathlib
import cluster_tasks
from gravurekit.cluster import Ray
from gravurekit.errors import UsageError
folder, address = sys.argv[1:]
ray = Ray(address, 3)
ray.reach(pathlib.Path(folder), [])
tasks = [(folder + "/go", n) for n in range(12)]
try:
    print(cluster_tasks.outcomes(ray.map(cluster_tasks.wait_for_file, tasks)))
except UsageError as error:
    print(error)
"""


@contextmanager
def waiting(nodes: Nodes, folder: Path, count: int) -> Iterator[subprocess.Popen]:
    """A program whose tasks wait for `folder`/go, of which `count` are under way."""
    command = [sys.executable, "-c", SCRIPT, str(folder), nodes.address]
    with subprocess.Popen(command, env=nodes.environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert until(lambda: process.poll() is not None or len(list(folder.glob("*.0"))) == count)
            yield process
        finally:
            process.kill()


def test_killed_the_program_leaves_no_task_on_a_cluster_it_joined(nodes: Nodes, tmp_path: Path) -> None:
    with waiting(nodes, tmp_path, 2) as process:
        at_work = [pid for node in nodes.processes for pid in members(node.pid) if is_ours(pid)]
        assert len(at_work) == 2
        process.kill()
    assert until(lambda: not [pid for pid in at_work if Path(f"/proc/{pid}").exists()])


def test_a_node_that_fails_costs_no_task(nodes: Nodes, tmp_path: Path) -> None:
    third = nodes.add()
    with waiting(nodes, tmp_path, 3) as process:
        nodes.kill(third)
        (tmp_path / "go").touch()
        said, _ = process.communicate(timeout=60)
    assert said.strip() == str([(n, n, "") for n in range(12)])
    assert len(list(tmp_path.glob("*.1"))) == 1 and not list(tmp_path.glob(".*"))


ELSEWHERE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']


def test_a_node_that_sees_another_folder_is_refused(nodes: Nodes, place: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "disk"
    theirs.mkdir()
    if not shutil.which("unshare") or subprocess.run([*ELSEWHERE, str(theirs), "true"], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    with waiting(nodes, theirs, 2) as process:  # the node joins later
        stranger = nodes.add(inside=[*ELSEWHERE, str(theirs)])
        said, _ = process.communicate(timeout=60)
    assert f"it sees another folder as {theirs}" in said
    on = ("--executor", "ray", "--ray-address", nodes.address)
    done = run(place, "stylize", str(theirs / "out"), *on, env=nodes.environment())
    assert done.returncode == 2 and f"it doesn't see {theirs / 'out'}" in done.stderr
    assert done.stderr.count("  node ") == 1 and "storage that all nodes share" in done.stderr
    nodes.kill(stranger)


def is_ours(pid: int) -> bool:
    """Whether it is a process of ours that does tasks."""
    try:
        return b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# ---- what a machine sees -------------------------------------------------------------------------------


def test_a_machine_that_sees_the_same_has_no_faults(tmp_path: Path) -> None:
    patchwork(tmp_path / "photos", 2)
    sign = sight.sign_of(tmp_path / "out", [tmp_path / "photos", tmp_path / "missing"])
    with sight.put_up(sign):
        assert sight.faults(sign, 0, 0) == []
    assert list((tmp_path / "out").iterdir()) == []
    assert sight.faults(sign, 0, 0) == [f"sees another folder as {tmp_path / 'out'}"]


def test_what_a_machine_sees_late_is_waited_for(tmp_path: Path) -> None:
    sign = sight.sign_of(tmp_path, [])
    appears = threading.Timer(0.3, sight.write_token, (tmp_path, sign.token))
    appears.start()
    assert sight.faults(sign) == []
    appears.join()


@pytest.mark.parametrize("change", ["more", "larger", "gone"])
def test_a_folder_that_holds_something_else_is_another(change: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    patchwork(photos, 3)
    before = sight.fingerprint(photos)
    (photos / ".hidden").touch()
    assert sight.fingerprint(photos) == before
    if change == "more":
        (photos / "more").touch()
    elif change == "larger":
        (photos / "1.png").write_bytes(b"")
    else:
        shutil.rmtree(photos)
    assert sight.fingerprint(photos) != before
    shown = sight.Sign(None, "", ((photos, before),), ())
    seen = "doesn't see" if change == "gone" else "sees another folder as"
    assert sight.faults(shown, stale=0) == [f"{seen} {photos}"]


def test_a_machine_with_other_packages_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = sight.sign_of(None, [])
    monkeypatch.setattr(sight, "versions", lambda: (("gravurekit", "0.0.1"),))
    assert any("has gravurekit 0.0.1, here it is" in fault for fault in sight.faults(sign))


def test_the_clusters_of_the_docs_are_rays() -> None:
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        validate_config(prepare_config(yaml.safe_load(block)))
