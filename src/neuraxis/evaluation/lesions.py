"""How many lesions are found, missed and falsely predicted.

A lesion is a connected component, 26-connected unless told otherwise: voxels that share a face, an edge or a corner.
It is *found* where the prediction covers enough of it, whichever predicted components do so, and *missed* else. A
predicted component is *false* where it touches no reference lesion with a single voxel.

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

from neuraxis.evaluation.boxes import joint_box
from neuraxis.evaluation.overlap import check_masks, ratio
from neuraxis.evaluation.rules import CONNECTIVITY, USUAL_LESIONS, Connectivity, LesionMatching


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
    def f1(self) -> float:
        """Lesion-wise F1, 0 to 1: 2 found / (2 found + missed + false); NaN where both masks are empty.

        A prediction that touches lesions without covering enough of any is neither found nor false: such a case
        has the F1 of its missed lesions, 0.
        """
        if not self.reference and not self.predicted:
            return float("nan")
        return ratio(2 * self.found, 2 * self.found + self.missed + self.false)


def score_lesions(
    predicted: np.ndarray, reference: np.ndarray, matching: LesionMatching = USUAL_LESIONS
) -> LesionScore:
    """Count the lesions found, missed and falsely predicted.

    Args:
        predicted: binary mask, (X, Y, Z).
        reference: binary mask, (X, Y, Z), on the same grid.
        matching: what one lesion is, and how much of it must be covered.

    >>> reference = np.zeros((9, 1, 1), bool); reference[[1, 5]] = True
    >>> predicted = np.zeros((9, 1, 1), bool); predicted[[1, 8]] = True
    >>> score_lesions(predicted, reference)
    LesionScore(found=1, missed=1, false=1)
    """
    check_masks(predicted, reference)
    box = joint_box(predicted, reference) or (slice(0, 0),) * 3
    predicted, reference = predicted[box], reference[box]
    covered, lesions = _shared_fractions(reference, predicted, matching.connectivity)
    touching, predictions = _shared_fractions(predicted, reference, matching.connectivity)
    found = int(np.count_nonzero((covered > 0) & (covered >= matching.min_overlap)))
    false = int(np.count_nonzero(touching == 0))
    return LesionScore(found, lesions - found, false, predictions)


def components(mask: np.ndarray, connectivity: Connectivity = CONNECTIVITY) -> tuple[np.ndarray, int]:
    """Number the connected components of a mask (X, Y, Z) from 1; return them and how many there are.

    One empty plane is added along each axis first: cc3d 4.1.1 reserves room for a fourth as many components as there
    are voxels, which thin and small masks exceed ("maximum length exception"); with the planes an eighth suffices.
    """
    import cc3d

    padded = np.pad(mask, ((0, 1), (0, 1), (0, 1)))
    labelled, number = cc3d.connected_components(padded, connectivity=connectivity, return_N=True)
    return labelled[:-1, :-1, :-1], int(number)


def _shared_fractions(mask: np.ndarray, other: np.ndarray, connectivity: Connectivity) -> tuple[np.ndarray, int]:
    """Return for each component of `mask` the fraction of it that `other` covers, and how many there are."""
    inside = np.flatnonzero(mask)
    if not inside.size:
        return np.empty(0), 0
    labelled, number = components(mask, connectivity)
    owner = np.ravel(labelled)[inside]
    sizes = np.bincount(owner, minlength=number + 1)[1:]
    shared = np.bincount(owner[np.ravel(other)[inside]], minlength=number + 1)[1:]
    return shared / sizes, number
