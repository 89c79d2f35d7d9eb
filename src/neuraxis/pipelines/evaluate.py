"""From two folders to scores: table, summary and report."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuraxis import _version
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate, open_references
from neuraxis.evaluation.scores import Scores
from neuraxis.files import refuse_existing, write_json, write_text
from neuraxis.pipelines.scoring.browser import browser_cases
from neuraxis.pipelines.scoring.explained import explained_cases
from neuraxis.pipelines.scoring.gifs import chosen_cases, write_gifs
from neuraxis.pipelines.scoring.overlays import dataset_around, labels_of, overlay_of
from neuraxis.pipelines.scoring.raters import rater_agreement
from neuraxis.progress import Progress, Silent
from neuraxis.report.agreement.sections import raters_section
from neuraxis.report.evaluation_report import RunReport, choose_cases, report_html, write_run_report
from neuraxis.report.page import Section

TABLE, SUMMARY, REPORT, RATERS, GIFS = "scores.csv", "summary.json", "report.html", "raters.csv", "gifs"
PARQUET = "scores.parquet"


@dataclass(frozen=True)
class ScoringOptions(EvaluateOptions):
    """What to score, and what else to write beside the table.

    Attributes:
        raters: name to folder of label maps of the same cases, by several raters; where the model lies among them is
            told in `raters.csv` and the report.
        gifs: ids of cases to write as moving pictures; "worst" is the one of the lowest Dice.
        parquet: whether the table is written as `scores.parquet` too.
        explained: folder of maps that `explain` wrote of these cases, which the report shows.
    """

    raters: Mapping[str, Path] = field(default_factory=dict)
    gifs: tuple[str, ...] = ()
    parquet: bool = False
    explained: Path | None = None


def evaluate_folders(
    predictions: Path | str,
    references: Path | str | Dataset,
    into: Path | str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    options: EvaluateOptions | None = None,
) -> Scores:
    """Score segmentations against references, and write table, summary and report where a folder is named.

    Args:
        predictions: folder of label maps, or one label map.
        references: folder of label maps, one label map, or a dataset.
        into: folder for `scores.csv`, `summary.json` (nnU-Net's keys) and `report.html`; None writes nothing.
        overwrite: whether existing ones are replaced.
        progress: who shows how far it is.
        options: labels, metrics, cases and rules, where not the usual ones, and with `ScoringOptions` raters and
            moving pictures; without Dice among the metrics the
            report has no pictures, since the cases to show are chosen by it.

    Raises:
        DataError: cases without a partner, other grids, files that are no label maps.
        UnknownName: there is no such metric; the message offers the nearest.
        UsageError: a result exists already; it is refused before anything is scored.
    """
    into = None if into is None else Path(into)
    if into is not None:
        if into.exists() and not into.is_dir():
            raise UsageError(f"{into}: is a file. Name a folder with --into.")
        for name in (TABLE, PARQUET, SUMMARY, REPORT, RATERS):
            refuse_existing(into / name, overwrite)
    options, progress = options or EvaluateOptions(), progress or Silent()
    more = options if isinstance(options, ScoringOptions) else ScoringOptions()
    written = {"raters": more.raters, "gif": more.gifs, "parquet": more.parquet, "explain": more.explained}
    wanted = next((name for name, value in written.items() if value), "")
    if into is None and wanted:
        raise UsageError(f"--{wanted}: writes files. Name a folder with --into.")
    references = open_references(references)
    scores = evaluate(predictions, references, progress, options)
    if into is not None:
        dataset = references if isinstance(references, Dataset) else dataset_around(Path(references))
        gifs = chosen_cases(scores, more.gifs)
        agreement = None
        if more.raters:
            agreement = rater_agreement(scores, references, more.raters, progress)
        pictures, left_out = browser_cases(scores, dataset, progress)
        report = _report(scores, Path(predictions), references, dataset)
        further: tuple[Section, ...] = (raters_section(agreement.standings, agreement.williams),) if agreement else ()
        further += explained_cases(more.explained, scores, dataset, progress)
        report = replace(report, browser=pictures, browser_left_out=left_out, further=further)
        scores.write_csv(into / TABLE, overwrite)
        if more.parquet:
            scores.write_parquet(into / PARQUET, overwrite)
        write_json(into / SUMMARY, _summary(scores), overwrite)
        if agreement:
            agreement.write_csv(into / RATERS, overwrite)
        write_gifs(scores, dataset, gifs, into / GIFS)
        write_text(into / REPORT, report_html(report), overwrite)
    return scores


def _summary(scores: Scores) -> dict[str, Any]:
    """Return nnU-Net's keys, and the cases that were left out on purpose where there are any."""
    return scores.nnunet_summary() | ({"left_out": list(scores.left_out)} if scores.left_out else {})


def write_report(scores: Scores, path: Path | str, title: str = "Evaluation", overwrite: bool = False) -> Path:
    """Write an HTML report of scores alone, without pictures.

    Raises:
        UsageError: the file exists and `overwrite` is false.
    """
    write_run_report(RunReport(title=title, scores=scores, facts=_facts()), Path(path), overwrite)
    return Path(path)


def _report(scores: Scores, predictions: Path, references: Path | str | Dataset, dataset: Dataset | None) -> RunReport:
    where = references.root if isinstance(references, Dataset) else Path(references)
    labels = labels_of(scores, dataset)
    chosen = choose_cases(scores) if "dice" in scores.metrics else {}
    overlays = [overlay_of(scores, case, caption, labels, dataset) for caption, case in chosen.items()]
    return RunReport(
        title=f"{predictions.resolve().name} against {where.resolve().name}",
        scores=scores,
        dataset={"cases": len(scores.cases()), "structures": ", ".join(scores.structures())},
        overlays=tuple(overlays),
        facts={"predictions": str(predictions.resolve()), "references": str(where.resolve()), **_facts()},
    )


def _facts() -> dict[str, str]:
    return {
        "neuraxis": _version.__version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
