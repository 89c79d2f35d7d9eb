"""How far the surface voxels of two masks lie apart: Hausdorff distances, average distance, voxel-wise surface Dice.

A surface voxel is one with a face neighbour outside the mask; the edge of the image counts as outside. An axis along
which the whole scan has one voxel only (a picture) has no surface. For each surface voxel of one mask take the
distance in mm, between centres, to the nearest surface voxel of the other, and the same in the other direction.

* HD95: the 95th percentile (linear interpolation) of each direction for itself, and of the two the larger. MONAI
  defines it so (`HausdorffDistanceMetric(percentile=95)`); medpy pools both directions before taking the
  percentile, which gives other and mostly smaller values; surface-distance weighs by area.
* HD100: the largest distance of either direction, Hausdorff's distance.
* ASSD: the mean of all distances of both directions together (Heimann et al., IEEE TMI 2009), as MONAI's
  `SurfaceDistanceMetric(symmetric=True)`. medpy's `assd` is the mean of the two directions' means instead, which
  Metrics reloaded calls MASD.
* Surface Dice, voxel-wise: the share of both sets of surface voxels that lies within a tolerance of the other
  (Seidlitz et al., Medical Image Analysis 2022), as MONAI's `SurfaceDiceMetric`.

Papers: Huttenlocher, Klanderman and Rucklidge, "Comparing images using the Hausdorff distance", IEEE TPAMI 1993
(ranked distances); Maier-Hein et al., "Metrics reloaded", Nature Methods 2024 (pitfalls, definitions).
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from neuraxis.evaluation.boxes import flat_axes, joint_box
from neuraxis.evaluation.distances import Spacing, SurfaceDistances, distances_between
from neuraxis.evaluation.overlap import check_masks


def surface_distances(
    predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing, flat: Collection[int] | None = None
) -> SurfaceDistances:
    """Measure how far the surface voxels of two masks lie apart; every surface voxel has the size 1.

    Args:
        predicted: bool, (X, Y, Z).
        reference: bool, (X, Y, Z), on the same grid.
        spacing_mm: size of a voxel along each axis.
        flat: axes without a surface; none given: those along which the masks have one voxel only.

    Raises:
        ValueError: the shapes differ, the masks are not bool, or a spacing is not positive.
    """
    check_masks(predicted, reference)
    flat = flat_axes(predicted.shape) if flat is None else flat
    box = joint_box(predicted, reference) or (slice(0, 0),) * 3
    ours, theirs = (surface(np.ascontiguousarray(mask[box]), flat) for mask in (predicted, reference))
    there, back = distances_between(ours, theirs, spacing_mm)
    return SurfaceDistances(there, back, np.ones(len(there)), np.ones(len(back)))


def hd95_mm(predicted: np.ndarray, reference: np.ndarray, spacing_mm: Spacing) -> float:
    """Return the 95th percentile Hausdorff distance of two masks, in mm.

    Args:
        predicted: bool, (X, Y, Z).
        reference: bool, (X, Y, Z), on the same grid.
        spacing_mm: size of a voxel along each axis.

    Returns:
        0 or more; NaN where one or both masks are empty, since then there is no distance.

    >>> reference = np.zeros((9, 1, 1), bool); reference[2] = True
    >>> predicted = np.zeros((9, 1, 1), bool); predicted[5] = True
    >>> hd95_mm(predicted, reference, (2.0, 1.0, 1.0))
    6.0
    """
    return percentile_mm(surface_distances(predicted, reference, spacing_mm), 95.0)


def percentile_mm(distances: SurfaceDistances, percentile: float) -> float:
    """Return the larger of the two directed percentiles of surface voxels' distances, in mm.

    Args:
        distances: those of surface voxels (sizes are not looked at).
        percentile: 0 to 100; 100 gives Hausdorff's distance.

    Returns:
        0 or more; NaN where either mask is empty.

    Raises:
        ValueError: the percentile is not within 0 and 100.
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"A percentile lies within 0 and 100, not {percentile}.")
    if not distances.has_both:
        return math.nan
    return float(max(np.percentile(distances.there, percentile), np.percentile(distances.back, percentile)))


def average_mm(distances: SurfaceDistances) -> float:
    """Return the mean of the surface voxels' distances of both directions together (ASSD), in mm.

    Returns:
        0 or more; NaN where either mask is empty.
    """
    if not distances.has_both:
        return math.nan
    return float((distances.there.sum() + distances.back.sum()) / (distances.there.size + distances.back.size))


def surface(mask: np.ndarray, flat: Collection[int] = ()) -> np.ndarray:
    """Return the voxels of a mask (X, Y, Z) that have a face neighbour outside it, but not along the `flat` axes.

    The image's edge is outside.
    """
    inner = mask.copy()
    for axis in set(range(3)).difference(flat):
        line, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        kept[1:] &= line[:-1]
        kept[:-1] &= line[1:]
        kept[:1] = False
        kept[-1:] = False
    edge: np.ndarray = mask & ~inner
    return edge
