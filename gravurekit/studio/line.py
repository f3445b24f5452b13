"""The line: tasks wait for a worker process, and those who wait know how many are before them.

Small things (a thumbnail, a chart) go before slow ones (a drawing, a colouring). A task whose asker went away before
its turn isn't done. One that kills its process, or takes more than it may, costs only itself.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from gravurekit.studio.refusals import Lost, TooMany
from gravurekit.workers import Crew, Limits

REST = 1800.0  # seconds for which a process keeps what it has loaded, with nothing to do
QUICK_WAITING = 4096  # small things that may wait


@dataclass(eq=False)
class _Job:
    """A task that waits. `told`: is told how many are before it."""

    function: Callable[[Any], Any]
    task: Any
    told: Callable[[int], None] | None
    answer: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Line:
    """`size` processes, with at most `most` slow tasks waiting for them. To be made, used and closed in one event
    loop."""

    def __init__(self, size: int, limits: Limits, most: int) -> None:
        self._most = most
        self._quick, self._slow = deque[_Job](), deque[_Job]()
        self._some = asyncio.Event()
        self._crews = [Crew(1, limits, REST) for _ in range(size)]
        self._threads = ThreadPoolExecutor(size, "studio")
        self._hiring = Lock()  # a process is started in an environment that is changed meanwhile
        self._clerks = [asyncio.create_task(self._serve(crew)) for crew in self._crews]

    @property
    def waiting(self) -> int:
        """How many slow tasks wait."""
        return len(self._slow)

    async def everywhere(self, function: Callable[[Any], Any], task: Any) -> Any:
        """Have a task done as often as there are processes, so that each that has nothing to do loads what others will
        need; what the first one says. Raises as `do` does."""
        first, *_ = await asyncio.gather(*(self.do(function, task, quick=True) for _ in self._crews))
        return first

    async def do(
        self,
        function: Callable[[Any], Any],
        task: Any,
        *,
        quick: bool = False,
        told: Callable[[int], None] | None = None,
    ) -> Any:
        """`function(task)`, done by a worker process: both must be fit to travel. `told` hears how many are before it,
        whenever that changes. Raises what the function raises, TooMany, or Lost."""
        line, most = (self._quick, QUICK_WAITING) if quick else (self._slow, self._most)
        if len(line) >= most:
            raise TooMany(f"{len(line)} tasks are waiting already: try again in a minute")
        job = _Job(function, task, told)
        line.append(job)
        self._some.set()
        self._tell()
        try:
            return await job.answer
        finally:
            if job in line:  # whoever asked went away
                line.remove(job)
                self._tell()

    async def _serve(self, crew: Crew) -> None:
        """Have one task after the other done by the process of `crew`."""
        loop = asyncio.get_running_loop()
        while True:
            while not (job := self._next()):
                self._some.clear()
                await self._some.wait()
            self._tell()
            try:
                value = await loop.run_in_executor(self._threads, self._done, crew, job)
            except asyncio.CancelledError:  # the line is closed
                job.answer.cancel()
                raise
            except Exception as error:  # noqa: BLE001 (it is the asker's, who gets it)
                if not job.answer.done():
                    job.answer.set_exception(error)
            else:
                if not job.answer.done():
                    job.answer.set_result(value)

    def _next(self) -> _Job | None:
        """The task whose turn it is."""
        for line in (self._quick, self._slow):
            while line:
                job = line.popleft()
                if not job.answer.done():
                    return job
        return None

    def _done(self, crew: Crew, job: _Job) -> Any:
        with self._hiring:
            crew.give(job.function, (0, job.task))
        (answer,) = crew.answers(wait=True)
        if answer.error is not None:
            raise answer.error
        if answer.lost:
            raise Lost(f"this task {answer.lost}; a smaller picture may do")
        return answer.value

    def _tell(self) -> None:
        for ahead, job in enumerate(self._slow):
            if job.told:
                job.told(ahead)

    async def close(self) -> None:
        """End the processes, whatever they do."""
        for clerk in self._clerks:
            clerk.cancel()
        for job in self._jobs():
            job.answer.cancel()
        for crew in self._crews:
            crew.kill()
        await asyncio.to_thread(self._threads.shutdown)
        for crew in self._crews:
            crew.close()

    def _jobs(self) -> Iterator[_Job]:
        yield from self._quick
        yield from self._slow
