"""Values on another grid that covers the same box.

Every function changes the number of voxels along each axis and keeps the box: the outer edges of the outer voxels
stay where they are, as in scikit-image's `resize` and nnU-Net; with `ticks` the centre of the first voxel stays, as in
MONAI (`lattice`). Interpolation is separable, so each axis may have an
order of its own; that is how thick slices are kept apart (see `thick_axis`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from neuraxis.volume.box import nonzero_box
from neuraxis.volume.interpolation import Order, apply_to_axis, axis_matrix, nearest_voxels
from neuraxis.volume.lattice import SAME, Tick, Ticks

Shape = tuple[int, int, int]
Orders = tuple[Order, Order, Order]
Spacing = tuple[float, float, float]

_EDGES = (None, None, None)  # in place of ticks, where the edges of the box stay
_TIE = 1e-5  # weights that differ by less are equal: rounding must not decide
_SLAB = 32


def resample_image(
    array: np.ndarray,
    shape: Shape,
    order: Order | Orders = 3,
    clip_overshoot: bool = False,
    ticks: Ticks | None = None,
) -> np.ndarray:
    """Interpolate an image (C, X, Y, Z) to (C, *shape).

    Args:
        array: any real dtype.
        shape: the new number of voxels along each axis.
        order: 3 for cubic B-splines, 1 for linear, 0 for the nearest voxel; one for all axes or one for each.
        clip_overshoot: whether cubic values beyond those of the channel are brought back to them; where an axis has
            order 0, beyond those of the slice across it.
        ticks: where the new voxels lie among the old ones, if it is not the box's edges that stay.

    Returns:
        float32; equal to `scipy.ndimage.zoom(..., order, mode="nearest", grid_mode=True)` within rounding. Cubic
        values may overshoot the input's range a little.
    """
    orders = _orders(order)
    if len(array) == 1 and (array.shape[1:] != shape or ticks):
        return _resampled(np.ascontiguousarray(array, dtype=np.float32), shape, orders, clip_overshoot, ticks)
    result = np.empty((len(array), *shape), np.float32)
    for channel, out in zip(array, result, strict=True):  # one by one: what lies between the axes takes room
        one = np.ascontiguousarray(channel, dtype=np.float32)[None]
        out[...] = _resampled(one, shape, orders, clip_overshoot, ticks)[0]
    return result


def resample_rows(
    planes: Iterable[np.ndarray],
    count: int,
    shape: Shape,
    order: Order | Orders,
    change: Callable[[np.ndarray], np.ndarray],
    ticks: Ticks | None = None,
) -> Iterator[np.ndarray]:
    """Interpolate (C, X, Y, Z) that comes plane by plane along X, and yield it so: the whole is never in memory.

    Args:
        planes: (C, 1, Y, Z) each, any real dtype; each is used before the next is asked for.
        count: how many they are, X.
        shape: the new number of voxels along each axis.
        order: 1 for linear or 0 for nearest; one for all axes or one for each.
        change: applied to each plane before it is interpolated, such as a softmax.
        ticks: as for `resample_image`.

    Yields:
        `shape[0]` arrays (C, 1, *shape[1:]), float32; each is overwritten by the next.
    """
    orders = _orders(order)
    if 3 in orders:
        raise ValueError("Planes are interpolated with order 0 or 1: cubic needs them all.")
    coming = enumerate(planes)
    ready: dict[int, np.ndarray] = {}
    mixed = part = np.empty(0, np.float32)
    along, *others = ticks or _EDGES
    within = (None, others[0], others[1])
    for weights in axis_matrix(count, shape[0], orders[0], along):
        used = [int(row) for row in np.flatnonzero(weights)]
        ready = {row: plane for row, plane in ready.items() if row >= used[0]}
        while used[-1] not in ready:
            row, plane = next(coming)
            if row >= used[0]:
                changed = np.ascontiguousarray(change(plane), dtype=np.float32)
                own = changed.copy() if np.may_share_memory(changed, plane) else changed
                ready[row] = _separable(own, (1, *shape[1:]), orders, within)
        if mixed.shape != ready[used[0]].shape:
            mixed, part = np.empty((2, *ready[used[0]].shape), np.float32)
        np.multiply(ready[used[0]], weights[used[0]], out=mixed)
        for row in used[1:]:
            mixed += np.multiply(ready[row], weights[row], out=part)
        yield mixed
    deque(coming, maxlen=0)  # planes that no voxel needs


def resample_labels(array: np.ndarray, shape: Shape, order: Order | Orders = 0) -> np.ndarray:
    """Bring a label map (X, Y, Z) to another shape; numbers are never mixed.

    Args:
        array: whole numbers from 0.
        shape: the new number of voxels along each axis.
        order: 0 takes the nearest voxel. 1 interpolates a mask of each number linearly and takes the number of most
            weight; of two that weigh the same the higher one, so that a structure does not give way to background.
    """
    orders = _orders(order)
    if 3 in orders:
        raise ValueError("Labels are interpolated with order 0 or 1.")
    x, y, z = (new if linear else old for old, new, linear in zip(array.shape, shape, orders, strict=True))
    array = _vote(array, (x, y, z))
    for axis in range(3):
        if array.shape[axis] != shape[axis]:
            array = np.take(array, nearest_voxels(array.shape[axis], shape[axis]), axis)
    return np.ascontiguousarray(array)


def shape_at_spacing(shape: Shape, old_mm: tuple[float, ...], new_mm: tuple[float, ...]) -> Shape:
    """Return the number of voxels that cover the same box at another spacing, at least 1 along each axis.

    Along an axis whose new spacing is 0 it stays.
    """
    steps = zip(shape, old_mm, new_mm, strict=True)
    x, y, z = (max(1, round(old / new * size)) if new else size for size, old, new in steps)
    return x, y, z


def thick_axis(old_mm: Spacing, new_mm: Spacing, ratio: float) -> int | None:
    """Return the axis of thick slices, along which neighbours are too far apart to interpolate; None without one.

    It is the longest axis of the voxels before, or else of those after, where that is more than `ratio` times the
    shortest and no other is as long (the rule of nnU-Net: Isensee et al. 2021, Nature Methods 18:203).

    Args:
        old_mm: spacing before.
        new_mm: spacing after.
        ratio: 0 for never.

    >>> thick_axis((0.5, 0.5, 4), (0.5, 0.5, 3), ratio=3)
    2
    """
    for spacing in (old_mm, new_mm):
        if ratio and max(spacing) > ratio * min(spacing):
            return spacing.index(max(spacing)) if spacing.count(max(spacing)) == 1 else None
    return None


def _orders(order: Order | Orders) -> Orders:
    return order if isinstance(order, tuple) else (order, order, order)


def _resampled(
    array: np.ndarray, shape: Shape, orders: Orders, clip_overshoot: bool, ticks: Ticks | None = None
) -> np.ndarray:
    result = _separable(array, shape, orders, ticks or _EDGES)
    if clip_overshoot and 3 in orders and result is not array:
        within = tuple(1 + axis for axis in range(3) if orders[axis])
        low, high = array.min(axis=within, keepdims=True), array.max(axis=within, keepdims=True)
        x, y, z = (new if order == 0 else 1 for new, order in zip(shape, orders, strict=True))
        limits = (_separable(limit, (x, y, z), orders, ticks or _EDGES) for limit in (low, high))
        np.clip(result, *limits, out=result)
    return result


def _separable(array: np.ndarray, shape: Shape, orders: Orders, ticks: tuple[Tick | None, ...]) -> np.ndarray:
    """Interpolate (C, X, Y, Z) float32 axis by axis, those first that leave the fewest voxels."""
    if array.shape[3] == shape[2] == 1 < shape[0]:  # a picture: the matrices' products are wide along its own axes
        turned = array.reshape(len(array), 1, *array.shape[1:3])
        turned = _separable(turned, (1, *shape[:2]), (0, *orders[:2]), (None, *ticks[:2]))
        return turned.reshape(len(array), *shape)
    for axis in sorted((0, 1, 2), key=lambda axis: shape[axis] / array.shape[1 + axis]):
        old, new, tick = array.shape[1 + axis], shape[axis], ticks[axis]
        if old == new and tick in (None, SAME):
            continue
        if orders[axis] == 0:
            array = np.take(array, nearest_voxels(old, new, tick), 1 + axis)
        else:
            array = apply_to_axis(axis_matrix(old, new, orders[axis], tick), array, 1 + axis)
    return array


def _vote(array: np.ndarray, shape: Shape) -> np.ndarray:
    """Give each voxel of `shape` the number whose mask, interpolated linearly, weighs most there; slab by slab."""
    if array.shape == shape:
        return array
    along_x, *others = (axis_matrix(old, new, 1) for old, new in zip(array.shape, shape, strict=True))
    result = np.empty(shape, array.dtype)
    for start in range(0, shape[0], _SLAB):
        weights = along_x[start : start + _SLAB]
        used = np.flatnonzero(weights.any(axis=0))
        rows = slice(int(used[0]), int(used[-1]) + 1)
        result[start : start + _SLAB] = _vote_slab(array[rows], (weights[:, rows], *others))
    return result


def _vote_slab(array: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Weigh every number but the lowest in the box that holds it; the lowest has what the others leave of 1."""
    lowest, *numbers = np.flatnonzero(np.bincount(array.ravel()))
    winner = np.full([len(matrix) for matrix in matrices], lowest, array.dtype)
    best, total = np.zeros(winner.shape, np.float32), np.zeros(winner.shape, np.float32)
    for number in numbers:
        mask = array == number
        start, size = nonzero_box([mask])
        box = tuple(slice(first, first + count) for first, count in zip(start, size, strict=True))
        weight = mask[box].astype(np.float32)[None]
        reached = []
        for axis, (matrix, columns) in enumerate(zip(matrices, box, strict=True)):
            rows = np.flatnonzero(matrix[:, columns].any(axis=1))
            reached.append(slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0))
            weight = apply_to_axis(matrix[reached[-1], columns], weight, 1 + axis)
        there = tuple(reached)
        np.copyto(winner[there], array.dtype.type(number), where=weight[0] >= best[there] - _TIE)
        np.maximum(best[there], weight[0], out=best[there])
        total[there] += weight[0]
    winner[best < 1 - total - _TIE] = lowest
    return winner
