"""The options of the networks that attend, frozen and without torch."""

from __future__ import annotations

from itertools import accumulate
from math import lcm, prod
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neuraxis.networks.topology import Topology

Triple = tuple[int, int, int]
STAGES, WIDENING = 4, (1, 2, 5, 8)
EXPERTS, CHOSEN = (4, 4, 6, 8), (2, 2, 3, 4)


class SegFormer3DOptions(BaseModel):
    """SegFormer3D; the defaults are its published configuration.

    Attributes:
        features: of a token in each stage, from fine to coarse.
        heads: of the attention of each stage; each divides the features.
        depths: blocks of each stage.
        kernels: of the convolution that draws patches together before each stage, along (X, Y, Z).
        strides: of that convolution.
        reductions: tokens along (X, Y, Z) that are drawn together before they are attended to.
        expansion: how many times as wide the feed-forward layers are inside.
        decoder_width: features of a token in the decoder.
        dropout: share of features that training leaves out, inside feed-forward layers and before the logits.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    has_own_stages: ClassVar[bool] = True  # a stage may halve more than once

    features: tuple[int, ...] = (32, 64, 160, 256)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    kernels: tuple[Triple, ...] = ((7, 7, 7), (3, 3, 3), (3, 3, 3), (3, 3, 3))
    strides: tuple[Triple, ...] = ((4, 4, 4), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    reductions: tuple[Triple, ...] = ((4, 4, 4), (2, 2, 2), (1, 1, 1), (1, 1, 1))
    expansion: int = Field(4, ge=1)
    decoder_width: int = Field(256, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    flat_axis: Literal[0, 1, 2] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        per_stage = (self.features, self.heads, self.depths, self.kernels, self.strides, self.reductions)
        if len({len(one) for one in per_stage}) > 1 or not self.features:
            raise ValueError("features, heads, depths, kernels, strides and reductions need the same number of stages")
        if min((*self.features, *self.heads, *self.depths)) < 1:
            raise ValueError("features, heads and depths are positive")
        if any(size < 1 for sizes in (*self.kernels, *self.strides, *self.reductions) for size in sizes):
            raise ValueError("kernels, strides and reductions are positive")
        if any(size % 2 == 0 for kernel in self.kernels for size in kernel):
            raise ValueError("kernel sizes are odd: 1, 3, 5, ...")
        for width, heads in zip(self.features, self.heads, strict=True):
            if width % heads:
                raise ValueError(f"heads divide the features: {width} is no multiple of {heads}")
        return self

    @property
    def stride(self) -> Triple:
        """What every side of a patch must be a multiple of: it is halved, and tokens are drawn together."""
        x, y, z = (self._stride_along(axis) for axis in range(3))
        return x, y, z

    def _stride_along(self, axis: int) -> int:
        steps = accumulate((stride[axis] for stride in self.strides), int.__mul__)
        return lcm(*(step * drawn[axis] for step, drawn in zip(steps, self.reductions, strict=True)))

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology.

        Where a U-Net halves four or five times, all axes alike, it is the published configuration, which halves five
        times; where it halves less often there is a stage for each time. The first three stages attend to as many
        tokens as the third has.

        Args:
            topology: strides and kernels of each stage of a U-Net; or, where its first stage strides, of this network.
            base: width of the first stage, and of a head.
            most: width that no stage exceeds.
            flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        """
        return cls(**cls._planned(topology, base, most), flat_axis=flat_axis)

    @classmethod
    def _planned(cls, topology: Topology, base: int, most: int) -> dict[str, Any]:
        strides, kernels = topology.strides, topology.kernels
        if max(strides[0]) == 1 and len(strides) > 1:
            more = STAGES if len(strides) == STAGES + 1 else len(strides)  # the last one once more
            strides, kernels = (*strides[1:], *strides[more:]), (*kernels[1:], *kernels[more:])
        over = max(0, len(strides) - STAGES)
        strides, kernels = (_product(strides[: over + 1]), *strides[over + 1 :]), kernels[over:]
        features = tuple(min(base * WIDENING[min(stage, STAGES - 1)], most) for stage in range(len(strides)))
        heads = tuple(width // base if width % base == 0 else 1 for width in features)
        return {
            "features": features,
            "heads": heads,
            "depths": (2,) * len(strides),
            "kernels": tuple(_overlapping(*pair) for pair in zip(strides, kernels, strict=True)),
            "strides": strides,
            "reductions": tuple(_product(strides[stage + 1 : STAGES - 1]) for stage in range(len(strides))),
            "decoder_width": min(WIDENING[-1] * base, most),
        }


class SegFormer3DMoEOptions(SegFormer3DOptions):
    """SegFormer3D with experts in its feed-forward layers and in the projections of its decoder.

    Attributes:
        features: of a token in each stage, from fine to coarse.
        heads: of the attention of each stage; each divides the features.
        depths: blocks of each stage.
        kernels: of the convolution that draws patches together before each stage, along (X, Y, Z).
        strides: of that convolution.
        reductions: tokens along (X, Y, Z) that are drawn together before they are attended to.
        expansion: how many times as wide each expert is inside.
        decoder_width: features of a token in the decoder.
        dropout: share of features that training leaves out, inside experts and before the logits.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        experts: in each stage, of which each block has its own.
        chosen: of the experts of each stage for each token.
        decoder_experts: in each projection of the decoder.
        decoder_chosen: of them for each token.
        balance_weight: in the loss, of how unevenly tokens are dealt to experts.
        router_weight: in the loss, of the gates' squared log-sum-exp, which keeps their logits small.
    """

    dropout: float = Field(0.05, ge=0, lt=1)
    experts: tuple[int, ...] = EXPERTS
    chosen: tuple[int, ...] = CHOSEN
    decoder_experts: int = Field(4, ge=1)
    decoder_chosen: int = Field(2, ge=1)
    balance_weight: float = Field(0.01, ge=0)
    router_weight: float = Field(0.001, ge=0)

    @model_validator(mode="after")
    def _can_choose(self) -> Self:
        if not len(self.experts) == len(self.chosen) == len(self.features):
            raise ValueError("experts and chosen need a number for each stage, as features has")
        for experts, chosen in (
            *zip(self.experts, self.chosen, strict=True),
            (self.decoder_experts, self.decoder_chosen),
        ):
            if not 1 <= chosen <= experts:
                raise ValueError(f"of {experts} experts {chosen} cannot be chosen")
        return self

    @classmethod
    def _planned(cls, topology: Topology, base: int, most: int) -> dict[str, Any]:
        planned = super()._planned(topology, base, most)
        last = len(EXPERTS) - 1
        stages = [min(stage, last) for stage in range(len(planned["strides"]))]
        numbers = {"experts": tuple(EXPERTS[n] for n in stages), "chosen": tuple(CHOSEN[n] for n in stages)}
        return {**planned, **numbers}


def _product(strides: tuple[Triple, ...]) -> Triple:
    x, y, z = (prod(stride[axis] for stride in strides) for axis in range(3))
    return x, y, z


def _overlapping(stride: Triple, kernel: Triple) -> Triple:
    """Return the kernel that overlaps its neighbours by all but one voxel on each side."""
    x, y, z = (2 * step - 1 if step > 1 else size for step, size in zip(stride, kernel, strict=True))
    return x, y, z
