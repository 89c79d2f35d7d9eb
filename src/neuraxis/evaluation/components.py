"""The connected components of two masks, and which of them share voxels: what every lesion score is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.evaluation.boxes import joint_box
from neuraxis.evaluation.distances import Spacing
from neuraxis.evaluation.overlap import check_masks
from neuraxis.evaluation.rules import CONNECTIVITY, Connectivity


@dataclass(frozen=True, eq=False)
class Components:
    """The components of a prediction and of its reference; each is called by its place from 0 on.

    Attributes:
        reference_voxels: size of each of the reference's, (R,).
        predicted_voxels: size of each of the prediction's, (P,).
        pairs: a row for each two that share a voxel, (N, 2): the reference's, the prediction's.
        shared: how many voxels they share, (N,).
        reference_centres_mm: centre of mass of each of the reference's, (R, 3), from the grid's first voxel.
        predicted_centres_mm: the same of the prediction's, (P, 3).
        voxel_mm3: volume of a voxel.
    """

    reference_voxels: np.ndarray
    predicted_voxels: np.ndarray
    pairs: np.ndarray
    shared: np.ndarray
    reference_centres_mm: np.ndarray
    predicted_centres_mm: np.ndarray
    voxel_mm3: float = 1.0

    @property
    def covered(self) -> np.ndarray:
        """The fraction of each reference component that the prediction covers, (R,), 0 to 1."""
        voxels = np.bincount(self.pairs[:, 0], weights=self.shared, minlength=len(self.reference_voxels))
        fractions: np.ndarray = voxels / np.maximum(self.reference_voxels, 1)
        return fractions

    @property
    def touching(self) -> np.ndarray:
        """How many reference components each of the prediction's shares a voxel with, (P,)."""
        return np.bincount(self.pairs[:, 1], minlength=len(self.predicted_voxels))

    @property
    def touched(self) -> np.ndarray:
        """How many components of the prediction each of the reference's shares a voxel with, (R,)."""
        return np.bincount(self.pairs[:, 0], minlength=len(self.reference_voxels))

    @property
    def ious(self) -> np.ndarray:
        """The intersection over union of each pair, (N,), above 0, at most 1."""
        both = self.reference_voxels[self.pairs[:, 0]] + self.predicted_voxels[self.pairs[:, 1]]
        values: np.ndarray = self.shared / (both - self.shared)
        return values


def find_components(
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
    connectivity: Connectivity = CONNECTIVITY,
) -> Components:
    """Part two masks into components and lay them over one another.

    Args:
        predicted: bool, (X, Y, Z).
        reference: bool, (X, Y, Z), on the same grid.
        spacing_mm: size of a voxel along each axis.
        connectivity: what one component is.

    Raises:
        ValueError: the shapes differ or the masks are not bool.
    """
    check_masks(predicted, reference)
    box = joint_box(predicted, reference) or (slice(0, 0),) * 3
    predicted, reference = predicted[box], reference[box]
    ours, theirs = (components(mask, connectivity) for mask in (predicted, reference))
    places = [np.unravel_index(np.flatnonzero(mask), mask.shape) for mask in (predicted, reference)]
    owners = [labelled[place].astype(np.int64) - 1 for (labelled, _), place in zip((ours, theirs), places, strict=True)]
    other = ours[0][places[1]].astype(np.int64) - 1
    both = other >= 0
    keys, shared = np.unique(owners[1][both] * max(1, ours[1]) + other[both], return_counts=True)
    sizes = [np.bincount(owner, minlength=count) for owner, count in zip(owners, (ours[1], theirs[1]), strict=True)]
    corner = np.array([one.start for one in box])
    centres = [
        (np.stack([np.bincount(owner, line, len(size)) for line in place], axis=1) / size[:, None] + corner)
        * spacing_mm
        for owner, place, size in zip(owners, places, sizes, strict=True)
    ]
    pairs = np.stack(np.divmod(keys, max(1, ours[1])), axis=1)
    return Components(sizes[1], sizes[0], pairs, shared, centres[1], centres[0], float(np.prod(spacing_mm)))


def components(mask: np.ndarray, connectivity: Connectivity = CONNECTIVITY) -> tuple[np.ndarray, int]:
    """Number the connected components of a mask (X, Y, Z) from 1; return them and how many there are.

    One empty plane is added along each axis first: cc3d 4.1.1 reserves room for a fourth as many components as there
    are voxels, which thin and small masks exceed ("maximum length exception"); with the planes an eighth suffices.
    """
    import cc3d

    padded = np.pad(mask, ((0, 1), (0, 1), (0, 1)))
    labelled, number = cc3d.connected_components(padded, connectivity=connectivity, return_N=True)
    return labelled[:-1, :-1, :-1], int(number)
