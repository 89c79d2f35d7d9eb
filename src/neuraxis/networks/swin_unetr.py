"""Swin UNETR: stages of attention in shifted windows read the image, a decoder of convolutions takes what each gives.

Boxes of voxels become tokens; stage by stage they look at each other within windows, and boxes of tokens become one.
What each stage gives, normed, passes a residual block into the skip connection of its grid; the finest stage sees the
image itself.

Paper: Hatamizadeh et al. 2022, Swin UNETR: Swin transformers for semantic segmentation of brain tumors in MRI images,
arXiv:2201.01266.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.networks import tokens as token_layers
from neuraxis.networks.blocks import convolution, initialise, up_convolution, without_axis
from neuraxis.networks.encoder_decoder import check_sides
from neuraxis.networks.residual_unet import ResidualBlock
from neuraxis.networks.swin_options import SwinUNETROptions
from neuraxis.networks.tokens import to_image, to_tokens
from neuraxis.networks.windows import PatchMerging, window_blocks


class SwinUNETR(nn.Module):
    """Swin UNETR in 3D or 2D.

    Args:
        options: stages, heads and windows.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z). There is one
    output, so deep supervision has nothing to train beside it.
    """

    def __init__(self, options: SwinUNETROptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options, self.stride = options, options.stride
        widths, window = options.features, without_axis(options.window, options.flat_axis)
        kernels = [without_axis(kernel, options.flat_axis) for kernel in options.kernels]
        strides = [without_axis(stride, options.flat_axis) for stride in options.strides]
        ones = (1,) * len(window)
        self.embed = (nn.Conv2d if len(window) == 2 else nn.Conv3d)(channels, widths[1], strides[1], strides[1])
        self.stages, self.merge = nn.ModuleList(), nn.ModuleList()
        for stage, (heads, depth) in enumerate(zip(options.heads, options.depths, strict=True), start=1):
            width = widths[stage]
            self.stages.append(window_blocks(width, heads, depth, window, options.expansion * width))
            self.merge.append(PatchMerging(width, widths[stage + 1], strides[stage + 1]))
        self.skips = nn.ModuleList([ResidualBlock(channels, widths[0], kernels[0], ones)])
        self.skips.extend(
            nn.Identity() if stage == len(widths) - 2 else ResidualBlock(width, width, kernels[stage], ones)
            for stage, width in enumerate(widths[1:], start=1)
        )
        self.upsample, self.decoder = nn.ModuleList(), nn.ModuleList()
        for stage, (fine, coarse) in enumerate(pairwise(widths)):
            self.upsample.append(up_convolution(coarse, fine, strides[stage + 1], bias=False))
            self.decoder.append(ResidualBlock(2 * fine, fine, kernels[stage], ones))
        self.head = convolution(widths[0], outputs, ones)
        self.apply(initialise)
        for part in (self.embed, self.stages, self.merge):
            part.apply(token_layers.initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K, X, Y, Z)."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = image if flat is None else image.squeeze(2 + flat)
        tokens = to_tokens(self.embed(x))
        seen = [x, _normed(tokens)]
        for look, merge in zip(self.stages, self.merge, strict=True):
            tokens = merge(look(tokens))
            seen.append(_normed(tokens))
        *skips, x = (layer(one) for layer, one in zip(self.skips, seen, strict=True))
        for stage in reversed(range(len(skips))):
            x = self.decoder[stage](torch.cat([self.upsample[stage](x), skips[stage]], dim=1))
        logits: torch.Tensor = self.head(x)
        return logits if flat is None else logits.unsqueeze(2 + flat)


def _normed(tokens: torch.Tensor) -> torch.Tensor:
    """Return tokens (B, ..., F) as an image (B, F, ...), the features of each brought to mean 0 and SD 1."""
    return to_image(F.layer_norm(tokens, (int(tokens.shape[-1]),)))
