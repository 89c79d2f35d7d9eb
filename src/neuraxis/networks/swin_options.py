"""The options of the networks that attend within shifted windows, frozen and without torch."""

from __future__ import annotations

from math import ceil, prod
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neuraxis.networks.options import Stages, Triple
from neuraxis.networks.topology import Topology, plan_features

WINDOW: Triple = (7, 7, 7)
MOST_STAGES, HEAD_WIDTH, BLOCKS = 4, 32, 2


class SwinUNETROptions(Stages):
    """Swin UNETR: stages of shifted windows read the image, a decoder of convolutions takes what each gives.

    Attributes:
        features: channels of each stage, from fine to coarse; the image's own and the second one's tokens have as many.
        kernels: kernel size of each stage of the decoder along (X, Y, Z).
        strides: by which the grid of a stage is coarser than the one before; the first is (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        heads: of the attention at each stage but the finest and the coarsest; they divide its features.
        depths: blocks at each of these stages.
        expansion: how many times as wide the feed-forward layers are inside.
        window: tokens along (X, Y, Z) that look at each other, at the most.
    """

    heads: tuple[int, ...] = (3, 6, 12, 24)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    expansion: int = Field(4, ge=1)
    window: Triple = WINDOW

    @model_validator(mode="after")
    def _attends(self) -> Self:
        if len(self.features) < 3:
            raise ValueError("this network needs a patch that is halved twice, of 16 voxels along an axis or more")
        if not len(self.heads) == len(self.depths) == len(self.features) - 2:
            raise ValueError("heads and depths need two numbers less than features")
        check_windows(self.features[1:-1], self.heads, self.depths, self.window)
        return self

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology: 48 channels where others have 32, doubled without an end."""
        width, strides = max(1, 3 * base // 2), topology.strides
        swin = plan_features(len(strides) - 1, width, width * 2 ** len(strides))
        depths, heads = (BLOCKS,) * (len(strides) - 2), tuple(3 * 2**stage for stage in range(len(strides) - 2))
        return cls(
            features=(width, *swin),
            kernels=topology.kernels,
            strides=strides,
            flat_axis=flat_axis,
            heads=heads,
            depths=depths,
        )


class SwinUNetOptions(BaseModel):
    """Swin-Unet: a U-Net whose stages are blocks of shifted windows alone.

    Attributes:
        features: of a token in each stage, from fine to coarse.
        heads: of the attention of each stage; they divide its features.
        depths: blocks of each stage of the encoder, and of the decoder.
        strides: voxels along (X, Y, Z) that make a token of the first stage; tokens that make one of the next stage.
        expansion: how many times as wide the feed-forward layers are inside.
        window: tokens along (X, Y, Z) that look at each other, at the most.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    has_own_stages: ClassVar[bool] = True  # the first may halve more than once

    features: tuple[int, ...] = (96, 192, 384, 768)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    strides: tuple[Triple, ...] = ((4, 4, 4), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    expansion: int = Field(4, ge=1)
    window: Triple = WINDOW
    flat_axis: Literal[0, 1, 2] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not len(self.features) == len(self.heads) == len(self.depths) == len(self.strides) >= 1:
            raise ValueError("features, heads, depths and strides need the same number of stages")
        if min(self.features) < 1 or min(min(stride) for stride in self.strides) < 1:
            raise ValueError("features and strides are positive")
        check_windows(self.features, self.heads, self.depths, self.window)
        return self

    @property
    def stride(self) -> Triple:
        """What every side of a patch must be a multiple of."""
        x, y, z = (prod(stride[axis] for stride in self.strides) for axis in range(3))
        return x, y, z

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, of four stages at most; the first one halves what is more.

        Args:
            topology: strides of each stage of a U-Net; or, where its first stage strides, of this network.
            base: width of a head; the first stage has three.
            most: width that no stage of a U-Net exceeds; not kept to, since a token of this network stands for more.
            flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        """
        strides = topology.strides
        if max(strides[0]) == 1 and len(strides) > 1:
            over = max(0, len(strides) - 1 - MOST_STAGES)
            joined = [prod(stride[axis] for stride in strides[: over + 2]) for axis in range(3)]
            strides = ((joined[0], joined[1], joined[2]), *strides[over + 2 :])
        heads = tuple(3 * 2**stage for stage in range(len(strides)))
        features, depths = tuple(base * count for count in heads), (BLOCKS,) * len(strides)
        return cls(features=features, heads=heads, depths=depths, strides=strides, flat_axis=flat_axis)


def check_windows(features: tuple[int, ...], heads: tuple[int, ...], depths: tuple[int, ...], window: Triple) -> None:
    """Refuse what cannot attend."""
    for width, count in zip(features, heads, strict=True):
        if count < 1 or width % count:
            raise ValueError(f"heads divide the features: {width} is no multiple of {count}")
    if min(depths) < 1 or min(window) < 1:
        raise ValueError("depths and window are positive")


def windows_of(size: tuple[int, ...], window: tuple[int, ...], shifted: bool) -> tuple[tuple[int, ...], ...]:
    """Return how a grid of tokens is cut into windows: for each axis the window, what is added before and after.

    There are as few as the largest window allows, all alike, so that next to nothing has to be added: a grid of 8 has
    two of 4 where the largest is 7. A shifted window begins half a window earlier; a single one is not shifted.

    >>> windows_of((14, 8, 5), (7, 7, 7), shifted=True)
    ((7, 4, 3), (4, 2, 2), (5, 0, 0))
    """
    cut = []
    for side, most in zip(size, window, strict=True):
        step = ceil(side / ceil(side / most))
        before = step - step // 2 if shifted and side > most else 0
        cut.append((step, before, -(before + side) % step))
    return tuple(cut)
