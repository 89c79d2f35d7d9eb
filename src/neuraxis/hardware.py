"""Probes of the machine: memory, processors, what the processor computes in."""

from __future__ import annotations

import os
import re
from pathlib import Path

from neuraxis.errors import UsageError


def usable_cores() -> int:
    """Return how many cores this process may use (affinity and container quota counted in)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def available_memory_gb() -> float:
    """Return the memory that a new process could take, in GiB (container limit counted in)."""
    free = float("inf")
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) / 2**20
    limit, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if limit.isdigit() and used.isdigit():
        free = min(free, (int(limit) - int(used)) / 2**30)
    return free if free != float("inf") else 8.0


def processor_has_bf16() -> bool:
    """Tell whether the processor multiplies bfloat16 in hardware."""
    text = _read("/proc/cpuinfo")
    return " avx512_bf16" in text or " amx_bf16" in text


def processor_has_int8() -> bool:
    """Tell whether the processor sums products of int8 in int32; older ones do so in int16, which overflows."""
    text = _read("/proc/cpuinfo")
    return any(f" {flag}" in text for flag in ("avx512_vnni", "avx_vnni", "amx_int8"))


def check_device(name: str) -> None:
    """Refuse a name that is no device, before anything is imported or written.

    Raises:
        UsageError: it is none of auto, cpu, cuda, cuda:N and mps.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"--device {name}: is no device. Use auto, cpu, cuda, cuda:N or mps.")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
