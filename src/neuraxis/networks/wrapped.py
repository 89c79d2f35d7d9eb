"""A network of another library, held to what ours promise."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from neuraxis.networks.encoder_decoder import check_sides


class Wrapped(nn.Module):
    """Runs a network that knows no flat axis, and checks what it is given.

    Args:
        options: with `stride` and `flat_axis`.
        inner: takes (B, C, ...) in 2 or 3 dimensions and returns logits (B, K, ...).
    """

    def __init__(self, options: Any, inner: nn.Module) -> None:
        super().__init__()
        self.options = options
        self.stride = options.stride
        self.inner = inner
        for module in inner.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # a bundle holds float32 alone
                module.num_batches_tracked = torch.zeros(())

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Return logits (B, K, X, Y, Z) of images (B, C, X, Y, Z), each side a multiple of `stride`.

        In training mode a list of them, from fine to coarse, where the network inside gives several.
        """
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        if flat is None:
            found = self.inner(image)
            return [*found] if isinstance(found, tuple) else found
        found = self.inner(image.squeeze(2 + flat))
        if isinstance(found, tuple):
            return [one.unsqueeze(2 + flat) for one in found]
        return found.unsqueeze(2 + flat)
