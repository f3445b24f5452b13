"""The feed: every batch in order and whole whichever way it comes, errors where they belong, and no thread left."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from workspace import until

from gravurekit.errors import DataError, TrainingError
from gravurekit.model import feed as feeds
from gravurekit.model.batches import Samples, prove
from gravurekit.model.feed import Feed

CPU = torch.device("cpu")
Arrays = dict[str, np.ndarray]


class Numbered:
    """Samples that are full of their number. `before` is called with the numbers before they are read."""

    def __init__(self, count: int = 20, before: Callable[[np.ndarray], Any] = lambda indices: None) -> None:
        self.count, self.before = count, before
        self.read: list[list[int]] = []
        self.made: list[Arrays] = []

    def __len__(self) -> int:
        return self.count

    def buffers(self, count: int) -> Arrays:
        shapes = {"L": (1, 8, 8), "ab": (2, 8, 8)}
        arrays: Arrays = {name: np.zeros((count, *shape), np.uint8) for name, shape in shapes.items()}
        arrays |= {"label": np.zeros(count, np.int64), "box": np.zeros((count, 4), np.int64)}
        self.made.append(arrays)
        return arrays

    def batch(self, indices: np.ndarray, out: Arrays | None = None) -> Arrays:
        self.read.append(indices.tolist())
        self.before(indices)
        arrays = {name: array[: len(indices)] for name, array in (out or self.buffers(len(indices))).items()}
        for array in arrays.values():
            array[...] = indices.reshape(-1, *[1] * (array.ndim - 1))
        return arrays


class LateCopier:
    """A device whose copies happen as late as they may: when somebody waits for them, or uses what they bring."""

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        return torch.from_numpy(np.zeros(shape, dtype))

    def begin(self, host: dict[str, Tensor]) -> tuple[dict[str, Tensor], Any]:
        device = {name: torch.full_like(tensor, 99) for name, tensor in host.items()}
        return device, [host, device]

    def wait(self, mark: Any) -> None:
        while mark:
            device, host = mark.pop(), mark.pop()
            for name, tensor in host.items():
                device[name].copy_(tensor)

    def use(self, tensors: dict[str, Tensor], mark: Any) -> None:
        self.wait(mark)


def pinned(patch: pytest.MonkeyPatch) -> torch.device:
    """Make feeds take the way of CUDA, without one."""
    patch.setattr(feeds, "_ring", lambda samples, device, *rest: feeds.PinnedRing(samples, *rest, copier=LateCopier()))
    return CPU


def resident(patch: pytest.MonkeyPatch) -> torch.device:
    patch.setattr(feeds, "free_memory", lambda device: 10**9)
    patch.setattr(feeds, "CHUNK", 7)
    return CPU


def cuda(patch: pytest.MonkeyPatch) -> torch.device:
    return torch.device("cuda") if torch.cuda.is_available() else pytest.skip("no CUDA device here")


def cuda_pinned(patch: pytest.MonkeyPatch) -> torch.device:
    patch.setattr(feeds, "SHARE", 0)
    return cuda(patch)


WAYS: dict[str, Callable[[pytest.MonkeyPatch], torch.device]] = {
    "read ahead": lambda patch: CPU, "pinned": pinned, "resident": resident, "cuda resident": cuda,
    "cuda pinned": cuda_pinned,
}  # fmt: skip
BATCHES = [[3, 1, 4, 1], [5, 9, 2, 6], [19], [0, 0, 7, 18]] * 3


def batches() -> Iterator[np.ndarray]:
    return (np.array(batch) for batch in BATCHES)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


# ---- the three ways ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("readers", [1, 2, 5])
def test_every_batch_comes_in_order_and_whole(way: str, readers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    device = WAYS[way](monkeypatch)
    came = []
    with Feed(Numbered(), device, batches(), 4, wanted=100, readers=readers) as feed:
        assert way.endswith(feed.way) and str(feed)
        for batch in feed:
            assert batch.keys() == {"L", "ab", "label", "box"} and batch["L"].shape[1:] == (1, 8, 8)
            assert batch["L"].dtype == torch.uint8 and batch["box"].dtype == torch.int64
            assert all(tensor.device.type == device.type for tensor in batch.values())
            came.append(batch["label"].tolist())
            for tensor in batch.values():
                assert bool(
                    (tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]).eq(batch["label"][:, None]).all()
                )
        with pytest.raises(StopIteration):
            next(feed)
    assert came == BATCHES and feed.handed == sum(map(len, BATCHES)) and 0 <= feed.waiting <= 1


@pytest.mark.parametrize(
    ("free", "wanted", "way"),
    [(0, 100, "read ahead"), (10**9, 19, "read ahead"), (10**9, 20, "resident"), (1, 100, "read ahead")],
)
def test_the_whole_set_goes_to_the_device_if_it_fits_and_is_wanted(
    free: int, wanted: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "free_memory", lambda device: free)
    with Feed(Numbered(20), CPU, batches(), 4, wanted=wanted) as feed:
        assert feed.way == way
        assert str(feed) == {"resident": "the samples all lie on cpu"}.get(way, "2 threads read samples ahead")


def test_half_of_the_free_memory_is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert feeds.free_memory(CPU) == 0 and feeds.free_memory(torch.device("mps")) == 0
    needed = feeds.set_bytes(Numbered(20))
    assert needed == 20 * (3 * 64 + 8 + 32)
    for free, way in ((2 * needed - 1, "read ahead"), (2 * needed, "resident")):
        monkeypatch.setattr(feeds, "free_memory", lambda device, free=free: free)
        with Feed(Numbered(20), CPU, batches(), 4, wanted=20) as feed:
            assert feed.way == way


def test_memory_that_was_taken_meanwhile_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(feeds, "loaded", full)
    device = resident(monkeypatch)
    with Feed(Numbered(), device, batches(), 4, wanted=100) as feed:
        assert feed.way == "read ahead" and [batch["label"].tolist() for batch in feed] == BATCHES


def test_bringing_the_whole_set_there_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    device = resident(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        Feed(Numbered(), device, batches(), 4, wanted=100, hurried=lambda: True)


# ---- buffers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["read ahead", "pinned"])
def test_reading_is_never_further_ahead_than_there_are_buffers(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [0]
    samples = Numbered(before=lambda _: ahead.append(len(samples.read) - asked[0]))
    ahead: list[int] = []
    numbers = (np.array([n % 20]) for n in range(60))
    with Feed(samples, WAYS[way](monkeypatch), numbers, 1, readers=3) as feed:
        for n in range(60):
            asked[0] += 1
            assert next(feed)["label"].tolist() == [n % 20]
    assert len(samples.read) == 60 and max(ahead) <= 4


def test_a_batch_stays_until_the_next_is_asked_for_and_memory_is_used_again() -> None:
    samples, places = Numbered(), set()
    numbers = (np.array([n % 20, 7]) for n in range(30))
    with Feed(samples, CPU, numbers, 2, readers=2) as feed:
        made = {array.ctypes.data for arrays in samples.made for array in arrays.values()}
        for n in range(30):
            batch = next(feed)
            until_read = min(30, n + 3)  # all that may be read while this batch is held
            assert until(lambda wanted=until_read: len(samples.read) >= wanted)
            assert batch["L"][:, 0, 0, 0].tolist() == [n % 20, 7]
            places |= {tensor.data_ptr() for tensor in batch.values()}
    assert places <= made and len(samples.made) == 3


# ---- what goes wrong -----------------------------------------------------------------------------------


def damaged(indices: np.ndarray) -> None:
    if 19 in indices:
        raise DataError("row 19 is damaged")


@pytest.mark.parametrize("way", ["read ahead", "pinned"])
def test_an_error_is_raised_at_the_batch_it_belongs_to(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device, came = WAYS[way](monkeypatch), []
    with Feed(Numbered(before=damaged), device, batches(), 4, readers=4) as feed:
        with pytest.raises(DataError, match="row 19"):
            for batch in feed:
                came.append(batch["label"].tolist())
        assert came == BATCHES[:2]
        assert next(feed)["label"].tolist() == BATCHES[3]  # whoever wants to may go on


def test_a_damaged_sample_is_found_before_the_first_step_when_all_go_to_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = resident(monkeypatch)
    with pytest.raises(DataError, match="row 19"):
        Feed(Numbered(before=damaged), device, batches(), 4, wanted=100)


@pytest.mark.parametrize("way", ["read ahead", "pinned", "resident"])
def test_samples_are_proved_before_they_are_given(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = WAYS[way](monkeypatch)
    with pytest.raises(TrainingError, match="labels run from .* to 19, but the network has 19 classes"):
        with Feed(Numbered(), device, batches(), 4, wanted=100, prove=lambda arrays: prove(arrays, 19)) as feed:
            list(feed)


@pytest.mark.parametrize("way", ["read ahead", "pinned"])
def test_an_early_end_reads_no_more_and_leaves_no_thread(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = Numbered()
    numbers = (np.array([n % 20]) for n in range(10**9))
    with Feed(samples, WAYS[way](monkeypatch), numbers, 1) as feed:
        next(feed)
    read = len(samples.read)
    assert 1 <= read <= 3 and not [t for t in threading.enumerate() if t.name.startswith("gravurekit-reader")]
    assert len(samples.read) == read


def test_ctrl_c_while_waiting_ends_in_good_order_and_loses_no_batch() -> None:
    gate = threading.Event()
    samples = Numbered(before=lambda _: gate.wait())
    with Feed(samples, CPU, batches(), 4, readers=1) as feed:
        ahead: Any = feed._source
        slot, future = ahead._reading[0]

        class Never:
            """A future on which Ctrl-C falls."""

            def result(self) -> None:
                raise KeyboardInterrupt

            def done(self) -> bool:
                return False

        ahead._reading[0] = (slot, Never())
        with pytest.raises(KeyboardInterrupt):
            next(feed)
        assert slot not in ahead._free  # its reader still fills it
        ahead._reading[0] = (slot, future)
        gate.set()
        assert [batch["label"].tolist() for batch in feed] == BATCHES


FORGOTTEN = """
import sys
import numpy as np, torch
from test_feed import Numbered
from gravurekit.model.feed import Feed
feed = Feed(Numbered(), torch.device("cpu"), (np.arange(4) for _ in range(10**9)), 4)
next(feed)
sys.exit(7)
"""


@pytest.mark.slow
def test_a_process_that_forgets_to_close_ends_all_the_same() -> None:
    path = [str(Path(__file__).parent), *sys.path]
    code = f"import sys; sys.path[:] = {path!r}\n{FORGOTTEN}"
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 7


# ---- how long one waited -------------------------------------------------------------------------------


def test_waiting_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(feeds.time, "perf_counter", lambda: now[0])
    with Feed(Numbered(), CPU, batches(), 4) as feed:
        assert feed.waiting == 0
        one = next(feed)

        class Slow:
            """A source that needs three seconds a batch."""

            def __next__(self) -> dict[str, Tensor]:
                now[0] += 3
                return one

        real, source = feed._source, Slow()
        monkeypatch.setattr(feed, "_source", source)
        for _ in range(4):
            next(feed)
            now[0] += 1  # the training's own
        monkeypatch.setattr(feed, "_source", real)
    assert feed.waited == 12 and feed.handed == 20 and feed.waiting == 0.75


def test_samples_of_tests_are_samples() -> None:
    samples: Samples = Numbered(3)
    assert samples.batch(np.array([2, 0]))["L"][:, 0, 0, 0].tolist() == [2, 0]
