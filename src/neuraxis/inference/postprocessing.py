"""Rules for the finished segmentation: holes filled, small components removed, the largest one kept.

Structure by structure, in the order in which they are scored, each is filled, then sieved, then reduced to its
largest component. A voxel that a region loses keeps what the regions around it say: a whole tumour is still there where
its core was too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.evaluation.boxes import bounding_box, flat_axes
from neuraxis.evaluation.components import components
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe

ROUNDING = 1e-6


@dataclass(frozen=True)
class Change:
    """What the rules did to one structure.

    Attributes:
        removed_components: how many components were taken away.
        removed_voxels: their voxels.
        filled_voxels: voxels of holes that became part of it.
    """

    removed_components: int = 0
    removed_voxels: int = 0
    filled_voxels: int = 0


def postprocess(
    label_map: np.ndarray, labels: Labels, rules: PostprocessingRecipe, voxel_mm3: float
) -> tuple[np.ndarray, dict[str, Change]]:
    """Apply rules to a label map.

    Args:
        label_map: label numbers (X, Y, Z); it is left as it is.
        labels: what they mean.
        rules: name structures of `labels`.
        voxel_mm3: volume of a voxel.

    Returns:
        The label map after it, and what was done to each structure that a rule names.

    >>> labels = Labels(names={"background": 0, "lesion": 1})
    >>> label_map = np.zeros((9, 1, 1), np.uint8); label_map[[1, 2, 5]] = 1
    >>> after, changes = postprocess(label_map, labels, PostprocessingRecipe(largest=("lesion",)), 1.0)
    >>> after.ravel().tolist(), changes["lesion"]
    ([0, 1, 1, 0, 0, 0, 0, 0, 0], Change(removed_components=1, removed_voxels=1, filled_voxels=0))
    """
    after, changes = label_map.copy(), {}
    for name in (structure for structure in labels.scored if structure in rules.structures):
        filled = _fill(after, labels, name) if name in rules.fill_holes else 0
        least = rules.min_volume_mm3.get(name, 0.0) / voxel_mm3
        removed = _sieve(after, labels, name, least, name in rules.largest)
        changes[name] = Change(*removed, filled)
    return after, changes


def _fill(label_map: np.ndarray, labels: Labels, name: str) -> int:
    """Fill the holes of a structure in place, and return how many voxels that were."""
    mask = np.isin(label_map, labels.scored[name])
    box = bounding_box(mask)
    if box is None:
        return 0
    inside = label_map[box]
    around = np.array([not set(_structures_at(labels, number)) - _around(labels, name) for number in _numbers(labels)])
    fillable = np.isin(inside, np.array(_numbers(labels))[around])
    holes = _holes(mask[box], flat_axes(label_map.shape)) & fillable
    inside[holes] = _number_of(labels, _around(labels, name))
    return int(np.count_nonzero(holes))


def _holes(mask: np.ndarray, flat: tuple[int, ...]) -> np.ndarray:
    """Return the voxels off the mask from which no path over faces leads out; along a flat axis there is no out."""
    around = [(0, 0) if axis in flat else (1, 1) for axis in range(3)]
    outside, _ = components(~np.pad(mask, around), connectivity=6)
    inner = tuple(slice(before, before + size) for (before, _), size in zip(around, mask.shape, strict=True))
    return np.asarray(~mask & (outside[inner] != outside[0, 0, 0]))


def _sieve(label_map: np.ndarray, labels: Labels, name: str, least: float, largest: bool) -> tuple[int, int]:
    """Remove components of a structure in place; return how many, and of how many voxels.

    Args:
        label_map: label numbers.
        labels: what they mean.
        name: of the structure.
        least: voxels that a component needs.
        largest: whether the largest alone stays; of equal ones the first in the order of the voxels.
    """
    mask = np.isin(label_map, labels.scored[name])
    box = bounding_box(mask)
    if box is None:
        return 0, 0
    inside = label_map[box]
    owner, count = components(mask[box])
    sizes = np.bincount(owner.ravel(), minlength=count + 1)
    kept = sizes >= least * (1 - ROUNDING)
    if largest:
        first = 1 + int(sizes[1:].argmax())
        kept &= np.arange(count + 1) == first
    kept[0] = True
    gone = ~kept[owner]
    if gone.any():
        without = {number: _number_without(labels, number, name) for number in np.unique(inside[gone]).tolist()}
        for number, other in without.items():
            inside[gone & (inside == number)] = other
    return int(np.count_nonzero(~kept)), int(np.count_nonzero(gone))


def _numbers(labels: Labels) -> list[int]:
    return sorted(labels.names.values())


def _structures_at(labels: Labels, number: int) -> tuple[str, ...]:
    """Return the structures that a voxel of that number belongs to."""
    return tuple(name for name, joined in labels.scored.items() if number in joined)


def _around(labels: Labels, name: str) -> set[str]:
    """Return a structure and those that contain it."""
    own = set(labels.scored[name])
    return {other for other, joined in labels.scored.items() if own <= set(joined)}


def _number_of(labels: Labels, structures: set[str]) -> int:
    """Return the number of a voxel that belongs to exactly these; where none means that, of what covers them last."""
    exact = [number for number in _numbers(labels) if set(_structures_at(labels, number)) == structures]
    if exact or not structures:
        return exact[0] if exact else 0
    painted = dict(zip(labels.regions, labels.paint, strict=True))
    return next(painted[name] for name in reversed(list(labels.regions)) if name in structures)


def _number_without(labels: Labels, number: int, name: str) -> int:
    """Return what a voxel becomes that a structure loses, and with it all that lies within that structure."""
    own = set(labels.scored[name])
    within = {other for other, joined in labels.scored.items() if set(joined) <= own}
    return _number_of(labels, set(_structures_at(labels, number)) - within)
