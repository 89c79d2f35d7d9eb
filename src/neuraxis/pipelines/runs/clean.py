"""What of finished runs is no longer needed, and removing it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraxis.errors import BundleError, NeuraxisError, ResourceError
from neuraxis.files import folder_lock, read_json
from neuraxis.pipelines.runs.state import find_runs, read_run, size_of

REMOVABLE = {
    "prepared": "the prepared cases, made anew from the data",
    "checkpoint.pt": "the checkpoint, whose weights are in the model",
    "embeddings": "embeddings of slices, computed anew from the base",
    "profile/trace.json": "the profiler's trace, summed up in profile.csv",
    "bundle-parts": "left by a process that was killed",
}
LEFT = ".part-*"


@dataclass(frozen=True)
class Removal:
    """A file or folder that can go, why, and the bytes that it takes."""

    path: Path
    why: str
    size: int


@dataclass(frozen=True)
class RunCleaning:
    """What can go of one run.

    Attributes:
        run: its folder.
        removals: what can go.
        kept: why all or some of it is kept; empty where nothing is.
    """

    run: Path
    removals: tuple[Removal, ...]
    kept: str = ""


def plan_cleaning(folder: Path) -> list[RunCleaning]:
    """Return what can go of each run in a folder; nothing is removed.

    Only finished runs are touched whose model is whole, and of them neither the model nor its report, scores, curves,
    predictions, previews or log. Prepared cases stay where the data they were made from are gone.
    """
    return [_plan(run) for run in find_runs(folder)]


def clean(plans: list[RunCleaning]) -> list[RunCleaning]:
    """Remove what was planned, and return what was removed; a run in which a process works by now is left alone."""
    done = []
    for plan in plans:
        if not plan.removals:
            done.append(plan)
            continue
        try:
            with folder_lock(plan.run):
                done.append(_removed(_plan(plan.run)))
        except ResourceError as error:
            done.append(RunCleaning(plan.run, (), str(error)))
    return done


def _plan(run: Path) -> RunCleaning:
    state = read_run(run, sized=False)
    if state.state != "finished":
        why = "it runs" if state.state == "running" else f"it is {state.state} and can be resumed"
        return RunCleaning(run, (), why)
    problem = _problem_of_model(run)
    if problem:
        return RunCleaning(run, (), problem)
    kept, found = "", []
    for place in (run, *sorted(run.glob("fold-*"))):
        for name, why in REMOVABLE.items():
            path = place / name
            if name == "prepared" and path.is_dir() and not _has_data(run):
                kept = "the data of its prepared cases are gone, so these are kept"
            elif path.exists() and not path.is_symlink():
                found.append(Removal(path, why, size_of(path)))
    chosen = {removal.path for removal in found}
    for path in sorted(run.rglob(LEFT)):
        if not chosen & {path, *path.parents} and not any("prepared" in parent.name for parent in path.parents):
            found.append(Removal(path, "left by a process that was killed", size_of(path)))
    return RunCleaning(run, tuple(found), kept)


def _problem_of_model(run: Path) -> str:
    """Return why a run's model cannot take the place of its checkpoint; empty where it can."""
    from neuraxis.bundle.bundle import open_bundle

    models = [run / "model.nxb"] if (run / "model.nxb").exists() else sorted(run.glob("fold-*/model.nxb"))
    try:
        for model in models:
            open_bundle(model)
    except (BundleError, NeuraxisError) as error:
        return f"its model is not whole ({error})"
    return "" if models else "it has no model"


def _has_data(run: Path) -> bool:
    """Tell whether every dataset that a run was asked for is still there."""
    request: dict[str, Any] = read_json(run / "run.json").get("request", {})
    datasets = [Path(path) for path in request.get("datasets", [])]
    return bool(datasets) and all(path.is_dir() and any(path.iterdir()) for path in datasets)


def _removed(plan: RunCleaning) -> RunCleaning:
    for removal in plan.removals:
        if removal.path.is_dir():
            shutil.rmtree(removal.path)
        else:
            removal.path.unlink(missing_ok=True)
    trace = plan.run / "profile"
    if trace.is_dir() and not any(trace.iterdir()):
        trace.rmdir()
    return plan
