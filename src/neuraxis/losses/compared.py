"""Logits beside what they should be, as every loss sees them: hard labels, soft labels and regions alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.losses.options import LossOptions, LossSettings

IGNORED = 255


@dataclass(frozen=True, eq=False)
class Compared:
    """Logits and their target; K outputs, of which plain labels have the background first.

    Attributes:
        logits: (B, K, ...), float32 or float64.
        regions: whether outputs may overlap.
        valid: (B, 1 or K, ...), whether a voxel counts.
        index: (B, ...) output numbers, of plain labels that are certain; where nothing counts the background.
        given: (B, K, ...) whether (or, of soft labels, how far in [0, 1]) an output is there; nothing where nothing
            counts. Of all other targets.
    """

    logits: torch.Tensor
    regions: bool
    valid: torch.Tensor
    index: torch.Tensor | None = None
    given: torch.Tensor | None = None

    @property
    def first(self) -> int:
        """The first output whose overlap is counted: not that of the background."""
        return 0 if self.regions else 1

    @cached_property
    def weight(self) -> torch.Tensor:
        """`valid` as numbers."""
        return self.valid.to(self.logits.dtype)

    @cached_property
    def logarithm(self) -> torch.Tensor:
        """Logarithm of the probabilities (B, K, ...)."""
        return F.logsigmoid(self.logits) if self.regions else F.log_softmax(self.logits, dim=1)

    @cached_property
    def probability(self) -> torch.Tensor:
        """Probabilities (B, K, ...)."""
        return torch.sigmoid(self.logits) if self.regions else self.logarithm.exp()

    @cached_property
    def truth(self) -> torch.Tensor:
        """What is there (B, K, ...): yes or no, or numbers in [0, 1]."""
        return self._truth_from(0)

    @cached_property
    def foreground(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Probability and truth of all outputs but the background."""
        return self.probability[:, self.first :], self._truth_from(self.first)

    def _truth_from(self, first: int) -> torch.Tensor:
        if self.given is not None:
            return self.given[:, first:]
        if self.index is None:
            raise ValueError("a comparison needs a target")
        shape = (1, -1, *(1,) * (self.logits.ndim - 2))
        outputs = torch.arange(first, self.logits.shape[1], device=self.logits.device).view(shape)
        there = self.index[:, None] == outputs
        return there & self.valid if first == 0 else there


def compare(logits: torch.Tensor, target: torch.Tensor, regions: bool) -> Compared:
    """Lay a target beside logits (B, K, ...), which are brought to float32.

    Args:
        logits: of the network.
        target: uint8 (B, 1, ...) of output numbers or, of regions, (B, K, ...) of 0 and 1, 255 where nothing counts; or
            soft labels, floats (B, K, ...) in [0, 1], below 0 where nothing counts; of plain labels the background,
            which has what the others leave, may be left out.
        regions: whether outputs may overlap.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if target.is_floating_point():
        target = target if regions or target.shape[1] == logits.shape[1] else with_background(target)
        valid = target >= 0 if regions else target[:, :1] >= 0
        return Compared(logits, regions, valid, given=target.clamp_min(0).to(logits.dtype))
    valid = target != IGNORED
    if regions:
        return Compared(logits, regions, valid, given=(target == 1) & valid)
    return Compared(logits, regions, valid, index=torch.where(valid, target, 0)[:, 0].long())


def with_background(shares: torch.Tensor) -> torch.Tensor:
    """Put before soft labels (B, K - 1, ...), float32 from then on, what they leave; below 0 where nothing counts.

    >>> with_background(torch.tensor([[[0.25, 0.0, -1.0]]])).tolist()
    [[[0.75, 1.0, -1.0], [0.25, 0.0, -1.0]]]
    """
    shares = shares.float()
    left = (1 - shares.clamp_min(0).sum(dim=1, keepdim=True)).clamp_min(0)
    return torch.cat([torch.where(shares[:, :1] < 0, -1.0, left), shares], dim=1)


def within(truth: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the values where something is there, and as far as it is."""
    return torch.where(truth, values, 0) if truth.dtype == torch.bool else truth * values


class Loss(nn.Module):
    """A part that counts overlap, a part that looks at each voxel, and a part of the loss's own.

    Args:
        settings: what all losses share.
        options: its own.

    `forward` takes logits (B, K, ...) and a target as `compare` does, and returns a scalar. It is computed in float32
    under autocast as well. A perfect prediction of certain labels costs nothing; so does a patch in which nothing
    counts.
    """

    weights: torch.Tensor | None

    def __init__(self, settings: LossSettings, options: LossOptions | None = None) -> None:
        super().__init__()
        self.settings, self.options, self.share_done = settings, options, 1.0
        weights = torch.tensor([*settings.class_weights]) if len(settings.class_weights) else None
        self.register_buffer("weights", weights, persistent=False)

    def at(self, share_done: float) -> None:
        """Hear which share of training is over, in [0, 1], for weights that rise."""
        self.share_done = share_done

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of the parts."""
        settings = self.settings
        with torch.autocast(logits.device.type, enabled=False):
            seen = compare(logits, target, settings.regions)
            parts = []
            if settings.entropy_weight:
                parts.append(settings.entropy_weight * self.entropy(seen))
            if settings.dice_weight:
                parts.append(settings.dice_weight * self.overlap(seen))
            own = self.own(seen)
            return sum([*parts[1:], *([] if own is None else [own])], parts[0])

    def entropy(self, seen: Compared) -> torch.Tensor:
        """Return the part that looks at each voxel."""
        raise NotImplementedError

    def overlap(self, seen: Compared) -> torch.Tensor:
        """Return the part that counts overlap, in [0, 1]."""
        raise NotImplementedError

    def own(self, seen: Compared) -> torch.Tensor | None:
        """Return what else there is, with its weight."""
        return None

    def axes(self, values: torch.Tensor) -> tuple[int, ...]:
        """Return the axes of (B, K, ...) over which overlap is counted."""
        return tuple(axis for axis in range(values.ndim) if axis > 1 or (axis == 0 and self.settings.batch_dice))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mean of values (..., K), of the foreground or of all outputs, by the outputs' weights."""
        if self.weights is None:
            return values.mean()
        weights = self.weights[-values.shape[-1] :]
        return (values * weights).sum() / (weights.sum() * (values.numel() // values.shape[-1]))


def spread(weights: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return one number an output, shaped to go with (B, K, ...)."""
    return weights.view(1, -1, *(1,) * (like.ndim - 2))


def voxel_mean(entropy: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the mean of a map by weights; 0 where nothing counts."""
    total = weight.sum()
    return (entropy * weight).sum() / torch.where(total > 0, total, 1)


def relative_spacing(extent: Sequence[float], shape: Sequence[int]) -> list[float]:
    """Return the voxels' distances along each axis at a scale of a patch, in those of its finest axis.

    Args:
        extent: size of the patch along each axis; empty: voxels are cubes.
        shape: its voxels at this scale.

    >>> relative_spacing((64.0, 64.0, 48.0), (32, 32, 16))
    [1.0, 1.0, 1.5]
    """
    steps = [size / voxels for size, voxels in zip(extent or shape, shape, strict=True)]
    finest = min([step for step, voxels in zip(steps, shape, strict=True) if voxels > 1] or steps)
    return [step / finest for step in steps]
