"""A loss in which each lesion counts alike, however small."""

from __future__ import annotations

import cc3d
import numpy as np
import torch

from neuraxis.losses.compared import Compared
from neuraxis.losses.cross_entropy import entropy_map
from neuraxis.losses.options import BlobOptions, LossSettings
from neuraxis.losses.overlap import SMOOTH, DiceLoss


class Blob(DiceLoss):
    """Soft Dice and cross-entropy of the patch, and their mean over its lesions (blob loss, Kofler et al. 2023).

    A lesion is a connected component of an output in the target. For each of them the same two parts are taken over its
    own voxels and those that the output does not have; all other lesions are masked out. The sums over each lesion give
    this in one go. Without any lesion the part is 0.

    Args:
        settings: what all losses share.
        options: the weight, and what joins voxels.
    """

    def __init__(self, settings: LossSettings, options: BlobOptions) -> None:
        super().__init__(settings, options)
        self.weight, self.connectivity = options.blob_weight, options.connectivity

    def own(self, seen: Compared) -> torch.Tensor | None:
        """Return the part of the lesions with its weight."""
        return self.weight * self.blobs(seen) if self.weight else None

    def blobs(self, seen: Compared) -> torch.Tensor:
        """Return the part of the lesions by itself: the mean over them, then over samples and outputs that have any."""
        probability, truth = seen.foreground
        inside = (truth if truth.dtype == torch.bool else truth > 0.5) & seen.valid
        entropy = entropy_map(seen, self.settings.label_smoothing)
        numbers = inside.to("cpu", torch.uint8).numpy()
        losses, weights = [], []
        for sample, output in np.argwhere(numbers.any(axis=(2, 3, 4))):
            lesions = cc3d.connected_components(
                np.ascontiguousarray(numbers[sample, output]), connectivity=self.connectivity
            )
            one = min(output, entropy.shape[1] - 1)
            maps = (probability[sample, output], entropy[sample, one], seen.weight[sample, one])
            losses.append(self._mean_over(lesions, *(each.flatten() for each in maps)))
            weights.append(1.0 if self.weights is None else self.weights[seen.first + output])
        if not losses:
            return seen.logits.sum() * 0
        total = sum(weights)
        return sum(loss * weight for loss, weight in zip(losses, weights, strict=True)) / (total if total > 0 else 1)

    def _mean_over(
        self, lesions: np.ndarray, probability: torch.Tensor, entropy: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Return the mean loss over lesions of one sample and output; maps are flat."""
        flat = lesions.ravel()
        places = np.flatnonzero(flat)
        number = torch.from_numpy(flat[places].astype(np.int64) - 1).to(probability.device)
        where = torch.from_numpy(places).to(probability.device)
        sizes = torch.bincount(number).to(probability.dtype)
        around = weight.clone()
        around[where] = 0

        def of_each(values: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(sizes).index_add(0, number, values[where])

        overlap = of_each(probability)
        dice = (2 * overlap + SMOOTH) / (overlap + (probability * around).sum() + sizes + SMOOTH)
        each = ((entropy * around).sum() + of_each(entropy)) / (around.sum() + sizes)
        settings = self.settings
        return (settings.dice_weight * (1 - dice) + settings.entropy_weight * each).mean()
