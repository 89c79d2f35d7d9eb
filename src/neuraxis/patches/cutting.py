"""Processes that cut batches ahead, for machines whose accelerator is faster than one thread can cut.

A process is a command of its own, whatever start method Python's multiprocessing is set to: it imports numpy and the
store alone, no torch and not the caller's script, and is told store, cases and options as lines of JSON. Batches come
back through memory that both see and that has no name: it needs no room in /dev/shm, and nothing is left behind however
a process ends. A process ends by itself when its owner is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.errors import DataError, NeuraxisError, ResourceError
from neuraxis.hardware import available_memory_gb
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.preparation.store import Store
from neuraxis.processes import as_raised, be_ended_first

SLOTS, PATIENCE_S = 2, 5.0
_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); import neuraxis.patches.cutting as c; c.serve()"
)
Arrays = tuple[np.ndarray, np.ndarray]
Shapes = Sequence[Sequence[int]]


class Cutters:
    """The batches of steps `first`, `first` + 1, … from some processes, each of which works `SLOTS` batches ahead.

    Args:
        sampler: what is cut.
        first: the first step.
        count: processes.

    Raises:
        ResourceError: there is no memory for the batches.
    """

    def __init__(self, sampler: PatchSampler, first: int, count: int) -> None:
        self._cutters: list[_Cutter] = []
        try:
            for number in range(count):
                self._cutters.append(_Cutter(sampler, itertools.count(first + number, count)))
        except BaseException:
            self.close()
            raise
        self._turns = itertools.cycle(self._cutters)

    def batch(self) -> Arrays:
        """Return the images and targets of the next step, in arrays that are the caller's.

        Raises:
            ResourceError: a process was ended from outside, or its memory ran out.
        """
        return next(self._turns).batch()

    def stop(self) -> None:
        """Kill the processes; whoever waits for a batch of theirs gets an error."""
        for cutter in self._cutters:
            cutter.stop()

    def close(self) -> None:
        """Kill the processes and close what led to them; nobody may wait for a batch any more."""
        for cutter in self._cutters:
            cutter.close()


class _Cutter:
    """One process, and the memory through which its batches come."""

    def __init__(self, sampler: PatchSampler, steps: Iterator[int]) -> None:
        self._steps, self._slots = steps, itertools.cycle(range(SLOTS))
        kind = sampler.target_type.str
        memory = _unnamed_memory(SLOTS * _bytes(sampler.shapes, kind))
        (asked, ask), (told, tell) = os.pipe(), os.pipe()
        self._asks, self._answers = os.fdopen(ask, "wb"), os.fdopen(told, "rb")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  it is closed with the process
        try:
            self._shared = _views(mmap.mmap(memory, 0), sampler.shapes, kind)
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BEGIN],
                stdin=asked,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=(memory, tell),
                process_group=0,  # Ctrl-C is for the owner, which ends its step first
            )
        finally:
            for handle in (memory, asked, tell):
                os.close(handle)
        self._say(sys.path)
        self._say(
            {
                "store": str(sampler.store.folder.resolve()),
                "ids": sampler.ids,
                "options": asdict(sampler.options),
                "shapes": sampler.shapes,
                "kind": kind,
                "memory": memory,
                "tell": tell,
            }
        )
        for slot in range(SLOTS):
            self._say([next(steps), slot])

    def batch(self) -> Arrays:
        line = self._answers.readline()
        if not line:
            raise self._death()
        answer = json.loads(line)
        if "error" in answer:
            raise as_raised(answer["error"], answer["text"])
        slot = next(self._slots)
        images, targets = self._shared[slot]
        copies = images.copy(), targets.copy()
        self._say([next(self._steps), slot])
        return copies

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        for stream in (self._asks, self._answers, self._said):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _say(self, content: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # its death is told where its answer is missed
            self._asks.write(json.dumps(content).encode() + b"\n")
            self._asks.flush()

    def _death(self) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        if said:
            return RuntimeError(f"A process that cuts patches failed:\n{said}")
        code = self._process.returncode or 0
        how = f"ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"gone (exit code {code})"
        return ResourceError(
            f"A process that cuts patches (training.loader_workers) was {how}, most likely because memory ran out: "
            f"{available_memory_gb():.1f} GiB are free now. Free some and give the same command again, which resumes; "
            "fewer training.loader_workers need less."
        )


def serve() -> None:
    """Cut what the owner asks for on stdin until it closes; this is the process's whole work."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    be_ended_first()  # and not the training, which has a checkpoint to write
    told = json.loads(sys.stdin.readline())
    options = told["options"]
    tuples: dict[str, Any] = {key: tuple(options[key]) for key in ("shape", "core", "samples")}
    options = SamplerOptions(**{**options, **tuples})
    sampler = PatchSampler(Store(Path(told["store"])), told["ids"], options)
    slots = _views(mmap.mmap(told["memory"], 0), told["shapes"], told["kind"])
    with os.fdopen(told["tell"], "wb", buffering=0) as answers, contextlib.suppress(BrokenPipeError):
        for line in sys.stdin:
            step, slot = json.loads(line)
            answers.write(json.dumps(_cut(sampler, step, slots[slot])).encode() + b"\n")


def _cut(sampler: PatchSampler, step: int, into: Arrays) -> dict[str, Any]:
    try:
        sampler.batch(step, into)
    except NeuraxisError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except MemoryError:
        text = "Memory ran out while patches were cut. Set fewer training.loader_workers."
        return {"error": ResourceError.__name__, "text": text}
    except OSError as error:
        return {"error": DataError.__name__, "text": f"A patch cannot be read: {error}. Prepare the dataset again."}
    return {"step": step}


def _unnamed_memory(size: int) -> int:
    """Return a file descriptor of memory (on Linux; elsewhere of a deleted file) that has `size` bytes for certain."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("neuraxis-batches")
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, size)
        else:
            os.ftruncate(handle, size)
    except OSError as error:
        os.close(handle)
        raise ResourceError(
            f"No memory for {size / 2**30:.2f} GiB of patches cut ahead ({error.strerror}). Set fewer "
            "training.loader_workers or a smaller patches.batch."
        ) from error
    return int(handle)


def _bytes(shapes: Shapes, kind: str) -> int:
    return 4 * prod(shapes[0]) + np.dtype(kind).itemsize * prod(shapes[1])


def _views(memory: mmap.mmap, shapes: Shapes, kind: str) -> list[Arrays]:
    """Return the images and targets (of this type) of each slot as arrays on shared memory."""
    views = []
    for slot in range(SLOTS):
        begin = slot * _bytes(shapes, kind)
        images = np.frombuffer(memory, np.float32, prod(shapes[0]), begin).reshape(shapes[0])
        targets = np.frombuffer(memory, kind, prod(shapes[1]), begin + images.nbytes).reshape(shapes[1])
        views.append((images, targets))
    return views
