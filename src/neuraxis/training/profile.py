"""Where the time of a training step goes: some steps under torch's profiler, summed up in words a reader knows.

The profiler watches; it changes no number, so weights are bit for bit those of a run without it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning as L
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, supported_activities

from neuraxis.files import atomic_path, write_csv
from neuraxis.patches.stream import BatchStream

WARM_UP, PROFILED = 5, 5
COLUMNS = ("operation", "calls", "milliseconds", "device_milliseconds", "share")
WAITING, REST = "waiting for data", "rest (Python, Lightning, the profiler itself)"
_REGIONS = ("augmentation", "loss", "gradient clipping", "running mean")
_KINDS = (("conv", "convolution"), ("norm", "normalisation"), ("relu", "activation"), ("gelu", "activation"))


class Profiling(L.Callback):
    """Profiles some steps after the warm-up; writes `profile.csv`, and `profile/trace.json` for a trace viewer.

    Args:
        folder: of the run.
        left: steps that the run still has; of few steps the last ones are profiled.
        stream: the batches, for the time spent waiting.
    """

    def __init__(self, folder: Path, left: int, stream: BatchStream[Any]) -> None:
        self.folder, self.stream = folder, stream
        self.steps = min(PROFILED, left)
        self.warm_up = min(WARM_UP, left - self.steps)
        self._seen = 0
        self._profile: profile | None = None

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End after the last profiled step, or begin after the last one of the warm-up."""
        self._seen += 1
        if self._profile is not None and self._seen == self.warm_up + self.steps:
            self._end()
        elif self._seen == self.warm_up:
            self._begin()

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Begin at once where there is no time for a warm-up."""
        if self.warm_up == 0:
            self._begin()

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Stop watching where the run is stopped early."""
        if self._profile is not None:
            self._profile.stop()
            self._profile = None

    def _begin(self) -> None:
        self._profile = profile(activities=supported_activities() & {ProfilerActivity.CPU, ProfilerActivity.CUDA})
        self._profile.start()
        self._began, self._waited = time.perf_counter(), self.stream.waited_s

    def _end(self) -> None:
        watched, self._profile = self._profile, None
        if watched is None:
            return
        watched.stop()
        wall_ms = 1000 * (time.perf_counter() - self._began)
        waited_ms = 1000 * (self.stream.waited_s - self._waited)
        rows = summed_up(watched.events() or (), wall_ms, waited_ms, self.steps)
        with atomic_path(self.folder / "profile" / "trace.json") as part:
            watched.export_chrome_trace(str(part))
        write_csv(self.folder / "profile.csv", COLUMNS, ([row[name] for name in COLUMNS] for row in rows))


def summed_up(
    events: Iterable[FunctionEvent], wall_ms: float, waited_ms: float, steps: int
) -> list[dict[str, str | float]]:
    """Return a row for each kind of operation: calls, milliseconds and share of a step's time, the longest first.

    Args:
        events: of the profiler; each counts with the time that it spent itself, outside the events within it.
        wall_ms: milliseconds that the steps took in all.
        waited_ms: those of them spent waiting for data.
        steps: how many steps were profiled.
    """
    calls: dict[str, int] = defaultdict(int)
    host: dict[str, float] = defaultdict(float)
    device: dict[str, float] = defaultdict(float)
    for event in events:
        kind = operation(event)
        if kind is not None and not event.is_async:
            calls[kind] += event.name.startswith("aten::")
            host[kind] += event.self_cpu_time_total / 1000
            device[kind] += event.self_device_time_total / 1000
    host[WAITING] = waited_ms
    host[REST] = max(0.0, wall_ms - sum(host.values()))
    rows: list[dict[str, str | float]] = [
        {
            "operation": kind,
            "calls": round(calls[kind] / steps, 1),
            "milliseconds": round(milliseconds / steps, 3),
            "device_milliseconds": round(device[kind] / steps, 3),
            "share": round(milliseconds / max(wall_ms, 1e-9), 4),
        }
        for kind, milliseconds in host.items()
    ]
    return sorted(rows, key=lambda row: -float(row["milliseconds"]))


def operation(event: FunctionEvent) -> str | None:
    """Return what an event is part of, such as "backward: convolution"; None for what lies outside a step's work."""
    names = []
    here: FunctionEvent | None = event
    while here is not None:
        names.append(here.name)
        here = here.cpu_parent
    for place, name in enumerate(names):
        if name in _REGIONS:
            return name
        if name == "network":
            return f"forward: {_kind(names[:place])}"
        if name.startswith("autograd::engine::evaluate_function"):
            return f"backward: {_kind(names[: place + 1])}"
        if name.startswith("Optimizer.step"):
            return "optimiser"
    return "other"


def _kind(names: Iterable[str]) -> str:
    for name in reversed([name.lower() for name in names]):
        for part, kind in _KINDS:
            if part in name:
                return kind
    return "other"
