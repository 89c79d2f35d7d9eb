"""Asking a run to end after its step, so that the same command can resume it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuraxis.errors import UsageError
from neuraxis.files import write_text
from neuraxis.pipelines.runs.process import is_here, lives, read_process
from neuraxis.pipelines.runs.state import RunState, read_run
from neuraxis.training.curves import STOP

LOOK_S = 0.2


@dataclass(frozen=True)
class StopResult:
    """How a run was asked, and whether it has ended.

    Attributes:
        path: its folder.
        asked_by: "signal" to its process on this machine, or "file" in its folder, for any other.
        ended: whether it has.
        run: how it stands now.
    """

    path: Path
    asked_by: Literal["signal", "file"]
    ended: bool
    run: RunState


def stop_run(path: Path, wait_s: float = 60.0, sleep: Callable[[float], None] = time.sleep) -> StopResult:
    """Ask a run to end politely: after the step in hand, with a checkpoint.

    The command `neuraxis` on this machine gets SIGTERM, once it is certain that the process is that of the run: the
    same number, begun at the same moment. Any other, on another machine or inside a notebook, finds a file `stop` in
    the run's folder, for which training looks about once a second.

    Args:
        path: folder of the run.
        wait_s: how long to wait for its end.
        sleep: waits for so many seconds.

    Raises:
        UsageError: it is not running.
    """
    run = read_run(path, sized=False)
    if run.state not in ("running", "lost"):
        raise UsageError(f"{path}: is not running ({run.state}), so there is nothing to stop.")
    process = read_process(path)
    by_signal = is_here(process) and lives(process) and bool(process.get("hears_sigterm"))
    if by_signal:
        os.kill(int(process["pid"]), signal.SIGTERM)
    else:
        for place in (path, *path.glob("fold-*")):
            write_text(place / STOP, "Asked by `neuraxis run stop`.\n")
    until = time.monotonic() + wait_s
    while (run := read_run(path, sized=False)).state == "running" and time.monotonic() < until:
        sleep(LOOK_S)
    return StopResult(path, "signal" if by_signal else "file", run.state != "running", run)
