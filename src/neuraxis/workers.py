"""Doing many jobs side by side: in threads with results in order, or in processes whose death is told.

Threads (`map_in_order`) start at once and share memory; they serve because the work is decompression and array
arithmetic, which leave Python's lock. Processes (`side_by_side`) are for long work on many scans: where native code
crashes or the system takes memory back, a worker dies and not the program.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from neuraxis.hardware import usable_cores
from neuraxis.processes import Crew, Job, Queue, out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Whoever runs jobs: a thread pool here, a cluster elsewhere."""

    def submit(self, function: Callable[..., Result], /, *arguments: object) -> Future[Result]:
        """Start one job."""


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 0) -> Iterator[Result]:
    """Yield `function(item)` in the order of `items`, computed by threads with at most 2 results waiting per thread.

    Args:
        function: the job; an exception it raises is raised here in its place.
        items: the inputs.
        workers: number of threads; 0 means one per usable core.
    """
    workers = workers or usable_cores()
    pending: list[Future[Result]] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="neuraxis") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= 2 * workers:
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items in order; a thread makes the next one while the present one is used.

    >>> list(ahead(range(3)))
    [0, 1, 2]

    Args:
        items: such as a generator that computes; an exception that it raises is raised here in its place.
    """
    end, iterator = object(), iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="neuraxis-ahead") as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield cast(Item, item)


@dataclass(frozen=True)
class Limits:
    """How much may be under way at once.

    Attributes:
        workers: number of processes or threads; 0 means one per usable core.
        room_gb: memory that the jobs under way may take together, in GiB; a job that needs more runs alone.
        processes: whether processes do the work; None means where `may_fork`.
    """

    workers: int = 0
    room_gb: float = math.inf
    processes: bool | None = None


def may_fork() -> bool:
    """Tell whether this process can be copied safely: on Linux, while no other thread may hold a lock."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def side_by_side(
    function: Callable[[Item], Any], jobs: Sequence[Job[Item]], limits: Limits | None = None
) -> Iterator[Iterator[Any]]:
    """Start workers, and yield the results of `function(job.item)` as they come.

    Enter it before anything that runs threads of its own, such as a live display: where there are other threads,
    threads do this work too.

    >>> with side_by_side(str.upper, [Job("first", "a"), Job("second", "b")]) as results:
    ...     sorted(results)
    ['A', 'B']

    Args:
        function: the job; its result must be what JSON can hold.
        jobs: what is to be done, begun in this order.
        limits: how much at once.

    Raises:
        NeuraxisError: what the function raised, of the same type.
        ResourceError: a worker died at a job though it worked alone, or memory did not suffice.
        RuntimeError: the function raised anything else in a process; with the worker's traceback.
    """
    limits = limits or Limits()
    queue = Queue(jobs, limits.room_gb)
    count = min(limits.workers or usable_cores(), len(jobs))
    if not (may_fork() if limits.processes is None else limits.processes):
        yield _in_threads(function, queue, count)
        return
    crew = Crew(function, queue, count)
    try:
        yield crew.results()
    finally:
        crew.dismiss()


def _in_threads(function: Callable[[Item], Result], queue: Queue[Item], count: int) -> Iterator[Result]:
    under_way: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(max(1, count), thread_name_prefix="neuraxis") as pool:
        try:
            while queue:
                while len(under_way) < count and (number := queue.take()) is not None:
                    under_way[pool.submit(function, queue.jobs[number].item)] = number
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    number = under_way.pop(future)
                    queue.finish(number)
                    if isinstance(future.exception(), MemoryError):
                        raise out_of_memory(queue.jobs[number].name) from future.exception()
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
