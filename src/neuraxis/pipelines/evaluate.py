"""From two folders to scores: table, summary and report."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from neuraxis import _version
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.layout import DESCRIPTION
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import NeuraxisError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.files import refuse_existing, write_json, write_text
from neuraxis.progress import Progress, Silent
from neuraxis.report.evaluation_report import Overlay, RunReport, choose_cases, report_html, write_run_report
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS

TABLE, SUMMARY, REPORT = "scores.csv", "summary.json", "report.html"


def evaluate_folders(
    predictions: Path | str,
    references: Path | str | Dataset,
    into: Path | None = None,
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
        options: labels, metrics, cases and rules, where not the usual ones; without Dice among the metrics the
            report has no pictures, since the cases to show are chosen by it.

    Raises:
        DataError: cases without a partner, other grids, files that are no label maps.
        UnknownName: there is no such metric; the message offers the nearest.
        UsageError: a result exists already; it is refused before anything is scored.
    """
    if into is not None:
        if into.exists() and not into.is_dir():
            raise UsageError(f"{into}: is a file. Name a folder with --into.")
        for name in (TABLE, SUMMARY, REPORT):
            refuse_existing(into / name, overwrite)
    scores = evaluate(predictions, references, progress or Silent(), options or EvaluateOptions())
    if into is not None:
        dataset = references if isinstance(references, Dataset) else dataset_around(Path(references))
        page = report_html(_report(scores, Path(predictions), references, dataset))
        scores.write_csv(into / TABLE, overwrite)
        write_json(into / SUMMARY, scores.nnunet_summary(), overwrite)
        write_text(into / REPORT, page, overwrite)
    return scores


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


def dataset_around(references: Path) -> Dataset | None:
    """Return the dataset that the references belong to, whose images the report shows; None where there is none."""
    folder = references if references.is_dir() else references.parent
    for place in (folder, folder.resolve().parent):
        if (place / DESCRIPTION).is_file():
            try:
                return open_dataset(place)
            except NeuraxisError:
                continue
    return None


def labels_of(scores: Scores, dataset: Dataset | None) -> Labels:
    """Return the dataset's labels where they are those that were scored, else labels made of the table's structures."""
    structures = {row.structure: row.numbers for row in scores.rows}
    if dataset is not None and dataset.labels.scored == structures:
        return dataset.labels
    if all(len(numbers) == 1 for numbers in structures.values()):
        return Labels(names={"background": 0, **{name: numbers[0] for name, numbers in structures.items()}})
    numbers = sorted({number for joined in structures.values() for number in joined})
    return Labels(names={"background": 0, **{str(number): number for number in numbers}}, regions=structures)


def overlay_of(scores: Scores, case: str, caption: str, labels: Labels, dataset: Dataset | None) -> Overlay:
    """Read a scored case as a picture, on the dataset's scan where it has one of that grid, else on black."""
    row: Score = next(row for row in scores.rows if row.case == case)
    predicted, reference = any_format.read(Path(row.prediction_file)), any_format.read(Path(row.reference_file))
    image = np.zeros(reference.grid.shape, np.float32)
    known = {found.id: found for found in dataset.cases} if dataset is not None else {}
    if case in known:
        scan = known[case].read_images()
        if scan.grid.matches(reference.grid, SAME_VOXELS):
            image = scan.array[0]
    return Overlay(case, caption, image, reference.array[0], predicted.array[0], reference.grid.spacing_mm, labels)
