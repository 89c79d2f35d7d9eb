"""UNETR: a vision transformer reads patches of the image, a decoder of convolutions takes its states for its stages.

The image is cut into boxes as large as the product of all strides, each a token. What the transformer knows after a
share of its blocks is brought to a finer grid by transposed convolutions, as often as that stage of the decoder needs;
the finest stage sees the image itself.

Paper: Hatamizadeh et al. 2022, UNETR: transformers for 3D medical image segmentation, WACV, arXiv:2103.10504.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

import torch
from torch import nn

from neuraxis.networks.blocks import convolution, initialise, up_convolution, without_axis
from neuraxis.networks.encoder_decoder import check_sides
from neuraxis.networks.residual_unet import ResidualBlock
from neuraxis.networks.tokens import to_image, to_tokens
from neuraxis.networks.vision_transformer import VisionTransformer
from neuraxis.networks.vit_options import UNETROptions


class UNETR(nn.Module):
    """UNETR in 3D or 2D.

    Args:
        options: stages and transformer.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z). There is one
    output, so deep supervision has nothing to train beside it.
    """

    def __init__(self, options: UNETROptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options, self.stride = options, options.stride
        *widths, tokens = options.features
        kernels = [without_axis(kernel, options.flat_axis) for kernel in options.kernels]
        strides = [without_axis(stride, options.flat_axis) for stride in options.strides]
        ones, side = (1,) * len(strides[0]), without_axis(options.stride, options.flat_axis)
        self.embed = (nn.Conv2d if len(side) == 2 else nn.Conv3d)(channels, tokens, side, side)
        self.skips = nn.ModuleList([ResidualBlock(channels, widths[0], kernels[0], ones)])
        self.upsample, self.decoder = nn.ModuleList(), nn.ModuleList()
        for stage, width in enumerate(widths[1:], start=1):
            path: list[nn.Module] = [up_convolution(tokens, width, strides[-1], bias=False)]
            for finer in reversed(range(stage, len(widths) - 1)):
                path.append(up_convolution(width, width, strides[finer + 1], bias=False))
                path.append(ResidualBlock(width, width, kernels[finer], ones))
            self.skips.append(nn.Sequential(*path))
        for stage, (fine, coarse) in enumerate(pairwise(options.features)):
            self.upsample.append(up_convolution(coarse, fine, strides[stage + 1], bias=False))
            self.decoder.append(ResidualBlock(2 * fine, fine, kernels[stage], ones))
        self.head = convolution(widths[0], outputs, ones)
        self.apply(initialise)
        nn.init.trunc_normal_(self.embed.weight, std=(1 / (channels * prod(side))) ** 0.5)
        places = without_axis(options.places, options.flat_axis)
        self.transformer = VisionTransformer(tokens, options.heads, options.depth, options.expansion * tokens, places)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K, X, Y, Z)."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = image if flat is None else image.squeeze(2 + flat)
        states = [to_image(state) for state in self.transformer(to_tokens(self.embed(x)))]
        skips = [self.skips[0](x)]
        for stage in range(1, len(self.skips)):
            skips.append(self.skips[stage](states[self.options.seen_after(stage) - 1]))
        x = states[-1]
        for stage in reversed(range(len(skips))):
            x = self.decoder[stage](torch.cat([self.upsample[stage](x), skips[stage]], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits if flat is None else logits.unsqueeze(2 + flat)
