"""What the first stage of a cascade found, as further channels for the second.

The second stage sees the scan and, for each label, where the first stage found it (Isensee et al. 2021, Nature Methods
18:203). Its label map takes the scan's own way: turned, cut and resampled; voxels outside of the head which bear no
label are a label of their own in that, as in nnU-Net, so that at the head's edge they do not weigh as background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.preparation import steps
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.interpolation import Order
from neuraxis.volume.vote import vote_labels

_OUTSIDE = -1


@dataclass(frozen=True, eq=False)
class Previous:
    """A segmentation of the scan that is prepared with it.

    Attributes:
        segmentation: label numbers (X, Y, Z) on the scan's canonical grid.
        numbers: the labels that become a channel each, 1 where the label is and 0 elsewhere.
    """

    segmentation: np.ndarray
    numbers: tuple[int, ...]

    def cut(self, way: WayBack) -> np.ndarray:
        """Return the segmentation on the axes and in the box that the scan is prepared in."""
        return steps.cut(way.turn.apply(self.segmentation), way)

    def write(self, into: np.ndarray, way: WayBack, recipe: PreparationRecipe, head: np.ndarray) -> None:
        """Write the channels of the labels.

        Args:
            into: (N, *way.shape), one channel for each of `numbers`; every voxel is overwritten.
            way: of the scan.
            recipe: the decisions.
            head: bool (X, Y, Z) of `head_of`, in the box.
        """
        found = self.cut(way).astype(np.int16)
        found[~head & (found == 0)] = _OUTSIDE
        order: Order = 0 if recipe.label_order == "nearest" else 1
        x, y, z = (0 if axis == way.thick_axis else order for axis in range(3))
        resampled = vote_labels(found, way.shape, (x, y, z))
        for number, out in zip(self.numbers, into, strict=True):
            out[...] = resampled == number
