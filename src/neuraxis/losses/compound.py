"""Sums of losses, and the same loss at every scale of a decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.losses.compared import IGNORED, Compared
from neuraxis.losses.cross_entropy import binary_entropy, focal
from neuraxis.losses.options import FocalOptions, LossSettings
from neuraxis.losses.overlap import DiceLoss


class DiceCrossEntropy(DiceLoss):
    """Soft Dice plus cross-entropy (Isensee et al. 2021; soft Dice of Milletari et al. 2016).

    Plain labels: softmax, Dice over all outputs but the background. Regions: sigmoid, binary cross-entropy, Dice over
    all. Where nothing is labelled and nothing predicted the Dice loss of an output is 0.
    """


class DiceBinary(DiceLoss):
    """Soft Dice plus binary cross-entropy, β Dice + α BCE: α is `entropy_weight`, β `dice_weight`.

    Of plain labels each output's probability is held against all others together; of two outputs that is
    cross-entropy.
    """

    def entropy(self, seen: Compared) -> torch.Tensor:
        """Return the mean binary cross-entropy."""
        return binary_entropy(seen, self.weights, self.settings.label_smoothing)


class DiceFocal(DiceLoss):
    """Soft Dice plus focal loss (Lin et al. 2017; together Zhu et al. 2019).

    Args:
        settings: what all losses share.
        options: γ.
    """

    def __init__(self, settings: LossSettings, options: FocalOptions) -> None:
        super().__init__(settings, options)
        self.gamma = options.gamma

    def entropy(self, seen: Compared) -> torch.Tensor:
        """Return the mean focal loss."""
        return focal(seen, self.gamma, self.weights, self.settings.label_smoothing)


class DeepSupervision(nn.Module):
    """One loss at every scale of a decoder, halved from scale to scale; the coarsest of several counts nothing.

    Args:
        loss: takes logits and target of one scale.
        soft: whether a coarse voxel's target is the share of each label in it, not the nearest voxel's label.

    `forward` takes the list of logits from fine to coarse, or one tensor, and the full-size target.
    """

    def __init__(self, loss: nn.Module, soft: bool = False) -> None:
        super().__init__()
        self.loss, self.soft = loss, soft

    def at(self, share_done: float) -> None:
        """Hand on which share of training is over."""
        self.loss.at(share_done)

    def forward(self, logits: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean over the scales."""
        if isinstance(logits, torch.Tensor):
            return self.loss(logits, target)
        scales = logits[: max(1, len(logits) - 1)]
        weights = [0.5**scale for scale in range(len(scales))]
        losses = [
            weight * self.loss(scale, self._at_scale(target, scale))
            for weight, scale in zip(weights, scales, strict=True)
        ]
        return torch.stack(losses).sum() / sum(weights)

    def _at_scale(self, target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        shape = tuple(logits.shape[2:])
        if not self.soft or tuple(target.shape[2:]) == shape:
            return _nearest(target, shape)
        return shares(target, logits.shape[1], shape)


def shares(target: torch.Tensor, outputs: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Return soft labels (B, K, *shape): the share of each output in the voxels that count; -1 where none does."""
    valid = target >= 0 if target.is_floating_point() else target != IGNORED
    if target.is_floating_point():
        there = target.clamp_min(0)
    elif target.shape[1] == outputs:
        there = (target == 1) & valid
    else:
        numbers = torch.arange(outputs, device=target.device).view(1, -1, *(1,) * (target.ndim - 2))
        there = (target == numbers) & valid
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(shape) - 1]
    counted, found = pool(valid.float(), shape), pool(there.float(), shape)
    return torch.where(counted > 0, found / counted.clamp_min(1e-9), -1.0)


def _nearest(target: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    for axis, size in enumerate(shape, start=2):
        old = target.shape[axis]
        if old != size:
            index = ((torch.arange(size, device=target.device) + 0.5) * (old / size)).long()
            target = target.index_select(axis, index)
    return target
