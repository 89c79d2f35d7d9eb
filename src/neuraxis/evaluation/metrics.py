"""The metrics by name: each turns a `Comparison` of one structure into one number, NaN where it is undefined.

How each is defined, and what empty masks give, stands with `Counts` and in `surface.py` and `surfels.py`. The metrics
of lesions are in `lesion_metrics.py`, those of probabilities in `calibration.py`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuraxis.evaluation import surface
from neuraxis.evaluation.boxes import flat_axes, joint_box
from neuraxis.evaluation.calibration import Reliability
from neuraxis.evaluation.components import Components, find_components
from neuraxis.evaluation.distances import Spacing, SurfaceDistances
from neuraxis.evaluation.lesions import LesionScore, MatchedLesions, match_lesions
from neuraxis.evaluation.overlap import Counts, check_masks, count_voxels, ratio
from neuraxis.evaluation.panoptic import PanopticScore, panoptic_score
from neuraxis.evaluation.rules import USUAL, ScoringRules
from neuraxis.evaluation.surfels import surfel_distances


@dataclass(frozen=True)
class Scan:
    """What cut-out masks do not tell of the whole scan.

    Attributes:
        voxels: number of voxels that are scored.
        flat: axes along which it has one voxel only, where a structure has no surface.
        diagonal_mm: distance of its farthest corners; NaN where that is not known.
    """

    voxels: int
    flat: Collection[int] = ()
    diagonal_mm: float = math.nan

    @classmethod
    def of(cls, shape: tuple[int, ...], spacing_mm: Spacing) -> Scan:
        """Describe a whole scan."""
        diagonal = math.sqrt(sum((count * size) ** 2 for count, size in zip(shape, spacing_mm, strict=True)))
        return cls(math.prod(shape), flat_axes(shape), diagonal)


@dataclass(frozen=True, eq=False)
class Comparison:
    """One structure of one case, as predicted and as it should be; what several metrics need is computed once.

    Attributes:
        predicted: bool (X, Y, Z), cut out to the box of both masks; 0 voxels where both are empty.
        reference: the same of the reference.
        spacing_mm: size of a voxel along each axis.
        scan: what is known of the whole scan.
        rules: tolerances, the matching of lesions, and what empty masks count as.
        reliability: how probabilities agree with the reference; None without probabilities, and where there is neither
            prediction nor reference.
        loss: the recipe's of the whole case; NaN where it is not known.
    """

    predicted: np.ndarray
    reference: np.ndarray
    spacing_mm: Spacing
    scan: Scan
    rules: ScoringRules = USUAL
    reliability: Reliability | None = None
    loss: float = math.nan

    @classmethod
    def of(
        cls,
        predicted: np.ndarray,
        reference: np.ndarray,
        spacing_mm: Spacing,
        scan: Scan | None = None,
        rules: ScoringRules = USUAL,
    ) -> Comparison:
        """Compare two masks, bool (X, Y, Z); `scan` tells of the whole scan where the masks are cut out of it."""
        check_masks(predicted, reference)
        scan = scan or Scan.of(predicted.shape, spacing_mm)
        box = joint_box(predicted, reference) or (slice(0, 0),) * 3
        cut, wanted = np.ascontiguousarray(predicted[box]), np.ascontiguousarray(reference[box])
        return cls(cut, wanted, spacing_mm, scan, rules)

    @cached_property
    def counts(self) -> Counts:
        """Voxels shared and not shared."""
        return count_voxels(self.predicted, self.reference, self.scan.voxels)

    @cached_property
    def components(self) -> Components:
        """The connected components of both masks and what they share."""
        return find_components(self.predicted, self.reference, self.spacing_mm, self.rules.lesions.connectivity)

    @cached_property
    def matched(self) -> MatchedLesions:
        """Each lesion, and whether it was found; each predicted one, and whether it is false."""
        return match_lesions(self.components, self.rules.lesions)

    @cached_property
    def lesions(self) -> LesionScore:
        """Lesions found, missed and false."""
        return self.matched.score()

    @cached_property
    def panoptic(self) -> PanopticScore:
        """Pairs of lesions of an IoU above one half."""
        return panoptic_score(self.components)

    @cached_property
    def surfaces(self) -> SurfaceDistances:
        """Distances between the surface voxels."""
        return surface.surface_distances(self.predicted, self.reference, self.spacing_mm, self.scan.flat)

    @cached_property
    def surfels(self) -> SurfaceDistances:
        """Distances between the pieces of surface, with their areas; infinite beyond the largest tolerance."""
        farthest = max(self.rules.tolerances_mm, default=0.0)
        return surfel_distances(self.predicted, self.reference, self.spacing_mm, self.scan.flat, farthest)

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


def specificity(pair: Comparison) -> float:
    """Return the part outside the reference that is left free, 0 to 1; NaN where the reference fills the scan."""
    return pair.counts.specificity


def hd95_mm(pair: Comparison) -> float:
    """Return the 95th percentile Hausdorff distance, in mm; NaN where either mask is empty."""
    return surface.percentile_mm(pair.surfaces, 95)


def hd100_mm(pair: Comparison) -> float:
    """Return the Hausdorff distance, in mm; NaN where either mask is empty."""
    return surface.percentile_mm(pair.surfaces, 100)


def assd_mm(pair: Comparison) -> float:
    """Return the average symmetric surface distance, in mm; NaN where either mask is empty."""
    return surface.average_mm(pair.surfaces)


def surface_dice(pair: Comparison, tolerance_mm: float) -> float:
    """Return the part of both surfaces, by area, within a tolerance; NaN where both masks are empty, 0 where one is.

    Raises:
        ValueError: the tolerance is larger than all of the comparison's rules.
    """
    if tolerance_mm > max(pair.rules.tolerances_mm, default=0.0):
        raise ValueError(f"{tolerance_mm} mm exceeds the tolerances of the comparison: {pair.rules.tolerances_mm}.")
    return pair.surfels.share_within(tolerance_mm)


def surface_dice_voxels(pair: Comparison, tolerance_mm: float) -> float:
    """Return the part of both masks' surface voxels within a tolerance; NaN where both are empty, 0 where one is."""
    return pair.surfaces.share_within(tolerance_mm)


def volume_ml_predicted(pair: Comparison) -> float:
    """Return the volume of the prediction, in mL."""
    return pair.counts.predicted * pair.voxel_ml


def volume_ml_reference(pair: Comparison) -> float:
    """Return the volume of the reference, in mL."""
    return pair.counts.reference * pair.voxel_ml


def volume_error_ml(pair: Comparison) -> float:
    """Return predicted less reference volume, in mL: above 0 where too much is predicted."""
    return (pair.counts.predicted - pair.counts.reference) * pair.voxel_ml


def volume_error_percent(pair: Comparison) -> float:
    """Return the volume error in percent of the reference, -100 and up; NaN where the reference is empty."""
    return 100 * ratio(pair.counts.predicted - pair.counts.reference, pair.counts.reference)
