"""At which spacing cases are trained: full resolution, and the lower one of which a patch sees more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ANISOTROPIC = 3.0
LOW_BELOW, LOW_STEP, LOW_AT_LEAST = 0.25, 1.03, 2.0


def target_spacing(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]]) -> tuple[np.ndarray, str]:
    """Return the spacing to resample every case to, in mm, and the reason in words.

    It is the median, axis by axis. Where slices are thick (their spacing above three times that of the other axes) and
    few (three times their number below that of the other axes), it is the 10th percentile along that axis, but never
    finer than the other axes: so thin slices keep their detail and thick ones are not blurred away. This is nnU-Net's
    rule (Isensee et al. 2021, supplementary note 2).

    Args:
        spacings: of each case, in mm, rows of three.
        shapes: voxels of each case after cropping, rows of three.
    """
    steps, edges = np.array(spacings, dtype=np.float64), np.array(shapes)
    target, size = np.percentile(steps, 50, axis=0), np.percentile(edges, 50, axis=0)
    worst = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != worst]
    coarsest = float(target[others].max())
    if target[worst] <= ANISOTROPIC * coarsest or size[worst] * ANISOTROPIC >= size[others].min():
        return target, "The median spacing of the cases."
    fine = float(np.percentile(steps[:, worst], 10))
    target[worst] = fine if fine >= coarsest else coarsest + 1e-5
    return target, (
        f"The median spacing, but along axis {'XYZ'[worst]}, where slices are thick and few, the 10th percentile, so "
        "that thin slices keep their detail (nnU-Net's rule)."
    )


def median_shape(
    shapes: Sequence[Sequence[int]], spacings: Sequence[Sequence[float]], target: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Return the median voxels along each axis once every case has the target spacing; halves occur."""
    resampled = np.rint(np.array(spacings) / np.array(target) * np.array(shapes))
    median: np.ndarray = np.median(resampled, axis=0)
    return median


def coarsened(spacing: np.ndarray) -> np.ndarray:
    """Return a spacing 3 % coarser: only along axes finer than half the coarsest, where there are such."""
    fine = spacing.max() / spacing > 2
    return np.where(fine | ~fine.any(), spacing * LOW_STEP, spacing)
