"""`fit --folds N`: every fold trained in a run of its own, from one plan and one store of prepared cases.

RUN/run.json, recipe.toml, splits.json, fingerprint.json   what all folds share
RUN/prepared/                                               the prepared cases, once
RUN/fold-0/ ... RUN/fold-N/                                 a run each, with its held-out cases
RUN/scores.csv, summary.json, report.html                   every case, scored by the fold that held it out
RUN/model.nxb                                               the networks of all folds as one ensemble

The same call on the same folder goes on where an earlier one was interrupted; folds that are done are left alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuraxis.dataset.opening import Place, places_of
from neuraxis.errors import Stopped, UsageError
from neuraxis.files import read_json
from neuraxis.pipelines.fit import FitOptions, FitResult, check_options, fit_planned, request_of
from neuraxis.pipelines.folds.outcome import finish_folds
from neuraxis.pipelines.folds.planning import plan_folds, read_folds_plan, write_folds_plan
from neuraxis.pipelines.folds.side_by_side import Order, fit_side_by_side, refuse_jobs
from neuraxis.pipelines.folds.timing import seconds_of_fold, share_of_budget
from neuraxis.pipelines.run_folder import RunFolder, writing_in
from neuraxis.pipelines.steps import Planned
from neuraxis.preparation.prepare import prepare_dataset
from neuraxis.progress import Progress, Silent
from neuraxis.training.curves import STOP

log = logging.getLogger("neuraxis")
READY, SHARED = "prepared", "fold_budget"


@dataclass(frozen=True)
class _Fold:
    """A fold, and where its run lies."""

    number: int
    folder: Path

    @property
    def is_done(self) -> bool:
        """Whether its run has ended with everything that it writes."""
        needed = ("run.json", "model.nxb", "scores.csv", "report.html")
        if not all((self.folder / name).is_file() for name in needed):
            return False
        return any(event["kind"] == "finished" for event in read_json(self.folder / "run.json").get("events", []))


def fit_folds(
    datasets: Sequence[Place | Path | str],
    options: FitOptions,
    count: int = 5,
    progress: Progress | None = None,
    jobs: int = 1,
) -> FitResult:
    """Train every fold, score each case with the network that did not learn from it, and bundle all networks as one.

    Args:
        datasets: folders of labelled scans.
        options: what is asked for; a time budget is for all folds together.
        count: into how many folds patients are dealt.
        progress: who shows how far it is.
        jobs: how many folds are trained at once, each in a process with its share of the cores, or a GPU of its own.

    Returns:
        The run, its ensemble, and the scores over all cases.

    Raises:
        UsageError: the folder holds another run, or arguments exclude one another.
        DataError: the data are refused, or changed since the run began.
        RecipeError: a wish is wrong.
        ResourceError: memory, disk or the device does not suffice, or another process works in the folder.
        Stopped: it was asked to end; the same call again goes on.
    """
    began, progress = time.monotonic(), progress or Silent()
    _refuse_contradictions(options, count)
    check_options(options)
    refuse_jobs(jobs, options)
    paths = places_of(datasets)
    planned = None if (options.into / "run.json").is_file() else plan_folds(paths, options, count, progress)
    with writing_in(options.into):
        return _Folds(paths, options, count, progress).run_all(planned, began, jobs)


class _Folds:
    """The folds of one run, one after another or some at once."""

    def __init__(self, paths: Sequence[Place], options: FitOptions, count: int, progress: Progress) -> None:
        self.paths, self.options, self.count, self.progress = paths, options, count, progress
        asked: dict[str, Any] = {"folds": count, **request_of(paths, options), "fold": None}
        self.run = RunFolder(options.into, asked)
        self.run.note(device=options.device)
        self.run.add_event("started")
        self.folds = [_Fold(number, self.run.path(f"fold-{number}")) for number in range(count)]

    def run_all(self, planned: Planned | None, began: float, jobs: int) -> FitResult:
        """Do everything that is not done yet, so many folds at once; `planned` is what a new run begins with."""
        run = self.run
        planned = self._planned(planned)
        if not all(fold.is_done for fold in self.folds):
            prepare_dataset(
                planned.dataset,
                planned.plan.recipe.preparation,
                run.path("prepared"),
                self.progress,
                planned.fingerprint,
            )
            if run.event(READY) is None:
                run.add_event(READY, seconds=round(time.monotonic() - began, 1))
        open_folds = [fold for fold in self.folds if not fold.is_done]
        if jobs > 1 and open_folds:
            orders = [
                Order(run.folder.resolve(), fold.number, tuple(self.paths), self._options(fold, planned, jobs))
                for fold in open_folds
            ]
            fit_side_by_side(orders, jobs, self.progress, lambda: run.has(STOP))
        else:
            for fold in open_folds:
                self._fit(fold, planned)
        scores = finish_folds(run, planned, [fold.folder for fold in self.folds], self.progress)
        run.add_event("finished", seconds=round(time.monotonic() - began, 1))
        log.info("mean foreground Dice %.4f over all cases, each held out once", scores.mean("dice"))
        return FitResult(run.folder, run.path("model.nxb"), run.path("report.html"), scores)

    def _planned(self, planned: Planned | None) -> Planned:
        run = self.run
        if run.has("recipe.toml"):
            log.info("resuming the run in %s", run.folder)
            return read_folds_plan(run, self.paths)
        planned = planned or plan_folds(self.paths, self.options, self.count, self.progress)
        write_folds_plan(run, planned)
        return planned

    def _fit(self, fold: _Fold, planned: Planned) -> None:
        """Train one fold in its own run, or go on with it."""
        if self.run.has(STOP):
            raise Stopped(
                f"{self.run.folder}: stopped before fold {fold.number} of {self.count}, as `neuraxis run stop` asked. "
                "The same command again resumes."
            )
        log.info("fold %d of %d: %s", fold.number + 1, self.count, fold.folder)
        fit_planned(self.paths, self._options(fold, planned), planned, self.progress, time.monotonic())

    def _options(self, fold: _Fold, planned: Planned, jobs: int = 1) -> FitOptions:
        """Return what a fold's own run is asked for."""
        splits = planned.plan.recipe.splits
        dealt = [f"splits.folds={splits.folds}", *([] if splits.own else ["splits.own=false"])]
        return replace(
            self.options,
            into=fold.folder,
            fold=fold.number,
            settings=(*self.options.settings, *dealt),
            budget_s=self._budget(fold, jobs),
            prepared=self.run.path("prepared"),
        )

    def _budget(self, fold: _Fold, jobs: int) -> float | None:
        """Return the share of the time budget that a fold has; it is decided when the fold begins, once.

        Of folds side by side each gets an equal share, as many times over as there are at once.
        """
        if self.options.budget_s is None:
            return None
        events = self.run.content["events"]
        decided = [event for event in events if event["kind"] == SHARED]
        known = {event["fold"]: event["budget_s"] for event in decided}
        if fold.number not in known:
            ready = self.run.event(READY) or {"seconds": 0.0}
            spent, left = float(ready["seconds"]), -(-self.count // jobs)
            if jobs == 1:
                begun = [other for other in self.folds if other.number in known]
                spent += sum(seconds_of_fold(other.folder, known[other.number]) for other in begun)
                left -= len(begun)
            share = share_of_budget(self.options.budget_s, spent, left)
            self.run.add_event(SHARED, fold=fold.number, budget_s=share)
            return share
        return float(known[fold.number])


def _refuse_contradictions(options: FitOptions, count: int) -> None:
    if count < 2:
        raise UsageError(f"--folds {count}: needed are at least 2. For a single one leave it out, or name --fold.")
    if options.fold:
        raise UsageError(f"--folds {count} trains every fold: leave out --fold {options.fold}.")
    if options.add:
        raise UsageError(
            f"--folds {count}: does not go with --add, whose cases are dealt to no fold. Train one with --fold, or put "
            "the corrected label maps into the dataset."
        )
    if options.repeat is not None:
        raise UsageError(
            f"--repeat {options.repeat}: repeats one fold, not several. Name the folder of a fold, such as "
            f"{options.repeat / 'fold-0'}, and its number with --fold."
        )
