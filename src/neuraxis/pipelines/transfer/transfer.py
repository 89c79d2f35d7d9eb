"""`transfer`: trainings that begin with a model and trainings from scratch, on more and more of the cases.

INTO/transfer.json                   what was asked
INTO/prepared/                       the prepared cases, once
INTO/share-010-model/, share-010-scratch/, ...   a run each, as `fit` makes it
INTO/table.csv, differences.csv, cases.csv, transfer.png, report.html
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.opening import Place, places_of
from neuraxis.errors import UsageError
from neuraxis.evaluation.comparison.shares import SCRATCH, TRANSFER, Cell, ShareTable
from neuraxis.evaluation.scores import Scores
from neuraxis.files import folder_lock, read_json, write_json, write_text
from neuraxis.pipelines.fit import FitOptions, check_options, fit_planned, plan_anew, request_of
from neuraxis.pipelines.runs.data import open_all
from neuraxis.pipelines.steps import Planned, choose_folds
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.branches.transfer import TransferRecipe
from neuraxis.recipe.planner import Plan
from neuraxis.report.comparison.shares import SharesReport, shares_html, shares_png

log = logging.getLogger("neuraxis")
REQUEST, REPORT, FIGURE = "transfer.json", "report.html", "transfer.png"
USUAL = (10.0, 25.0, 50.0, 100.0)
_FILES = ("run.json", "model.nxb", "scores.csv", "report.html")


@dataclass(frozen=True)
class TransferOptions:
    """What is trained.

    Attributes:
        into: folder of the runs and the table; the same call again goes on.
        begin_with: the bundle that one of the two begins with.
        shares: of the training patients, in percent, in (0, 100].
        steps: of each training; None takes those of the recipe.
        recipe: name in the book or a TOML file; what it leaves open is taken from the bundle, for both.
        settings: "key=value" wishes on top.
        fold: which one is held out.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """

    into: Path
    begin_with: Path
    shares: tuple[float, ...] = USUAL
    steps: int | None = None
    recipe: str | Path = "auto"
    settings: tuple[str, ...] = ()
    fold: int = 0
    device: str = "auto"


def transfer(
    datasets: Sequence[Place | Path | str], options: TransferOptions, progress: Progress | None = None
) -> ShareTable:
    """Train with a model and from scratch on nested shares of the training patients, and score the same held-out fold.

    Args:
        datasets: folders of labelled scans.
        options: what is trained.
        progress: who shows how far it is.

    Returns:
        The table; it and a report lie in `options.into`.

    Raises:
        UsageError: the folder holds something else, or a share is none.
        DataError: the data are refused, or changed since.
        RecipeError: a wish is wrong.
        Stopped: a run was asked to end; the same call again goes on.
    """
    progress = progress or Silent()
    shares = tuple(sorted(set(options.shares)))
    if not shares or not all(0 < share <= 100 for share in shares):
        raise UsageError(
            f"--shares {_listed(shares)}: needed are percentages above 0, up to 100, such as 10,25,50,100."
        )
    steps = () if options.steps is None else (f"training.steps={options.steps}",)
    plain = FitOptions(
        into=options.into,
        recipe=options.recipe,
        settings=(*options.settings, *steps),
        fold=options.fold,
        device=options.device,
        begin_with=options.begin_with,
    )
    check_options(plain)
    paths = places_of(datasets)
    asked = {"shares": list(shares), **request_of(paths, plain)}
    _refuse_other(options.into, asked)
    runs = [_Run(share, start, options.into) for share in shares for start in (TRANSFER, SCRATCH)]
    planned = None if all(run.is_done for run in runs) else _plan(paths, plain, progress)
    if planned is not None:
        _refuse_equal(planned, shares, options.fold)
    with folder_lock(options.into):
        write_json(options.into / REQUEST, asked)
        for run in runs:
            if planned is not None and not run.is_done:
                run.train(paths, plain, planned, progress)
        table = ShareTable(tuple(run.cell() for run in runs))
        _write(table, options, paths)
    return table


@dataclass(frozen=True)
class _Run:
    """One training of the table."""

    share: float
    start: str
    into: Path

    @property
    def folder(self) -> Path:
        number = f"{self.share:06.2f}".rstrip("0").rstrip(".") if self.share % 1 else f"{self.share:03.0f}"
        return self.into / f"share-{number}-{'model' if self.start == TRANSFER else 'scratch'}"

    @property
    def is_done(self) -> bool:
        if not all((self.folder / name).is_file() for name in _FILES):
            return False
        return any(event["kind"] == "finished" for event in read_json(self.folder / "run.json").get("events", []))

    def train(self, paths: Sequence[Place], plain: FitOptions, planned: Planned, progress: Progress) -> None:
        options = replace(
            plain,
            into=self.folder,
            settings=(*plain.settings, f"splits.share={self.share / 100:g}"),
            begin_with=plain.begin_with if self.start == TRANSFER else None,
            prepared=self.into / "prepared",
        )
        log.info("%g %% of the training patients, %s: %s", self.share, self.start, self.folder)
        fit_planned(paths, options, _thinned(planned, self.share, self.start), progress, time.monotonic())

    def cell(self) -> Cell:
        about = read_json(self.folder / "run.json")["card"]["training_data"]
        scores = Scores.read_csv(self.folder / "scores.csv")
        return Cell(self.share, self.start, int(about["cases"]), int(about["patients"]), scores)


def _plan(paths: Sequence[Place], plain: FitOptions, progress: Progress) -> Planned:
    """Plan once, with what the model's weights need, for both starts; the folder may hold runs already."""
    return plan_anew(paths, replace(plain, into=plain.into / "new"), progress)


def _thinned(planned: Planned, share: float, start: str) -> Planned:
    """Return the plan of one training: a share of its patients, and for one from scratch nothing of the model."""
    recipe = planned.plan.recipe
    splits = recipe.splits.model_copy(update={"share": share / 100})
    changes: dict[str, Any] = {"splits": splits, **({} if start == TRANSFER else {"transfer": TransferRecipe()})}
    recipe = recipe.model_copy(update=changes)
    folds = choose_folds(planned.dataset, recipe)
    return replace(planned, plan=Plan(recipe, planned.plan.reasons, planned.plan.candidates), folds=folds)


def _refuse_equal(planned: Planned, shares: Sequence[float], fold: int) -> None:
    """Refuse two shares that are the same patients: their rows would look like two results."""
    before: tuple[float, tuple[str, ...]] | None = None
    for share in shares:
        training = _thinned(planned, share, TRANSFER).folds[fold].training
        if before is not None and before[1] == training:
            raise UsageError(
                f"--shares: {before[0]:g} and {share:g} % are the same {len(training)} training cases. Leave one out."
            )
        before = (share, training)


def _refuse_other(into: Path, asked: dict[str, Any]) -> None:
    if into.is_file():
        raise UsageError(f"{into}: is a file. Name a folder with --into.")
    if (into / REQUEST).is_file():
        kept = read_json(into / REQUEST)
        for key, value in asked.items():
            if kept.get(key) != value:
                raise UsageError(
                    f"{into}: holds a table with {key} = {kept.get(key)}, asked for is {value}. Ask for the same to go "
                    "on, or name another place with --into."
                )
    elif into.is_dir() and any(path.name not in (".lock", "log.txt") for path in into.iterdir()):
        raise UsageError(f"{into}: holds files that are not of such a table. Name another place with --into.")


def _write(table: ShareTable, options: TransferOptions, paths: Sequence[Place]) -> None:
    bundle, dataset = open_bundle(options.begin_with), open_all(paths)
    table.write(options.into)
    shares_png(table, options.into / FIGURE)
    first = read_json(_Run(table.cells[0].share, TRANSFER, options.into).folder / "run.json")
    facts = {
        "data": dataset.name,
        "model": f"{bundle.name} (SHA-256 {bundle.hash[:16]})",
        "held-out fold": str(options.fold),
        "data hash": first["data_hash"],
        "seed": str(first["seed"]),
        "versions": ", ".join(f"{name} {version}" for name, version in first["versions"].items()),
    }
    warnings = tuple(note for note in first["card"]["training_data"]["notes"] if "too good" in note)
    page = SharesReport(f"{dataset.name}: with {bundle.name} and from scratch", table, facts, warnings)
    write_text(options.into / REPORT, shares_html(page))


def _listed(shares: Sequence[float]) -> str:
    return ",".join(f"{share:g}" for share in shares) or "(none)"
