"""The executor that spreads tasks over a Ray cluster, for those who outgrow one machine (extra `ray`)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from gravurekit.executor import Executor, Outcome, Result, Task
from gravurekit.workers import Limits


class Ray:
    """A Ray cluster: `address` HOST:PORT or `auto`; empty for one on this machine, which ends with this process.
    `jobs`: tasks at once, 0 for one on each core of the cluster."""

    def __init__(self, address: str, jobs: int, limits: Limits = Limits()) -> None:
        self.address, self.jobs, self._limits = address, jobs, limits

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task | None]) -> Iterator[Outcome[Result]]:
        raise NotImplementedError

    def reach(self, out: Path | None, sources: Sequence[Path]) -> None:
        raise NotImplementedError

    def here(self) -> Executor:
        raise NotImplementedError
