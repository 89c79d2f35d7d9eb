"""TransUNet: the residual-encoder U-Net with a vision transformer on its coarsest grid.

The convolutions of the encoder see what is near and keep fine borders for the skip connections; the transformer lets
every place of the coarsest grid look at all others before the decoder begins.

Papers: Chen et al. 2021, TransUNet: transformers make strong encoders for medical image segmentation, arXiv:2102.04306;
Chen et al. 2024, 3D TransUNet, arXiv:2310.07781, its transformer encoder alone. Their encoders are ResNet-50 in 2D and
nnU-Net's plain one in 3D; ours is nnU-Net's residual one in both.
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.blocks import initialise, units, without_axis
from neuraxis.networks.residual_unet import ResidualUNet
from neuraxis.networks.tokens import PointLinear, to_image, to_tokens
from neuraxis.networks.vision_transformer import VisionTransformer
from neuraxis.networks.vit_options import TransUNetOptions


class TransUNet(ResidualUNet):
    """TransUNet in 2D or 3D.

    Args:
        options: stages, kernels, strides, blocks and transformer.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: TransUNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options, channels, outputs)
        self.encoder[-1].append(Looking(options))


class Looking(nn.Module):
    """Lets the places of an image (B, F, ...) look at each other, as tokens of another width."""

    def __init__(self, options: TransUNetOptions) -> None:
        super().__init__()
        width, tokens = options.features[-1], options.token_width
        kernel = without_axis(options.kernels[-1], options.flat_axis)
        self.embed = PointLinear(width, tokens)
        self.back = nn.Sequential(*units(tokens, width, kernel, (1,) * len(kernel), 1))
        self.back.apply(initialise)
        places = without_axis(options.places, options.flat_axis)
        self.transformer = VisionTransformer(tokens, options.heads, options.depth, options.expansion * tokens, places)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return an image (B, F, ...) of the same grid."""
        return self.back(to_image(self.transformer(to_tokens(self.embed(image)))[-1]))
