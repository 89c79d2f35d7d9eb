"""The processes of ranks 1, 2, … that rank 0 starts, and whose death is noticed and told.

Each is a command of its own, whatever start method Python's multiprocessing is set to; the caller's script is not run
again. A rank that dies closes its pipe: then the others are ended, so that rank 0 does not wait for them. Where rank 0
does not come to notice it within `GRACE_S`, its process is ended with the cause. When rank 0 is gone, they leave.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Any

from neuraxis.errors import NeuraxisError, ResourceError
from neuraxis.hardware import available_memory_gb
from neuraxis.processes import as_raised, describe_end

log = logging.getLogger("neuraxis")
START_S, PATIENCE_S, GRACE_S = 180.0, 8.0, 20.0
_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline());"
    "import neuraxis.training.devices.following as f; f.serve()"
)
_RESUME = "The same command again resumes; fewer --devices need less memory."


@dataclass(eq=False)
class _Follower:
    """One process, the pipe on which it speaks, and its last words."""

    rank: int
    process: subprocess.Popen[bytes]
    line: IO[bytes]
    errors: IO[bytes]
    said: list[dict[str, Any]] = field(default_factory=list)


class Followers:
    """Ranks 1 to `count` - 1 on this machine.

    Args:
        count: ranks in all.
        greeting: what each is told first.

    Raises:
        ResourceError: one did not start.
    """

    def __init__(self, count: int, greeting: dict[str, Any]) -> None:
        self._count, self._closing = count, False
        self._first: _Follower | None = None  # whose end was not expected
        self._all: list[_Follower] = []
        self._changed = threading.Condition()
        try:
            for rank in range(1, count):
                self._all.append(_start(rank, {**greeting, "rank": rank, "count": count}))
            self._watcher = threading.Thread(target=self._watch, name="neuraxis-ranks", daemon=True)
            self._watcher.start()
            self._await_all()
        except BaseException:
            self.close(0.0)
            raise

    def cause(self) -> NeuraxisError | None:
        """Wait a little for the death of a rank, and return it as an error; None where all live."""
        with self._changed:
            self._changed.wait_for(lambda: self._first is not None, PATIENCE_S)
        return None if self._first is None else self._as_error(self._first)

    def close(self, wait_s: float = PATIENCE_S) -> None:
        """Wait so long for all to leave, which they were told to, and kill those that do not."""
        self._closing = True
        until = time.monotonic() + wait_s
        for one in self._all:
            try:
                one.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
        if hasattr(self, "_watcher"):
            self._watcher.join()
        for one in self._all:
            for stream in (one.process.stdin, one.line, one.errors):
                with contextlib.suppress(BrokenPipeError):
                    if stream is not None:
                        stream.close()

    def _await_all(self) -> None:
        """Wait until each has imported what it needs."""

        def settled() -> bool:
            return self._first is not None or all(one.said for one in self._all)

        with self._changed:
            in_time = self._changed.wait_for(settled, START_S)
        if self._first is not None:
            raise self._as_error(self._first)
        if not in_time:
            raise ResourceError(f"--devices {self._count}: the other processes did not start within {START_S:.0f} s.")

    def _watch(self) -> None:
        """Listen until all are gone; after the first unexpected end, end the others."""
        with selectors.DefaultSelector() as lines:
            for one in self._all:
                lines.register(one.line, selectors.EVENT_READ, one)
            while lines.get_map():
                for key, _ in lines.select():
                    text = key.data.line.readline()
                    with self._changed:
                        if text:
                            key.data.said.append(json.loads(text))
                        else:
                            lines.unregister(key.data.line)
                            self._note_end(key.data)
                        self._changed.notify_all()

    def _note_end(self, one: _Follower) -> None:
        if self._closing or self._first is not None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(PATIENCE_S)
        self._first = one
        for other in self._all:
            other.process.kill()
        threading.Thread(target=self._end_in_time, name="neuraxis-last-resort", daemon=True).start()

    def _end_in_time(self) -> None:
        """End this process where it does not notice by itself, as one that waits for a GPU may."""
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until:
            if self._closing:
                return
            time.sleep(0.1)
        if self._first is not None and not self._closing:
            error = self._as_error(self._first)
            log.error("%s", error)
            os._exit(error.exit_code)

    def _as_error(self, one: _Follower) -> NeuraxisError:
        name = f"Rank {one.rank} of {self._count} (process {one.process.pid})"
        last = one.said[-1] if one.said else {}
        if "error" in last:
            return as_raised(last["error"], f"{name}: {last['text']}")
        one.errors.seek(0)
        trace = one.errors.read().decode(errors="replace").strip()
        ended = f"{name} {describe_end(one.process.returncode)}"
        if trace and (one.process.returncode or 0) >= 0:
            ended += f", its last words: {trace.splitlines()[-1]}"
        return ResourceError(f"{ended}. {available_memory_gb():.1f} GiB of memory are free now. {_RESUME}")


def _start(rank: int, greeting: dict[str, Any]) -> _Follower:
    told, tell = os.pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115  it is closed with the process
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(tell,),
            process_group=0,  # Ctrl-C is for rank 0, which ends its step first
        )
    except OSError as error:
        os.close(told)
        raise ResourceError(f"Rank {rank} could not be started ({error.strerror}). Use fewer --devices.") from error
    finally:
        os.close(tell)
    one = _Follower(rank, process, os.fdopen(told, "rb"), errors)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # its end is told by the other pipe
            for line in (sys.path, {**greeting, "tell": tell}):
                process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
    return one


def signal_free() -> None:
    """Leave Ctrl-C and SIGTERM, which reach every rank under torchrun, to rank 0."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
