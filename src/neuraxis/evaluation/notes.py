"""The rules behind a table of scores, in words, with how often each of them left something out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from neuraxis.evaluation.calibration import BINS, MARGIN_MM
from neuraxis.evaluation.catalog import LOSS, WITH_PROBABILITY, WITH_SIZE, metric_of
from neuraxis.evaluation.rules import EMPTY_RULES, USUAL, ScoringRules
from neuraxis.evaluation.statistics import MIN_PATIENTS, RESAMPLES

if TYPE_CHECKING:
    from neuraxis.evaluation.scores import Score

_NAMED = 5
_RULES = (
    (
        ("dice", "iou", "surface_dice", "surface_dice_voxels", "lesion_f1", "panoptic_quality", "recognition_quality"),
        "undefined where reference and prediction are both empty, 0 where only one of them is",
        "with empty reference and empty prediction",
    ),
    (
        ("precision", "lesion_precision", "lesion_false_discovery"),
        "undefined where the prediction is empty",
        "with empty prediction",
    ),
    (
        ("recall", "lesion_recall", "volume_error_percent"),
        "undefined where the reference is empty",
        "with empty reference",
    ),
    (("specificity",), "undefined where the reference fills the scan", "with a reference that fills the scan"),
    (
        ("hd95_mm", "hd100_mm", "assd_mm"),
        "undefined where reference or prediction is empty",
        "with empty reference or prediction",
    ),
    (
        ("segmentation_quality",),
        "undefined where no lesion is paired by an IoU above one half",
        "without such a pair",
    ),
    (
        WITH_PROBABILITY,
        "undefined without probabilities, and where reference and prediction are both empty",
        "without probabilities, or with empty reference and empty prediction,",
    ),
)
_LESIONS = (
    "lesions_found", "lesions_false", "lesion_recall", "lesion_precision", "lesion_false_discovery", "lesion_f1"
)  # fmt: skip
_MEANINGS = (
    (
        ("hd95_mm",),
        "hd95_mm: 95th percentile of the distances from each surface to the other, the larger of the two directions "
        "(as MONAI defines it).",
    ),
    (
        ("surface_dice",),
        "surface_dice: part of both surfaces, by area, that lies within the tolerance of the other (as DeepMind's "
        "surface-distance defines it); surface_dice_voxels counts surface voxels instead (as MONAI does).",
    ),
    (_LESIONS, "lesions: {lesions}."),
    (
        ("panoptic_quality", "recognition_quality", "segmentation_quality"),
        "panoptic quality: lesions are paired where their IoU exceeds one half, whatever the matching above.",
    ),
    (
        WITH_SIZE,
        "Columns by size part lesions by their own volume, predicted ones by theirs; they are undefined where there is "
        "none of that size, and n says in how many cases there is one.",
    ),
    (
        WITH_PROBABILITY,
        f"ece, brier: of the box of reference and prediction with {MARGIN_MM:g} mm around it; {BINS} bins.",
    ),
    (
        (LOSS,),
        "loss: what the recipe trains with, of the whole case on the scan's own grid; a training's own curves are of "
        "patches. It is one number a case, in the row of each structure.",
    ),
    (
        ("volume_error_ml", "volume_error_percent"),
        "volume errors: predicted less reference; above 0 where too much is predicted.",
    ),
)


def notes_of(rows: Sequence[Score], columns: Sequence[str], rules: ScoringRules = USUAL) -> tuple[str, ...]:
    """Return what a reader of the table must know: n, the rule for empty cases, what was left out, definitions."""
    notes = [_who(rows)]
    metric = {column: metric_of(column)[0] for column in columns}
    if rules.empty != "undefined":
        notes.append(f"Empty masks are counted as '{rules.empty}': {EMPTY_RULES[rules.empty]}.")
    ruled = {column for column in columns if metric[column] in WITH_SIZE}
    for names, rule, which in _RULES:
        present = [column for name in names for column in columns if metric[column] == name]
        if present and (rules.empty == "undefined" or _undefined(rows, present)):
            said = f"{rule}. " if rules.empty == "undefined" else ""
            notes.append(f"{', '.join(present)}: {said}{_left_out(rows, present, which)}")
        ruled.update(present)
    for column in columns:
        if column not in ruled and _undefined(rows, [column]):
            notes.append(f"{column}: {_left_out(rows, [column], 'where it is undefined')}")
    shown = set(metric.values())
    lesions = rules.lesions
    notes.extend(meaning.format(lesions=lesions) for names, meaning in _MEANINGS if shown.intersection(names))
    return tuple(notes)


def left_out_on_purpose(cases: Sequence[str], scored: int) -> str:
    """Say which cases were left out on purpose; all of them are named."""
    whole = scored + len(cases)
    return f"Left out on purpose: {len(cases)} of {_plural(whole, 'case')} ({', '.join(cases)})."


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
