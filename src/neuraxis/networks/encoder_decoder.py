"""What the U-Nets have in common: down through the encoder, up through the decoder, with skip connections."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from neuraxis.networks.blocks import convolution, initialise, units, up_convolution, without_axis


class EncoderDecoder(nn.Module):
    """Runs an encoder and a decoder that a network fills in, stage by stage, from fine to coarse.

    Args:
        options: with `stride` and `flat_axis`.

    Attributes:
        stride: what every side of an image must be a multiple of, along (X, Y, Z).
        encoder: a module a stage; each but the first brings its image to a coarser grid.
        upsample: a module a stage but the coarsest, which brings the next coarser stage's output to its grid.
        decoder: a module a stage but the coarsest; it takes the upsampled channels, then those of the encoder.
        heads: a 1x1 output a stage of the decoder; those beyond the first serve deep supervision and may be missing.

    `forward` takes (B, C, X, Y, Z), each side a multiple of `stride`, and returns logits (B, K, X, Y, Z); in training
    mode a list of them, from fine to coarse, one for each head.
    """

    def __init__(self, options: Any) -> None:
        super().__init__()
        self.options = options
        self.stride = options.stride
        self.encoder, self.upsample = nn.ModuleList(), nn.ModuleList()
        self.decoder, self.heads = nn.ModuleList(), nn.ModuleList()

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Return logits: one tensor, or one for each head in training mode."""
        flat = self.options.flat_axis
        check_sides(tuple(image.shape[2:]), self.stride, flat)
        x = image if flat is None else image.squeeze(2 + flat)
        if flat is not None and self.training and x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        logits: list[torch.Tensor] = []
        for stage in reversed(range(len(self.decoder))):
            x = self.decoder[stage](torch.cat(self.joined(stage, self.upsample[stage](x), skips[stage]), dim=1))
            if stage == 0 or (self.training and stage < len(self.heads)):
                head = self.heads[stage](x)
                logits.insert(0, head if flat is None else head.unsqueeze(2 + flat))
        return logits if self.training else logits[0]

    def joined(self, stage: int, raised: torch.Tensor, skip: torch.Tensor) -> list[torch.Tensor]:
        """Return what a stage of the decoder takes: the coarser stage's output on its grid, and the encoder's."""
        return [raised, skip]

    def mirror(self, convolutions: int, outputs: int) -> None:
        """Add nnU-Net's decoder: transposed convolutions, `convolutions` a stage, and a head at every stage."""
        kernels, strides = self.planar(self.options.kernels), self.planar(self.options.strides)
        ones = (1,) * len(strides[0])
        for stage, (fine, coarse) in enumerate(pairwise(self.options.features)):
            self.upsample.append(up_convolution(coarse, fine, strides[stage + 1]))
            self.decoder.append(nn.Sequential(*units(2 * fine, fine, kernels[stage], ones, convolutions)))
            self.heads.append(convolution(fine, outputs, ones))

    def begin(self) -> None:
        """Draw the weights once all layers are there; those of a 2D network lie in memory as processors like it."""
        self.apply(initialise)
        if self.options.flat_axis is not None:
            self.to(memory_format=torch.channels_last)

    def planar(self, sizes: tuple[tuple[int, int, int], ...]) -> list[tuple[int, ...]]:
        """Return sizes along (X, Y, Z) as the layers take them: without the flat axis."""
        return [without_axis(one, self.options.flat_axis) for one in sizes]


def check_sides(sides: tuple[int, ...], stride: tuple[int, int, int], flat: int | None) -> None:
    """Refuse an image that a network cannot halve as often as it does, or that is thick where the network is flat.

    Args:
        sides: voxels along (X, Y, Z).
        stride: what each must be a multiple of.
        flat: the axis that has one voxel in a 2D network; None in a 3D one.

    Raises:
        ValueError: with the size to pad to.
    """
    if flat is not None and sides[flat] != 1:
        raise ValueError(
            f"The network is flat along {'XYZ'[flat]} and got {sides[flat]} voxels there. Give it one slice."
        )
    if any(side % factor for side, factor in zip(sides, stride, strict=True)):
        fit = tuple(-(-side // factor) * factor for side, factor in zip(sides, stride, strict=True))
        raise ValueError(
            f"The network got sides of {sides}; each must be a multiple of {stride}. Pad the image to {fit}."
        )
