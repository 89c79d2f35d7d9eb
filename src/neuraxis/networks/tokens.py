"""What the transformers share: tokens that lie in memory as an image does, so that no layer copies them.

Tokens are (B, X, Y, Z, F), or (B, X, Y, F) in 2D: seen as (B, F, X, Y, Z) they are an image in channels-last memory,
which convolutions take as it is. Linear layers, norms and attention see the features last.
"""

from __future__ import annotations

from math import prod

import torch
from torch import nn
from torch.nn import functional as F

Sizes = tuple[int, ...]


def to_image(tokens: torch.Tensor) -> torch.Tensor:
    """Return tokens (B, ..., F) as an image (B, F, ...) of the same memory."""
    return tokens.movedim(tokens.ndim - 1, 1)


def to_tokens(image: torch.Tensor) -> torch.Tensor:
    """Return an image (B, F, ...) as tokens (B, ..., F) of the same memory."""
    return image.movedim(1, image.ndim - 1)


class PointLinear(nn.Linear):
    """A linear layer for the voxels of an image (B, F, ...); an engine is told of it as of a convolution."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Mix the channels of each voxel."""
        if not torch.onnx.is_in_onnx_export():
            return to_image(F.linear(to_tokens(image), self.weight, self.bias))
        weight = self.weight[(..., *(None,) * (image.ndim - 2))]
        return (F.conv2d if image.ndim == 4 else F.conv3d)(image, weight, self.bias)


class Depthwise2d(nn.Conv2d):
    """Convolution of 3 x 3 of each channel by itself."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1, groups=width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convolve (B, F, X, Y)."""
        with torch.autocast("cpu", enabled=_is_steady(image, image.shape[2:])):
            return super().forward(image)


class Depthwise3d(nn.Conv3d):
    """Convolution of 3 x 3 x 3 of each channel by itself; on processors as three of 3 x 3, whose kernel is quick."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1, groups=width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convolve (B, F, X, Y, Z)."""
        if image.device.type != "cpu" or torch.onnx.is_in_onnx_export():
            return super().forward(image)
        with torch.autocast("cpu", enabled=_is_steady(image, image.shape[3:])):
            return self._by_planes(image)

    def _by_planes(self, image: torch.Tensor) -> torch.Tensor:
        """Convolve each plane (Y, Z) with the kernel's three, and add what belongs to one X."""
        planes = to_image(to_tokens(image).flatten(0, 1))  # (B X, F, Y, Z)
        before, here, after = (
            to_tokens(F.conv2d(planes, self.weight[:, :, place], bias, padding=1, groups=self.groups)).unflatten(
                0, (image.shape[0], image.shape[2])
            )
            for place, bias in enumerate((None, self.bias, None))
        )  # each (B, X, Y, Z, F)
        here[:, 1:] += before[:, :-1]
        here[:, :-1] += after[:, 1:]
        return to_image(here)


def depthwise(width: int, dimensions: int) -> nn.Module:
    """Return a depth-wise convolution of three voxels along each of 2 or 3 axes."""
    return (Depthwise2d if dimensions == 2 else Depthwise3d)(width)


def _is_steady(image: torch.Tensor, sides: Sizes) -> bool:
    """Tell whether autocast stays as it is: not where a bfloat16 kernel is longer than the map (see determinism)."""
    return torch.is_autocast_enabled("cpu") and min(sides) >= 3 and image.device.type == "cpu"


class Attention(nn.Module):
    """Attention of each token to all others, or to boxes of them: what SegFormer calls efficient.

    Args:
        width: features of a token.
        heads: they are dealt to.
        reduction: tokens along each axis that are drawn together before they are looked at.

    Scores are divided by the root of the features of a head. Paper: Xie et al. 2021; Wang et al. 2021 for the boxes.
    """

    def __init__(self, width: int, heads: int, reduction: Sizes) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.reduce: nn.Module | None = None
        if max(reduction) > 1:
            self.reduce = (nn.Conv2d if len(reduction) == 2 else nn.Conv3d)(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what each token (B, ..., F) found."""
        seen = tokens if self.reduce is None else self.norm(to_tokens(self.reduce(to_image(tokens))))
        keys, values = (self._split(part) for part in self.key_value(seen).split(self.width, dim=-1))  # (B, H, M, F/H)
        found = F.scaled_dot_product_attention(self._split(self.query(tokens)), keys, values)  # (B, H, N, F/H)
        return self.out(found.transpose(1, 2).reshape(-1, *sides_of(tokens)))

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        count = prod(sides_of(tokens)[:-1])
        return tokens.reshape(-1, count, self.heads, self.width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a feed-forward layer; each takes its input normed and adds to it."""

    def __init__(self, width: int, attention: nn.Module, feed_forward: nn.Module) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), attention
        self.feed_norm, self.feed_forward = nn.LayerNorm(width), feed_forward

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens (B, ..., F)."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.feed_forward(self.feed_norm(tokens))


class FeedForward(nn.Module):
    """Linear layer, GELU, linear layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen, self.narrow = PointLinear(width, hidden), PointLinear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens (B, ..., F)."""
        return to_tokens(self.narrow(F.gelu(self.widen(to_image(tokens)))))


def sides_of(image: torch.Tensor) -> list[int]:
    """Return all sizes but the first as numbers, which an exported network then knows; its batch stays open."""
    return [int(side) for side in image.shape[1:]]


def interpolate(image: torch.Tensor, size: Sizes, first: int = 2) -> torch.Tensor:
    """Interpolate linearly between voxel centres, one product with a matrix for each axis.

    The same numbers as torch's bilinear and trilinear interpolation with `align_corners=False`; quicker on processors,
    the same each time on GPUs, and with the features in any place.

    Args:
        image: of any number of axes.
        size: wanted along consecutive axes; an axis that has it already costs nothing.
        first: the first of them.
    """
    for axis in reversed(range(first, first + len(size))):
        before, after = int(image.shape[axis]), size[axis - first]
        if before != after:
            image = along(image, axis, linear_matrix(before, after, image))
    return image


def along(image: torch.Tensor, axis: int, matrix: torch.Tensor) -> torch.Tensor:
    """Multiply an axis, not the first one, by a matrix (after, before)."""
    sides = sides_of(image)
    if axis == image.ndim - 1:
        return image @ matrix.t()
    flat = image.reshape(-1, sides[axis - 1], prod(sides[axis:]))
    return (matrix @ flat).reshape(-1, *sides[: axis - 1], matrix.shape[0], *sides[axis:])


def linear_matrix(before: int, after: int, like: torch.Tensor) -> torch.Tensor:
    """Return the matrix (after, before) that interpolates linearly between voxel centres, edges repeated.

    >>> linear_matrix(2, 4, torch.zeros(()))[1].tolist()
    [0.75, 0.25]
    """
    places = {"device": like.device, "dtype": torch.float32}
    centres = ((torch.arange(after, **places) + 0.5) * (before / after) - 0.5).clamp(0, before - 1)
    return (1 - (centres[:, None] - torch.arange(before, **places)).abs()).clamp_min(0)


def initialise(module: nn.Module) -> None:
    """Draw the weights: of linear layers within 0.02, of convolutions as He et al. 2015 for the outputs."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d | nn.Conv3d):
        taps = prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2 / taps) ** 0.5)
    if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d) and module.bias is not None:
        nn.init.zeros_(module.bias)
