"""Scores as files: the CSV of every case, and the keys of nnU-Net's `summary.json`."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neuraxis.errors import DataError
from neuraxis.evaluation.overlap import Counts
from neuraxis.evaluation.parquet import Values, write_parquet
from neuraxis.evaluation.rules import USUAL, USUAL_LESIONS, EmptyRule, LesionMatching, ScoringRules
from neuraxis.evaluation.statistics import mean_of
from neuraxis.files import write_csv

if TYPE_CHECKING:
    from neuraxis.evaluation.scores import Scores

_WHO = ("case", "subject", "site", "structure")
_COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")
_FILES = ("prediction_file", "reference_file")
_NUMBERS = "label_numbers"
_SELECTED = "selected_on_these_cases"
_LEFT_OUT = "left_out"
_ORACLE = "oracle"
_EMPTY = "empty_masks"
_MATCHING = {
    "lesion_min_overlap": "min_overlap",
    "lesion_connectivity": "connectivity",
    "lesion_match": "by",
    "lesion_min_iou": "min_iou",
    "lesion_max_distance_mm": "max_distance_mm",
    "lesion_pairing": "pairing",
}
_SIZES = "lesion_sizes_mm3"
_RULES = (_ORACLE, _SELECTED, _LEFT_OUT, _EMPTY, _SIZES, *_MATCHING)


def write(path: Path, scores: Scores, overwrite: bool) -> None:
    """Write the CSV of `Scores.write_csv`."""
    rules = _unusual(scores)
    oracle = [_ORACLE] if any(row.oracle for row in scores.rows) else []
    lines = []
    for row in scores.rows:
        values = [_cell(row.values.get(metric, math.nan)) for metric in scores.metrics]
        counts = [getattr(row.counts, name) if row.counts else "" for name in _COUNTS]
        numbers = " ".join(map(str, row.numbers))
        who = [getattr(row, name) for name in _WHO]
        files = [getattr(row, name) for name in _FILES]
        used = ["yes" if row.oracle else ""] * len(oracle)
        lines.append([*who, *used, *values, *counts, numbers, *files, *rules.values()])
    write_csv(path, [*_WHO, *oracle, *scores.metrics, *_COUNTS, _NUMBERS, *_FILES, *rules], lines, overwrite)


def write_parquet_table(path: Path, scores: Scores, overwrite: bool) -> None:
    """Write the Parquet file of `Scores.write_parquet`; rows without counts have -1 in their place."""
    columns: dict[str, Values] = {name: [str(getattr(row, name)) for row in scores.rows] for name in _WHO}
    for metric in scores.metrics:
        columns[metric] = [float(row.values.get(metric, math.nan)) for row in scores.rows]
    for name in _COUNTS:
        columns[name] = [int(getattr(row.counts, name)) if row.counts else -1 for row in scores.rows]
    columns[_NUMBERS] = [" ".join(map(str, row.numbers)) for row in scores.rows]
    for name in _FILES:
        columns[name] = [str(getattr(row, name)) for row in scores.rows]
    if any(row.oracle for row in scores.rows):
        columns[_ORACLE] = ["yes" if row.oracle else "" for row in scores.rows]
    columns |= {name: [value] * len(scores.rows) for name, value in _unusual(scores).items()}
    write_parquet(path, columns, overwrite)


def read(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Read the fields of each row of `Scores.write_csv`, and how the table was made, as `Scores.of` takes it.

    Raises:
        DataError: the file is missing or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream, strict=True)
            columns = list(table.fieldnames or ())
            lines = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error}). Name the scores.csv of a run.") from error
    missing = [name for name in _WHO if name not in columns]
    if missing:
        raise DataError(f"{path}: has no column '{missing[0]}'. Needed is a scores.csv as `evaluate` writes it.")
    metrics = [name for name in columns if name not in {*_WHO, *_COUNTS, *_FILES, _NUMBERS, *_RULES}]
    rows = [_fields(path, number, line, metrics) for number, line in enumerate(lines, start=2)]
    try:
        return rows, _rules(lines[0] if lines else {})
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: line 2 tells no rules of scoring ({error}). Write the table again.") from error


def nnunet_summary(scores: Scores) -> dict[str, Any]:
    """Return the keys of nnU-Net's `summary.json` (see `Scores.nnunet_summary`)."""
    keys: dict[str, None] = {}
    cases: dict[str, dict[str, Any]] = {}
    for row in scores.rows:
        if row.counts is None or not row.numbers:
            raise ValueError(f"{row.case}, {row.structure}: without counts and label numbers there is no such summary.")
        key = _key(row.numbers)
        keys[key] = None
        case = cases.setdefault(
            row.case,
            {"metrics": {}, "prediction_file": row.prediction_file, "reference_file": row.reference_file},
        )
        case["metrics"][key] = _nnunet_metrics(row.counts)
    means = {key: _means([case["metrics"][key] for case in cases.values() if key in case["metrics"]]) for key in keys}
    return {"foreground_mean": _means(list(means.values())), "mean": means, "metric_per_case": list(cases.values())}


def _key(numbers: tuple[int, ...]) -> str:
    """Write a label as nnU-Net does: "1", and regions of several numbers as "(1, 2)"."""
    return str(numbers[0]) if len(numbers) == 1 else str(tuple(numbers))


def _nnunet_metrics(counts: Counts) -> dict[str, float]:
    return {
        "Dice": counts.dice,
        "FN": counts.false_negatives,
        "FP": counts.false_positives,
        "IoU": counts.iou,
        "TN": counts.true_negatives,
        "TP": counts.true_positives,
        "n_pred": counts.predicted,
        "n_ref": counts.reference,
    }


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    names = list(rows[0]) if rows else []
    return {name: mean_of(np.array([row[name] for row in rows], dtype=np.float64)) for name in names}


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _unusual(scores: Scores) -> dict[str, str]:
    """Return the columns that say how the table was made, where that is not the usual way."""
    rules, lesions = scores.rules, scores.rules.lesions
    told = {_SELECTED: "yes"} if scores.selected_on_these_cases else {}
    if scores.left_out:
        told[_LEFT_OUT] = json.dumps(scores.left_out)
    if rules.empty != USUAL.empty:
        told[_EMPTY] = rules.empty
    if rules.sizes_mm3 != USUAL.sizes_mm3:
        told[_SIZES] = " ".join(map(repr, rules.sizes_mm3)) or "none"
    if lesions != USUAL_LESIONS:
        told |= {column: str(getattr(lesions, name)) for column, name in _MATCHING.items()}
    return told


def _rules(line: dict[str, str]) -> dict[str, Any]:
    """Return what a row says of how the table was made; the usual way where it says nothing."""
    told = {name: line.get(column) or "" for column, name in _MATCHING.items()}
    numbers = {name: float(told[name]) for name in ("min_overlap", "min_iou", "max_distance_mm") if told[name]}
    words = {name: told[name] for name in ("by", "pairing") if told[name]}
    joined = {"connectivity": int(told["connectivity"])} if told["connectivity"] else {}
    lesions = LesionMatching(**numbers, **words, **joined)  # type: ignore[arg-type]  # checked by the class
    sizes = line.get(_SIZES) or ""
    wanted = USUAL.sizes_mm3 if not sizes else tuple(float(part) for part in sizes.replace("none", "").split())
    left_out = json.loads(line.get(_LEFT_OUT) or "[]")
    if not isinstance(left_out, list):
        raise ValueError(f"'{_LEFT_OUT}' is no list of cases")
    return {
        "selected_on_these_cases": line.get(_SELECTED) == "yes",
        "left_out": tuple(map(str, left_out)),
        "rules": ScoringRules(
            lesions=lesions, sizes_mm3=wanted, empty=cast(EmptyRule, line.get(_EMPTY) or USUAL.empty)
        ),
    }


def _fields(path: Path, number: int, line: dict[str, str], metrics: list[str]) -> dict[str, Any]:
    try:
        if None in line or None in line.values():
            raise ValueError("it has another number of cells than the header")
        counts = [line.get(name) or "" for name in _COUNTS]
        return {
            **{name: line[name] for name in _WHO},
            "values": {name: float(line[name]) if line[name] else math.nan for name in metrics},
            "counts": Counts(*(int(count) for count in counts)) if all(counts) else None,
            "numbers": tuple(int(part) for part in (line.get(_NUMBERS) or "").split()),
            **{name: line.get(name) or "" for name in _FILES},
            "oracle": line.get(_ORACLE) == "yes",
        }
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: line {number} is not a row of scores ({error}). Write the table again.") from error
