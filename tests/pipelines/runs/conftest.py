"""Folders that look like runs, made up here."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuraxis.pipelines.runs.process import own_process
from neuraxis.training.curves import write_curves

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Make a run: its events, who is noted to work there, rows of its curves, and progress.json.

    `who` is "this" process, one that is "dead" and whose number another bears, one "far" away, or nobody.
    """

    def make(
        name: str, events: tuple[str, ...] = (), who: str = "", rows: int = 0, step: int = 0, **noted: Any
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        content = {
            "request": {"datasets": [str(tmp_path)]},
            "created": "2026-01-02T03:04:05+00:00",
            "events": [{"kind": kind, "steps": 100} for kind in events],
            "device": "auto",
        }
        (folder / "run.json").write_text(json.dumps(content))
        if who:
            other = {"dead": {"start": "another boot 5"}, "far": {"host": f"not-{platform.node()}"}}.get(who, {})
            (folder / "process.json").write_text(json.dumps({**own_process(), **other, **noted}))
        if rows:
            write_curves(folder / "curves.csv", [row(10 * number) for number in range(1, rows + 1)])
        if step:
            now = {"step": step, "steps": 100, "seconds": 2.0 * step, "device": "cpu", "loss": 0.5}
            (folder / "progress.json").write_text(json.dumps(now))
        return folder

    return make


def row(step: int) -> dict[str, float]:
    dice = 1 - abs(step - 20) / 100
    return {"step": step, "seconds": step, "learning_rate": 0.1, "loss": 1 / step, "validation_dice": dice}
