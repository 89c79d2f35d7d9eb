"""What remains of all folds together: scores over every case, one bundle, one report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from neuraxis.bundle.bundle import BundleParts, open_bundle, write_bundle
from neuraxis.bundle.card import Card, Metrics
from neuraxis.evaluation.scores import Scores
from neuraxis.files import read_json, write_json
from neuraxis.pipelines.outcome import TRAINED, data_in_words, facts_of, overlay_of
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.pipelines.scoring.browser import browser_cases
from neuraxis.pipelines.steps import Planned
from neuraxis.progress import Progress
from neuraxis.report.evaluation_report import RunReport, choose_cases, write_run_report
from neuraxis.report.figures import curves_png, overlay_png
from neuraxis.report.markup import tag
from neuraxis.report.page import Cell, Column, Section, table
from neuraxis.training.curves import Row, read_curves

log = logging.getLogger("neuraxis")
OUT_OF_FOLD = "Out of fold: each case was segmented by the one fold's network that did not learn from it."
NOT_SCORED = "The model is all folds' networks together; it was scored on no case, since each trained most of them."


def finish_folds(run: RunFolder, planned: Planned, folders: Sequence[Path], progress: Progress) -> Scores:
    """Gather what the folds' runs wrote into the scores over all cases, `model.nxb` and `report.html`.

    Args:
        run: of all folds.
        planned: what they share.
        folders: of the folds' runs, by rising number; all are done.
        progress: who shows how far it is.
    """
    scores = gather_scores(folders)
    scores.write_csv(run.path("scores.csv"))
    write_json(run.path("summary.json"), scores.nnunet_summary())
    if not run.has("model.nxb"):
        bundle_folds(run, folders, scores)
    _write_report(run, planned, folders, scores, progress)
    return scores


def gather_scores(folders: Sequence[Path]) -> Scores:
    """Return the rows of every fold's held-out cases as one table, by rising case."""
    parts = [Scores.read_csv(folder / "scores.csv") for folder in folders]
    rows = [row for part in parts for row in part.rows]
    order = {structure: place for place, structure in enumerate(parts[0].structures())}
    rows.sort(key=lambda row: (row.case, order[row.structure]))
    notes = [OUT_OF_FOLD, NOT_SCORED]
    if all(row.patient == row.case for row in rows):
        notes.append("Each case counts as its own patient.")
    return Scores.of(rows, any(part.selected_on_these_cases for part in parts), notes, parts[0].rules)


def bundle_folds(run: RunFolder, folders: Sequence[Path], scores: Scores) -> Path:
    """Write the networks of all folds as one bundle, whose probabilities are averaged."""
    bundles = [open_bundle(folder / "model.nxb") for folder in folders]
    card = Card.model_validate(run.content["card"])
    steps = [bundle.recipe.training.steps for bundle in bundles]
    told = dict.fromkeys(note for bundle in bundles for note in bundle.card["training_data"]["notes"])
    trained = f"Steps of the folds' trainings: {', '.join(map(str, steps))}."
    about = {key: value for key, value in card.model_dump().items() if key not in ("created", "versions")}
    card = Card.model_validate({**about, "recipe": bundles[0].recipe})
    metrics = Metrics.of(
        scores.summary(),
        scored_on=f"{len(scores.cases())} cases, each by the one fold that did not learn from it",
        selected_on_these_cases=scores.selected_on_these_cases,
        notes=scores.notes,
    )
    learned = card.training_data.model_copy(update={"notes": (*told, trained)})
    card = card.model_copy(update={"metrics": metrics, "training_data": learned})
    parts = BundleParts(card, tuple(bundle.folds[0] for bundle in bundles))
    return write_bundle(parts, run.path("model.nxb"), overwrite=True)


def _write_report(
    run: RunFolder, planned: Planned, folders: Sequence[Path], scores: Scores, progress: Progress
) -> None:
    dataset = planned.dataset
    fold_of = {id: number for number, fold in enumerate(planned.folds) for id in fold.validation}
    overlays = tuple(
        overlay_of(folders[fold_of[id]] / "predictions", dataset, id, f"{caption}, fold {fold_of[id]}")
        for caption, id in choose_cases(scores).items()
    )
    if overlays:
        overlay_png(overlays, run.path("overlays.png"))
    curves = _joined_curves(folders)
    if curves:
        curves_png(curves, run.path("curves.png"))
    pictures, left_out = browser_cases(scores, dataset, progress)
    needless = ("waiting for data", "previews")
    content = RunReport(
        title=f"{dataset.name}, {len(folders)} folds",
        scores=scores,
        dataset=data_in_words(run, dataset),
        reasons=planned.plan.reasons,
        recipe_toml=planned.plan.recipe.to_toml(),
        curves=curves,
        overlays=overlays,
        facts={name: fact for name, fact in facts_of(run).items() if name not in needless},
        notes=tuple(f"{finding.case}: {finding.message}" for finding in planned.findings),
        further=(_folds_section(folders, scores, fold_of),),
        browser=pictures,
        browser_left_out=left_out,
    )
    write_run_report(content, run.path("report.html"))


def _folds_section(folders: Sequence[Path], scores: Scores, fold_of: Mapping[str, int]) -> Section:
    """Show what each fold was: how long it trained, how many cases it held out, its mean foreground Dice."""
    columns = [Column("Fold"), Column("Held-out cases", True, 0), Column("Mean foreground Dice", True),
               Column("Steps", True, 0), Column("Minutes of training", True, 1), Column("Its own report")]  # fmt: skip
    rows: list[list[Cell]] = []
    for number, folder in enumerate(folders):
        own = [row for row in scores.rows if fold_of[row.case] == number]
        part = replace(scores, rows=tuple(own))
        events = read_json(folder / "run.json")["events"]
        trained: dict[str, float] = next((event for event in events if event["kind"] == TRAINED), {})
        minutes = float(trained.get("seconds", 0.0)) / 60
        figures = [len(part.cases()), part.mean("dice"), trained.get("steps", 0), minutes]
        own_report = f"{folder.name}/report.html"
        rows.append([f"fold {number}", *figures, tag("a", own_report, href=own_report)])
    lead = "Each case was scored by the one network that did not learn from it; the model is all of them together."
    return Section("folds", "Folds", table(columns, rows, "The folds"), lead)


def _joined_curves(folders: Sequence[Path]) -> list[Row]:
    """Return the folds' losses and Dice as columns of one table, a row for each row of each fold."""
    joined = []
    for number, folder in enumerate(folders):
        for row in read_curves(folder / "curves.csv"):
            kept = {f"fold_{number}_{name}": row[name] for name in ("loss", "validation_dice") if name in row}
            joined.append({"step": row["step"], **kept})
    return joined
