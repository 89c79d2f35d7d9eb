"""What stands beside every number: machine, load, versions, commit, and how to get it again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _parts import Spent

from neuraxis import _version
from neuraxis.bundle.card import software_versions

ROOT = Path(__file__).parents[2]
QUIET_LOAD, WAIT_S = 0.5, 180.0
DISTURBED, IN_TIME = 0.05, 0.1


def take_cores(count: int) -> list[int]:
    """Keep this process and all that it starts on so many cores, and return their numbers."""
    cores = sorted(os.sched_getaffinity(0))[:count]
    if len(cores) < count:
        raise SystemExit(f"{count} cores are asked for; this process may use {len(cores)}.")
    os.sched_setaffinity(0, cores)
    return cores


def wait_for_quiet(wait_s: float = WAIT_S) -> list[str]:
    """Wait a while for the load of earlier work to fade; return a warning where it does not."""
    until = time.monotonic() + wait_s
    while os.getloadavg()[0] > QUIET_LOAD:
        if time.monotonic() > until:
            return [f"the machine was busy at the start: load {os.getloadavg()[0]:.2f}, above {QUIET_LOAD}"]
        time.sleep(5)
    return []


def facts_of_start() -> dict[str, Any]:
    """Return what is known before a row begins."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "cores_used": len(os.sched_getaffinity(0)),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.platform(),
        },
        "load_at_start": [round(value, 2) for value in os.getloadavg()],
        "commit": _git("rev-parse", "--short", "HEAD"),
        "uncommitted": [line[3:] for line in _git("status", "--porcelain", "--", "src", "benchmarks").splitlines()],
        "versions": {"neuraxis": _version.__version__, "python": platform.python_version(), **software_versions()},
    }


def command() -> str:
    """Return the command as it was typed."""
    return " ".join(["python", os.path.relpath(Path(sys.argv[0]).resolve(), ROOT), *sys.argv[1:]])


def doubts(budget_s: float, spent: Spent, cores: int) -> list[str]:
    """Return a warning where the budget was missed by a tenth, or others took more than a twentieth of the cores."""
    found, wall_s = [], spent.wall_s
    if abs(wall_s - budget_s) > IN_TIME * budget_s:
        found.append(f"took {wall_s:.0f} s of a budget of {budget_s:.0f} s")
    if wall_s and spent.others_s / (wall_s * cores) > DISTURBED:
        found.append(f"other processes took {spent.others_s / (wall_s * cores):.0%} of the cores")
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    return done.stdout.rstrip("\n")
