"""SegFormer3D: a transformer of four stages that attend to boxes of tokens, and a decoder of linear layers.

A stage draws overlapping patches together by a convolution, then has blocks of attention and of a feed-forward layer
with a depth-wise convolution between its two linear ones, which tells tokens where they are. The decoder brings every
stage to one width and to the first one's grid, mixes them, and interpolates the logits to the image.

It is computed otherwise than written down in the papers, with the same result: mixing and interpolation change places,
so that each stage is mixed on its own coarse grid, by the product of its projection and its share of the mixing layer.
That leaves out half of all the multiplications. The mixed tokens have a layer norm, where SegFormer has a batch norm.

Papers: Perera et al. 2024, SegFormer3D: an efficient transformer for 3D medical image segmentation, arXiv:2404.10156.
Xie et al. 2021, SegFormer, NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.networks.blocks import without_axis
from neuraxis.networks.encoder_decoder import check_sides
from neuraxis.networks.tokens import (
    Attention,
    Block,
    PointLinear,
    along,
    depthwise,
    initialise,
    interpolate,
    linear_matrix,
    to_image,
    to_tokens,
)
from neuraxis.networks.transformer_options import SegFormer3DOptions

Sizes = tuple[int, ...]


class SegFormer3D(nn.Module):
    """SegFormer3D, in 3D or 2D.

    Args:
        options: stages, widths and heads.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z). There is one
    output, so deep supervision has nothing to train beside it.
    """

    def __init__(self, options: SegFormer3DOptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options: Any = options
        self.stride = options.stride
        self.stages = nn.ModuleList()
        for stage, width in enumerate(options.features):
            before = options.features[stage - 1] if stage else channels
            self.stages.append(Stage(options, stage, before, self.feed_forward(stage, width)))
        self.decoder = self.make_decoder(outputs)
        self.apply(initialise)

    def feed_forward(self, stage: int, width: int) -> list[nn.Module]:
        """Return the feed-forward layer of each block of a stage."""
        dimensions = 3 if self.options.flat_axis is None else 2
        hidden, dropout = width * self.options.expansion, self.options.dropout
        return [MixFeedForward(width, hidden, dimensions, dropout) for _ in range(self.options.depths[stage])]

    def make_decoder(self, outputs: int) -> Decoder:
        """Return the decoder."""
        options = self.options
        projections = [Projection(width, options.decoder_width) for width in options.features]
        return Decoder(projections, options.decoder_width, outputs, options.dropout)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K, X, Y, Z)."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = image if flat is None else image.squeeze(2 + flat)
        maps: list[torch.Tensor] = []
        for stage in self.stages:
            x = stage(x if not maps else to_image(x))  # (B, x, y, z, F)
            maps.append(x)
        logits = self.decoder(maps, without_axis([int(side) for side in image.shape[2:]], flat))
        return logits if flat is None else logits.unsqueeze(2 + flat)


class Stage(nn.Module):
    """Draws patches together, then looks around and thinks, block after block."""

    def __init__(self, options: SegFormer3DOptions, stage: int, before: int, feed_forward: list[nn.Module]) -> None:
        super().__init__()
        width, flat = options.features[stage], options.flat_axis
        kernel, stride, reduction = (
            without_axis(sizes[stage], flat) for sizes in (options.kernels, options.strides, options.reductions)
        )
        padding = tuple(size // 2 for size in kernel)
        self.embed = (nn.Conv2d if len(kernel) == 2 else nn.Conv3d)(before, width, kernel, stride, padding)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            Block(width, Attention(width, options.heads[stage], reduction), layer) for layer in feed_forward
        )
        self.last_norm = nn.LayerNorm(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Turn an image (B, F, ...) into tokens (B, ..., F) of a coarser grid."""
        tokens = self.norm(to_tokens(self.embed(image)))
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)


class MixFeedForward(nn.Module):
    """Linear layer, depth-wise convolution, GELU, linear layer."""

    def __init__(self, width: int, hidden: int, dimensions: int, dropout: float) -> None:
        super().__init__()
        self.widen, self.depthwise = PointLinear(width, hidden), depthwise(hidden, dimensions)
        self.narrow, self.dropout = PointLinear(hidden, width), nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens (B, ..., F)."""
        hidden = F.gelu(self.depthwise(self.widen(to_image(tokens))))  # (B, 4 F, ...)
        return to_tokens(self.narrow(self.dropout(hidden)))


class Projection(nn.Linear):
    """A linear layer that is computed together with the one that follows it."""

    def forward(self, tokens: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
        """Project tokens (B, ..., F) and mix them by a matrix (D, after): (B, ..., D)."""
        return F.linear(tokens, mix @ self.weight, mix @ self.bias)


class Decoder(nn.Module):
    """Brings the stages to one width and one grid, mixes them, and predicts.

    Args:
        projections: of each stage, from fine to coarse, to the width.
        width: of the mixed tokens.
        outputs: number of outputs.
        dropout: share of the mixed tokens' features that training leaves out.
    """

    def __init__(self, projections: Sequence[nn.Module], width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.projections = nn.ModuleList(projections)
        self.mix = nn.Linear(len(projections) * width, width, bias=False)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.predict = nn.Linear(width, outputs)

    def forward(self, maps: list[torch.Tensor], size: Sizes) -> torch.Tensor:
        """Turn the stages' tokens (B, ..., F) into logits (B, K, *size)."""
        shares = self.mix.weight.split(self.mix.out_features, dim=1)
        mixed = [project(tokens, share) for tokens, share, project in zip(maps, shares, self.projections, strict=True)]
        tokens = F.relu(self.norm(sum_on_first_grid(mixed)))  # (B, ..., D)
        return interpolate(to_image(self.predict(self.dropout(tokens))), size)


def sum_on_first_grid(maps: list[torch.Tensor]) -> torch.Tensor:
    """Interpolate tokens (B, ..., F) of several grids to the first one's, and add them up.

    Along X all are interpolated at once: laid one after another, multiplied by their matrices laid side by side.
    """
    finest, *coarser = maps
    x, *rest = (int(side) for side in finest.shape[1:-1])
    if not coarser:
        return finest
    matrix = torch.cat([linear_matrix(int(one.shape[1]), x, one) for one in coarser], dim=1)
    return finest + along(torch.cat([interpolate(one, tuple(rest)) for one in coarser], dim=1), 1, matrix)
