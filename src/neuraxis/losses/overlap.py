"""The parts of a loss that count overlap, and the losses that differ in it alone."""

from __future__ import annotations

import torch

from neuraxis.losses.compared import Compared, Loss, within
from neuraxis.losses.cross_entropy import cross_entropy
from neuraxis.losses.options import (
    FocalTverskyOptions,
    GeneralisedDiceOptions,
    LossSettings,
    TverskyOptions,
)
from neuraxis.registry import import_extra

SMOOTH, LEAST = 1e-5, 1e-6
TINY = 1e-12  # MONAI's usual 1e-5 is more than 1 / n² leaves of a structure of 10⁵ voxels: its loss would vanish


def soft_dice(seen: Compared, axes: tuple[int, ...]) -> torch.Tensor:
    """Return the soft Dice 2 Σ p y / (Σ p + Σ y) of each output but the background, in [0, 1].

    Where nothing is labelled and nothing predicted it is 1.
    """
    probability, truth = seen.foreground
    shared = within(truth, probability).sum(axes)  # truth is nowhere where nothing counts
    total = (probability * seen.weight).sum(axes) + truth.sum(axes)
    return (2 * shared + SMOOTH) / (total + SMOOTH)


class DiceLoss(Loss):
    """Soft Dice (Milletari et al. 2016) plus cross-entropy: what most losses begin with."""

    def entropy(self, seen: Compared) -> torch.Tensor:
        """Return the mean cross-entropy."""
        return cross_entropy(seen, self.weights, self.settings.label_smoothing)

    def overlap(self, seen: Compared) -> torch.Tensor:
        """Return 1 - Dice, the mean over outputs."""
        return 1 - self.mean(soft_dice(seen, self.axes(seen.logits)))


class Tversky(DiceLoss):
    """Tversky loss (Salehi et al. 2017) plus cross-entropy; the former is MONAI's.

    1 - S / (S + α F + β M), in [0, 1], with the shared S = Σ p y, the false F = Σ p (1 - y), the missed
    M = Σ (1 - p) y; the mean over all outputs but the background.

    Args:
        settings: what all losses share.
        options: α and β.
    """

    def __init__(self, settings: LossSettings, options: TverskyOptions) -> None:
        super().__init__(settings, options)
        self.tversky = import_extra("monai.losses", "train").TverskyLoss(
            alpha=options.alpha,
            beta=options.beta,
            batch=settings.batch_dice,
            reduction="none",
            smooth_nr=SMOOTH,
            smooth_dr=SMOOTH,
        )

    def overlap(self, seen: Compared) -> torch.Tensor:
        """Return the mean over outputs."""
        return self.mean(self.each(seen))

    def each(self, seen: Compared) -> torch.Tensor:
        """Return the Tversky loss of each output but the background."""
        probability, truth = seen.foreground
        return self.tversky(probability * seen.weight, truth.to(probability.dtype))


class FocalTversky(Tversky):
    """Focal Tversky loss (Abraham and Khan 2019) plus cross-entropy: the Tversky loss of each output to the power γ.

    Args:
        settings: what all losses share.
        options: α, β and γ.
    """

    def __init__(self, settings: LossSettings, options: FocalTverskyOptions) -> None:
        super().__init__(settings, options)
        self.gamma = options.gamma

    def each(self, seen: Compared) -> torch.Tensor:
        """Return the focal Tversky loss of each output; where it is next to 0 its slope is 0, not infinite."""
        return super().each(seen).clamp_min(LEAST) ** self.gamma


class GeneralisedDice(DiceLoss):
    """Generalised Dice loss (Sudre et al. 2017) plus cross-entropy; the former is MONAI's.

    1 - 2 Σ w Σ p y / Σ w Σ (p + y), in [0, 1], over all outputs, the background as well, with w = 1 / (Σ y)². An output
    that is not there weighs as much as the smallest that is. `class_weights` count in the cross-entropy alone.

    Args:
        settings: what all losses share.
        options: how w follows from the size.
    """

    def __init__(self, settings: LossSettings, options: GeneralisedDiceOptions) -> None:
        super().__init__(settings, options)
        self.generalised = import_extra("monai.losses", "train").GeneralizedDiceLoss(
            w_type=options.weighting, batch=settings.batch_dice, smooth_nr=TINY, smooth_dr=TINY
        )

    def overlap(self, seen: Compared) -> torch.Tensor:
        """Return the loss of all outputs together."""
        probability = seen.probability * seen.weight
        return self.generalised(probability, seen.truth.to(probability.dtype))
