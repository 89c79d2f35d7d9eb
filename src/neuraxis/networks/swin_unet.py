"""Swin-Unet: a U-Net without convolutions, whose stages are blocks of attention in shifted windows.

Boxes of voxels become tokens; between stages boxes of tokens become one, and in the decoder one becomes a box again.
Skip connections are laid side by side and mixed by a linear layer. From the finest tokens the voxels are unfolded at
last.

Paper: Cao et al. 2021, Swin-Unet: Unet-like pure transformer for medical image segmentation, arXiv:2105.05537.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from neuraxis.networks.blocks import without_axis
from neuraxis.networks.encoder_decoder import check_sides
from neuraxis.networks.swin_options import SwinUNetOptions
from neuraxis.networks.tokens import PointLinear, initialise, to_image, to_tokens
from neuraxis.networks.windows import PatchExpanding, PatchMerging, window_blocks


class SwinUNet(nn.Module):
    """Swin-Unet in 2D or 3D.

    Args:
        options: stages, heads and windows.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z). There is one
    output, so deep supervision has nothing to train beside it.
    """

    def __init__(self, options: SwinUNetOptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options, self.stride = options, options.stride
        widths, window = options.features, without_axis(options.window, options.flat_axis)
        strides = [without_axis(stride, options.flat_axis) for stride in options.strides]
        self.embed = (nn.Conv2d if len(window) == 2 else nn.Conv3d)(channels, widths[0], strides[0], strides[0])
        self.norm = nn.LayerNorm(widths[0])
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.merge, self.expand, self.join = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for width, heads, depth in zip(widths, options.heads, options.depths, strict=True):
            self.encoder.append(window_blocks(width, heads, depth, window, options.expansion * width))
        for stage, (fine, coarse) in enumerate(pairwise(widths)):
            heads, depth, stride = options.heads[stage], options.depths[stage], strides[stage + 1]
            self.merge.append(PatchMerging(fine, coarse, stride))
            self.expand.append(PatchExpanding(coarse, fine, stride))
            self.join.append(nn.Linear(2 * fine, fine))
            self.decoder.append(window_blocks(fine, heads, depth, window, options.expansion * fine))
        self.deepest, self.last_norm = nn.LayerNorm(widths[-1]), nn.LayerNorm(widths[0])
        self.unfold = PatchExpanding(widths[0], widths[0], strides[0])
        self.head = PointLinear(widths[0], outputs, bias=False)
        self.apply(initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K, X, Y, Z)."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = self.norm(to_tokens(self.embed(image if flat is None else image.squeeze(2 + flat))))
        skips = []
        for look, merge in zip(self.encoder, self.merge, strict=False):  # the deepest one merges nothing
            x = look(x)
            skips.append(x)
            x = merge(x)
        x = self.deepest(self.encoder[-1](x))
        for stage in reversed(range(len(skips))):
            x = self.join[stage](torch.cat([self.expand[stage](x), skips[stage]], dim=-1))
            x = self.decoder[stage](x)
        logits: torch.Tensor = self.head(to_image(self.unfold(self.last_norm(x))))
        return logits if flat is None else logits.unsqueeze(2 + flat)
