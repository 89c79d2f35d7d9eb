"""A loss that looks at how far from the outline a mistake lies."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch

from neuraxis.losses.compared import Compared, relative_spacing
from neuraxis.losses.options import BoundaryOptions, LossSettings
from neuraxis.losses.overlap import DiceLoss


class Boundary(DiceLoss):
    """Soft Dice, cross-entropy and the boundary loss (Kervadec et al. 2019), whose weight rises over training.

    Mean of (p - y) φ over voxels and all outputs but the background, in [0, 1]. φ is the distance to what is labelled,
    within it minus the distance to what is not; voxels beyond `reach` count as if they lay there, and φ is divided by
    it. The paper's loss without - y φ has the same gradient. Distances are taken on the patch as the network sees it,
    after augmentation; what lies outside of it is unknown.

    Args:
        settings: what all losses share; `extent` gives the voxels' proportions.
        options: the last weight, and how far the outline reaches.
    """

    def __init__(self, settings: LossSettings, options: BoundaryOptions) -> None:
        super().__init__(settings, options)
        self.weight, self.reach = options.boundary_weight, options.reach

    def own(self, seen: Compared) -> torch.Tensor | None:
        """Return the boundary part with the weight that it has by now."""
        weight = self.weight * self.share_done
        if weight == 0:
            return None
        return weight * self.boundary(seen)

    def boundary(self, seen: Compared) -> torch.Tensor:
        """Return the boundary part by itself."""
        probability, truth = seen.foreground
        with torch.no_grad():
            inside = truth if truth.dtype == torch.bool else truth > 0.5
            steps = relative_spacing(self.settings.extent, inside.shape[2:])
            far = signed_distance(inside, steps, self.reach) * seen.weight
        error = ((probability - truth.to(probability.dtype)) * far).sum(dim=tuple(range(2, far.ndim)))
        counted = seen.weight.expand_as(probability).sum(dim=tuple(range(2, far.ndim)))
        return self.mean(error.sum(dim=0) / counted.sum(dim=0).clamp_min(1))


def signed_distance(inside: torch.Tensor, steps: Sequence[float], reach: float) -> torch.Tensor:
    """Return the distance to a mask, within it minus that to its outside, divided by `reach` and cut at -1 and 1.

    Args:
        inside: (B, K, ...) bool.
        steps: distance of voxels along each axis.
        reach: largest distance.
    """
    return (_distance(inside, steps, reach) - _distance(~inside, steps, reach)) / reach


def _distance(mask: torch.Tensor, steps: Sequence[float], reach: float) -> torch.Tensor:
    """Return the Euclidean distance to the nearest voxel of a mask, cut at `reach`: exact, axis by axis."""
    squares = torch.where(mask, 0.0, float(reach) ** 2)
    for axis, step in enumerate(steps, start=2):
        before, size = squares, squares.shape[axis]
        squares = before.clone()
        for shift in range(1, min(size, ceil(reach / step))):
            away = (shift * step) ** 2
            low, high = before.narrow(axis, 0, size - shift), before.narrow(axis, shift, size - shift)
            for there, here in ((low, shift), (high, 0)):
                part = squares.narrow(axis, here, size - shift)
                torch.minimum(part, there + away, out=part)
    return squares.sqrt()
