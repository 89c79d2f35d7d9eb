"""The options of each network, frozen and without torch, so that a recipe can be checked anywhere."""

from __future__ import annotations

from math import gcd, log2, prod
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neuraxis.networks.topology import Topology, plan_features

Triple = tuple[int, int, int]
SEGRESNET_BLOCKS, GROUPS = (1, 2, 2, 4), 8
KERNEL_2D, KERNEL_3D = 9, 3
RESIDUAL_BLOCKS = (1, 3, 4, 6)  # a stage of the encoder, from fine to coarse; deeper ones have as many as the last


class Stages(BaseModel):
    """What every encoder-decoder network is asked: width, kernel and stride of each stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[int, ...]
    kernels: tuple[Triple, ...]
    strides: tuple[Triple, ...]
    flat_axis: int | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not len(self.features) == len(self.kernels) == len(self.strides) >= 2:
            raise ValueError("features, kernels and strides need the same number of stages, at least 2")
        if self.strides and self.strides[0] != (1, 1, 1):
            raise ValueError("the first stage keeps full resolution: its stride is (1, 1, 1)")
        if min(self.features) < 1 or min(min(stride) for stride in self.strides) < 1:
            raise ValueError("features and strides are positive")
        if any(size < 1 or size % 2 == 0 for kernel in self.kernels for size in kernel):
            raise ValueError("kernel sizes are odd: 1, 3, 5, ...")
        if self.flat_axis not in (None, 0, 1, 2):
            raise ValueError("flat_axis is 0, 1, 2, or left out")
        return self

    @property
    def stride(self) -> Triple:
        """The product of all strides: what every side of a patch must be a multiple of."""
        x, y, z = (prod(stride[axis] for stride in self.strides) for axis in range(3))
        return x, y, z

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology.

        Args:
            topology: strides and kernels of each stage.
            base: width of the first stage; it doubles from stage to stage.
            most: width that no stage exceeds.
            flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        """
        features = plan_features(len(topology.strides), base, most)
        return cls(features=features, kernels=topology.kernels, strides=topology.strides, flat_axis=flat_axis)


class UNetOptions(Stages):
    """The plain U-Net, layer for layer nnU-Net's standard architecture.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: stride of each stage's first convolution; that of the first stage is (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        convolutions: convolutions in each stage of the encoder, and of the decoder one stage less.
    """

    convolutions: int = 2

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.convolutions < 1:
            raise ValueError("convolutions are positive")
        return self


class AttentionUNetOptions(UNetOptions):
    """The plain U-Net with gates that weigh each voxel of its skip connections.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: stride of each stage's first convolution; that of the first stage is (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        convolutions: convolutions in each stage of the encoder, and of the decoder one stage less.
    """


class ResidualUNetOptions(Stages):
    """The residual-encoder U-Net, layer for layer nnU-Net's ResEnc presets.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: stride of each stage's first block; that of the first stage is (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        blocks: residual blocks of two convolutions in each stage of the encoder; empty for 1, 3, 4, 6, 6, 6, ...
        convolutions: convolutions in each stage of the decoder.
    """

    blocks: tuple[int, ...] = ()
    convolutions: int = 1

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if not self.blocks:
            last = len(RESIDUAL_BLOCKS) - 1
            blocks = tuple(RESIDUAL_BLOCKS[min(stage, last)] for stage in range(len(self.features)))
            object.__setattr__(self, "blocks", blocks)
        if len(self.blocks) != len(self.features):
            raise ValueError("blocks has one number for each stage, or none at all")
        if min(self.blocks) < 1 or self.convolutions < 1:
            raise ValueError("blocks and convolutions are positive")
        return self


class ClassicUNetOptions(Stages):
    """The classic U-Net: two convolutions a stage, max pooling, up-convolution.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: what max pooling halves before each stage, and the up-convolution doubles again; first (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        norm: what stands between convolution and ReLU: instance norm, or nothing.
        widens_late: the second convolution of an encoder stage widens and up-convolutions keep their channels, as in
            Çiçek et al. 2016; else the first widens and up-convolutions narrow, as in Ronneberger et al. 2015.
    """

    norm: Literal["instance", "none"] = "instance"
    widens_late: bool = False

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.widens_late and self.features[0] % 2:
            raise ValueError("widens_late needs an even first width, of which the first convolution has half")
        return self


class FlexibleUNetOptions(ClassicUNetOptions):
    """The classic U-Net with large kernels that shrink from stage to stage, dropout that grows, and dilation.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z); planned in 2D as 9, 7, 5, 3, 3, ...
        strides: what max pooling halves before each stage, and the up-convolution doubles again; first (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        norm: what stands between convolution and ReLU: instance norm, or nothing.
        widens_late: as in the classic U-Net.
        dropout: share of channels' voxels that training leaves out after a stage, times the stage's number from 0.
        dilation: distance of a kernel's taps, in voxels.
    """

    dropout: float = Field(0.05, ge=0, lt=1)
    dilation: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _keeps_some(self) -> Self:
        if self.dropout * (len(self.features) - 1) >= 1:
            raise ValueError(f"dropout {self.dropout:g} times {len(self.features) - 1} stages would leave nothing")
        return self

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, with large kernels in 2D."""
        largest = KERNEL_3D if flat_axis is None else KERNEL_2D
        kernels = [
            tuple(max(3, largest - 2 * stage) if size > 1 else 1 for size in kernel)
            for stage, kernel in enumerate(topology.kernels)
        ]
        flat = [tuple(1 if axis == flat_axis else size for axis, size in enumerate(kernel)) for kernel in kernels]
        features = plan_features(len(topology.strides), base, most)
        return cls(features=features, kernels=tuple(flat), strides=topology.strides, flat_axis=flat_axis)


class MultiResUNetOptions(Stages):
    """MultiResUNet: three convolutions one after another in place of kernels of several sizes.

    Attributes:
        features: of each stage, from fine to coarse; a block gives 5/3 of them, shared out 1 : 2 : 3.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: what max pooling halves before each stage, and the up-convolution doubles again; first (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        widening: how many times the features a block has before they are shared out.
    """

    widening: float = Field(1.67, gt=0, le=8)

    def shares(self, stage: int) -> Triple:
        """Return the channels of a block's three convolutions."""
        whole = self.widening * self.features[stage]
        one, two, three = (max(1, int(whole * share)) for share in (0.167, 0.333, 0.5))  # as the authors round
        return one, two, three


class UNet3PlusOptions(Stages):
    """U-Net 3+: every stage of the decoder sees all stages of the encoder.

    Attributes:
        features: channels of each stage of the encoder, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z).
        strides: what max pooling halves before each stage; first (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        skip_width: channels that each source is brought to; a stage of the decoder has as many times the stages.
    """

    skip_width: int = Field(64, ge=1)

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, of five stages at most, each source as wide as the first stage."""
        strides, kernels = topology.strides[:5], topology.kernels[:5]
        features = plan_features(len(strides), base, most)
        return cls(features=features, kernels=kernels, strides=strides, flat_axis=flat_axis, skip_width=base)


class DeepLabOptions(Stages):
    """DeepLabV3+: a residual encoder and a pyramid of dilated convolutions.

    Attributes:
        features: channels of each stage of the encoder, from fine to coarse.
        kernels: kernel size of each stage along (X, Y, Z); that of the last is the pyramid's.
        strides: stride of each stage's first block; first (1, 1, 1).
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        blocks: residual blocks of two convolutions in each stage.
        rates: of dilation, in voxels of the last stage.
        width: channels of the pyramid and of the decoder.
        fine_width: channels that the finer stage is brought to.
    """

    blocks: int = Field(2, ge=1)
    rates: tuple[Annotated[int, Field(ge=1)], ...] = Field((6, 12, 18), min_length=1)
    width: int = Field(256, ge=1)
    fine_width: int = Field(48, ge=1)

    @property
    def fine_stage(self) -> int:
        """The stage whose channels the decoder sees: the third, or the last but one."""
        return min(2, len(self.features) - 2)

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, of five stages at most; in 3D with taps close together."""
        strides, kernels = topology.strides[:5], topology.kernels[:5]
        features = plan_features(len(strides), base, most)
        rates = (2, 4, 6) if flat_axis is None else (6, 12, 18)
        return cls(
            features=features, kernels=kernels, strides=strides, flat_axis=flat_axis, rates=rates, width=8 * base
        )


class MonaiUNetOptions(Stages):
    """The U-Net of MONAI: residual units, strided convolutions in place of pooling.

    Attributes:
        features: channels of each stage, from fine to coarse.
        kernels: kernel size along (X, Y, Z), the same for every stage.
        strides: the first is (1, 1, 1); each other one is what the stage before it halves its image by, and doubles it
            again. So the last two stages are equally coarse, and none has the image's own resolution.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        residual_units: convolutions in each residual unit; 0 has one convolution and no shortcut.
        norm: what stands between convolution and PReLU: instance norm without weights, or batch norm.
    """

    residual_units: int = Field(2, ge=0, le=16)
    norm: Literal["instance", "batch"] = "instance"

    @model_validator(mode="after")
    def _one_kernel(self) -> Self:
        if len(set(self.kernels)) > 1:
            raise ValueError("kernels are the same for every stage of this network")
        return self

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, every kernel as the coarsest stage has it."""
        features = plan_features(len(topology.strides), base, most)
        kernels = topology.kernels[-1:] * len(features)
        return cls(features=features, kernels=kernels, strides=topology.strides, flat_axis=flat_axis)


class SegResNetOptions(BaseModel):
    """SegResNet: residual blocks that norm before they convolve, and sums in place of concatenations.

    Attributes:
        first_width: channels of the first stage; every further one has twice as many.
        blocks_down: residual blocks in each stage of the encoder; every stage but the first halves its image.
        blocks_up: residual blocks in each stage of the decoder, from coarse to fine.
        groups: of channels that share a norm.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_width: int = Field(32, ge=1)
    blocks_down: tuple[int, ...] = SEGRESNET_BLOCKS
    blocks_up: tuple[int, ...] = (1, 1, 1)
    groups: int = Field(GROUPS, ge=1)
    flat_axis: Literal[0, 1, 2] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError("blocks_up has one number less than blocks_down, and that has one at least")
        if min(self.blocks_down + self.blocks_up) < 1:
            raise ValueError("blocks_down and blocks_up are positive")
        if self.first_width % self.groups:
            raise ValueError(f"groups divide the width: {self.first_width} is no multiple of {self.groups}")
        return self

    @property
    def stride(self) -> Triple:
        """What every side of a patch must be a multiple of."""
        x, y, z = (1 if axis == self.flat_axis else 2 ** len(self.blocks_up) for axis in range(3))
        return x, y, z

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology: as many stages as every axis is halved, four at most.

        Args:
            topology: strides and kernels of each stage.
            base: width of the first stage; it doubles from stage to stage.
            most: width that no stage exceeds.
            flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        """
        halved = min(int(log2(stride)) for axis, stride in enumerate(topology.stride) if axis != flat_axis)
        up = min(halved, int(log2(max(1, most // base))), len(SEGRESNET_BLOCKS) - 1)
        return cls(
            first_width=base,
            blocks_down=SEGRESNET_BLOCKS[: 1 + up],
            blocks_up=(1,) * up,
            groups=gcd(GROUPS, base),
            flat_axis=flat_axis,
        )
