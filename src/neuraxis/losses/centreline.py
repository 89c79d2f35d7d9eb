"""A loss that looks at whether thin structures stay in one piece."""

from __future__ import annotations

import torch

from neuraxis.losses.compared import Compared, within
from neuraxis.losses.options import CentrelineOptions, LossSettings
from neuraxis.losses.overlap import DiceLoss
from neuraxis.registry import import_extra

SMOOTH = 1.0


class CentrelineDice(DiceLoss):
    """Soft Dice, cross-entropy and centreline Dice (clDice, Shit et al. 2021); the soft skeleton is MONAI's.

    1 - 2 P T / (P + T), in [0, 1], with P = Σ S(p) y / Σ S(p), how much of the prediction's skeleton lies in the
    structure, and T = Σ S(y) p / Σ S(y), how much of the structure's skeleton is found; the mean over all outputs but
    the background. The soft skeleton S gathers what each erosion loses on opening.

    Args:
        settings: what all losses share.
        options: the weight, and how often is eroded.
    """

    def __init__(self, settings: LossSettings, options: CentrelineOptions) -> None:
        super().__init__(settings, options)
        self.weight, self.iterations = options.centreline_weight, options.iterations
        self.skeleton = import_extra("monai.losses.cldice", "train").soft_skel

    def own(self, seen: Compared) -> torch.Tensor | None:
        """Return the centreline part with its weight."""
        return self.weight * self.centreline(seen) if self.weight else None

    def centreline(self, seen: Compared) -> torch.Tensor:
        """Return the centreline part by itself."""
        probability, truth = seen.foreground
        probability = within(seen.valid.expand_as(probability), probability)
        axes, truth = self.axes(truth), truth.to(probability.dtype)
        found = self.skeleton(probability, self.iterations)
        with torch.no_grad():
            wanted = self.skeleton(truth, self.iterations)
        precision = ((found * truth).sum(axes) + SMOOTH) / (found.sum(axes) + SMOOTH)
        sensitivity = ((wanted * probability).sum(axes) + SMOOTH) / (wanted.sum(axes) + SMOOTH)
        return 1 - self.mean(2 * precision * sensitivity / (precision + sensitivity))
