"""Building blocks that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

Sizes = tuple[int, ...]
_CHANNELS_LAST = (torch.channels_last, torch.channels_last_3d)


class InstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm that is quick on processors in training; the same numbers and parameters as torch's."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Normalise each channel of each sample over its pixels."""
        return _quick_norm(image, self) if _is_quick(image, self.training) else super().forward(image)


class InstanceNorm3d(nn.InstanceNorm3d):
    """Instance norm that is quick on processors in training; the same numbers and parameters as torch's."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Normalise each channel of each sample over its voxels."""
        return _quick_norm(image, self) if _is_quick(image, self.training) else super().forward(image)


class AveragePool3d(nn.AvgPool3d):
    """Average pooling that is quick on processors in training; torch's own numbers but for rounding."""

    def __init__(self, stride: Sizes) -> None:
        super().__init__(stride, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Average over boxes of the stride's size."""
        return _quick_pool(image, self.stride) if _is_quick(image, self.training) else super().forward(image)


def _quick_pool(image: torch.Tensor, stride: Sizes) -> torch.Tensor:
    """Average over Y and Z by torch's 2D pooling, which knows channels-last memory and half precision, then over X."""
    batch, width, *sizes = image.shape
    x, y, z = (size // factor for size, factor in zip(sizes, stride, strict=True))
    planes = image.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)
    pooled = F.avg_pool2d(planes, stride[1:], stride[1:]).permute(0, 2, 3, 1)
    return pooled.reshape(batch, x, stride[0], y, z, width).mean(2).permute(0, 4, 1, 2, 3)


def average_pool(stride: Sizes) -> nn.Module:
    """Return average pooling in 2 or 3 dimensions over boxes of the stride's size."""
    return nn.AvgPool2d(stride, stride) if len(stride) == 2 else AveragePool3d(stride)


class PointConv3d(nn.Conv3d):
    """Convolution of one voxel that is quick on processors in training; torch's own numbers but for rounding.

    In float32 torch would copy channels-last memory to and fro; in half precision its convolution is quick itself.
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Mix the channels of each voxel."""
        if not _is_quick(image, self.training) or image.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(image)
        return F.linear(image.permute(0, 2, 3, 4, 1), self.weight.flatten(1), self.bias).permute(0, 4, 1, 2, 3)


def convolution(before: int, after: int, kernel: Sizes, stride: Sizes | int = 1, bias: bool = True) -> nn.Module:
    """Return a convolution in as many dimensions as the kernel has sizes, padded so that stride 1 keeps the size."""
    kind: type[nn.Module] = nn.Conv2d if len(kernel) == 2 else nn.Conv3d
    if kernel == (1, 1, 1) and stride == 1:
        kind = PointConv3d
    return kind(before, after, kernel, stride, tuple(size // 2 for size in kernel), bias=bias)


def up_convolution(before: int, after: int, stride: Sizes, bias: bool = True) -> nn.Module:
    """Return a transposed convolution whose kernel is as large as its stride."""
    return (nn.ConvTranspose2d if len(stride) == 2 else nn.ConvTranspose3d)(before, after, stride, stride, bias=bias)


def instance_norm(width: int, dimensions: int) -> nn.Module:
    """Return an instance norm with weight and bias for 2 or 3 dimensions."""
    return (InstanceNorm2d if dimensions == 2 else InstanceNorm3d)(width, eps=1e-5, affine=True)


def units(before: int, width: int, kernel: Sizes, stride: Sizes, count: int) -> list[nn.Module]:
    """Return `count` times convolution, instance norm, leaky ReLU; the first convolution strides."""
    layers: list[nn.Module] = []
    for position in range(count):
        first = position == 0
        layers += [
            convolution(before if first else width, width, kernel, stride if first else 1),
            instance_norm(width, len(kernel)),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return layers


def initialise(module: nn.Module) -> None:
    """Draw the weights of a convolution as He et al. 2015 do, for leaky ReLUs of slope 0.01; its bias is 0."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def without_axis(sizes: Sequence[int], flat_axis: int | None) -> Sizes:
    """Return sizes along (X, Y, Z) without the axis that is flat in a 2D network."""
    return tuple(size for axis, size in enumerate(sizes) if axis != flat_axis)


def _is_quick(image: torch.Tensor, training: bool) -> bool:
    """Tell whether `_ByBatchNorm` pays: where torch would copy channels-last memory to and fro."""
    return (
        training
        and image.device.type == "cpu"
        and image.requires_grad
        and image.is_contiguous(memory_format=_CHANNELS_LAST[image.ndim - 4])
    )


def _quick_norm(image: torch.Tensor, norm: nn.InstanceNorm2d | nn.InstanceNorm3d) -> torch.Tensor:
    with torch.autocast("cpu", enabled=False):
        normalised: torch.Tensor = _ByBatchNorm.apply(image, norm.weight, norm.bias, norm.eps)
    return normalised


class _ByBatchNorm(torch.autograd.Function):
    """Instance norm as one batch norm a sample, whose kernel knows channels-last memory."""

    @staticmethod
    def forward(ctx: Any, image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
        out = torch.empty_like(image)
        saved = []
        for sample in range(image.shape[0]):
            one = slice(sample, sample + 1)
            mean, deviation = torch.empty_like(weight), torch.empty_like(weight)
            places = {"out": out[one], "save_mean": mean, "save_invstd": deviation}  # written there, not copied
            torch.ops.aten.native_batch_norm.out(image[one], weight, bias, None, None, True, 0.0, eps, **places)
            saved += [mean, deviation]
        ctx.eps = eps
        ctx.save_for_backward(image, weight, *saved)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        image, weight, *saved = ctx.saved_tensors
        to_image = torch.empty_like(image)
        to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(weight)
        gradient = gradient.contiguous(memory_format=_CHANNELS_LAST[image.ndim - 4])
        for sample in range(image.shape[0]):
            one = slice(sample, sample + 1)
            mean, deviation = saved[2 * sample : 2 * sample + 2]
            to_image[one], weight_part, bias_part = torch.ops.aten.native_batch_norm_backward(
                gradient[one], image[one], weight, None, None, mean, deviation, True, ctx.eps, [True, True, True]
            )
            to_weight += weight_part
            to_bias += bias_part
        return to_image, to_weight, to_bias, None
