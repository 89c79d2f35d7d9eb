"""The head (or body) in a scan: what is not air, as one solid piece."""

from __future__ import annotations

import numpy as np

from neuraxis.volume.grid import Grid

_BINS = 256
_CLOSING_MM = 6.0
_LEAST_SHARE = 0.005


def find_head(array: np.ndarray, grid: Grid, margin_mm: float = 0.0) -> np.ndarray:
    """Return where the head is, without holes: bool (X, Y, Z).

    A threshold after Otsu (IEEE Trans Syst Man Cybern 9:62-66, 1979) parts air from tissue; below half of it there is
    noise alone. The largest piece is kept, gaps of a few mm are closed and what it encloses is filled.

    Args:
        array: (X, Y, Z), any real dtype, finite. Where nothing but one value is found, everything is head.
        grid: that it lies on.
        margin_mm: by how much the head is made larger.
    """
    import cc3d
    from scipy import ndimage

    bright = array > air_below(array)
    pieces = cc3d.connected_components(bright, connectivity=6, binary_image=True)
    sizes = np.bincount(pieces.ravel())
    if len(sizes) < 2 or sizes[1:].max() < _LEAST_SHARE * array.size:
        return np.ones(array.shape, bool)
    head = pieces == 1 + int(sizes[1:].argmax())
    spacing = grid.exact_spacing_mm
    closed = grow(shrink_from_border(grow(head, spacing, _CLOSING_MM), spacing, _CLOSING_MM) | head, spacing, margin_mm)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(closed, 2, 0)], axis=2)
    return np.asarray(ndimage.binary_fill_holes(filled))


def air_below(array: np.ndarray) -> float:
    """Return the value that parts air from tissue: half of Otsu's threshold, counted from the darkest voxels."""
    low, high = (float(value) for value in np.percentile(array[::2, ::2], (1, 99)))
    if high <= low:
        return low
    counts, edges = np.histogram(np.clip(array, low, high), _BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    mass = np.cumsum(counts * centres)
    means = mass[:-1] / np.maximum(below, 1) - (mass[-1] - mass[:-1]) / np.maximum(above, 1)
    return low + (float(edges[1 + int((below * above * means**2).argmax())]) - low) / 2


def grow(mask: np.ndarray, spacing_mm: tuple[float, float, float], by_mm: float) -> np.ndarray:
    """Return a mask that reaches `by_mm` further in every direction."""
    from scipy import ndimage

    if by_mm <= 0 or mask.all() or not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= by_mm)


def shrink_from_border(mask: np.ndarray, spacing_mm: tuple[float, float, float], by_mm: float) -> np.ndarray:
    """Return a mask that ends `by_mm` earlier, where it ends; the border of the scan is no end."""
    from scipy import ndimage

    if by_mm <= 0 or mask.all() or not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing_mm) > by_mm)
