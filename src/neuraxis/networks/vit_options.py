"""The options of the networks with a vision transformer, frozen and without torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from neuraxis.networks.options import ResidualUNetOptions, Stages, Triple
from neuraxis.networks.topology import Topology, plan_features

MOST_STAGES, TOKEN_WIDTH, HEADS = 5, 24, 12  # of ViT-B beside a first width of 32: 768 features, 64 a head
PLACES_2D, PLACES_3D = (16, 16, 16), (8, 8, 8)


class UNETROptions(Stages):
    """UNETR: a vision transformer reads the image, a decoder of convolutions takes its states.

    Attributes:
        features: channels of each stage of the decoder, from fine to coarse; the last: of a token.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: by which the grid of a stage is coarser than the one before; the first is (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        heads: of the attention; they divide the features of a token.
        depth: blocks of the transformer.
        expansion: how many times as wide the feed-forward layers are inside.
        places: of the grid whose vectors are learned, along (X, Y, Z); interpolated to the tokens of an image.
    """

    heads: int = Field(HEADS, ge=1)
    depth: int = Field(12, ge=1)
    expansion: int = Field(4, ge=1)
    places: Triple = PLACES_3D

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        check_transformer(self.features[-1], self.heads, self.places)
        return self

    def seen_after(self, stage: int) -> int:
        """Return after how many blocks a stage of the decoder, counted from 0, sees the tokens."""
        return max(1, self.depth * stage // (len(self.features) - 1))

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, of five stages at most: tokens of 16 voxels along an axis."""
        strides, kernels = topology.strides[:MOST_STAGES], topology.kernels[:MOST_STAGES]
        features = (*plan_features(len(strides) - 1, max(1, base // 2), most), TOKEN_WIDTH * base)
        places = PLACES_3D if flat_axis is None else PLACES_2D
        return cls(features=features, kernels=kernels, strides=strides, flat_axis=flat_axis, places=places)


class TransUNetOptions(ResidualUNetOptions):
    """TransUNet: the residual-encoder U-Net with a vision transformer on its coarsest grid.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: stride of each stage's first block; that of the first stage is (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        blocks: residual blocks of two convolutions in each stage of the encoder; empty for 1, 3, 4, 6, 6, 6, ...
        convolutions: convolutions in each stage of the decoder.
        token_width: features of a token.
        heads: of the attention; they divide the features of a token.
        depth: blocks of the transformer.
        expansion: how many times as wide the feed-forward layers are inside.
        places: of the grid whose vectors are learned, along (X, Y, Z); interpolated to the coarsest grid of an image.
    """

    token_width: int = Field(TOKEN_WIDTH * 32, ge=1)
    heads: int = Field(HEADS, ge=1)
    depth: int = Field(12, ge=1)
    expansion: int = Field(4, ge=1)
    places: Triple = PLACES_3D

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        check_transformer(self.token_width, self.heads, self.places)
        return self

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, of five stages at most, so that the coarsest grid is not small."""
        strides, kernels = topology.strides[:MOST_STAGES], topology.kernels[:MOST_STAGES]
        return cls(
            features=plan_features(len(strides), base, most),
            kernels=kernels,
            strides=strides,
            flat_axis=flat_axis,
            token_width=TOKEN_WIDTH * base,
            places=PLACES_3D if flat_axis is None else PLACES_2D,
        )


def check_transformer(width: int, heads: int, places: Triple) -> None:
    """Refuse what is no transformer."""
    if width % heads:
        raise ValueError(f"heads divide the features of a token: {width} is no multiple of {heads}")
    if min(places) < 1:
        raise ValueError("places are positive")
