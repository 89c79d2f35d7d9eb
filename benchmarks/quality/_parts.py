"""Commands that may be killed at any time: what each part of them took is on disk, and the next part goes on.

A row is made by phases, each of them one command that can go on where it was stopped, or starts anew. Its wall and CPU
seconds are written every two seconds, so that a part that was killed counts as well. Children bear the row's folder in
their environment: those that outlived a killed row are found by it, and ended before the row goes on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuraxis.files import read_json, write_json

MARK = "NEURAXIS_BENCHMARK_ROW"
LOOK_EVERY_S, WRITE_EVERY_S, GRACE_S = 0.1, 2.0, 60.0
_TICKS, _PARENT_DIES = os.sysconf("SC_CLK_TCK"), 1


@dataclass(frozen=True)
class Spent:
    """What phases took, their parts summed up.

    Attributes:
        wall_s: seconds on the clock while a part ran.
        cpu_s: user and system seconds of all their processes.
        others_s: CPU seconds that the cores gave to other processes meanwhile.
        parts: how many parts they were done in.
    """

    wall_s: float
    cpu_s: float
    others_s: float
    parts: int


class Parts:
    """The phases of one row, kept in `parts.json` of its folder.

    Args:
        folder: of the row; one process at a time works in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, str(folder.resolve())
        self.file = folder / "parts.json"
        self.entries: list[dict[str, Any]] = read_json(self.file) if self.file.is_file() else []

    def done(self, phase: str) -> bool:
        """Tell whether a phase has come to its end."""
        return any(entry["phase"] == phase and entry["ended"] == 0 for entry in self.entries)

    def spent(self, *phases: str) -> Spent:
        """Return what these phases took."""
        mine = [entry for entry in self.entries if entry["phase"] in phases]
        return Spent(*(sum(entry[key] for entry in mine) for key in ("wall_s", "cpu_s", "others_s")), len(mine))

    def run(
        self, phase: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None, anew: bool = False
    ) -> str:
        """Run a phase to its end and return what this part of it printed, which `PHASE.log` keeps.

        Args:
            phase: its name.
            command: what is run.
            env: variables of the environment to set.
            anew: the command cannot go on where an earlier part was stopped, so such parts are not counted.

        Raises:
            SystemExit: the command failed; with the end of what it printed.
        """
        end_all(marked(self.mark))
        if anew:
            self.entries = [entry for entry in self.entries if entry["phase"] != phase]
        typed = " ".join(map(str, command))
        entry = {"phase": phase, "command": typed, "began": now(), "ended": None}
        entry |= dict.fromkeys(("wall_s", "cpu_s", "others_s"), 0.0)
        self.entries.append(entry)
        log = self.folder / f"{phase}.log"
        with log.open("ab") as said:
            start = said.tell()
            process = _start(command, said.fileno(), {**(env or {}), MARK: self.mark})
            self._watch(process, entry)
        text = log.read_bytes()[start:].decode("utf-8", "replace")
        if entry["ended"] != 0:
            raise SystemExit(f"{typed} ended with {entry['ended']}:\n{text[-3000:]}")
        return text

    def _watch(self, process: subprocess.Popen[bytes], entry: dict[str, Any]) -> None:
        began, busy, written = time.monotonic(), busy_s(), 0.0
        try:
            while True:
                found, status, usage = os.wait4(process.pid, os.WNOHANG)
                entry["wall_s"] = round(time.monotonic() - began, 2)
                if found:
                    process.returncode = entry["ended"] = os.waitstatus_to_exitcode(status)
                    entry["cpu_s"] = round(usage.ru_utime + usage.ru_stime, 2)
                    break
                if entry["wall_s"] - written >= WRITE_EVERY_S:
                    written = entry["wall_s"]
                    entry["cpu_s"] = round(sum(map(cpu_of, marked(self.mark))), 2)
                    self._write(entry, busy_s() - busy)
                time.sleep(LOOK_EVERY_S)
        finally:
            if entry["ended"] is None:
                end_all(marked(self.mark), GRACE_S)
            self._write(entry, busy_s() - busy)

    def _write(self, entry: dict[str, Any], busy: float) -> None:
        entry["others_s"] = round(max(0.0, busy - entry["cpu_s"]), 2)
        write_json(self.file, self.entries)


def marked(mark: str) -> list[int]:
    """Return the processes that bear a mark, but this one."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end_all(processes: Sequence[int], grace_s: float = 5.0) -> None:
    """Ask processes to end, and kill those that have not done so after a while."""
    for kind, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        alive = [pid for pid in processes if _is_alive(pid)]
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, kind)
        until = time.monotonic() + patience
        while any(map(_is_alive, alive)) and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and of the children that it waited for; 0 once it is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def busy_s() -> float:
    """Return the CPU seconds that the cores this process may use were busy since they started, for whomever."""
    mine, total = os.sched_getaffinity(0), 0
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *ticks = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in mine:
            user, nice, system, _, _, irq, soft, steal = map(int, ticks[:8])
            total += user + nice + system + irq + soft + steal
    return total / _TICKS


def now() -> str:
    """Return the time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_alive(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    """Return the fields of a process after its name: state, parent, and so on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _start(command: Sequence[str | Path], output: int, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command that is asked to end when this process dies, however it dies."""
    system = ctypes.CDLL(None)
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **env},
        start_new_session=True,
        preexec_fn=lambda: system.prctl(_PARENT_DIES, signal.SIGTERM),
    )
