"""DeepLabV3+: a residual encoder, dilated convolutions that look at its last stage, a short decoder.

The pyramid has a convolution of one voxel, one of three voxels for each rate of dilation, and the mean of the whole
patch. Its result is interpolated to a finer stage of the encoder, laid beside that one's channels, convolved twice, and
the logits are interpolated to the image.

Paper: Chen et al. 2018, Encoder-decoder with atrous separable convolution for semantic image segmentation, ECCV; here
with plain convolutions, instance norm and the residual blocks of our residual-encoder U-Net.
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.blocks import convolution, initialise, units, without_axis
from neuraxis.networks.encoder_decoder import check_sides
from neuraxis.networks.options import DeepLabOptions
from neuraxis.networks.residual_unet import ResidualBlock
from neuraxis.networks.tokens import interpolate

Sizes = tuple[int, ...]


class DeepLab(nn.Module):
    """DeepLabV3+ in 2D or 3D.

    Args:
        options: stages, blocks and rates.
        channels: channels of the image.
        outputs: number of outputs, one logit each.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z). There is one
    output, so deep supervision has nothing to train beside it.
    """

    def __init__(self, options: DeepLabOptions, channels: int, outputs: int) -> None:
        super().__init__()
        self.options, self.stride = options, options.stride
        widths, width, flat = options.features, options.width, options.flat_axis
        kernels = [without_axis(kernel, flat) for kernel in options.kernels]
        strides = [without_axis(stride, flat) for stride in options.strides]
        ones, last = (1,) * len(kernels[0]), kernels[-1]
        self.encoder = nn.ModuleList()
        for stage, after in enumerate(widths):
            before = widths[stage - 1] if stage else after
            blocks = [ResidualBlock(before, after, kernels[stage], strides[stage])]
            blocks += [ResidualBlock(after, after, kernels[stage], ones) for _ in range(options.blocks - 1)]
            stem = [] if stage else units(channels, after, kernels[0], ones, 1)
            self.encoder.append(nn.Sequential(*stem, *blocks))
        self.pyramid = nn.ModuleList([nn.Sequential(*units(widths[-1], width, ones, ones, 1))])
        self.pyramid.extend(_dilated(widths[-1], width, last, rate) for rate in options.rates)
        self.whole = nn.Sequential(convolution(widths[-1], width, ones), nn.LeakyReLU(0.01))
        self.join = nn.Sequential(*units((len(options.rates) + 2) * width, width, ones, ones, 1))
        self.fine = nn.Sequential(*units(widths[options.fine_stage], options.fine_width, ones, ones, 1))
        self.decoder = nn.Sequential(*units(width + options.fine_width, width, kernels[options.fine_stage], ones, 2))
        self.head = convolution(width, outputs, ones)
        self.apply(initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K, X, Y, Z)."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = image if flat is None else image.squeeze(2 + flat)
        size, stages = _sizes(x), []
        for stage in self.encoder:
            x = stage(x)
            stages.append(x)
        spatial = tuple(range(2, x.ndim))
        whole = self.whole(x.mean(dim=spatial, keepdim=True)).expand(-1, -1, *_sizes(x))
        seen = self.join(torch.cat([*(look(x) for look in self.pyramid), whole], dim=1))
        fine = self.fine(stages[self.options.fine_stage])
        logits = self.head(self.decoder(torch.cat([interpolate(seen, _sizes(fine)), fine], dim=1)))
        logits = interpolate(logits, size)
        return logits if flat is None else logits.unsqueeze(2 + flat)


def _dilated(before: int, after: int, kernel: Sizes, rate: int) -> nn.Module:
    """Return convolution, norm and leaky ReLU, the kernel's taps `rate` voxels apart."""
    layers = units(before, after, kernel, (1,) * len(kernel), 1)
    layers[0].dilation = (rate,) * len(kernel)
    layers[0].padding = tuple(rate * (size // 2) for size in kernel)
    return nn.Sequential(*layers)


def _sizes(image: torch.Tensor) -> Sizes:
    return tuple(int(side) for side in image.shape[2:])
