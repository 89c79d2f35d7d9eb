"""The folder of one run: what was asked, what was decided, and what happened, so that it can go on or be repeated.

run.json        request, versions, seed, hashes, events
recipe.toml     every decision, resolved
splits.json     the folds
prepared/       what the network sees of each case
process.json    who works here, or how the last process ended
checkpoint.pt   where training stands (and progress.json)
curves.csv      loss, learning rate, Dice on held-out patches (and curves.png, tensorboard/)
previews/       pictures of chosen cases while the network learned
predictions/    segmentations of the held-out fold
scores.csv, summary.json, report.html, overlays.png, model.nxb, log.txt
"""

from __future__ import annotations

import logging
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuraxis.bundle.card import software_versions
from neuraxis.dataset.splits import Fold
from neuraxis.errors import UsageError
from neuraxis.files import folder_lock, read_json, write_json
from neuraxis.hardware import usable_cores
from neuraxis.pipelines.runs.process import PROCESS, process_noted

log = logging.getLogger("neuraxis")


class RunFolder:
    """A run on disk.

    Args:
        folder: where it lies.
        request: what was asked, JSON-able; the same request resumes the run.

    Raises:
        UsageError: the folder holds a run that was asked for differently.
    """

    def __init__(self, folder: Path, request: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.content = self._open(request)

    def path(self, name: str) -> Path:
        """Return the path of a file of the run."""
        return self.folder / name

    def has(self, *names: str) -> bool:
        """Tell whether all of these files are there."""
        return all(self.path(name).exists() for name in names)

    def note(self, **facts: Any) -> None:
        """Write facts into `run.json`."""
        self.content.update(facts)
        write_json(self.path("run.json"), self.content)

    def add_event(self, kind: str, **facts: Any) -> dict[str, Any]:
        """Append an event to `run.json`: a decision that a repeat must take again, or a step of the run's life."""
        event = {"kind": kind, "time": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
        self.note(events=[*self.content["events"], event])
        return event

    def event(self, kind: str) -> dict[str, Any] | None:
        """Return the first event of a kind, or None."""
        return next((event for event in self.content["events"] if event["kind"] == kind), None)

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        place = self.folder / "run.json"
        if place.is_file():
            content = dict(read_json(place))
            differing = [key for key, value in request.items() if content.get("request", {}).get(key) != value]
            if differing:
                key = differing[0]
                raise UsageError(
                    f"{self.folder}: holds a run with {key} = {content.get('request', {}).get(key)}, asked for is "
                    f"{request[key]}. Ask for the same to resume it, or name another place with --into."
                )
            return content
        content = {
            "request": request,
            "command": sys.argv,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": software_versions(),
            "machine": {"system": platform.platform(), "processor": platform.machine(), "threads": usable_cores()},
            "events": [],
        }
        write_json(place, content)
        return content


def refuse_foreign(folder: Path) -> None:
    """Refuse a place for a new run that is a file, or a folder with other files in it; a run that is there is none.

    Raises:
        UsageError: with what is in the way.
    """
    if folder.is_file():
        raise UsageError(f"{folder}: is a file. Name a folder with --into.")
    if (folder / "run.json").is_file():
        return
    if folder.is_dir() and any(path.name not in (".lock", "log.txt", PROCESS) for path in folder.iterdir()):
        raise UsageError(f"{folder}: holds files that are not of a run. Name another place with --into.")


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Hold the run's folder for this process alone, clear what a killed one left, and append the log to `log.txt`.

    `process.json` says who works there, and in the end how it went.

    Raises:
        ResourceError: another process works in it.
    """
    with folder_lock(folder):
        for left in [*folder.rglob(".part-*")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        before = log.level
        log.addHandler(handler)
        log.setLevel(logging.INFO if before in (0, logging.WARNING) else before)
        try:
            with process_noted(folder):
                yield
        finally:
            log.removeHandler(handler)
            log.setLevel(before)
            handler.close()


def folds_to_json(folds: tuple[Fold, ...]) -> list[dict[str, list[str]]]:
    """Return folds as nnU-Net writes them in `splits_final.json`."""
    return [{"train": list(fold.training), "val": list(fold.validation)} for fold in folds]


def folds_from_json(content: list[dict[str, list[str]]]) -> tuple[Fold, ...]:
    """Build folds from what `folds_to_json` returned."""
    return tuple(Fold(tuple(fold["train"]), tuple(fold["val"])) for fold in content)


def pick_fold(folds: tuple[Fold, ...], number: int) -> Fold:
    """Return a fold by its number.

    Raises:
        UsageError: there is none of that number.
    """
    if not 0 <= number < len(folds):
        raise UsageError(f"--fold {number}: the data have folds 0 to {len(folds) - 1}.")
    return folds[number]
