"""Copies of this process that do jobs, and whose death is noticed and told.

A worker is a fork: nothing is imported again, and jobs need not be sent, only their numbers. Results come back as lines
of JSON over a socket. Where a worker dies, its end of the socket closes, which is seen at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from neuraxis import errors
from neuraxis.errors import NeuraxisError, ResourceError
from neuraxis.hardware import available_memory_gb

log = logging.getLogger("neuraxis")
Item = TypeVar("Item")

_KEPT = "What is done already is kept: go on with more memory or fewer workers, or leave the case out."
_FAULTS = {"SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE"}
_KILL_ME_FIRST = "500"  # where memory runs out, Linux ends the process of the highest score; 1000 is the most


@dataclass(frozen=True)
class Job(Generic[Item]):
    """Something to do.

    Attributes:
        name: what messages call it, such as a case's id.
        item: what the function gets.
        memory_gb: what it takes at its peak, in GiB.
    """

    name: str
    item: Item
    memory_gb: float = 0.0


class Queue(Generic[Item]):
    """Which jobs wait and which are under way, by number; true while there are any."""

    def __init__(self, jobs: Sequence[Job[Item]], room_gb: float) -> None:
        """Let all jobs wait; those under way together may take `room_gb` GiB."""
        self.jobs, self.room_gb = jobs, room_gb
        self.under_way: set[int] = set()
        self._waiting = deque(range(len(jobs)))
        self._alone: set[int] = set()
        self._accompanied: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting or self.under_way)

    def take(self) -> int | None:
        """Return the next job, or None while it must wait; one that needs more than the room runs alone."""
        if not self._waiting:
            return None
        first = self._waiting[0]
        taken = sum(self.jobs[number].memory_gb for number in (*self.under_way, first))
        if self.under_way and (taken > self.room_gb or first in self._alone):
            return None
        self._waiting.popleft()
        self.under_way.add(first)
        if len(self.under_way) > 1:
            self._accompanied |= self.under_way
        return first

    def finish(self, number: int) -> None:
        """Note that a job is done."""
        self.under_way.remove(number)

    def had_company(self, number: int) -> bool:
        """Tell whether another job was under way at any time since this one was taken."""
        return number in self._accompanied

    def put_off(self, number: int) -> None:
        """Let a job wait until all others are done, and then run alone."""
        self.under_way.remove(number)
        self._accompanied.discard(number)
        self._waiting.append(number)
        self._alone.add(number)


class Crew(Generic[Item]):
    """The processes that work on one queue.

    Raises:
        ResourceError: none can be started.
    """

    def __init__(self, function: Callable[[Item], Any], queue: Queue[Item], count: int) -> None:
        """Start `count` workers, which wait."""
        self._queue = queue
        self._workers: list[_Worker] = []
        try:
            for _ in range(count):
                self._workers.append(self._fork(function))
        except OSError as error:
            self.dismiss()
            raise ResourceError(
                f"No worker process could be started ({error.strerror}). Free memory, or allow more processes."
            ) from error

    def results(self) -> Iterator[Any]:
        """Hand out jobs and yield results as they come, until none is left.

        Raises:
            NeuraxisError: what the function raised, of the same type.
            ResourceError: a worker died at a job though it worked alone, or a job met a MemoryError.
            RuntimeError: the function raised anything else; with the worker's traceback.
        """
        with selectors.DefaultSelector() as lines:
            for worker in self._workers:
                lines.register(worker.line, selectors.EVENT_READ, worker)
            while self._queue:
                self._hand_out()
                for key, _ in lines.select():
                    said = key.data.hear()
                    if said is None:
                        lines.unregister(key.data.line)
                        self._note_death(key.data)
                    for message in said or ():
                        yield from self._take_in(key.data, message)

    def dismiss(self) -> None:
        """End every worker; those still at a job are killed."""
        for worker in self._workers:
            if worker.job is not None:
                os.kill(worker.pid, signal.SIGKILL)
        for worker in self._workers:
            worker.bury()
        self._workers = []

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.job is None and (number := self._queue.take()) is not None:
                worker.job = number
                with contextlib.suppress(ConnectionError):  # where it has died, its line says so next
                    worker.line.sendall(number.to_bytes(8, "little"))

    def _take_in(self, worker: _Worker, message: dict[str, Any]) -> Iterator[Any]:
        if "log" in message:
            logging.getLogger(message["logger"]).log(message["log"], "%s", message["text"])
            return
        number, worker.job = worker.job, None
        if number is not None:
            self._queue.finish(number)
            yield _unpack(message, self._queue.jobs[number].name)

    def _note_death(self, worker: _Worker) -> None:
        """Put its job off where others worked beside it: they may have taken the memory. Else give up."""
        self._workers.remove(worker)
        how = describe_end(worker.bury())
        name = "The last worker" if worker.job is None else self._queue.jobs[worker.job].name
        if self._workers and worker.job is None:
            return
        if self._workers and worker.job is not None and self._queue.had_company(worker.job):
            log.warning("%s: its worker process %s. It is tried again by itself after the others.", name, how)
            self._queue.put_off(worker.job)
            return
        raise ResourceError(
            f"{name}: its worker process {how}, and no other works beside it. {available_memory_gb():.1f} GiB of "
            f"memory are free now. {_KEPT}"
        )

    def _fork(self, function: Callable[[Item], Any]) -> _Worker:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            _serve(function, self._queue.jobs, theirs, [ours, *(worker.line for worker in self._workers)])
        theirs.close()
        return _Worker(pid, ours)


@dataclass(eq=False)
class _Worker:
    """A copy of this process, and the line to it."""

    pid: int
    line: socket.socket
    job: int | None = None
    heard: bytes = b""

    def hear(self) -> list[dict[str, Any]] | None:
        """Return what it said since the last time; None where it is gone."""
        try:
            said = self.line.recv(2**16)
        except ConnectionError:
            said = b""
        if not said:
            return None
        *lines, self.heard = (self.heard + said).split(b"\n")
        return [json.loads(line) for line in lines]

    def bury(self) -> int | None:
        """Wait for its end, which has come or comes at once, and return its code; None where another asked before."""
        self.line.close()
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return None


def _serve(
    function: Callable[[Item], Any], jobs: Sequence[Job[Item]], line: socket.socket, others: Sequence[socket.socket]
) -> NoReturn:
    """Be a worker until the line closes; nothing else that the parent was about to do is run."""
    try:
        for other in others:
            other.close()  # else nobody would notice that the parent is gone
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        logging.getLogger().handlers = [_Forward(line)]
        be_ended_first()
        while number := line.recv(8, socket.MSG_WAITALL):
            line.sendall(_do(function, jobs[int.from_bytes(number, "little")]))
    finally:
        os._exit(0)


def _do(function: Callable[[Item], Any], job: Job[Item]) -> bytes:
    try:
        return _pack({"result": function(job.item)})
    except NeuraxisError as error:
        return _pack({"error": type(error).__name__, "message": str(error)})
    except MemoryError:
        return _pack({"error": "ResourceError", "message": str(out_of_memory(job.name))})
    except Exception:
        return _pack({"traceback": traceback.format_exc()})


def _pack(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _unpack(message: dict[str, Any], name: str) -> Any:
    if "traceback" in message:
        raise RuntimeError(f"{name}: failed in a worker process:\n{message['traceback']}")
    if "error" in message:
        raise as_raised(message["error"], message["message"])
    return message["result"]


def as_raised(name: str, message: str) -> NeuraxisError:
    """Return an error of ours that another process met, as if it had happened here.

    Args:
        name: of its type, one of `errors`.
        message: what it says.
    """
    kind = getattr(errors, name, NeuraxisError)
    problem: NeuraxisError = kind.__new__(kind)  # some types build their message from other arguments
    problem.args = (message,)
    return problem


def be_ended_first() -> None:
    """Ask Linux to end this process before others where memory runs out; elsewhere do nothing."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST, "utf-8")


def out_of_memory(name: str) -> ResourceError:
    """Return the error of a job that asked for more memory than it could get."""
    return ResourceError(f"{name}: memory did not suffice; {available_memory_gb():.1f} GiB are free now. {_KEPT}")


def describe_end(code: int | None) -> str:
    """Say how a process ended, in words that follow its name.

    Args:
        code: its exit code, a signal's number below 0; None: not known.
    """
    if code is None:
        return "is gone"
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    if name == "SIGKILL":
        return f"was killed by signal {-code} ({name}), as the system does where memory runs out"
    return f"{'crashed in native code with' if name in _FAULTS else 'was ended by'} signal {-code} ({name})"


class _Forward(logging.Handler):
    """Sends a worker's messages to the parent, which shows them."""

    def __init__(self, line: socket.socket) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        self._line.sendall(_pack({"log": record.levelno, "logger": record.name, "text": record.getMessage()}))
