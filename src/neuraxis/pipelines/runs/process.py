"""Which process works in a run's folder, or how the last one ended: `process.json`.

A process is known by its number and the moment it began, since numbers are given again, and by its machine. One that is
gone without having said how it ended was killed.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from neuraxis.errors import DataError, Stopped
from neuraxis.files import read_json, write_json
from neuraxis.training.curves import PROGRESS, STOP

PROCESS = "process.json"
Ending = Literal["done", "stopped", "failed"]


@contextmanager
def process_noted(folder: Path) -> Iterator[None]:
    """Note in the folder that this process works there, and in the end how it left; old wishes to stop are void."""
    for place in (folder, *folder.glob("fold-*")):
        (place / STOP).unlink(missing_ok=True)
        (place / PROGRESS).unlink(missing_ok=True)
    about = {**own_process(), "began": _now()}
    write_json(folder / PROCESS, about)
    ended: Ending = "failed"
    why = ""
    try:
        yield
        ended = "done"
    except (KeyboardInterrupt, SystemExit, GeneratorExit, Stopped):
        ended = "stopped"
        raise
    except BaseException as error:
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise
    finally:
        write_json(folder / PROCESS, {**about, "ended": ended, "at": _now(), "why": why})


def read_process(folder: Path) -> dict[str, Any]:
    """Return what is noted of the process in a folder; empty where nothing is."""
    try:
        content = read_json(folder / PROCESS)
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def own_process() -> dict[str, Any]:
    """Return what tells this process from every other.

    `hears_sigterm` says whether SIGTERM ends its work politely, as it does under the command `neuraxis`.
    """
    handler = signal.getsignal(signal.SIGTERM)
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "start": start_of(os.getpid()),
        "hears_sigterm": handler not in (signal.SIG_DFL, signal.SIG_IGN, None),
        "command": [str(word) for word in sys.argv],
    }


def is_here(process: dict[str, Any]) -> bool:
    """Tell whether a process was noted on this machine."""
    return process.get("host") == platform.node()


def lives(process: dict[str, Any]) -> bool:
    """Tell whether a process of this machine still runs, and is not another that was given its number."""
    pid = process.get("pid")
    return isinstance(pid, int) and pid > 0 and is_here(process) and start_of(pid) == process.get("start") != ""


def start_of(pid: int) -> str:
    """Return when a process began, as a text to compare, the machine's own start counted in; empty without one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return _without_proc(pid)
    return "" if fields[0] == "Z" else f"{boot} {fields[19]}"


def _without_proc(pid: int) -> str:
    """Where the system has no /proc, say of a process that is there no more than that."""
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "there"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
