"""U-Net 3+: every stage of the decoder sees every finer stage of the encoder, its own, and all coarser decoders.

Finer ones are pooled to its grid and coarser ones interpolated; each is convolved to one width, they are laid side by
side and convolved once more. Every stage has an output, which deep supervision trains.

Paper: Huang et al. 2020, UNet 3+: a full-scale connected UNet for medical image segmentation, ICASSP; without its
classification of whole images.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.networks.blocks import convolution, initialise, instance_norm, without_axis
from neuraxis.networks.encoder_decoder import check_sides
from neuraxis.networks.options import UNet3PlusOptions
from neuraxis.networks.tokens import interpolate

Sizes = tuple[int, ...]


class UNet3Plus(nn.Module):
    """U-Net 3+ in 2D or 3D.

    Args:
        options: stages, kernels and pooling.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z); in training
    mode a list of them, from fine to coarse.
    """

    def __init__(self, options: UNet3PlusOptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options, self.stride = options, options.stride
        widths, skip, flat = options.features, options.skip_width, options.flat_axis
        kernels = [without_axis(kernel, flat) for kernel in options.kernels]
        self.strides = [without_axis(stride, flat) for stride in options.strides]
        self.encoder, self.sources = nn.ModuleList(), nn.ModuleList()
        self.decoder, self.heads = nn.ModuleList(), nn.ModuleList()
        for stage, width in enumerate(widths):
            before = widths[stage - 1] if stage else channels
            self.encoder.append(
                nn.Sequential(*_unit(before, width, kernels[stage]), *_unit(width, width, kernels[stage]))
            )
        joined = skip * len(widths)
        for stage, kernel in enumerate(kernels[:-1]):
            seen = [*widths[: stage + 1], *(joined,) * (len(widths) - 2 - stage), widths[-1]]
            self.sources.append(nn.ModuleList(nn.Sequential(*_unit(one, skip, kernel)) for one in seen))
            self.decoder.append(nn.Sequential(*_unit(joined, joined, kernel)))
            self.heads.append(convolution(joined, outputs, (1,) * len(kernel)))
        self.apply(initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Return logits: one tensor, or one for each stage of the decoder in training mode."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = image if flat is None else image.squeeze(2 + flat)
        fine: list[torch.Tensor] = []
        for stage, layers in enumerate(self.encoder):
            x = layers(_pool(x, self.strides[stage]) if stage else x)
            fine.append(x)
        coarse: dict[int, torch.Tensor] = {len(fine) - 1: fine[-1]}
        for stage in reversed(range(len(self.decoder))):
            size = tuple(int(side) for side in fine[stage].shape[2:])
            seen = [self._pooled(fine[one], one, stage) for one in range(stage + 1)]
            seen += [interpolate(coarse[one], size) for one in range(stage + 1, len(fine))]
            side = [layers(one) for layers, one in zip(self.sources[stage], seen, strict=True)]
            coarse[stage] = self.decoder[stage](torch.cat(side, dim=1))
        stages = range(len(self.heads)) if self.training else range(1)
        logits = [self.heads[stage](coarse[stage]) for stage in stages]
        logits = logits if flat is None else [one.unsqueeze(2 + flat) for one in logits]
        return logits if self.training else logits[0]

    def _pooled(self, x: torch.Tensor, before: int, after: int) -> torch.Tensor:
        for stride in self.strides[before + 1 : after + 1]:
            x = _pool(x, stride)
        return x


def _unit(before: int, after: int, kernel: Sizes) -> list[nn.Module]:
    """Return convolution, norm and ReLU."""
    return [convolution(before, after, kernel), instance_norm(after, len(kernel)), nn.ReLU(inplace=True)]


def _pool(x: torch.Tensor, stride: Sizes) -> torch.Tensor:
    return (F.max_pool2d if len(stride) == 2 else F.max_pool3d)(x, stride, stride)
