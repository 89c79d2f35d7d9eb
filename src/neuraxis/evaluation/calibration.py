"""Do probabilities mean what they say: of the voxels that are said to be lesion with 0.7, are seven in ten lesion?

Each voxel of a structure is looked at for itself: its probability against whether it is in the reference. Looked at is
the box of reference and prediction with 10 mm around it: in a whole scan nearly every voxel is easy background, which
hides everything (Mehrtash et al., "Confidence calibration and predictive uncertainty estimation for deep medical image
segmentation", IEEE TMI 2020, take such boxes too). Where both masks are empty there is no box and no value.

* ECE, the expected calibration error: probabilities are put into 15 bins of equal width, and the distances between the
  mean probability of a bin and the share of the structure in it are averaged, weighed by voxels (Guo et al., "On
  calibration of modern neural networks", ICML 2017, for the bins; there the confidence in the chosen class is taken,
  here the probability of the structure).
* Brier score: the mean squared difference of probability and truth (Brier 1950).
* The reliability curve: mean probability and share of the structure, bin by bin, over all cases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuraxis.evaluation.overlap import ratio

if TYPE_CHECKING:
    from neuraxis.evaluation.metrics import Comparison

BINS = 15
MARGIN_MM = 10.0


@dataclass(frozen=True)
class Reliability:
    """What the voxels of some probabilities have in common with the truth.

    Attributes:
        voxels: number of voxels in each bin of probability.
        probability: sum of their probabilities in each bin.
        inside: how many of them are in the reference, in each bin.
        squared: sum over all voxels of the squared difference of probability and truth.
    """

    voxels: tuple[int, ...]
    probability: tuple[float, ...]
    inside: tuple[int, ...]
    squared: float

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1; NaN where no voxel was looked at."""
        apart = (abs(said - true) for said, true in zip(self.probability, self.inside, strict=True))
        return ratio(sum(apart), sum(self.voxels))

    @property
    def brier(self) -> float:
        """Brier score, 0 to 1; NaN where no voxel was looked at."""
        return ratio(self.squared, sum(self.voxels))

    def curve(self) -> tuple[tuple[float, float, int], ...]:
        """Return mean probability, share of the structure and number of voxels of each bin that has any."""
        bins = zip(self.probability, self.inside, self.voxels, strict=True)
        return tuple((said / count, true / count, count) for said, true, count in bins if count)


def reliability_of(probability: np.ndarray, truth: np.ndarray) -> Reliability:
    """Bin probabilities against the truth.

    Args:
        probability: 0 to 1, any shape.
        truth: bool, the same shape.

    >>> found = reliability_of(np.array([0.9, 0.9, 0.9, 0.1]), np.array([True, True, False, False]))
    >>> round(found.ece, 3), round(found.brier, 3)
    (0.2, 0.21)
    """
    said = probability.astype(np.float64).ravel()
    true = truth.ravel()
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    return Reliability(
        tuple(np.bincount(place, minlength=BINS).tolist()),
        tuple(np.bincount(place, said, BINS).tolist()),
        tuple(np.bincount(place[true], minlength=BINS).tolist()),
        float(((said - true) ** 2).sum()),
    )


def pooled(parts: Iterable[Reliability]) -> Reliability:
    """Return the bins of several cases as if they were one; each voxel counts alike."""
    parts = tuple(parts)
    columns = zip(*((*one.voxels, *one.probability, *one.inside) for one in parts), strict=True)
    sums = [sum(column) for column in columns] or [0] * (3 * BINS)
    voxels, said, inside = sums[:BINS], sums[BINS : 2 * BINS], sums[2 * BINS :]
    squared = sum(one.squared for one in parts)
    return Reliability(tuple(map(int, voxels)), tuple(map(float, said)), tuple(map(int, inside)), float(squared))


def ece(pair: Comparison) -> float:
    """Return the expected calibration error, 0 to 1; NaN without probabilities or where both masks are empty."""
    return pair.reliability.ece if pair.reliability else float("nan")


def brier(pair: Comparison) -> float:
    """Return the Brier score, 0 to 1; NaN without probabilities or where both masks are empty."""
    return pair.reliability.brier if pair.reliability else float("nan")
