"""Building blocks that several networks share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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
            out[one], mean, deviation = torch.native_batch_norm(image[one], weight, bias, None, None, True, 0.0, eps)
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
