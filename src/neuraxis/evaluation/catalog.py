"""The metrics by name. A new one is one function of a `Comparison` and one line below.

A metric that needs a tolerance is a function of a `Comparison` and the tolerance in mm; it stands in `WITH_TOLERANCE`
and has a column for each tolerance, which bears it in its name: `surface_dice_1mm`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from neuraxis.evaluation.rules import TOLERANCES_MM
from neuraxis.registry import Catalog, Entry

if TYPE_CHECKING:
    from neuraxis.evaluation.metrics import Comparison

_HERE = "neuraxis.evaluation.metrics"
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
        "lesions_reference": Entry(f"{_HERE}:lesions_reference", "number of lesions of the reference"),
        "lesions_predicted": Entry(f"{_HERE}:lesions_predicted", "number of lesions of the prediction"),
        "lesions_found": Entry(f"{_HERE}:lesions_found", "number of reference lesions that are covered enough"),
        "lesions_false": Entry(f"{_HERE}:lesions_false", "number of predicted lesions that touch no reference lesion"),
        "lesion_recall": Entry(f"{_HERE}:lesion_recall", "found part of the reference's lesions (LTPR), 0 to 1"),
        "lesion_false_discovery": Entry(
            f"{_HERE}:lesion_false_discovery", "false part of the predicted (LFDR), 0 to 1"
        ),
        "lesion_f1": Entry(f"{_HERE}:lesion_f1", "lesion-wise F1, 0 to 1"),
    },
)
WITH_TOLERANCE = ("surface_dice", "surface_dice_voxels")
_COLUMN = re.compile(rf"({'|'.join(WITH_TOLERANCE)})_(\d+(?:\.\d+)?(?:e[-+]\d+)?)mm")


def metric_names() -> tuple[str, ...]:
    """Return every metric in the order of the tables: ours as listed, then those of other packages."""
    return (*METRICS.entries, *(name for name in METRICS.names() if name not in METRICS.entries))


def columns(
    metrics: Sequence[str] = (), tolerances_mm: Sequence[float] = TOLERANCES_MM
) -> dict[str, Callable[[Comparison], float]]:
    """Return the columns of a table of scores and what fills them, in order.

    Args:
        metrics: names of the catalog; empty for all.
        tolerances_mm: of those metrics that need one.

    Raises:
        UnknownName: there is no such metric; the message offers the nearest.
    """
    found: dict[str, Callable[[Comparison], float]] = {}
    for name in metrics or metric_names():
        function = METRICS.load(name)
        if name not in WITH_TOLERANCE:
            found[name] = function
            continue
        for size in tolerances_mm:
            found[f"{name}_{size:g}mm"] = partial(function, tolerance_mm=size)
    return found


def metric_of(column: str) -> tuple[str, float | None]:
    """Return the metric of a column, and its tolerance in mm where it has one.

    >>> metric_of("surface_dice_2.5mm"), metric_of("hd95_mm")
    (('surface_dice', 2.5), ('hd95_mm', None))
    """
    match = _COLUMN.fullmatch(column)
    return (match[1], float(match[2])) if match else (column, None)
