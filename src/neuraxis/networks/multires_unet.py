"""MultiResUNet: blocks of three convolutions, all of which are kept, and residual convolutions in the skip connections.

Two or three small kernels one after another see as far as one of 5 or 7 voxels, so keeping each one's output shows a
structure at three sizes at once. Skip connections of fine stages pass more convolutions than those of coarse ones.

Paper: Ibtehaz and Rahman 2020, MultiResUNet, Neural Networks 121:74. It norms by batch, ours by instance.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from neuraxis.networks.blocks import convolution, instance_norm, up_convolution
from neuraxis.networks.encoder_decoder import EncoderDecoder
from neuraxis.networks.options import MultiResUNetOptions

Sizes = tuple[int, ...]


class MultiResUNet(EncoderDecoder):
    """MultiResUNet in 2D or 3D; in training mode its list of logits holds the finest alone.

    Args:
        options: stages, kernels and pooling.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: MultiResUNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options)
        widths, kernels, strides = options.features, self.planar(options.kernels), self.planar(options.strides)
        given = [sum(options.shares(stage)) for stage in range(len(widths))]
        for stage, kernel in enumerate(kernels):
            pool = [(nn.MaxPool2d if len(kernel) == 2 else nn.MaxPool3d)(strides[stage])] if stage else []
            before = given[stage - 1] if stage else channels
            self.encoder.append(nn.Sequential(*pool, MultiResBlock(before, options.shares(stage), kernel)))
        self.paths = nn.ModuleList()
        for stage, width in enumerate(widths[:-1]):
            self.upsample.append(up_convolution(given[stage + 1], width, strides[stage + 1]))
            steps = [given[stage], *(width,) * (len(widths) - 1 - stage)]
            self.paths.append(nn.Sequential(*(PathUnit(*pair, kernels[stage]) for pair in pairwise(steps))))
            self.decoder.append(MultiResBlock(2 * width, options.shares(stage), kernels[stage]))
        self.heads.append(convolution(given[0], outputs, (1,) * len(strides[0])))
        self.begin()

    def joined(self, stage: int, raised: torch.Tensor, skip: torch.Tensor) -> list[torch.Tensor]:
        """Return the coarser stage's output and the encoder's, the latter through its path."""
        return [raised, self.paths[stage](skip)]


class MultiResBlock(nn.Module):
    """Three convolutions one after another, side by side, beside a shortcut.

    Args:
        before: channels that it takes.
        shares: channels of the three; it gives their sum.
        kernel: of each.
    """

    def __init__(self, before: int, shares: tuple[int, int, int], kernel: Sizes) -> None:
        super().__init__()
        given, dimensions = sum(shares), len(kernel)
        self.convolutions = nn.ModuleList(
            nn.Sequential(convolution(*pair, kernel), instance_norm(pair[1], dimensions), nn.ReLU())
            for pair in pairwise((before, *shares))
        )
        self.shortcut = nn.Sequential(convolution(before, given, (1,) * dimensions), instance_norm(given, dimensions))
        self.norm = instance_norm(given, dimensions)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Take (B, before, ...) and return (B, the sum of the shares, ...)."""
        x, kept = image, []
        for layer in self.convolutions:
            x = layer(x)
            kept.append(x)
        return torch.relu(self.norm(torch.cat(kept, dim=1) + self.shortcut(image)))


class PathUnit(nn.Module):
    """A convolution beside a shortcut, in a skip connection."""

    def __init__(self, before: int, after: int, kernel: Sizes) -> None:
        super().__init__()
        self.main, self.shortcut = convolution(before, after, kernel), convolution(before, after, (1,) * len(kernel))
        self.norm = instance_norm(after, len(kernel))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (B, before, ...) and return (B, after, ...)."""
        return torch.relu(self.norm(self.main(x) + self.shortcut(x)))
