"""Brain extraction by morphology: the brain is what remains in the head's middle when thin bridges are cut.

The tissue in the middle of the head tells how bright the brain is in this contrast. What is as bright is kept, eroded
until the brain comes off the scalp, the eyes and the neck (bone and CSF lie between), the largest piece is grown back
by as much, and gaps of CSF are closed. No template and no learned weights go in, so it works on T1, T2, FLAIR and what
resembles them, and is off by some mm at the surface; how far stands in docs/how-to/preparation.md.
"""

from __future__ import annotations

import numpy as np

from neuraxis.registration.foreground import find_head, grow, shrink_from_border
from neuraxis.registration.level import coarser
from neuraxis.registration.resample import resample_array
from neuraxis.volume.grid import Grid

ADULT_ML = (800.0, 2000.0)
_WORK_MM, _HEIGHT_MM = 2.0, 155.0
_SCALP_MM, _CORE_SHARE = 12.0, 0.55
_CUTS_MM = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
_CLOSING_MM, _SKIN_MM = 10.0, 3.0
_LEAST_SPREAD, _LEAST_PIECE_ML = 0.13, 15.0
_LARGEST_SHARE = 0.62


def find_brain(array: np.ndarray, grid: Grid) -> np.ndarray:
    """Return where the brain is: bool (X, Y, Z), one piece without holes.

    A scan whose surroundings were cut away already (the brain alone, 0 around it) is returned as it is.

    Args:
        array: one channel (X, Y, Z) with RAS+ axes, finite.
        grid: that it lies on.
    """
    if is_extracted(array, grid):
        return np.asarray(array != 0)
    work, there = coarser(array, grid, _WORK_MM)
    spacing = there.exact_spacing_mm
    head = _upper_part(find_head(work, there), there)
    brain = _come_off(*_tissue(work, head, spacing), head, spacing)
    brain = _solid(brain, spacing) & shrink_from_border(head, spacing, _SKIN_MM)
    found = np.empty(array.shape, np.float32)
    resample_array(brain.astype(np.float32), np.linalg.inv(there.affine) @ grid.affine, found, 1)
    return found >= 0.5


def is_extracted(array: np.ndarray, grid: Grid) -> bool:
    """Tell whether a scan shows a brain alone: most of it is 0, and the rest is no larger than a brain."""
    held = int(np.count_nonzero(array))
    return 0 < held < 0.5 * array.size and held * grid.voxel_ml <= 1.1 * ADULT_ML[1] and not _has_air(array)


def _has_air(array: np.ndarray) -> bool:
    """Tell whether the border of the scan shows noise, which a scan that was cut out has not."""
    faces = [array[0], array[-1], array[:, 0], array[:, -1], array[..., -1]]
    return any(np.count_nonzero(face) > 0.02 * face.size for face in faces)


def volume_warning(mask: np.ndarray, grid: Grid) -> str:
    """Return what is odd about a brain's volume, in words; empty where it is that of an adult."""
    volume, (low, high) = float(mask.sum() * grid.voxel_ml), ADULT_ML
    if low <= volume <= high:
        return ""
    return f"the extracted brain has {volume:.0f} mL, where an adult's has {low:.0f} to {high:.0f}"


def _upper_part(head: np.ndarray, grid: Grid) -> np.ndarray:
    """Keep the head from its top down to where no brain can be."""
    rows = np.flatnonzero(head.any(axis=(0, 1)))
    kept = head.copy()
    kept[:, :, : max(0, int(rows[-1] - _HEIGHT_MM / grid.exact_spacing_mm[2]))] = False
    return kept


def _tissue(array: np.ndarray, head: np.ndarray, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return what is as bright as the middle of the head, and that middle."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(head, ((0, 0), (0, 0), (0, 1)), mode="constant"), sampling=spacing)
    depth = depth[:, :, :-1]
    middle = depth > max(_SCALP_MM, _CORE_SHARE * float(depth.max()))
    values = array[middle]
    low, centre, high = np.percentile(values, (5, 50, 95))
    near = values[(values >= low) & (values <= high)]
    spread = max(float(np.median(np.abs(near - np.median(near)))) * 1.4826, _LEAST_SPREAD * abs(float(centre)))
    smooth = ndimage.gaussian_filter(array, [0.7 * _WORK_MM / step for step in spacing])
    tissue = head & (np.abs(smooth - float(np.median(near))) < 3.0 * spread)
    return tissue, middle


def _come_off(
    tissue: np.ndarray, middle: np.ndarray, head: np.ndarray, spacing: tuple[float, float, float]
) -> np.ndarray:
    """Erode until the piece in the middle has come off the scalp, and grow it back."""
    import cc3d
    from scipy import ndimage

    inner = ndimage.distance_transform_edt(tissue, sampling=spacing)
    piece = tissue
    for cut in _CUTS_MM:
        pieces = cc3d.connected_components(inner > cut, connectivity=6, binary_image=True)
        counts = np.bincount(pieces[middle], minlength=2)
        if len(counts) < 2 or not counts[1:].any():
            break
        main = 1 + int(counts[1:].argmax())
        piece = grow(_kept(pieces, main, head, spacing), spacing, cut + 0.5) & tissue
        if piece.sum() < _LARGEST_SHARE * head.sum() and not _reaches_scalp(piece, head, spacing):
            break
    return np.asarray(piece)


def _kept(pieces: np.ndarray, main: int, head: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return the main piece with the large ones that lie as deep in the head, such as a cerebellum that came off."""
    deep = shrink_from_border(head, spacing, _SCALP_MM)
    sizes, inside = np.bincount(pieces.ravel()), np.bincount(pieces[deep], minlength=int(pieces.max()) + 1)
    voxel_ml = float(np.prod(spacing)) / 1000
    chosen = (sizes * voxel_ml > _LEAST_PIECE_ML) & (inside > 0.8 * sizes)
    chosen[0], chosen[main] = False, True
    return np.asarray(chosen[pieces])


def _reaches_scalp(piece: np.ndarray, head: np.ndarray, spacing: tuple[float, float, float]) -> bool:
    """Tell whether a piece holds more of the head's outer 5 mm than a brain may."""
    skin = head & ~shrink_from_border(head, spacing, 5.0)
    return bool((piece & skin).sum() > 0.03 * skin.sum())


def _solid(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Close sulci and ventricles."""
    from scipy import ndimage

    margin = [int(np.ceil(_CLOSING_MM / step)) + 1 for step in spacing]
    wide = np.pad(mask, [(m, m) for m in margin])
    closed = shrink_from_border(grow(wide, spacing, _CLOSING_MM), spacing, _CLOSING_MM - 0.5) | wide
    closed = closed[tuple(slice(m, -m) for m in margin)]
    return np.asarray(ndimage.binary_fill_holes(closed))
