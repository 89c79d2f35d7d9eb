"""The classic U-Net: two convolutions with ReLU a stage, max pooling, up-convolution, skip connections.

With `norm` "none", `widens_late` and four stages of 64 to 512 channels it is the network of Çiçek et al. 2016 without
its batch norm, 19,069,955 parameters as in their paper. Batch norm is not offered: on the one or two patches that a 3D
batch holds its statistics are those of instance norm.

Papers: Ronneberger et al. 2015 (U-Net), Çiçek et al. 2016 (3D U-Net).
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from neuraxis.networks.blocks import convolution, instance_norm, up_convolution
from neuraxis.networks.encoder_decoder import EncoderDecoder
from neuraxis.networks.options import ClassicUNetOptions

Sizes = tuple[int, ...]


class ClassicUNet(EncoderDecoder):
    """Classic U-Net in 2D or 3D; in training mode its list of logits holds the finest alone.

    Args:
        options: stages, kernels, pooling and norm.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: ClassicUNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options)
        widths, late = options.features, options.widens_late
        kernels, strides = self.planar(options.kernels), self.planar(options.strides)
        for stage, width in enumerate(widths):
            before = widths[stage - 1] if stage else channels
            first = width if not late else before if stage else width // 2
            pool = [(nn.MaxPool2d if len(strides[0]) == 2 else nn.MaxPool3d)(strides[stage])] if stage else []
            self.encoder.append(nn.Sequential(*pool, *self.pair((before, first, width), kernels[stage], stage)))
        for stage, (fine, coarse) in enumerate(pairwise(widths)):
            raised = coarse if late else fine
            self.upsample.append(up_convolution(coarse, raised, strides[stage + 1], bias=False))
            self.decoder.append(nn.Sequential(*self.pair((raised + fine, fine, fine), kernels[stage], stage)))
        self.heads.append(convolution(widths[0], outputs, (1,) * len(strides[0])))
        self.begin()

    def pair(self, widths: tuple[int, int, int], kernel: Sizes, stage: int) -> list[nn.Module]:
        """Return two convolutions from, over and to these widths, each with its norm and ReLU."""
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(convolution(before, after, kernel))
            layers += [instance_norm(after, len(kernel))] if self.options.norm != "none" else []
            layers.append(nn.ReLU(inplace=True))
        return layers
