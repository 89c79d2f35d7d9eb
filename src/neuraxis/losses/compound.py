"""Sums of losses, and the same loss at every scale of a decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

IGNORED = 255


class DiceCrossEntropy(nn.Module):
    """Soft Dice plus cross-entropy (Isensee et al. 2021; soft Dice of Milletari et al. 2016).

    Plain labels: softmax, Dice over all outputs but the background. Regions: sigmoid, binary cross-entropy, Dice over
    all. Voxels of target 255 count nowhere.

    Args:
        regions: whether outputs may overlap.
        dice_weight: factor of the Dice loss, which lies in [0, 1].
        entropy_weight: factor of the mean cross-entropy.
        batch_dice: pool the batch before dividing, which steadies small structures; else one Dice a sample.

    `forward` takes logits (B, K, ...) and targets (B, 1, ...) of output numbers or (B, K, ...) of 0 and 1, uint8,
    and returns a scalar. Where nothing is labelled and nothing predicted the Dice loss of that output is 0.
    """

    def __init__(
        self, regions: bool, dice_weight: float = 1.0, entropy_weight: float = 1.0, batch_dice: bool = True
    ) -> None:
        super().__init__()
        self.regions, self.batch_dice = regions, batch_dice
        self.dice_weight, self.entropy_weight = dice_weight, entropy_weight

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum."""
        logits = logits.float()
        valid = target != IGNORED
        if self.regions:
            truth = (target == 1) & valid
            probability = torch.sigmoid(logits)
            entropy = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
        else:
            index = torch.where(valid, target, 0)[:, 0].long()
            logarithm = F.log_softmax(logits, dim=1)
            entropy = F.nll_loss(logarithm, index, reduction="none")[:, None]
            probability = logarithm.exp()[:, 1:]
            outputs = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, *(1,) * (logits.ndim - 2))
            truth = index[:, None] == outputs
        weight = valid.to(logits.dtype)
        mean_entropy = (entropy * weight).sum() / weight.sum().clamp_min(1)
        return self.entropy_weight * mean_entropy + self.dice_weight * self._dice(probability, truth, weight)

    def _dice(self, probability: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        axes = tuple(axis for axis in range(truth.ndim) if axis > 1 or (axis == 0 and self.batch_dice))
        shared = torch.where(truth, probability, 0).sum(axes)  # truth is nowhere where nothing counts
        total = (probability * weight).sum(axes) + truth.sum(axes)
        return 1 - ((2 * shared + 1e-5) / (total + 1e-5)).mean()


class DeepSupervision(nn.Module):
    """One loss at every scale of a decoder, halved from scale to scale; the coarsest of several counts nothing.

    Args:
        loss: takes logits and target of one scale.

    `forward` takes the list of logits from fine to coarse, or one tensor, and the full-size target, which is brought
    to each scale by nearest voxel.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean over the scales."""
        if isinstance(logits, torch.Tensor):
            return self.loss(logits, target)
        scales = logits[: max(1, len(logits) - 1)]
        weights = [0.5**scale for scale in range(len(scales))]
        losses = [
            weight * self.loss(scale, _nearest(target, tuple(scale.shape[2:])))
            for weight, scale in zip(weights, scales, strict=True)
        ]
        return torch.stack(losses).sum() / sum(weights)


def _nearest(target: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    for axis, size in enumerate(shape, start=2):
        old = target.shape[axis]
        if old != size:
            index = ((torch.arange(size, device=target.device) + 0.5) * (old / size)).long()
            target = target.index_select(axis, index)
    return target
