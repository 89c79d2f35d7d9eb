"""The metrics of lesions by name: in all, by size, split, merged, and panoptic.

How each is defined stands with `LesionScore`, `MatchedLesions` and `PanopticScore`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from neuraxis.evaluation.lesions import LesionScore

if TYPE_CHECKING:
    from neuraxis.evaluation.metrics import Comparison

Size = tuple[float, float]


def sizes_between(edges_mm3: Sequence[float]) -> tuple[Size, ...]:
    """Return the ranges of volumes that edges part, each from its lower end to below its upper; none without edges.

    >>> sizes_between((10.0, 100.0))
    ((0.0, 10.0), (10.0, 100.0), (100.0, inf))
    """
    ends = (0.0, *edges_mm3, math.inf) if edges_mm3 else ()
    return tuple(pairwise(ends))


def lesions_reference(pair: Comparison) -> float:
    """Return the number of lesions of the reference."""
    return float(pair.lesions.reference)


def lesions_predicted(pair: Comparison) -> float:
    """Return the number of lesions of the prediction."""
    return float(pair.lesions.predicted)


def lesions_found(pair: Comparison) -> float:
    """Return the number of reference lesions that are found."""
    return float(pair.lesions.found)


def lesions_false(pair: Comparison) -> float:
    """Return the number of predicted lesions that are false."""
    return float(pair.lesions.false)


def lesions_split(pair: Comparison) -> float:
    """Return the number of reference lesions that two or more predicted ones touch."""
    return float(pair.matched.split)


def lesions_merged(pair: Comparison) -> float:
    """Return the number of predicted lesions that touch two or more of the reference."""
    return float(pair.matched.merged)


def lesion_recall(pair: Comparison) -> float:
    """Return the found part of the reference's lesions, 0 to 1; NaN where it has none."""
    return pair.lesions.recall


def lesion_precision(pair: Comparison) -> float:
    """Return the part of the predicted lesions that is not false, 0 to 1; NaN where none is predicted."""
    return pair.lesions.precision


def lesion_false_discovery(pair: Comparison) -> float:
    """Return the false part of the predicted lesions, 0 to 1; NaN where none is predicted."""
    return pair.lesions.false_discovery


def lesion_f1(pair: Comparison) -> float:
    """Return the lesion-wise F1, 0 to 1; NaN where both masks are empty, 0 where one is."""
    return pair.lesions.f1


def lesions_reference_by_size(pair: Comparison, size: Size) -> float:
    """Return the number of lesions of the reference of that size."""
    return float(_of(pair, size).reference)


def lesions_found_by_size(pair: Comparison, size: Size) -> float:
    """Return the number of lesions of that size that are found."""
    return float(_of(pair, size).found)


def lesions_predicted_by_size(pair: Comparison, size: Size) -> float:
    """Return the number of lesions that are predicted in that size."""
    return float(_of(pair, size).predicted)


def lesions_false_by_size(pair: Comparison, size: Size) -> float:
    """Return the number of lesions that are predicted in that size and false."""
    return float(_of(pair, size).false)


def lesion_recall_by_size(pair: Comparison, size: Size) -> float:
    """Return the found part of the lesions of that size, 0 to 1; NaN where there is none."""
    return _of(pair, size).recall


def lesion_precision_by_size(pair: Comparison, size: Size) -> float:
    """Return the part that is not false of those predicted in that size, 0 to 1; NaN where none is."""
    return _of(pair, size).precision


def lesion_false_discovery_by_size(pair: Comparison, size: Size) -> float:
    """Return the false part of those predicted in that size, 0 to 1; NaN where none is."""
    return _of(pair, size).false_discovery


def lesion_f1_by_size(pair: Comparison, size: Size) -> float:
    """Return the F1 of the lesions of that size and those predicted in it, 0 to 1; NaN where there is neither."""
    return _of(pair, size).f1


def panoptic_quality(pair: Comparison) -> float:
    """Return the panoptic quality, 0 to 1; NaN where both masks are empty, 0 where one is."""
    return pair.panoptic.quality


def recognition_quality(pair: Comparison) -> float:
    """Return the F1 of pairs of an IoU above one half, 0 to 1; NaN where both masks are empty, 0 where one is."""
    return pair.panoptic.recognition_quality


def segmentation_quality(pair: Comparison) -> float:
    """Return the mean IoU of the pairs, above 0.5, at most 1; NaN where there is no pair."""
    return pair.panoptic.segmentation_quality


def _of(pair: Comparison, size: Size) -> LesionScore:
    return pair.matched.score(*size)
