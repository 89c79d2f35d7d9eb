"""Attention U-Net: the plain U-Net with a gate in each skip connection.

A gate looks at the encoder's stage and at what comes from below, on one grid, and gives each voxel a weight in (0, 1).

Paper: Oktay et al. 2018, Attention U-Net: learning where to look for the pancreas, MIDL.
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.blocks import convolution
from neuraxis.networks.options import AttentionUNetOptions
from neuraxis.networks.unet import UNet


class AttentionUNet(UNet):
    """Attention U-Net in 2D or 3D.

    Args:
        options: stages, kernels and strides.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: AttentionUNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options, channels, outputs)
        dimensions = 3 if options.flat_axis is None else 2
        self.gates = nn.ModuleList(Gate(width, dimensions) for width in options.features[:-1])
        self.begin()

    def joined(self, stage: int, raised: torch.Tensor, skip: torch.Tensor) -> list[torch.Tensor]:
        """Return the coarser stage's output and the encoder's, the latter weighed."""
        return [raised, self.gates[stage](raised, skip)]


class Gate(nn.Module):
    """Weighs each voxel of a skip connection by what the decoder knows of it.

    Args:
        width: channels of both.
        dimensions: 2 or 3.
    """

    def __init__(self, width: int, dimensions: int) -> None:
        super().__init__()
        point, inner = (1,) * dimensions, max(1, width // 2)
        self.signal, self.skip = convolution(width, inner, point), convolution(width, inner, point, bias=False)
        self.weigh = convolution(inner, 1, point)

    def forward(self, signal: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return the skip connection (B, F, ...) times weights (B, 1, ...)."""
        return skip * torch.sigmoid(self.weigh(torch.relu(self.signal(signal) + self.skip(skip))))
