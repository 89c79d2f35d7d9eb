"""The parts of a loss that look at each voxel by itself."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from neuraxis.losses.compared import Compared, spread, voxel_mean, within

LEAST = 1e-6


def cross_entropy(seen: Compared, weights: torch.Tensor | None = None, smoothing: float = 0.0) -> torch.Tensor:
    """Return the mean of -Σ w y log p over voxels; of regions that of the binary one over voxels and outputs.

    Args:
        seen: what is compared.
        weights: w, one for each output; the mean is divided by those of the voxels that count.
        smoothing: share ε of the label that is spread evenly (Szegedy et al. 2016): y becomes (1 - ε) y + ε / K.
    """
    if seen.regions:
        return _by_output(entropy_map(seen, smoothing), seen, weights)
    if seen.index is not None and not smoothing:
        counting = seen.weight if weights is None else weights[seen.index][:, None] * seen.weight
        return voxel_mean(entropy_map(seen), counting)
    truth = _smoothed(seen, smoothing)
    weighed = truth if weights is None else truth * spread(weights, truth)
    total = (weighed * seen.weight).sum()
    return -(weighed * seen.weight * seen.logarithm).sum() / torch.where(total > 0, total, 1)


def entropy_map(seen: Compared, smoothing: float = 0.0) -> torch.Tensor:
    """Return the cross-entropy of each voxel (B, 1, ...), of regions of each output as well (B, K, ...)."""
    if seen.regions:
        truth = _smoothed(seen, smoothing)
        return F.binary_cross_entropy_with_logits(seen.logits, truth, reduction="none")
    if seen.index is not None and not smoothing:
        return F.nll_loss(seen.logarithm, seen.index, reduction="none")[:, None]
    return -(_smoothed(seen, smoothing) * seen.logarithm).sum(dim=1, keepdim=True)


def binary_entropy(seen: Compared, weights: torch.Tensor | None = None, smoothing: float = 0.0) -> torch.Tensor:
    """Return the mean of -[y log p + (1 - y) log (1 - p)] over voxels and outputs, each output against the rest."""
    if seen.regions:
        return cross_entropy(seen, weights, smoothing)
    truth = _smoothed(seen, smoothing)
    entropy = -(truth * seen.logarithm + (1 - truth) * _logarithm_of_the_rest(seen))
    return _by_output(entropy, seen, weights)


def focal(seen: Compared, gamma: float, weights: torch.Tensor | None = None, smoothing: float = 0.0) -> torch.Tensor:
    """Return the focal loss (Lin et al. 2017): cross-entropy with each logarithm times (1 - p)^γ.

    Plain labels: mean of -Σ w y (1 - p)^γ log p over voxels. Regions: of -[y (1 - p)^γ log p + (1 - y) p^γ log (1 - p)]
    over voxels and outputs.
    """
    truth = _smoothed(seen, smoothing)
    probability = seen.probability
    there = truth * (1 - probability).clamp_min(LEAST) ** gamma * seen.logarithm
    if seen.regions:
        away = (1 - truth) * probability.clamp_min(LEAST) ** gamma * F.logsigmoid(-seen.logits)
        return _by_output(-(there + away), seen, weights)
    weighed = truth if weights is None else truth * spread(weights, truth)
    if weights is not None:
        there = there * spread(weights, truth)
    total = (weighed * seen.weight).sum()
    return -(there * seen.weight).sum() / torch.where(total > 0, total, 1)


def _by_output(entropy: torch.Tensor, seen: Compared, weights: torch.Tensor | None) -> torch.Tensor:
    counting = seen.weight.expand_as(entropy)
    return voxel_mean(entropy, counting if weights is None else counting * spread(weights, entropy))


def _smoothed(seen: Compared, smoothing: float) -> torch.Tensor:
    truth = seen.truth.to(seen.logits.dtype)
    if not smoothing:
        return truth
    even = 0.5 if seen.regions else 1 / truth.shape[1]
    return within(seen.valid.expand_as(truth), (1 - smoothing) * truth + smoothing * even)


def _logarithm_of_the_rest(seen: Compared) -> torch.Tensor:
    """Return log (1 - p) of a softmax, from the logits of the others: exact also where p is next to 1."""
    logits, outputs = seen.logits, range(seen.logits.shape[1])
    if len(outputs) == 2:
        return seen.logarithm.flip(1)
    rest = [torch.cat([logits[:, :one], logits[:, one + 1 :]], dim=1).logsumexp(dim=1) for one in outputs]
    return torch.stack(rest, dim=1) - logits.logsumexp(dim=1, keepdim=True)
