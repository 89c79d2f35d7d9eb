"""How many lesions are found, missed and falsely predicted, in all and by size; which are split and merged.

A lesion is a connected component, 26-connected unless told otherwise: voxels that share a face, an edge or a corner.
It is *found* where the prediction covers enough of it, whichever predicted components do so, and *missed* else. A
predicted component is *false* where it touches no reference lesion with a single voxel. Matched by IoU or by the
distance of centres, each lesion has one component for a partner at most (see `pairing.py`); a lesion with a partner is
found, a component without one is false.

A lesion is *split* where two or more predicted components touch it, and a component is *merged* where it touches two or
more lesions; both by a single voxel, whatever the matching.

Papers: Carass et al., "Longitudinal multiple sclerosis lesion segmentation: resource and challenge", NeuroImage 2017,
for the lesion-wise true positive and false discovery rates (LTPR; LFDR, there called LFPR). There one shared voxel
makes a lesion found (`LesionMatching(min_overlap=0)`); by default a tenth of it must be covered, as in Commowick et
al., "Objective evaluation of multiple sclerosis lesion segmentation using a data management and processing
infrastructure", Scientific Reports 2018. Of that paper's rule we leave out the upper bound on what the covering
components hold outside the lesion, and its F1 joins two shares of found lesions, one from either side, where ours
counts found, missed and false.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from neuraxis.evaluation.components import Components, find_components
from neuraxis.evaluation.distances import Spacing
from neuraxis.evaluation.overlap import ratio
from neuraxis.evaluation.pairing import pair_one_to_one
from neuraxis.evaluation.rules import USUAL_LESIONS, LesionMatching


@dataclass(frozen=True)
class LesionScore:
    """Numbers of lesions; `found + missed` is all of the reference, `predicted` all of the prediction."""

    found: int
    missed: int
    false: int
    predicted: int = field(default=0, repr=False)

    @property
    def reference(self) -> int:
        """Number of lesions of the reference."""
        return self.found + self.missed

    @property
    def recall(self) -> float:
        """Lesion-wise true positive rate (LTPR), 0 to 1: found of all; NaN where the reference has no lesion."""
        return ratio(self.found, self.reference)

    @property
    def false_discovery(self) -> float:
        """Lesion-wise false discovery rate (LFDR), 0 to 1: false of all predicted; NaN where none is predicted."""
        return ratio(self.false, self.predicted)

    @property
    def precision(self) -> float:
        """Lesion-wise positive predictive value (PPV), 0 to 1: what is not false of all predicted; NaN as the LFDR."""
        return ratio(self.predicted - self.false, self.predicted)

    @property
    def f1(self) -> float:
        """Lesion-wise F1, 0 to 1: 2 found / (2 found + missed + false); NaN where both masks are empty.

        A prediction that touches lesions without covering enough of any is neither found nor false: such a case
        has the F1 of its missed lesions, 0.
        """
        if not self.reference and not self.predicted:
            return float("nan")
        return ratio(2 * self.found, 2 * self.found + self.missed + self.false)


@dataclass(frozen=True, eq=False)
class MatchedLesions:
    """Each lesion with its size and whether it was found, each predicted component and whether it is false.

    Attributes:
        reference_mm3: volume of each lesion, (R,).
        found: whether it was found, bool (R,).
        predicted_mm3: volume of each predicted component, (P,).
        false: whether it is false, bool (P,).
        split: number of lesions that two or more predicted components touch.
        merged: number of predicted components that touch two or more lesions.
    """

    reference_mm3: np.ndarray
    found: np.ndarray
    predicted_mm3: np.ndarray
    false: np.ndarray
    split: int = 0
    merged: int = 0

    def score(self, low_mm3: float = 0.0, high_mm3: float = np.inf) -> LesionScore:
        """Count those of a size from `low_mm3` to below `high_mm3`; a component is parted by its own size."""
        lesions, predictions = (
            (size >= low_mm3) & (size < high_mm3) for size in (self.reference_mm3, self.predicted_mm3)
        )
        found = int(np.count_nonzero(self.found & lesions))
        missed = int(np.count_nonzero(lesions)) - found
        return LesionScore(found, missed, int((self.false & predictions).sum()), int(predictions.sum()))


def match_lesions(parts: Components, matching: LesionMatching = USUAL_LESIONS) -> MatchedLesions:
    """Tell found, missed and false lesions apart."""
    if matching.by == "overlap":
        found = (parts.covered > 0) & (parts.covered >= matching.min_overlap)
        false = parts.touching == 0
    else:
        found, false = np.zeros(len(parts.reference_voxels), bool), np.ones(len(parts.predicted_voxels), bool)
        partners = pair_one_to_one(parts, matching)
        found[partners[:, 0]] = True
        false[partners[:, 1]] = False
    return MatchedLesions(
        parts.reference_voxels * parts.voxel_mm3,
        found,
        parts.predicted_voxels * parts.voxel_mm3,
        false,
        int(np.count_nonzero(parts.touched > 1)),
        int(np.count_nonzero(parts.touching > 1)),
    )


def score_lesions(
    predicted: np.ndarray,
    reference: np.ndarray,
    matching: LesionMatching = USUAL_LESIONS,
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
) -> LesionScore:
    """Count the lesions found, missed and falsely predicted.

    Args:
        predicted: binary mask, (X, Y, Z).
        reference: binary mask, (X, Y, Z), on the same grid.
        matching: what one lesion is, and when it is found.
        spacing_mm: size of a voxel along each axis; it counts where centres are compared.

    >>> reference = np.zeros((9, 1, 1), bool); reference[[1, 5]] = True
    >>> predicted = np.zeros((9, 1, 1), bool); predicted[[1, 8]] = True
    >>> score_lesions(predicted, reference)
    LesionScore(found=1, missed=1, false=1)
    """
    return match_lesions(find_components(predicted, reference, spacing_mm, matching.connectivity), matching).score()
