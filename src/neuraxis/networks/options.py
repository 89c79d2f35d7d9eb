"""The options of each network, frozen and without torch, so that a recipe can be checked anywhere."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator

Triple = tuple[int, int, int]


class UNetOptions(BaseModel):
    """The plain U-Net, layer for layer nnU-Net's standard architecture.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: stride of each stage's first convolution; that of the first stage is (1, 1, 1).
        convolutions: convolutions in each stage of the encoder, and of the decoder one stage less.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[int, ...]
    kernels: tuple[Triple, ...]
    strides: tuple[Triple, ...]
    convolutions: int = 2
    flat_axis: int | None = None

    @model_validator(mode="after")
    def _consistent(self) -> UNetOptions:
        if not len(self.features) == len(self.kernels) == len(self.strides) >= 2:
            raise ValueError("features, kernels and strides need the same number of stages, at least 2")
        if self.strides and self.strides[0] != (1, 1, 1):
            raise ValueError("the first stage keeps full resolution: its stride is (1, 1, 1)")
        if min(self.features) < 1 or self.convolutions < 1:
            raise ValueError("features and convolutions are positive")
        if self.flat_axis not in (None, 0, 1, 2):
            raise ValueError("flat_axis is 0, 1, 2, or left out")
        return self

    @property
    def stride(self) -> Triple:
        """The product of all strides: what every side of a patch must be a multiple of."""
        x, y, z = (1, 1, 1)
        for a, b, c in self.strides:
            x, y, z = x * a, y * b, z * c
        return x, y, z
