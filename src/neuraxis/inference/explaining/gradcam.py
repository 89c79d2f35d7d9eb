"""Grad-CAM++ of a segmentation network: where the features of a layer speak for a label.

Each feature of the layer is weighed by how much more of it, where it is, would raise the label's score; the map is
their weighted sum. The score is the mean, over the voxels that were given the label, of the logit of its probability
(Vinogradova et al. 2020, Seg-Grad-CAM, arXiv:2002.11434, sum the network's output over them). Its exponential is what
Grad-CAM++ derives three times (Chattopadhyay et al. 2018, arXiv:1710.11063, equations 10 to 19): a feature A with the
gradient g weighs the sum over its positions of g / (2 + g sum(A)), where g is positive. A factor that all weights share
is left out.

Where we differ. The paper's features are never negative; those behind a leaky ReLU or a layer norm are. Such a feature
is the difference of two that are not, its positive part and what it falls below 0, and counts as these two; behind a
ReLU nothing changes. A scan is seen in windows: each is explained as if by itself, sums and weights are those of the
whole scan, and a position counts by its window's share of the merged prediction. So one set of weights explains the
scan, and windows meet without a seam.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from neuraxis.inference.explaining.layers import Tap
from neuraxis.inference.explaining.tiles import Tiles
from neuraxis.patches.grid import Shape
from neuraxis.progress import Silent, Stage

PASSES = 3
KEPT_BYTES = 2**28  # of what the layer gave, so that it need not be computed again


class GradCam:
    """The maps of some outputs of one network on one prepared image.

    Args:
        tap: the network, tapped at the layer.
        tiles: the prepared image.
        masks: bool (L, X, Y, Z), for each map the voxels whose score is explained, on the prepared image.
        outputs: for each map the number of the network's output.
        activation: of the outputs, "softmax" or "sigmoid".
    """

    def __init__(
        self, tap: Tap, tiles: Tiles, masks: np.ndarray, outputs: Sequence[int], activation: str = "softmax"
    ) -> None:
        self._tap, self._tiles, self._activation = tap, tiles, activation
        self._masks, self._outputs = tiles.padded(masks), tuple(outputs)
        self._counts = [int(mask.sum()) for mask in masks]
        self._device = next(tap.network.parameters()).device
        self._summed = tiles.summed()
        self._kept: dict[tuple[Shape, ...], torch.Tensor] = {}

    def slabs(self, stage: Stage | None = None) -> Iterator[np.ndarray]:
        """Yield the maps in slabs (L, n, Y, Z) along X, 0 or more and not scaled; each is overwritten by the next.

        Args:
            stage: advanced `PASSES` times for each window.
        """
        if stage is None:
            with Silent().stage("explain", 1) as silent:
                yield from self.slabs(silent)
            return
        weights = self.weights(stage).to(self._device)
        yield from self._tiles.merged(self._found(weights, stage), len(self._outputs))

    def weights(self, stage: Stage) -> torch.Tensor:
        """Return the weight of both parts of every feature for every map, (L, 2 F) float32."""
        activity = torch.zeros(2 * self._tap.layer.features, dtype=torch.float64)
        for starts in self._tiles.chunks():
            given = self._given(starts)
            activity += _per_feature(_parts(given) * self._shares(starts, given))
            stage.advance(len(starts))
        total = activity.float().to(self._device)
        weights = torch.zeros(len(self._outputs), len(total), dtype=torch.float64)
        seen = [start for start in self._tiles.starts if self._mask(start).any()]
        for starts in self._tiles.chunks(seen):
            self._add_weights(weights, total, starts)
            stage.advance(len(starts))
        stage.advance(len(self._tiles.starts) - len(seen))
        return weights.float()

    def _add_weights(self, weights: torch.Tensor, total: torch.Tensor, starts: Sequence[Shape]) -> None:
        """Add what some windows say to the weights (L, 2 F), given the sums (2 F,) of the features' parts."""
        masks = torch.from_numpy(np.stack([self._mask(start) for start in starts])).to(self._device)  # (B, L, x, y, z)
        given, logits = self._tap.through(self._windows(starts))
        share = self._shares(starts, self._tap.layer.as_image(given))
        sums = total.reshape(1, -1, *(1,) * (share.ndim - 2))
        for place, (output, count) in enumerate(zip(self._outputs, self._counts, strict=True)):
            if not bool(masks[:, place].any()):
                continue
            score = (logit_of(logits, output, self._activation) * masks[:, place]).sum() / count
            (slope,) = torch.autograd.grad(score, given, retain_graph=True)
            rising = _parts(self._tap.layer.as_image(slope))
            weights[place] += _per_feature(share * rising / (2 + rising * sums))

    def _found(self, weights: torch.Tensor, stage: Stage) -> Iterator[tuple[Shape, np.ndarray]]:
        window = self._tiles.window
        planar = tuple(side for side in window if side > 1)
        for starts in self._tiles.chunks():
            given = self._given(starts)
            maps = torch.einsum("lf,bf...->bl...", weights, _parts(given.float()))
            mode = "bilinear" if maps.ndim == 4 else "trilinear"
            size = planar if maps.ndim == 2 + len(planar) else window
            for start, one in zip(starts, maps, strict=True):
                large = F.interpolate(one[None], size, mode=mode, align_corners=False)[0]
                yield start, large.reshape(len(large), *window).cpu().numpy()
            stage.advance(len(starts))

    def _given(self, starts: tuple[Shape, ...]) -> torch.Tensor:
        """Return what the layer gives for some windows; kept for the next time while all of it takes little room."""
        if starts in self._kept:
            return self._kept[starts]
        given = self._tap.before(self._windows(starts))
        if sum(one.numel() * one.element_size() for one in (*self._kept.values(), given)) <= KEPT_BYTES:
            self._kept[starts] = given
        return given

    def _windows(self, starts: Sequence[Shape]) -> torch.Tensor:
        return torch.from_numpy(self._tiles.cut(starts)).to(self._device)

    def _mask(self, start: Shape) -> np.ndarray:
        return self._masks[(slice(None), *self._tiles.box(start))]

    def _shares(self, starts: Sequence[Shape], like: torch.Tensor) -> torch.Tensor:
        """Return each window's share of the voxels that a position of the layer stands for, (B, 1, ...)."""
        weight = self._tiles.weight
        share = np.stack([weight / self._summed[self._tiles.box(start)] for start in starts])[:, None]
        found = torch.from_numpy(share).to(self._device)
        if like.ndim == 4:
            found = found.squeeze(2 + self._tiles.window.index(1))
            return F.adaptive_avg_pool2d(found, tuple(like.shape[2:]))
        return F.adaptive_avg_pool3d(found, tuple(like.shape[2:]))


def logit_of(logits: torch.Tensor, output: int, activation: str) -> torch.Tensor:
    """Return the logit of an output's probability (B, X, Y, Z): of a softmax, its logit against all the others'."""
    if activation == "sigmoid":
        return logits[:, output]
    others = [place for place in range(logits.shape[1]) if place != output]
    return logits[:, output] - logits[:, others].logsumexp(dim=1)


def _parts(signed: torch.Tensor) -> torch.Tensor:
    """Return (B, 2 F, ...) of (B, F, ...): what is positive, then what is negative with its sign turned."""
    return torch.cat([signed.clamp_min(0), signed.neg().clamp_min(0)], dim=1)


def _per_feature(values: torch.Tensor) -> torch.Tensor:
    """Sum (B, F, ...) over all but the features, in float64 on the processor."""
    return values.movedim(1, 0).flatten(1).sum(dim=1).double().cpu()
