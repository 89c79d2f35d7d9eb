"""Attention within windows of tokens, which every other block shifts by half a window, and steps between grids.

Tokens are (B, X, Y, Z, F), or (B, X, Y, F) in 2D. The papers roll the tokens round the edge and forbid those that met
there to look at each other; here windows at the edge are smaller, which is the same. What fills them up is not looked
at. Where a token lies in its window is told by a learned number for each head and distance.

Paper: Liu et al. 2021, Swin transformer: hierarchical vision transformer using shifted windows, ICCV.
"""

from __future__ import annotations

from itertools import chain
from math import prod

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.networks.swin_options import windows_of
from neuraxis.networks.tokens import Block, FeedForward, sides_of

Sizes = tuple[int, ...]
UNSEEN = -1e4  # added to a score, whose exponential is then 0


class WindowAttention(nn.Module):
    """Attention of each token to those of its window.

    Args:
        width: features of a token.
        heads: they are dealt to.
        window: tokens along each axis, at the most.
        shifted: whether windows begin half a window earlier.
    """

    def __init__(self, width: int, heads: int, window: Sizes, shifted: bool) -> None:
        super().__init__()
        self.width, self.heads, self.window, self.shifted = width, heads, window, shifted
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        distances = prod(2 * side - 1 for side in window)
        self.distance = nn.Parameter(nn.init.trunc_normal_(torch.empty(distances, heads), std=0.02))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what each token (B, ..., F) found."""
        *size, _ = sides_of(tokens)
        cut = windows_of(tuple(size), self.window, self.shifted)
        counts = tuple((side + before + after) // step for side, (step, before, after) in zip(size, cut, strict=True))
        steps = tuple(step for step, _, _ in cut)
        windows = _parted(_filled(tokens, cut), counts, steps)  # (B, W, N, F)
        parts = self.query_key_value(windows).split(self.width, dim=-1)
        query, key, value = (self._split(part) for part in parts)  # (B, W, H, N, F/H)
        scores = self._bias(steps)  # (H, N, N)
        if any(before + after for _, before, after in cut):
            scores = scores + _unseen(size, cut, counts, tokens)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=scores)
        found = _joined(self.out(found.transpose(2, 3).flatten(3)), counts, steps)
        for axis, (side, (_, before, after)) in enumerate(zip(size, cut, strict=True), start=1):
            found = found.narrow(axis, before, side) if before + after else found
        return found

    def _split(self, windows: torch.Tensor) -> torch.Tensor:
        return windows.unflatten(3, (self.heads, self.width // self.heads)).transpose(2, 3)

    def _bias(self, steps: Sizes) -> torch.Tensor:
        """Return what is added to the scores (H, N, N) of a window of these sides, for each head."""
        bias = self.distance.reshape(*(2 * side - 1 for side in self.window), self.heads)
        for axis, (step, most) in enumerate(zip(steps, self.window, strict=True)):
            places = torch.arange(step, device=bias.device)
            apart = (places[:, None] - places[None, :] + most - 1).flatten()
            bias = bias.index_select(axis, apart)
        dimensions, count = len(steps), prod(steps)
        bias = bias.reshape(*chain.from_iterable((step, step) for step in steps), self.heads)
        order = (2 * dimensions, *range(0, 2 * dimensions, 2), *range(1, 2 * dimensions, 2))
        return bias.permute(order).reshape(self.heads, count, count)


class PatchMerging(nn.Module):
    """Makes one token of boxes of them: laid side by side, normed, mixed."""

    def __init__(self, before: int, after: int, stride: Sizes) -> None:
        super().__init__()
        self.stride, inside = stride, before * prod(stride)
        self.norm, self.mix = nn.LayerNorm(inside), nn.Linear(inside, after, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Turn tokens (B, ..., F) into those of a coarser grid."""
        *size, _ = sides_of(tokens)
        counts = tuple(side // step for side, step in zip(size, self.stride, strict=True))
        boxes = _parted(tokens, counts, self.stride).flatten(2)
        return self.mix(self.norm(boxes)).unflatten(1, counts)


class PatchExpanding(nn.Module):
    """Makes a box of tokens of each: widened, laid out, normed."""

    def __init__(self, before: int, after: int, stride: Sizes) -> None:
        super().__init__()
        self.stride, self.after = stride, after
        self.widen, self.norm = nn.Linear(before, after * prod(stride), bias=False), nn.LayerNorm(after)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Turn tokens (B, ..., F) into those of a finer grid."""
        *counts, _ = sides_of(tokens)
        boxes = self.widen(tokens).reshape(-1, prod(counts), prod(self.stride), self.after)
        return self.norm(_joined(boxes, tuple(counts), self.stride))


def window_blocks(width: int, heads: int, depth: int, window: Sizes, hidden: int) -> nn.Sequential:
    """Return blocks of attention and a feed-forward layer, the windows of every other one shifted."""
    return nn.Sequential(
        *(
            Block(width, WindowAttention(width, heads, window, number % 2 == 1), FeedForward(width, hidden))
            for number in range(depth)
        )
    )


def _parted(tokens: torch.Tensor, counts: Sizes, steps: Sizes) -> torch.Tensor:
    """Cut tokens (B, ..., F) into boxes: (B, boxes, tokens of a box, F)."""
    dimensions, width = len(steps), int(tokens.shape[-1])
    sides = chain.from_iterable(zip(counts, steps, strict=True))
    boxes = range(1, 2 * dimensions, 2)
    laid = tokens.reshape(-1, *sides, width).permute(0, *boxes, *(axis + 1 for axis in boxes), 2 * dimensions + 1)
    return laid.reshape(-1, prod(counts), prod(steps), width)


def _joined(boxes: torch.Tensor, counts: Sizes, steps: Sizes) -> torch.Tensor:
    """Lay out boxes (B, boxes, tokens of a box, F) as tokens (B, ..., F)."""
    dimensions, width = len(steps), int(boxes.shape[-1])
    order = chain.from_iterable((1 + axis, 1 + dimensions + axis) for axis in range(dimensions))
    laid = boxes.reshape(-1, *counts, *steps, width).permute(0, *order, 2 * dimensions + 1)
    return laid.reshape(-1, *(count * step for count, step in zip(counts, steps, strict=True)), width)


def _filled(tokens: torch.Tensor, cut: tuple[Sizes, ...]) -> torch.Tensor:
    """Add zeros before and after, so that windows cover the grid."""
    around = [*chain.from_iterable((before, after) for _, before, after in reversed(cut))]
    return F.pad(tokens, (0, 0, *around)) if any(around) else tokens


def _unseen(size: list[int], cut: tuple[Sizes, ...], counts: Sizes, like: torch.Tensor) -> torch.Tensor:
    """Return what is added to the scores (W, 1, 1, N) of each window, so that what was added is not looked at."""
    dimensions, total = len(cut), torch.zeros((), device=like.device)
    for axis, (side, (step, before, after)) in enumerate(zip(size, cut, strict=True)):
        along = F.pad(torch.zeros(side, device=like.device), (before, after), value=UNSEEN)
        shape = [1] * (2 * dimensions)
        shape[axis], shape[dimensions + axis] = counts[axis], step
        total = total + along.reshape(shape)
    return total.reshape(prod(counts), 1, 1, -1)
