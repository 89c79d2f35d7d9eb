"""From the space of a template back to a scan's own grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.registration.resample import resample_array

Activate = Callable[[np.ndarray, Labels], np.ndarray]


def return_home(
    slabs: Iterable[np.ndarray], way: WayBack, labels: Labels, activate: Activate, probabilities: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Turn logits (K, *way.shape) into label numbers on the native grid, each probability interpolated once.

    Beyond the space of the template there is background.

    Args:
        slabs: pieces (K, n, Y, Z) of the logits, which follow each other along X; each is used before the next.
        way: how the scan was prepared, with a transform.
        labels: what the outputs mean.
        activate: from logits to probabilities.
        probabilities: whether they are kept.

    Returns:
        Label numbers (X, Y, Z), and probabilities (K, X, Y, Z) float16 or None.
    """
    native, to_native = way.native, way.to_native
    if native is None or to_native is None:
        raise ValueError("The scan was not brought into another space.")
    matrix = to_native.voxels(way.grid, native)
    seen = np.concatenate([activate(slab, labels).astype(np.float16) for slab in slabs], axis=1)
    segmentation = np.zeros(native.shape, np.uint8 if max(labels.allowed()) < 256 else np.int16)
    best = np.full(native.shape, 0.5 if labels.regions else -1.0, np.float32)
    numbers = labels.paint if labels.regions else [labels.names[name] for name in labels.outputs]
    kept = np.empty((len(seen), *native.shape), np.float16) if probabilities else None
    moved = np.empty(native.shape, np.float32)
    for output, (probability, number) in enumerate(zip(seen, numbers, strict=True)):
        is_background = not labels.regions and output == 0
        resample_array(probability, matrix, moved, 1, beyond=1.0 if is_background else 0.0)
        ahead = moved > best
        segmentation[ahead] = number
        if not labels.regions:
            np.maximum(best, moved, out=best)
        if kept is not None:
            kept[output] = moved
    return segmentation, kept
