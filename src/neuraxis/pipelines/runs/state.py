"""How a run stands, from what lies in its folder. Needs no torch."""

from __future__ import annotations

import math
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from neuraxis.errors import DataError, UsageError
from neuraxis.files import read_json
from neuraxis.pipelines.runs.process import PROCESS, is_here, lives, read_process
from neuraxis.training.curves import CURVES, PROGRESS, Row, read_curves

State = Literal["running", "finished", "stopped", "failed", "killed", "lost"]

RUN, REPORT, USUAL = "run.json", "report.html", Path("runs")
DEEPEST = 3
SILENT_S = 900.0


@dataclass(frozen=True)
class RunState:
    """A run at one moment.

    Attributes:
        path: its folder.
        state: "running"; "finished"; "stopped", politely; "failed", with an error; "killed": gone without a word;
            "lost": on another machine, which has not been heard of for 15 minutes.
        step: optimiser steps done.
        steps: optimiser steps in all; 0 where that is not known yet.
        seconds: of training.
        rate_s: seconds that a step takes at present; NaN where that cannot be told.
        best: highest Dice on the held-out patches; NaN without any.
        score: mean foreground Dice over the held-out cases; NaN before they are scored.
        device: where it is or was trained.
        host: on which machine.
        created: when it was begun, in seconds since 1970.
        changed: when something was last written.
        size: bytes on disk.
        why: how it failed.
        rows: of `curves.csv`.
        now: the present `progress.json`; empty while nothing is trained.
        fold: of a run of several folds, the number of the one that `step`, `rows` and the like are of.
        folds: how many folds there are; 0 for a run of one.
    """

    path: Path
    state: State
    step: int
    steps: int
    seconds: float
    rate_s: float
    best: float
    score: float
    device: str
    host: str
    created: float
    changed: float
    size: int
    why: str
    rows: tuple[Row, ...]
    now: dict[str, Any]
    fold: int = 0
    folds: int = 0

    @property
    def left_s(self) -> float:
        """Seconds of training that are left at the present pace, later folds included; NaN where that is unknown."""
        if self.state != "running" or not self.steps:
            return math.nan
        later = max(0, self.folds - self.fold - 1) * self.steps
        return (max(0, self.steps - self.step) + later) * self.rate_s

    @property
    def place(self) -> Path:
        """The folder in which its training lies."""
        return training_place(self.path)


def read_run(path: Path, sized: bool = True) -> RunState:
    """Return how the run in a folder stands.

    Args:
        path: the folder.
        sized: whether its size on disk is counted, which reads every entry.

    Raises:
        UsageError: there is no run in it.
    """
    if not (path / RUN).is_file():
        raise UsageError(f"{path}: holds no run (no {RUN}). Name the folder of a run; neuraxis run list shows them.")
    content, process, place = _json(path / RUN), read_process(path), training_place(path)
    now, rows = _json(place / PROGRESS), tuple(read_curves(place / CURVES))
    events = [event for event in content.get("events", []) if isinstance(event, dict)]
    changed = max((_time_of(file) for file in _signs(path, place)), default=0.0)
    state = _state(path, process, events, changed)
    step = int(now.get("step") or (rows[-1]["step"] if rows else 0))
    folds = _number(content.get("request", {}).get("folds"))
    own = events if place == path else _json(place / RUN).get("events", [])
    trained = next((int(event["steps"]) for event in reversed(own) if event.get("kind") == "trained"), 0)
    return RunState(
        path=path,
        state=state,
        step=max(step, trained),
        steps=int(now.get("steps") or trained or _planned_steps(place) or _planned_steps(path)),
        seconds=float(now.get("seconds") or (rows[-1]["seconds"] if rows else 0.0)),
        rate_s=_rate(now, rows),
        best=max((row["validation_dice"] for row in rows), default=math.nan),
        score=_score(path),
        device=str(now.get("device") or content.get("device") or ""),
        host=str(process.get("host", "")),
        created=_seconds(content.get("created")),
        changed=changed,
        size=size_of(path) if sized else 0,
        why=str(process.get("why", "")) if state == "failed" else "",
        rows=rows,
        now=now,
        fold=_number(place.name.removeprefix("fold-")) if place != path else 0,
        folds=folds,
    )


def find_runs(folder: Path) -> list[Path]:
    """Return the folders of runs in a folder, itself among them, three levels down at most, the newest first."""
    return sorted(_runs_in(folder, DEEPEST), key=lambda run: -_time_of(run / RUN))


def list_runs(folder: Path | str | None = None) -> tuple[RunState, ...]:
    """Return how each run in a folder stands, the newest first.

    Args:
        folder: where to look, three levels down; None for `runs`, else here.

    Raises:
        UsageError: there is no such folder.
    """
    place = default_folder() if folder is None else Path(folder)
    if not place.is_dir():
        raise UsageError(f"{place}: no such folder. Name a folder with runs.")
    return tuple(read_run(path) for path in find_runs(place))


def default_folder() -> Path:
    """Return where runs are looked for that no folder was named for: `runs`, or here."""
    return USUAL if USUAL.is_dir() else Path()


def choose_run(named: Path | None, running: bool = False) -> Path:
    """Return the run that is meant: the one that is named, else the newest.

    Args:
        named: a folder of a run, or of several of which the newest is meant.
        running: whether only one that runs can be meant; of several that run none is guessed.

    Raises:
        UsageError: there is none, or more than one runs.
    """
    folder = named or default_folder()
    if named is not None and not folder.is_dir():
        raise UsageError(f"{named}: no such folder. Name the folder of a run; neuraxis run list shows them.")
    if (folder / RUN).is_file():
        return folder
    found = find_runs(folder)
    where = f"{folder.absolute()}: holds no run"
    if not found:
        raise UsageError(f"{where}. Name the folder of a run, or begin one with: neuraxis fit DATASET")
    if not running:
        return found[0]
    under_way = [path for path in found if read_run(path, sized=False).state == "running"]
    if len(under_way) == 1:
        return under_way[0]
    if not under_way:
        raise UsageError(f"{where} that is running.")
    raise UsageError(f"{folder}: {len(under_way)} runs are running: {', '.join(map(str, under_way))}. Name one.")


def training_place(run: Path) -> Path:
    """Return the folder in which a run's training lies: its own, or that of the first fold which is under way.

    Where every fold is done that was begun, it is the last of them.
    """
    named = [fold for fold in run.glob("fold-*") if fold.name.removeprefix("fold-").isdigit() and _has_training(fold)]
    folds = sorted(named, key=lambda fold: _number(fold.name.removeprefix("fold-")))
    if _has_training(run) or not folds:
        return run
    return next((fold for fold in folds if not (fold / REPORT).is_file()), folds[-1])


def _has_training(folder: Path) -> bool:
    return (folder / CURVES).is_file() or (folder / PROGRESS).is_file()


def size_of(path: Path) -> int:
    """Return the bytes that a file or a folder takes on disk; links are not followed."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_blocks * 512
        return sum(size_of(entry) for entry in path.iterdir())
    except OSError:
        return 0


def _runs_in(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / RUN).is_file():
        yield folder
        return
    if depth:
        try:
            inner = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        except OSError:
            return
        for entry in inner:
            if not entry.is_symlink():
                yield from _runs_in(entry, depth - 1)


def _state(path: Path, process: dict[str, Any], events: list[dict[str, Any]], changed: float) -> State:
    """Tell the state; a run of an earlier version, which noted no process, is finished or stopped."""
    ended = process.get("ended")
    if process and ended is None and is_here(process):
        return "running" if lives(process) else "killed"
    if process and ended is None:
        return "running" if time.time() - changed < SILENT_S else "lost"
    finished = any(event.get("kind") == "finished" for event in events)
    if ended in ("stopped", "failed"):
        return "stopped" if ended == "stopped" else "failed"
    return "finished" if finished or ended == "done" or (path / "model.nxb").exists() else "stopped"


def _signs(path: Path, place: Path) -> list[Path]:
    names = (RUN, PROCESS, "log.txt", "prepared", "predictions", "report.html", "model.nxb")
    return [*(path / name for name in names), place / PROGRESS, place / CURVES, place / "checkpoint.pt"]


def _rate(now: dict[str, Any], rows: tuple[Row, ...]) -> float:
    """Return seconds a step: since the last row but one of the curves, or since the beginning."""
    if not now:
        return math.nan
    step, seconds = float(now.get("step", 0)), float(now.get("seconds", 0))
    for row in [*reversed(rows[-3:-1]), {"step": 0.0, "seconds": 0.0}]:
        if step > row["step"] and seconds > row["seconds"]:
            return (seconds - row["seconds"]) / (step - row["step"])
    return math.nan


def _planned_steps(path: Path) -> int:
    try:
        with (path / "recipe.toml").open("rb") as stream:
            return int(tomllib.load(stream).get("training", {}).get("steps", 0))
    except (OSError, ValueError):
        return 0


def _score(path: Path) -> float:
    mean = _json(path / "summary.json").get("foreground_mean", {}) if (path / "summary.json").is_file() else {}
    value = mean.get("Dice") if isinstance(mean, dict) else None
    return float(value) if isinstance(value, int | float) else math.nan


def _json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def _number(content: Any) -> int:
    try:
        return int(content or 0)
    except (TypeError, ValueError):
        return 0


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _seconds(written: Any) -> float:
    try:
        return datetime.fromisoformat(str(written)).timestamp()
    except ValueError:
        return 0.0
