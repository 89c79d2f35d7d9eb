"""The cases, the one fold that both are trained and scored on, and the scores that both are given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import Fold, hash_folds, split_by_patient
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.statistics import mean_of
from neuraxis.files import write_json
from neuraxis.pipelines.run_folder import folds_to_json

DATA = Path(__file__).parents[3] / "shared" / "data" / "hippocampus-msd"
METRICS = ("dice", "hd95_mm")


@dataclass(frozen=True)
class Cases:
    """Labelled cases on disk and how `neuraxis fit` deals them to folds.

    Attributes:
        folder: a dataset in the Decathlon's layout.
        dataset: the same, opened.
        folds: five, by patient, seed 0.
    """

    folder: Path
    dataset: Dataset
    folds: tuple[Fold, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of all cases."""
        return tuple(case.id for case in self.dataset.cases)

    @property
    def split_hash(self) -> str:
        """The hash that `neuraxis fit` writes into `run.json` for these folds."""
        return hash_folds(self.folds)

    def write_splits(self, path: Path) -> None:
        """Write the folds as nnU-Net reads them (`splits_final.json`)."""
        write_json(path, folds_to_json(self.folds))

    def score(self, predictions: Path, fold: int = 0) -> Scores:
        """Score a folder of segmentations of a fold's held-out cases, each on its case's own grid."""
        held_out = self.folds[fold].validation
        return evaluate(predictions, self.dataset, options=EvaluateOptions(metrics=METRICS, cases=held_out))


def open_cases(folder: Path = DATA) -> Cases:
    """Open a dataset and deal its folds."""
    dataset = open_dataset(folder)
    return Cases(folder, dataset, split_by_patient(dataset.cases))


def subset(cases: Cases, ids: Sequence[str], folder: Path) -> Cases:
    """Write some of the cases as a dataset of their own, of links, so that nothing else can be seen from there."""
    if not (folder / "dataset.json").is_file():
        for name in ("imagesTr", "labelsTr"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
            for id in ids:
                (folder / name / f"{id}.nii.gz").symlink_to((cases.folder / name / f"{id}.nii.gz").resolve())
        card = json.loads((cases.folder / "dataset.json").read_text("utf-8"))
        pairs = [{"image": f"./imagesTr/{id}.nii.gz", "label": f"./labelsTr/{id}.nii.gz"} for id in ids]
        write_json(folder / "dataset.json", {**card, "numTraining": len(pairs), "training": pairs})
    found = open_cases(folder)
    if set(found.ids) != set(ids):
        raise SystemExit(f"{folder}: holds other cases than asked for. Name another place with --into.")
    return found


def content_of(scores: Scores) -> dict[str, Any]:
    """Return scores as a result file holds them: means, and every case's values; NaN where undefined."""
    structures = scores.structures()
    means = {
        metric: {"mean": scores.mean(metric), **{name: scores.mean(metric, name) for name in structures}}
        for metric in METRICS
    }
    undefined = {metric: sum(np.isnan(row.values[metric]) for row in scores.rows) for metric in METRICS}
    cases: dict[str, dict[str, dict[str, float]]] = {}
    for row in scores.rows:
        cases.setdefault(row.case, {})[row.structure] = {metric: round(row.values[metric], 5) for metric in METRICS}
    return {"scores": means, "undefined": undefined, "cases": cases}


def dice_table(cases: Mapping[str, Any]) -> np.ndarray:
    """Return the Dice of a result file's cases, sorted by name, as (cases, structures)."""
    rows = [[_number(values["dice"]) for values in cases[id].values()] for id in sorted(cases)]
    return np.array(rows, dtype=np.float64)


def mean_dice(table: np.ndarray) -> float:
    """Return the mean over structures of their means over cases."""
    return mean_of(np.array([mean_of(column) for column in table.T]))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
