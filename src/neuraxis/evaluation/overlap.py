"""How far two masks share their voxels.

All scores follow from four counts. Where a score would divide nothing by nothing it is undefined, NaN, and whoever
averages leaves it out and says how often:

| | Dice, IoU | precision | recall | specificity |
| --- | --- | --- | --- | --- |
| both empty | NaN | NaN | NaN | 1 |
| only the reference is empty | 0 | 0 | NaN | true negatives / all |
| only the prediction is empty | 0 | NaN | 0 | 1 |
| the reference fills the scan | | | | NaN |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Voxels by what the prediction and the reference say of them.

    >>> counts = Counts(true_positives=6, false_positives=2, false_negatives=4, true_negatives=88)
    >>> counts.dice, counts.precision, counts.recall, counts.iou
    (0.6666666666666666, 0.75, 0.6, 0.5)
    >>> Counts(0, 0, 0, 100).dice
    nan
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def predicted(self) -> int:
        """Number of voxels of the prediction."""
        return self.true_positives + self.false_positives

    @property
    def reference(self) -> int:
        """Number of voxels of the reference."""
        return self.true_positives + self.false_negatives

    @property
    def dice(self) -> float:
        """Twice the shared voxels over all voxels of both, 0 to 1; NaN where both are empty (Dice 1945)."""
        return ratio(2 * self.true_positives, self.predicted + self.reference)

    @property
    def iou(self) -> float:
        """The shared voxels over those of either, 0 to 1; NaN where both are empty (Jaccard 1912)."""
        return ratio(self.true_positives, self.predicted + self.false_negatives)

    @property
    def precision(self) -> float:
        """The part of the prediction that is right, 0 to 1; NaN where the prediction is empty."""
        return ratio(self.true_positives, self.predicted)

    @property
    def recall(self) -> float:
        """The part of the reference that is found, 0 to 1; NaN where the reference is empty."""
        return ratio(self.true_positives, self.reference)

    @property
    def specificity(self) -> float:
        """The part outside the reference that is left free, 0 to 1; NaN where the reference fills the scan.

        It grows with the field of view: air around the head counts as well avoided.
        """
        return ratio(self.true_negatives, self.true_negatives + self.false_positives)


def count_voxels(predicted: np.ndarray, reference: np.ndarray, voxels: int | None = None) -> Counts:
    """Count the voxels that two masks share and do not share.

    Args:
        predicted: bool, any shape.
        reference: bool, the same shape.
        voxels: how many voxels the whole scan has, where the masks are cut out of it; none given: as many as a mask.

    Raises:
        ValueError: the shapes differ, or the masks are not bool.
    """
    check_masks(predicted, reference)
    shared = int(np.count_nonzero(predicted & reference))
    false_positives = int(np.count_nonzero(predicted)) - shared
    false_negatives = int(np.count_nonzero(reference)) - shared
    every = predicted.size if voxels is None else voxels
    return Counts(shared, false_positives, false_negatives, every - shared - false_positives - false_negatives)


def check_masks(predicted: np.ndarray, reference: np.ndarray) -> None:
    """Raise `ValueError` where two arrays are not masks of one shape."""
    if predicted.dtype != bool or reference.dtype != bool:
        raise ValueError(f"Masks are bool, not {predicted.dtype} and {reference.dtype}.")
    if predicted.shape != reference.shape:
        raise ValueError(f"Masks need one shape, found {predicted.shape} and {reference.shape}.")


def ratio(part: float, whole: float) -> float:
    """Divide, NaN where `whole` is 0."""
    return part / whole if whole else float("nan")
