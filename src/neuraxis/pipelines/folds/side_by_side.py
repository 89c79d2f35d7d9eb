"""Several folds at once, each in a process with its share of the cores, or with a GPU of its own.

A process is a command of our own, as decision 0016 has it: it is told in a line of JSON what to do, and ends politely
when it is told to, or at once when this process is gone. The first fold that fails ends the others after their step.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraxis.dataset.opening import Place, places_to_dict
from neuraxis.errors import ResourceError, Stopped, UsageError
from neuraxis.hardware import available_memory_gb, usable_cores
from neuraxis.pipelines.fit import FitOptions
from neuraxis.processes import as_raised, describe_end
from neuraxis.progress import Progress

log = logging.getLogger("neuraxis")
LOOK_S = 0.2
_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from neuraxis.pipelines.folds.worker import serve; serve()"
)
_RESUME = "The other folds ended after their step; the same command again resumes."


@dataclass(frozen=True)
class Order:
    """A fold to fit.

    Attributes:
        run: folder of the run of all folds, whose plan it takes.
        fold: its number.
        paths: where the labelled scans lie, absolute.
        options: of its fit.
    """

    run: Path
    fold: int
    paths: tuple[Place, ...]
    options: FitOptions

    def to_dict(self, slot: int, jobs: int) -> dict[str, Any]:
        """Return the content for JSON, with the cores and the device of one of so many slots."""
        options = self.options
        return {
            "run": str(self.run),
            "fold": self.fold,
            **places_to_dict(self.paths),
            "cores": cores_of(slot, jobs),
            "options": {
                "into": str(options.into),
                "recipe": str(options.recipe),
                "settings": options.settings,
                "budget_s": options.budget_s,
                "fold": options.fold,
                "device": device_of(options.device, slot),
                "profile": options.profile,
                "previews": options.previews,
                "begin_with": str(options.begin_with) if options.begin_with else None,
                "prepared": str(options.prepared) if options.prepared else None,
            },
        }


def options_of(content: dict[str, Any]) -> FitOptions:
    """Return the options that `Order.to_dict` wrote."""
    paths = {key: Path(content[key]) if content[key] else None for key in ("begin_with", "prepared")}
    listed = {key: tuple(content[key]) for key in ("settings", "previews")}
    return FitOptions(**{**content, **paths, **listed, "into": Path(content["into"])})


def refuse_jobs(jobs: int, options: FitOptions) -> None:
    """Refuse a number of processes that this machine or the options have no place for.

    Raises:
        UsageError: with what is possible.
    """
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: needed is a number of 1 or more.")
    if jobs > usable_cores():
        raise UsageError(f"--jobs {jobs}: this process may use {usable_cores()} cores. Use --jobs {usable_cores()}.")
    if jobs > 1 and options.devices.count > 1:
        raise UsageError(f"--jobs {jobs} --devices {options.devices.count}: folds side by side take one device each.")


def cores_of(slot: int, jobs: int) -> list[int]:
    """Return the cores of one of several slots; none where the system does not let a process choose."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[slot::jobs]


def device_of(device: str, slot: int) -> str:
    """Return the device of a slot: where there are GPUs, one after the other."""
    if device not in ("auto", "cuda"):
        return device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{slot % count}" if count else device


def fit_side_by_side(orders: Sequence[Order], jobs: int, progress: Progress, asked: Callable[[], bool]) -> None:
    """Fit folds, so many at once.

    Args:
        orders: the folds.
        jobs: how many at once.
        progress: who shows how many are done.
        asked: whether somebody wants it to stop.

    Raises:
        ResourceError: a process was killed.
        NeuraxisError: what a fold's fit raised.
        Stopped: it was asked to.
    """
    waiting, under_way = deque(orders), dict[int, _Process]()
    try:
        with progress.stage("folds", len(orders)) as stage:
            while waiting or under_way:
                for slot in range(jobs):
                    if waiting and slot not in under_way:
                        under_way[slot] = _Process(waiting.popleft(), slot, jobs)
                time.sleep(LOOK_S)
                for slot, one in [*under_way.items()]:
                    if one.process.poll() is not None:
                        del under_way[slot]
                        one.finish()
                        stage.advance(note=f"fold {one.order.fold}")
                if asked():
                    raise Stopped(
                        f"{orders[0].run}: stopped, as `neuraxis run stop` asked. The same command again resumes."
                    )
    finally:
        _end([*under_way.values()])


class _Process:
    """A process that fits one fold."""

    def __init__(self, order: Order, slot: int, jobs: int) -> None:
        self.order = order
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  it is closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            process_group=0,  # Ctrl-C is for this process, which tells the others
        )
        log.info("fold %d: process %d", order.fold, self.process.pid)
        self.say(json.dumps(sys.path))
        self.say(json.dumps(order.to_dict(slot, jobs)))

    def say(self, line: str) -> None:
        """Tell it something, if it is still there."""
        with contextlib.suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()

    def finish(self) -> None:
        """Read what it said in the end, and raise what it met."""
        said = self.process.stdout.read() if self.process.stdout is not None else b""
        trace = self.close()
        code = self.process.returncode
        content = json.loads(said) if said.strip() else {}
        name = f"fold {self.order.fold} (process {self.process.pid})"
        if "error" in content:
            raise as_raised(content["error"], f"fold {self.order.fold}: {content['text']}")
        if "trace" in content:
            raise RuntimeError(f"{name} failed:\n{content['trace']}")
        if code != 0:
            words = f", its last words: {trace.splitlines()[-1]}" if trace and code > 0 else ""
            free = f"{available_memory_gb():.1f} GiB of memory are free now"
            raise ResourceError(f"{name} {describe_end(code)}{words}. {free}. {_RESUME}")

    def close(self) -> str:
        """Close its lines and return what it complained of."""
        self.errors.seek(0)
        trace = self.errors.read().decode(errors="replace").strip()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        return trace


def _end(processes: Sequence[_Process]) -> None:
    """Have processes end after their step; where this one is interrupted once more, kill them."""
    for one in processes:
        one.say("stop")
    try:
        for one in processes:
            one.process.wait()
    except BaseException:
        for one in processes:
            one.process.kill()
            one.process.wait()
        raise
    finally:
        for one in processes:
            one.close()
