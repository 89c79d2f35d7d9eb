"""The residual-encoder U-Net, layer for layer nnU-Net's ResEnc presets.

A stem convolution, then `blocks` residual blocks a stage; the first block of a stage strides. The decoder is that of
the plain U-Net with fewer convolutions. The presets M and L are this one network, planned for different memory.

Papers: Isensee et al. 2024 (nnU-Net revisited), He et al. 2016 (residual networks), He et al. 2019 (bag of tricks: the
shortcut of a block that strides averages, then projects).
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.blocks import average_pool, convolution, instance_norm, units
from neuraxis.networks.encoder_decoder import EncoderDecoder
from neuraxis.networks.options import ResidualUNetOptions

Sizes = tuple[int, ...]


class ResidualUNet(EncoderDecoder):
    """U-Net in 2D or 3D whose encoder is made of residual blocks.

    Args:
        options: stages, kernels, strides and blocks.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: ResidualUNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options)
        widths = options.features
        kernels, strides = self.planar(options.kernels), self.planar(options.strides)
        ones = (1,) * len(strides[0])
        for stage, width in enumerate(widths):
            before = widths[stage - 1] if stage else width
            layers = [] if stage else units(channels, width, kernels[0], ones, 1)
            layers.append(ResidualBlock(before, width, kernels[stage], strides[stage]))
            more = options.blocks[stage] - 1
            layers += [ResidualBlock(width, width, kernels[stage], ones) for _ in range(more)]
            self.encoder.append(nn.Sequential(*layers))
        self.mirror(options.convolutions, outputs)
        self.begin()


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut: average pooling where the block strides, 1x1 convolution where it widens.

    The norm of the second convolution begins at 0, so that every block begins as its shortcut.

    Args:
        before: channels that it takes.
        width: channels that it gives.
        kernel: kernel size of both convolutions.
        stride: stride of the first.
    """

    def __init__(self, before: int, width: int, kernel: Sizes, stride: Sizes) -> None:
        super().__init__()
        shortcut: list[nn.Module] = []
        if max(stride) > 1:
            shortcut.append(average_pool(stride))
        if before != width:
            shortcut += [convolution(before, width, (1,) * len(kernel), bias=False), instance_norm(width, len(kernel))]
        self.shortcut = nn.Sequential(*shortcut)
        self.main = nn.Sequential(
            *units(before, width, kernel, stride, 1),
            convolution(width, width, kernel),
            instance_norm(width, len(kernel)),
        )
        nn.init.zeros_(self.main[-1].weight)
        self.activation = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (B, before, ...) and return (B, width, ...), each side divided by the stride."""
        shortcut = self.shortcut(x)
        return self.activation(self.main(x) + shortcut)
