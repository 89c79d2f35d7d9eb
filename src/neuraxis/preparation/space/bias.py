"""Taking the coil's shading out of a scan by N4 (N. J. Tustison et al., IEEE Trans Med Imaging 29:1310-1320, 2010).

The field is estimated by SimpleITK on a coarse copy, inside of the head, and divided out at full resolution: it is
smooth, so that nothing is lost.
"""

from __future__ import annotations

import numpy as np

from neuraxis.registration import itk
from neuraxis.registration.foreground import find_head
from neuraxis.registration.level import coarser
from neuraxis.volume.grid import Grid

_WORK_MM = 4.0
_ITERATIONS = (30, 20, 10)
_FIELD_FWHM = 0.22  # of the field's logarithm, as N4 takes it to be; with the usual 0.15 most of a T1's shading stayed
_LEAST_SIDE = 4


def correct_bias(array: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a channel without its smooth shading, float32.

    The mean over the head stays. Values below 0 are taken as they are; a channel of one value, or with too few voxels
    along an axis for a field to be seen, comes back unchanged.

    Args:
        array: (X, Y, Z), finite.
        grid: that it lies on.

    Raises:
        MissingExtra: SimpleITK is not installed.
    """
    library = itk.library()
    image = array.astype(np.float32)
    coarse, there = coarser(image, grid, _WORK_MM)
    head = find_head(coarse, there) & (coarse > 0)
    if min(coarse.shape) < _LEAST_SIDE or not head.any() or np.ptp(coarse[head]) == 0:
        return image
    with itk.one_thread():
        method = library.N4BiasFieldCorrectionImageFilter()
        method.SetMaximumNumberOfIterations(_ITERATIONS)
        method.SetBiasFieldFullWidthAtHalfMaximum(_FIELD_FWHM)
        method.Execute(itk.to_image(coarse, there), itk.to_image(head.astype(np.uint8), there))
        field = np.exp(itk.to_array(method.GetLogBiasFieldAsImage(itk.to_image(image, grid))))
    inside = find_head(image, grid) & (image > 0)
    corrected: np.ndarray = image / field.astype(np.float32)
    if inside.any():
        corrected *= np.float32(image[inside].mean(dtype=np.float64) / corrected[inside].mean(dtype=np.float64))
    return corrected
