"""U-Net with an EfficientNet as its encoder: few parameters, most of them in convolutions of one channel.

A block of the encoder widens by convolutions of one voxel, convolves each channel by itself, weighs the channels by
what the whole patch looks like (squeeze and excitation), and narrows. The decoder is a U-Net's; its finest stage sees
the image itself, since an EfficientNet halves at once.

Papers: Tan and Le 2019, EfficientNet: rethinking model scaling for convolutional neural networks, ICML; Ronneberger et
al. 2015 (U-Net). The stochastic depth of the former is left out.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from neuraxis.networks.blocks import convolution, instance_norm, units, up_convolution
from neuraxis.networks.depthwise_options import EfficientNetUNetOptions, Group
from neuraxis.networks.encoder_decoder import EncoderDecoder

Sizes = tuple[int, ...]
SQUEEZE = 4  # how many times fewer channels the weighing has inside than the block takes


class EfficientNetUNet(EncoderDecoder):
    """EfficientNet U-Net in 2D or 3D; in training mode its list of logits holds the finest alone.

    Args:
        options: stages, scale and norm.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: EfficientNetUNetOptions, channels: int, outputs: int) -> None:
        super().__init__(options)
        kernels, strides = self.planar(options.kernels), self.planar(options.strides)
        ones, batch = (1,) * len(strides[0]), options.norm == "batch"
        self.encoder.append(nn.Identity())
        before = options.stem_width
        for level, stride in enumerate(strides[1:], start=1):
            stem = _normed(convolution(channels, before, (3,) * len(stride), stride, bias=False), batch)
            layers: list[nn.Module] = [*stem, nn.SiLU(inplace=True)] if level == 1 else []
            moved = stride if level > 1 else ones
            for group in (group for group in options.block_groups if group.level == level):
                for _ in range(group.blocks):
                    layers.append(InvertedBlock(before, group, moved, batch))
                    before, moved = group.width, ones
            self.encoder.append(nn.Sequential(*layers))
        given = [channels, *(options.given(level) for level in range(1, len(strides)))]
        raised = [*options.features[:-1], given[-1]]
        for stage, (fine, coarse) in enumerate(pairwise(raised)):
            self.upsample.append(up_convolution(coarse, fine, strides[stage + 1]))
            self.decoder.append(nn.Sequential(*units(fine + given[stage], fine, kernels[stage], ones, 2)))
        self.heads.append(convolution(raised[0], outputs, ones))
        self.begin()


class InvertedBlock(nn.Module):
    """Widens, convolves each channel, weighs channels, narrows; beside a shortcut where nothing changes its size.

    Args:
        before: channels that it takes.
        group: what it is like.
        stride: of the depth-wise convolution.
        batch: whether its norms are batch norms.
    """

    def __init__(self, before: int, group: Group, stride: Sizes, batch: bool) -> None:
        super().__init__()
        inside, kernel = before * group.widening, (group.kernel,) * len(stride)
        point = (1,) * len(stride)
        layers: list[nn.Module] = []
        if group.widening > 1:
            layers += [*_normed(convolution(before, inside, point, bias=False), batch), nn.SiLU(inplace=True)]
        kind = nn.Conv2d if len(stride) == 2 else nn.Conv3d
        padding = tuple(size // 2 for size in kernel)
        deep = kind(inside, inside, kernel, stride, padding, groups=inside, bias=False)
        layers += [*_normed(deep, batch), nn.SiLU(inplace=True), Weighing(inside, max(1, before // SQUEEZE), point)]
        self.main = nn.Sequential(*layers, *_normed(convolution(inside, group.width, point, bias=False), batch))
        self.is_residual = max(stride) == 1 and before == group.width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (B, before, ...) and return (B, after, ...), each side divided by the stride."""
        return x + self.main(x) if self.is_residual else self.main(x)


class Weighing(nn.Module):
    """Squeeze and excitation: weighs each channel by what the means of all channels are."""

    def __init__(self, width: int, inside: int, point: Sizes) -> None:
        super().__init__()
        self.squeeze, self.excite = convolution(width, inside, point), convolution(inside, width, point)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, F, ...) times weights (B, F, 1, ...)."""
        means = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
        return x * torch.sigmoid(self.excite(nn.functional.silu(self.squeeze(means))))


def _normed(layer: nn.Module, batch: bool) -> list[nn.Module]:
    """Return a convolution and its norm."""
    width, flat = layer.out_channels, isinstance(layer, nn.Conv2d)
    if not batch:
        return [layer, instance_norm(width, 2 if flat else 3)]
    norm = (nn.BatchNorm2d if flat else nn.BatchNorm3d)(width)
    norm.num_batches_tracked = torch.zeros(())  # a bundle holds float32 alone
    return [layer, norm]
