"""The plain U-Net, layer for layer nnU-Net's standard architecture.

Each stage of the encoder is `convolutions` times convolution, instance norm, leaky ReLU; the first convolution of a
stage strides. The decoder mirrors it with transposed convolutions and skip connections. Every stage of the decoder
has its own 1x1 output, which deep supervision trains; at inference only the finest is used.

Papers: Ronneberger et al. 2015 (U-Net), Çiçek et al. 2016 (3D U-Net), Isensee et al. 2021 (nnU-Net).
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.blocks import InstanceNorm2d, InstanceNorm3d
from neuraxis.networks.options import UNetOptions


class UNet(nn.Module):
    """Plain U-Net in 2D or 3D.

    Args:
        options: stages, kernels and strides.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `options.stride`, and returns logits (B, K, X, Y, Z); in
    training mode a list of them, from fine to coarse, one for each stage of the decoder.
    """

    def __init__(self, options: UNetOptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options = options
        self.stride = options.stride
        flat, features = options.flat_axis, options.features
        kernels = [_drop(kernel, flat) for kernel in options.kernels]
        strides = [_drop(stride, flat) for stride in options.strides]
        self.encoder = nn.ModuleList()
        for stage, width in enumerate(features):
            before = channels if stage == 0 else features[stage - 1]
            self.encoder.append(_stage(before, width, kernels[stage], strides[stage], options.convolutions))
        conv, up = (nn.Conv3d, nn.ConvTranspose3d) if flat is None else (nn.Conv2d, nn.ConvTranspose2d)
        ones = (1,) * len(strides[0])
        self.upsample, self.decoder, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage in range(len(features) - 1):
            fine, coarse, stride = features[stage], features[stage + 1], strides[stage + 1]
            self.upsample.append(up(coarse, fine, stride, stride))
            self.decoder.append(_stage(2 * fine, fine, kernels[stage], ones, options.convolutions))
            self.heads.append(conv(fine, outputs, 1))
        self.apply(_initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Return logits: one tensor, or one for each decoder stage in training mode."""
        _check_sides(tuple(image.shape[2:]), self.stride)
        flat = self.options.flat_axis
        x = image if flat is None else image.squeeze(2 + flat)
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        logits: list[torch.Tensor] = []
        for stage in reversed(range(len(self.decoder))):
            x = self.decoder[stage](torch.cat([self.upsample[stage](x), skips[stage]], dim=1))
            if self.training or stage == 0:
                head = self.heads[stage](x)
                logits.insert(0, head if flat is None else head.unsqueeze(2 + flat))
        return logits if self.training else logits[0]


def _stage(before: int, width: int, kernel: tuple[int, ...], stride: tuple[int, ...], count: int) -> nn.Sequential:
    flat = len(kernel) == 2
    conv, norm = (nn.Conv2d, InstanceNorm2d) if flat else (nn.Conv3d, InstanceNorm3d)
    padding = tuple(size // 2 for size in kernel)
    layers: list[nn.Module] = []
    for position in range(count):
        first = position == 0
        layers += [
            conv(before if first else width, width, kernel, stride if first else 1, padding),
            norm(width, eps=1e-5, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _drop(sizes: tuple[int, int, int], flat: int | None) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(sizes) if axis != flat)


def _check_sides(sides: tuple[int, ...], stride: tuple[int, int, int]) -> None:
    if any(side % factor for side, factor in zip(sides, stride, strict=True)):
        fit = tuple(-(-side // factor) * factor for side, factor in zip(sides, stride, strict=True))
        raise ValueError(
            f"The U-Net got sides of {sides}; each must be a multiple of {stride}. Pad the image to {fit}."
        )
