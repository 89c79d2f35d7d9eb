"""The rules behind a table of scores, in words, with how often each of them left something out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from neuraxis.evaluation.lesions import MIN_OVERLAP
from neuraxis.evaluation.statistics import MIN_PATIENTS, RESAMPLES

if TYPE_CHECKING:
    from neuraxis.evaluation.scores import Score

_NAMED = 5
_RULES = (
    (
        ("dice", "iou", "lesion_f1"),
        "undefined where reference and prediction are both empty, 0 where only one of them is",
        "with empty reference and empty prediction",
    ),
    (("precision", "lesion_false_discovery"), "undefined where the prediction is empty", "with empty prediction"),
    (
        ("recall", "lesion_recall", "volume_error_relative"),
        "undefined where the reference is empty",
        "with empty reference",
    ),
    (("hd95_mm",), "undefined where reference or prediction is empty", "with empty reference or prediction"),
)
_MEANINGS = (
    (
        ("hd95_mm",),
        "hd95_mm: 95th percentile of the distances from each surface to the other, the larger of the two directions "
        "(as MONAI defines it).",
    ),
    (
        ("lesions_found", "lesions_false", "lesion_recall", "lesion_false_discovery", "lesion_f1"),
        f"lesions: 26-connected components; found where at least {MIN_OVERLAP:.0%} is covered, false where no "
        "reference lesion is touched.",
    ),
    (
        ("volume_error_ml", "volume_error_relative"),
        "volume errors: predicted less reference; above 0 where too much is predicted.",
    ),
)


def notes_of(rows: Sequence[Score], metrics: Sequence[str]) -> tuple[str, ...]:
    """Return what a reader of the table must know: n, the rule for empty cases, what was left out, definitions."""
    notes = [_who(rows)]
    ruled: set[str] = set()
    for names, rule, which in _RULES:
        present = [name for name in names if name in metrics]
        if present:
            notes.append(f"{', '.join(present)}: {rule}. {_left_out(rows, present, which)}")
        ruled.update(present)
    for name in metrics:
        if name not in ruled and _undefined(rows, [name]):
            notes.append(f"{name}: {_left_out(rows, [name], 'where it is undefined')}")
    notes.extend(meaning for names, meaning in _MEANINGS if any(name in metrics for name in names))
    return tuple(notes)


def _who(rows: Sequence[Score]) -> str:
    cases = {row.case for row in rows}
    patients = {row.patient for row in rows}
    sure = (
        f"Intervals: 95 %, bootstrap over patients, {RESAMPLES} resamples."
        if len(patients) >= MIN_PATIENTS
        else f"No interval below {MIN_PATIENTS} patients."
    )
    return f"n = {_plural(len(cases), 'case')} of {_plural(len(patients), 'patient')}. {sure}"


def _undefined(rows: Iterable[Score], metrics: Sequence[str]) -> dict[str, list[str]]:
    """Return for each structure the cases in which one of the metrics is undefined."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if any(math.isnan(row.values.get(name, math.nan)) for name in metrics):
            found.setdefault(row.structure, []).append(row.case)
    return found


def _left_out(rows: Sequence[Score], metrics: Sequence[str], which: str) -> str:
    found = _undefined(rows, metrics)
    if not found:
        return "No case is left out."
    parts = []
    for structure, cases in found.items():
        named = ", ".join(cases[:_NAMED]) + (", ..." if len(cases) > _NAMED else "")
        verb = "is" if len(cases) == 1 else "are"
        parts.append(f"{_plural(len(cases), 'case')} {which} {verb} left out of {structure} ({named})")
    return f"{'; '.join(parts)}."


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
