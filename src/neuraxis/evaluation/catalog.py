"""The metrics by name. A new one is one function of a `Comparison` and one line below.

A metric that needs a tolerance is a function of a `Comparison` and the tolerance in mm; it stands in `WITH_TOLERANCE`
and has a column for each tolerance, which bears it in its name: `surface_dice_1mm`. One that looks at lesions of one
size is a function of a `Comparison` and the size; its name ends in `_by_size`, its columns in the size:
`lesion_recall_10_to_100mm3`. One in `WITH_PROBABILITY` is computed where probabilities were kept, `LOSS` where it is
known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from neuraxis.evaluation.empties import value_of_empty
from neuraxis.evaluation.lesion_metrics import Size, sizes_between
from neuraxis.evaluation.rules import USUAL, ScoringRules
from neuraxis.registry import Catalog, Entry

if TYPE_CHECKING:
    from neuraxis.evaluation.metrics import Comparison

_HERE = "neuraxis.evaluation.metrics"
_LESIONS = "neuraxis.evaluation.lesion_metrics"
_CALIBRATION = "neuraxis.evaluation.calibration"
_LOSS = "neuraxis.evaluation.recipe_loss"
METRICS = Catalog(
    "metric",
    {
        "dice": Entry(f"{_HERE}:dice", "Dice coefficient, 0 to 1"),
        "iou": Entry(f"{_HERE}:iou", "intersection over union, 0 to 1"),
        "precision": Entry(f"{_HERE}:precision", "right part of the prediction, 0 to 1"),
        "recall": Entry(f"{_HERE}:recall", "found part of the reference (sensitivity), 0 to 1"),
        "specificity": Entry(f"{_HERE}:specificity", "part outside the reference left free, 0 to 1"),
        "hd95_mm": Entry(f"{_HERE}:hd95_mm", "95th percentile Hausdorff distance of the surfaces, in mm"),
        "hd100_mm": Entry(f"{_HERE}:hd100_mm", "Hausdorff distance, the largest of the surfaces, in mm"),
        "assd_mm": Entry(f"{_HERE}:assd_mm", "average symmetric surface distance, in mm"),
        "surface_dice": Entry(f"{_HERE}:surface_dice", "part of both surfaces, by area, within a tolerance, 0 to 1"),
        "surface_dice_voxels": Entry(
            f"{_HERE}:surface_dice_voxels", "part of both masks' surface voxels within a tolerance, 0 to 1"
        ),
        "volume_ml_reference": Entry(f"{_HERE}:volume_ml_reference", "volume of the reference, in mL"),
        "volume_ml_predicted": Entry(f"{_HERE}:volume_ml_predicted", "volume of the prediction, in mL"),
        "volume_error_ml": Entry(f"{_HERE}:volume_error_ml", "predicted less reference volume, in mL"),
        "volume_error_percent": Entry(f"{_HERE}:volume_error_percent", "volume error in percent of the reference"),
        "lesions_reference": Entry(f"{_LESIONS}:lesions_reference", "number of lesions of the reference"),
        "lesions_predicted": Entry(f"{_LESIONS}:lesions_predicted", "number of lesions of the prediction"),
        "lesions_found": Entry(f"{_LESIONS}:lesions_found", "number of reference lesions that are found"),
        "lesions_false": Entry(f"{_LESIONS}:lesions_false", "number of predicted lesions that are false"),
        "lesions_split": Entry(
            f"{_LESIONS}:lesions_split", "number of reference lesions that two or more predicted ones touch"
        ),
        "lesions_merged": Entry(
            f"{_LESIONS}:lesions_merged", "number of predicted lesions that touch two or more of the reference"
        ),
        "lesion_recall": Entry(f"{_LESIONS}:lesion_recall", "found part of the reference's lesions (LTPR), 0 to 1"),
        "lesion_precision": Entry(
            f"{_LESIONS}:lesion_precision", "part of the predicted lesions that is not false (PPV), 0 to 1"
        ),
        "lesion_false_discovery": Entry(
            f"{_LESIONS}:lesion_false_discovery", "false part of the predicted (LFDR), 0 to 1"
        ),
        "lesion_f1": Entry(f"{_LESIONS}:lesion_f1", "lesion-wise F1, 0 to 1"),
        "panoptic_quality": Entry(
            f"{_LESIONS}:panoptic_quality", "recognition times segmentation quality of lesions, 0 to 1"
        ),
        "recognition_quality": Entry(
            f"{_LESIONS}:recognition_quality", "F1 of lesions paired by an IoU above one half, 0 to 1"
        ),
        "segmentation_quality": Entry(f"{_LESIONS}:segmentation_quality", "mean IoU of these pairs, 0.5 to 1"),
        "lesions_reference_by_size": Entry(f"{_LESIONS}:lesions_reference_by_size", "number of lesions of a size"),
        "lesions_found_by_size": Entry(
            f"{_LESIONS}:lesions_found_by_size", "number of lesions of a size that are found"
        ),
        "lesions_predicted_by_size": Entry(
            f"{_LESIONS}:lesions_predicted_by_size", "number of lesions predicted in a size"
        ),
        "lesions_false_by_size": Entry(
            f"{_LESIONS}:lesions_false_by_size", "number of lesions predicted in a size that are false"
        ),
        "lesion_recall_by_size": Entry(
            f"{_LESIONS}:lesion_recall_by_size", "found part of the lesions of a size, 0 to 1"
        ),
        "lesion_precision_by_size": Entry(
            f"{_LESIONS}:lesion_precision_by_size", "part not false of those predicted in a size, 0 to 1"
        ),
        "lesion_false_discovery_by_size": Entry(
            f"{_LESIONS}:lesion_false_discovery_by_size", "false part of those predicted in a size, 0 to 1"
        ),
        "lesion_f1_by_size": Entry(f"{_LESIONS}:lesion_f1_by_size", "F1 of the lesions of a size, 0 to 1"),
        "ece": Entry(f"{_CALIBRATION}:ece", "expected calibration error of the probabilities, 0 to 1"),
        "brier": Entry(f"{_CALIBRATION}:brier", "Brier score of the probabilities, 0 to 1"),
        "loss": Entry(f"{_LOSS}:loss", "the recipe's loss of the whole case, the same for each structure"),
    },
)
WITH_TOLERANCE = ("surface_dice", "surface_dice_voxels")
WITH_SIZE = tuple(name for name in METRICS.entries if name.endswith("_by_size"))
WITH_PROBABILITY = ("ece", "brier")
LOSS = "loss"
_NUMBER = r"\d+(?:\.\d+)?(?:e[-+]\d+)?"
_COLUMN = re.compile(rf"({'|'.join(WITH_TOLERANCE)})_({_NUMBER})mm")
_SIZED = re.compile(
    rf"({'|'.join(name.removesuffix('_by_size') for name in WITH_SIZE)})"
    rf"_(?:below_({_NUMBER})|from_({_NUMBER})|({_NUMBER})_to_({_NUMBER}))mm3"
)


def metric_names() -> tuple[str, ...]:
    """Return every metric in the order of the tables: ours as listed, then those of other packages."""
    return (*METRICS.entries, *(name for name in METRICS.names() if name not in METRICS.entries))


def columns(
    metrics: Sequence[str] = (), rules: ScoringRules = USUAL, known: Collection[str] = ()
) -> dict[str, Callable[[Comparison], float]]:
    """Return the columns of a table of scores and what fills them, in order.

    Args:
        metrics: names of the catalog; empty for all.
        rules: tolerances and sizes of those metrics that have a column for each, and what empty masks count as.
        known: which of those metrics that need more than masks are among "all".

    Raises:
        UnknownName: there is no such metric; the message offers the nearest.
    """
    found: dict[str, Callable[[Comparison], float]] = {}
    for name in metrics or metric_names():
        if name in (*WITH_PROBABILITY, LOSS) and not metrics and name not in known:
            continue
        function = METRICS.load(name)
        if name in WITH_TOLERANCE:
            for tolerance_mm in rules.tolerances_mm:
                found[f"{name}_{tolerance_mm:g}mm"] = partial(function, tolerance_mm=tolerance_mm)
        elif name in WITH_SIZE:
            for size in sizes_between(rules.sizes_mm3):
                found[f"{name.removesuffix('_by_size')}_{_size_in_column(size)}"] = partial(function, size=size)
        else:
            found[name] = function
    return {column: partial(_filled, metric_of(column)[0], fill) for column, fill in found.items()}


def metric_of(column: str) -> tuple[str, float | None]:
    """Return the metric of a column, and its tolerance in mm where it has one.

    >>> metric_of("surface_dice_2.5mm"), metric_of("hd95_mm"), metric_of("lesion_f1_10_to_100mm3")
    (('surface_dice', 2.5), ('hd95_mm', None), ('lesion_f1_by_size', None))
    """
    match = _COLUMN.fullmatch(column)
    if match:
        return match[1], float(match[2])
    sized = _SIZED.fullmatch(column)
    return (f"{sized[1]}_by_size", None) if sized else (column, None)


def size_of(column: str) -> str:
    """Return in words the size of lesions that a column is about; empty where it is about all.

    >>> size_of("lesion_f1_10_to_100mm3"), size_of("lesion_f1_below_10mm3"), size_of("lesion_f1")
    ('10 to 100 mm³', 'below 10 mm³', '')
    """
    match = _SIZED.fullmatch(column)
    if not match:
        return ""
    below, above, low, high = match.groups()[1:]
    return f"below {below} mm³" if below else f"{above} mm³ and more" if above else f"{low} to {high} mm³"


def _size_in_column(size: Size) -> str:
    low, high = size
    if not low:
        return f"below_{high:g}mm3"
    return f"from_{low:g}mm3" if high == math.inf else f"{low:g}_to_{high:g}mm3"


def _filled(metric: str, fill: Callable[[Comparison], float], pair: Comparison) -> float:
    """Return a score, or what the rule for empty masks says where it is undefined."""
    value = float(fill(pair))
    return value_of_empty(metric, pair) if math.isnan(value) else value
