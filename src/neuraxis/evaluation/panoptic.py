"""Panoptic quality: how well lesions are told apart and outlined, in one number and in its two factors.

A lesion and a predicted component are a pair where their IoU exceeds one half; no component can then belong to two
(Kirillov et al., "Panoptic segmentation", CVPR 2019). Segmentation quality is the mean IoU of the pairs, recognition
quality the F1 of pairs against all lesions and components, and panoptic quality their product. The components are those
of the masks, with the connectivity of the lesions.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuraxis.evaluation.components import Components
from neuraxis.evaluation.overlap import ratio


@dataclass(frozen=True)
class PanopticScore:
    """Pairs of an IoU above one half, and what has no partner.

    >>> score = PanopticScore(pairs=2, sum_of_ious=1.6, missed=1, false=1)
    >>> score.segmentation_quality, round(score.recognition_quality, 3), round(score.quality, 3)
    (0.8, 0.667, 0.533)
    """

    pairs: int
    sum_of_ious: float
    missed: int
    false: int

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the pairs, above 0.5, at most 1; NaN where there is none."""
        return ratio(self.sum_of_ious, self.pairs)

    @property
    def recognition_quality(self) -> float:
        """F1 of the pairs, 0 to 1; NaN where both masks are empty."""
        return ratio(2 * self.pairs, 2 * self.pairs + self.missed + self.false)

    @property
    def quality(self) -> float:
        """The product of both, 0 to 1; 0 where there is no pair, NaN where both masks are empty."""
        return ratio(2 * self.sum_of_ious, 2 * self.pairs + self.missed + self.false)


def panoptic_score(parts: Components) -> PanopticScore:
    """Count the pairs of an IoU above one half."""
    ious = parts.ious[parts.ious > 0.5]
    pairs = len(ious)
    missed, false = len(parts.reference_voxels) - pairs, len(parts.predicted_voxels) - pairs
    return PanopticScore(pairs, float(ious.sum()), missed, false)
