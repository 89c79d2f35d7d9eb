"""The plain U-Net, layer for layer nnU-Net's standard architecture.

Each stage of the encoder is `convolutions` times convolution, instance norm, leaky ReLU; the first convolution of a
stage strides. The decoder mirrors it with transposed convolutions and skip connections. Every stage of the decoder
has its own 1x1 output, which deep supervision trains; at inference only the finest is used.

Papers: Ronneberger et al. 2015 (U-Net), Çiçek et al. 2016 (3D U-Net), Isensee et al. 2021 (nnU-Net).
"""

from __future__ import annotations

from torch import nn

from neuraxis.networks.blocks import units
from neuraxis.networks.encoder_decoder import EncoderDecoder
from neuraxis.networks.options import UNetOptions


class UNet(EncoderDecoder):
    """Plain U-Net in 2D or 3D.

    Args:
        options: stages, kernels and strides.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: UNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options)
        widths, count = options.features, options.convolutions
        kernels, strides = self.planar(options.kernels), self.planar(options.strides)
        for stage, width in enumerate(widths):
            before = widths[stage - 1] if stage else channels
            self.encoder.append(nn.Sequential(*units(before, width, kernels[stage], strides[stage], count)))
        self.mirror(count, outputs)
        self.begin()
