"""The metrics by name: each turns a `Comparison` of one structure into one number, NaN where it is undefined.

How each is defined, and what empty masks give, stands with `Counts`, `hd95_mm` and `LesionScore`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuraxis.evaluation import surface
from neuraxis.evaluation.lesions import LesionScore, score_lesions
from neuraxis.evaluation.overlap import Counts, check_masks, count_voxels, ratio


@dataclass(frozen=True, eq=False)
class Comparison:
    """One structure of one case, as predicted and as it should be; what several metrics need is computed once.

    Attributes:
        predicted: bool (X, Y, Z), cut out to the box of both masks; 0 voxels where both are empty.
        reference: the same of the reference.
        spacing_mm: size of a voxel along each axis.
        voxels: number of voxels of the whole scan that are scored.
    """

    predicted: np.ndarray
    reference: np.ndarray
    spacing_mm: tuple[float, float, float]
    voxels: int

    @classmethod
    def of(
        cls,
        predicted: np.ndarray,
        reference: np.ndarray,
        spacing_mm: tuple[float, float, float],
        voxels: int | None = None,
    ) -> Comparison:
        """Compare two masks, bool (X, Y, Z); `voxels` counts the whole scan where the masks are cut out of it."""
        check_masks(predicted, reference)
        box = surface.joint_box(predicted, reference) or (slice(0, 0),) * 3
        every = predicted.size if voxels is None else voxels
        return cls(np.ascontiguousarray(predicted[box]), np.ascontiguousarray(reference[box]), spacing_mm, every)

    @cached_property
    def counts(self) -> Counts:
        """Voxels shared and not shared."""
        return count_voxels(self.predicted, self.reference, self.voxels)

    @cached_property
    def lesions(self) -> LesionScore:
        """Lesions found, missed and false."""
        return score_lesions(self.predicted, self.reference)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, in mL."""
        return math.prod(self.spacing_mm) / 1000


def dice(pair: Comparison) -> float:
    """Return the Dice coefficient, 0 to 1; NaN where both masks are empty, 0 where one is."""
    return pair.counts.dice


def iou(pair: Comparison) -> float:
    """Return the intersection over union, 0 to 1; NaN where both masks are empty, 0 where one is."""
    return pair.counts.iou


def precision(pair: Comparison) -> float:
    """Return the right part of the prediction, 0 to 1; NaN where the prediction is empty."""
    return pair.counts.precision


def recall(pair: Comparison) -> float:
    """Return the found part of the reference, 0 to 1; NaN where the reference is empty."""
    return pair.counts.recall


def hd95_mm(pair: Comparison) -> float:
    """Return the 95th percentile Hausdorff distance, in mm; NaN where either mask is empty."""
    return surface.hd95_mm(pair.predicted, pair.reference, pair.spacing_mm)


def volume_ml_predicted(pair: Comparison) -> float:
    """Return the volume of the prediction, in mL."""
    return pair.counts.predicted * pair.voxel_ml


def volume_ml_reference(pair: Comparison) -> float:
    """Return the volume of the reference, in mL."""
    return pair.counts.reference * pair.voxel_ml


def volume_error_ml(pair: Comparison) -> float:
    """Return predicted less reference volume, in mL: above 0 where too much is predicted."""
    return (pair.counts.predicted - pair.counts.reference) * pair.voxel_ml


def volume_error_relative(pair: Comparison) -> float:
    """Return the volume error as a fraction of the reference, -1 and up; NaN where the reference is empty."""
    return ratio(pair.counts.predicted - pair.counts.reference, pair.counts.reference)


def lesions_reference(pair: Comparison) -> float:
    """Return the number of lesions of the reference."""
    return float(pair.lesions.reference)


def lesions_predicted(pair: Comparison) -> float:
    """Return the number of lesions of the prediction."""
    return float(pair.lesions.predicted)


def lesions_found(pair: Comparison) -> float:
    """Return the number of reference lesions of which the prediction covers a tenth or more."""
    return float(pair.lesions.found)


def lesions_false(pair: Comparison) -> float:
    """Return the number of predicted lesions that touch no reference lesion."""
    return float(pair.lesions.false)


def lesion_recall(pair: Comparison) -> float:
    """Return the found part of the reference's lesions, 0 to 1; NaN where it has none."""
    return pair.lesions.recall


def lesion_false_discovery(pair: Comparison) -> float:
    """Return the false part of the predicted lesions, 0 to 1; NaN where none is predicted."""
    return pair.lesions.false_discovery


def lesion_f1(pair: Comparison) -> float:
    """Return the lesion-wise F1, 0 to 1; NaN where both masks are empty, 0 where one is."""
    return pair.lesions.f1
