"""The loss of a whole case from probabilities that were kept: what a training minimises, as a score."""

from __future__ import annotations

import numpy as np
import torch

from neuraxis.losses.catalog import LOSSES
from neuraxis.losses.options import LossOptions, LossSettings

LEAST = 1e-6


def loss_of_case(
    probability: np.ndarray,
    target: np.ndarray,
    loss: tuple[str, LossSettings, LossOptions],
    flat_axis: int | None = None,
) -> float:
    """Return the loss of a case; without labelled or counting voxels what the loss gives there.

    Probabilities are taken into [1e-6, 1 - 1e-6]: a voxel that is wrong for certain costs 13.8, not infinity.

    Args:
        probability: (K, X, Y, Z), 0 to 1.
        target: (T, X, Y, Z), see `Labels.encode` and `Labels.encode_shares`.
        loss: its name in the catalog, what all losses share, its own options.
        flat_axis: of a 2D network, 0 to 2: the slices along it are one batch. None: the case is one sample.
    """
    name, settings, options = loss
    kept = torch.from_numpy(np.clip(probability, LEAST, 1 - LEAST, dtype=np.float32))
    logits = torch.logit(kept) if settings.regions else kept.log()
    built = LOSSES.load(name)(settings, options)
    built.at(1.0)
    with torch.no_grad():
        return float(built(_batch(logits, flat_axis), _batch(torch.from_numpy(target), flat_axis)))


def _batch(array: torch.Tensor, flat_axis: int | None) -> torch.Tensor:
    """Return (1, N, X, Y, Z), or the slices (S, N, ...) whose flat axis has one voxel."""
    if flat_axis is None:
        return array[None]
    return array.movedim(1 + flat_axis, 0).unsqueeze(2 + flat_axis)
