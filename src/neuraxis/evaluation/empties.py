"""What a score counts as where it would divide nothing by nothing, by the rule that was asked for (`EMPTY_RULES`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuraxis.evaluation.metrics import Comparison

DISTANCES = frozenset({"hd95_mm", "hd100_mm", "assd_mm"})
ERRORS = frozenset({"lesion_false_discovery", "volume_error_percent"})
SHARES = frozenset(
    {"dice", "iou", "precision", "recall", "surface_dice", "surface_dice_voxels", "lesion_recall", "lesion_precision",
     "lesion_f1", "panoptic_quality", "recognition_quality", "segmentation_quality"}
)  # fmt: skip
_ONE_SIDED = frozenset({"precision", "recall", "lesion_precision", "lesion_recall"})


def value_of_empty(metric: str, pair: Comparison) -> float:
    """Return what an undefined score counts as; NaN where it stays undefined.

    Args:
        metric: its name, without tolerance or size; those by size, calibration and other packages' stay undefined.
        pair: of which it is undefined.
    """
    rule = pair.rules.empty
    sides = pair.counts.predicted > 0, pair.counts.reference > 0
    if rule == "undefined" or all(sides):
        return math.nan
    if not any(sides):
        if rule == "zero":
            return 0.0 if metric in SHARES else math.nan
        return 1.0 if metric in SHARES else 0.0 if metric in DISTANCES | ERRORS else math.nan
    if rule == "penalised":
        return pair.scan.diagonal_mm if metric in DISTANCES else 0.0 if metric in _ONE_SIDED else math.nan
    return math.nan
