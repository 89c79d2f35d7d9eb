"""Doing many small jobs side by side, in a fixed order of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from neuraxis.hardware import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Whoever runs jobs: a thread pool here, a cluster elsewhere."""

    def submit(self, function: Callable[..., Result], /, *arguments: object) -> Future[Result]:
        """Start one job."""


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 0) -> Iterator[Result]:
    """Yield `function(item)` in the order of `items`, computed by threads with at most 2 results waiting per thread.

    Threads serve because the work is decompression and array arithmetic, which leave Python's lock.

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
