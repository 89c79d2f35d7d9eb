"""Rigid and affine registration: where a scan lies in the world of another.

What is maximised is mutual information (P. Viola and W. M. Wells, Int J Comput Vis 24:137-154, 1997), estimated as D.
Mattes et al. do (IEEE Trans Med Imaging 22:120-128, 2003) by SimpleITK, so that contrasts may differ. It goes from
coarse to fine; first many positions are tried (`search`), so that neither a wrong header nor a turned head leads
astray. One thread and samples that are always the same: the same scans give the same transform, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from neuraxis.errors import DataError
from neuraxis.registration import itk
from neuraxis.registration.agreement import Agreement, measure_agreement
from neuraxis.registration.level import Level
from neuraxis.registration.search import AFFINE, RIGID, Search
from neuraxis.registration.transform import Transform
from neuraxis.volume.volume import Volume

Kind = Literal["rigid", "affine"]
SEARCH_MM, COARSE_MM, FINE_MM = 8.0, 4.0, 2.0
_BINS, _ITERATIONS = 32, 120
_SAMPLES, _SEED = 60_000, 1
_LEAST_SIDE = 4


@dataclass(frozen=True, eq=False)
class Registered:
    """What a registration found.

    Attributes:
        transform: from the moving scan's world to that of the fixed one.
        agreement: how well the two then agree, and whether it can be trusted.
    """

    transform: Transform
    agreement: Agreement


def register(moving: Volume, fixed: Volume, kind: Kind = "rigid", finest_mm: float = FINE_MM) -> Registered:
    """Find where a scan lies in the world of another.

    Args:
        moving: (1, X, Y, Z), the scan that is to be moved.
        fixed: (1, X, Y, Z), the scan that stays.
        kind: "rigid" turns and shifts; "affine" also scales and shears, for another head.
        finest_mm: voxels of the last step; smaller ones take longer and find little more.

    Returns:
        The transform and how well the scans agree. Whether that is enough is for the caller to judge; see
        `Agreement.warning`.

    Raises:
        DataError: a scan is flat or of one value only.
        MissingExtra: SimpleITK is not installed.
    """
    itk.library()
    for scan in (moving, fixed):
        _refuse_unusable(scan)
    steps = (SEARCH_MM, max(COARSE_MM, finest_mm), finest_mm)
    whole = [Level.of(scan.array[0], scan.grid, finest_mm) for scan in (moving, fixed)]
    pyramid = [(whole[0].coarser(size), whole[1].coarser(size)) for size in steps]
    transform = Search(*pyramid[0]).best(AFFINE if kind == "affine" else RIGID)
    with itk.one_thread():
        for (one, other), size in zip(pyramid[1:], steps[1:], strict=True):
            transform = _refine(one, other, transform, kind, size)
    return Registered(transform, measure_agreement(*pyramid[1], transform, peak=True))


def _refuse_unusable(scan: Volume) -> None:
    name = scan.name or "the scan"
    if scan.channels != 1:
        raise ValueError(f"One channel is registered at a time, not {scan.channels}.")
    if min(scan.grid.shape) < _LEAST_SIDE:
        raise DataError(
            f"{name}: has {scan.grid.describe()}. To register it, at least {_LEAST_SIDE} voxels along each axis are "
            "needed: set preparation.registration to 'none'."
        )
    low, high = scan.array.min(), scan.array.max()
    if not np.isfinite(float(low) + float(high)) or low == high:
        raise DataError(
            f"{name}: holds NaN, infinity or one value only, and cannot be registered. Export the scan again, or leave "
            "the case out."
        )


def _refine(moving: Level, fixed: Level, start: Transform, kind: Kind, voxel_mm: float) -> Transform:
    """Follow the mutual information uphill from a position."""
    sitk = itk.library()
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    voxels = int(np.count_nonzero(fixed.head))
    if voxels > _SAMPLES:  # regular ones, each moved a little by a draw of its own, so that no grid shines through
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(_SAMPLES / voxels, _SEED)
    method.SetMetricFixedMask(itk.to_image(fixed.head.astype(np.uint8), fixed.grid))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=voxel_mm / 2,
        minStep=voxel_mm / 200,
        numberOfIterations=_ITERATIONS,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-7,
        estimateLearningRate=method.Never,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(_free(sitk, start, kind, fixed), inPlace=False)
    try:
        done = method.Execute(itk.to_image(fixed.array, fixed.grid), itk.to_image(moving.array, moving.grid))
    except RuntimeError:  # the scans do not overlap here
        return start
    return itk.from_itk(done)


def _free(sitk: Any, start: Transform, kind: Kind, fixed: Level) -> Any:
    """Return the start as a transform of ITK with the parameters that may change, about the middle of the head."""
    affine = itk.to_itk(start)
    free = sitk.VersorRigid3DTransform() if kind == "rigid" else sitk.AffineTransform(3)
    middle = fixed.centre_mm * (-1, -1, 1)
    free.SetCenter(middle.tolist())
    free.SetMatrix(affine.GetMatrix(), 1e-5) if kind == "rigid" else free.SetMatrix(affine.GetMatrix())
    moved = np.array(affine.TransformPoint(middle.tolist()))
    free.SetTranslation((moved - middle).tolist())
    return free
