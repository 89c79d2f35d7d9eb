"""What the benchmarks share: the cost of a whole process tree, tables, and which machine it was."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Cost:
    """What one run of a command took: the whole process tree, from start to end.

    Attributes:
        wall_s: seconds on the clock.
        cpu_s: user and system seconds of the process and of every descendant that it waited for.
        largest_gb: resident memory of the largest single process at its peak, in GiB.
        output: what it printed on both streams.
    """

    wall_s: float
    cpu_s: float
    largest_gb: float
    output: str


def run_tree(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end and return what it took.

    Raises:
        SystemExit: it failed; with the end of what it printed.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        began = time.perf_counter()
        process = start(command, said.fileno(), env)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output[-3000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, output)


def peak_tree_gb(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> float:
    """Run a command and return the peak of its whole tree's memory, shared pages counted once, in GiB.

    The tree is looked at every 20 ms, or where a look takes long for a tenth of the time, which costs time: such a run
    is not timed.
    """
    peak, ended = 0.0, threading.Event()

    def watch(session: int) -> None:
        nonlocal peak
        pause = LOOK_EVERY_S
        while not ended.wait(pause):
            began = time.perf_counter()
            peak = max(peak, sum(_pss_gb(pid) for pid in _session(session)))
            pause = max(LOOK_EVERY_S, 9 * (time.perf_counter() - began))

    process = start(command, subprocess.DEVNULL, env)
    watcher = threading.Thread(target=watch, args=(process.pid,))
    watcher.start()
    process.wait()
    ended.set()
    watcher.join()
    return peak


def start(command: Sequence[str | Path], output: int, env: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with some variables of the environment set."""
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output != subprocess.DEVNULL else output,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )


class Meter:
    """Seconds, and CPU seconds of the own session's living processes, since it was made.

    For the middle of a program whose start shall not count; `start` gives a command a session of its own.
    """

    def __init__(self) -> None:
        self._cpu, self._wall = self._cpu_s(), time.perf_counter()

    def read(self, steps: int) -> dict[str, float]:
        """Return what a step took."""
        wall, cpu = time.perf_counter() - self._wall, self._cpu_s() - self._cpu
        return {"wall_s": wall / steps, "cpu_s": cpu / steps}

    @staticmethod
    def _cpu_s() -> float:
        ticks = 0
        for pid in _session(os.getsid(0)):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def interleave(work: Mapping[str, Callable[[], Cost]], repeats: int) -> dict[str, list[Cost]]:
    """Run every job once in turn, `repeats` times, so that a busy minute hits all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, job in work.items():
            costs[name].append(job())
    return costs


def threads_env(threads: int) -> dict[str, str]:
    """Return the variables that tell every library how many threads it may take."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


def machine(threads: int) -> str:
    """Return date, processor and load, in one line."""
    info = Path("/proc/cpuinfo").read_text("utf-8", "replace") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}; {model or platform.machine()}, {os.cpu_count()} cores, {threads} threads; load {load}"


def versions(*packages: str) -> str:
    """Return the versions of Python and of those packages that are installed here, in one line."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(found)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns: the first flush left, the others flush right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in pairs).rstrip()
        for pairs in (list(enumerate(zip(line, widths, strict=True))) for line in lines)
    )


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _pss_gb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 2**20
    except OSError:
        pass
    return 0.0
