"""Maps of the prepared image on the scan's own grid, and label maps of the scan on the prepared one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from neuraxis.inference.tiling import zeros
from neuraxis.preparation import steps
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import Interpolation
from neuraxis.registration.resample import resample_array, resample_onto
from neuraxis.volume.resample import Orders, resample_rows
from neuraxis.volume.volume import Volume


def maps_home(slabs: Iterable[np.ndarray], way: WayBack, count: int, nearest: bool = False) -> np.ndarray:
    """Bring maps back to the scan's canonical grid, plane by plane.

    Args:
        slabs: pieces (L, n, Y, Z), which follow each other along X; each is used before the next.
        way: how the scan was prepared.
        count: L.
        nearest: whether values are never mixed; else they are interpolated linearly.

    Returns:
        (L, X, Y, Z) float32, 0 where the scan was cut away.
    """
    if way.native is not None and way.to_native is not None:
        whole, done = zeros((count, *way.shape)), 0
        for slab in slabs:
            whole[:, done : done + slab.shape[1]] = slab
            done += slab.shape[1]
        matrix, found = way.to_native.voxels(way.grid, way.native), zeros((count, *way.native.shape))
        for one, out in zip(whole, found, strict=True):
            resample_array(one, matrix, out, 0 if nearest else 1)
        return found
    orders: Orders = (0, 0, 0) if nearest else way.orders_back
    single = (slab[:, row : row + 1] for slab in slabs for row in range(slab.shape[1]))
    planes = resample_rows(single, way.shape[0], way.crop_shape, orders, lambda plane: plane, way.ticks_back)
    found = zeros((count, *way.source.shape))
    for place, plane in enumerate(planes, start=way.crop_start[0]):
        found[(slice(None), place, *way.box[1:])] = plane[:, 0]
    return way.turn.undo(found)


def labels_there(label_map: np.ndarray, way: WayBack, order: Interpolation) -> np.ndarray:
    """Bring a label map (X, Y, Z) of the scan's canonical grid to the prepared one.

    Args:
        label_map: label numbers.
        way: how the scan was prepared.
        order: the recipe's for labels.
    """
    if way.native is not None and way.to_native is not None:
        moved = resample_onto(Volume(label_map[None], way.native), way.source, way.to_native.inverse, labels=True)
        turned = moved.array[0]
    else:
        turned = way.turn.apply(label_map)
    return steps.resample_target(steps.cut(turned, way), way, order)
