"""The options of the networks of depth-wise convolutions, frozen and without torch."""

from __future__ import annotations

from math import ceil, log2
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neuraxis.networks.options import Stages, Triple
from neuraxis.networks.topology import Topology, plan_features


class MedNeXtSize(NamedTuple):
    """Blocks of each stage of the encoder, then of the deepest, and how many times each widens inside."""

    blocks: tuple[int, ...]
    widening: tuple[int, ...]


SIZES = {
    "S": MedNeXtSize((2, 2, 2, 2, 2), (2, 2, 2, 2, 2)),
    "B": MedNeXtSize((2, 2, 2, 2, 2), (2, 3, 4, 4, 4)),
    "M": MedNeXtSize((3, 4, 4, 4, 4), (2, 3, 4, 4, 4)),
    "L": MedNeXtSize((3, 4, 8, 8, 8), (3, 4, 8, 8, 8)),
}
MOST_HALVINGS, DIVISOR, BASE_WIDTH = 4, 8, 32


class MedNeXtOptions(BaseModel):
    """MedNeXt: blocks of a depth-wise convolution and two of one voxel, in encoder and decoder.

    Attributes:
        first_width: channels of the first stage; every further one has twice as many.
        size: "S", "B", "M" or "L": how many blocks a stage has, and how many times each widens inside.
        kernel: of the depth-wise convolutions, 3 or 5 in the paper.
        halvings: stages beyond the first, each of which halves every axis.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_width: int = Field(BASE_WIDTH, ge=1)
    size: Literal["S", "B", "M", "L"] = "S"
    kernel: Literal[3, 5, 7] = 3
    halvings: int = Field(MOST_HALVINGS, ge=1, le=MOST_HALVINGS)
    flat_axis: Literal[0, 1, 2] | None = None

    @property
    def stride(self) -> Triple:
        """What every side of a patch must be a multiple of."""
        x, y, z = (1 if axis == self.flat_axis else 2**self.halvings for axis in range(3))
        return x, y, z

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks of each stage, from fine to coarse; the decoder has as many."""
        return (*SIZES[self.size].blocks[: self.halvings], SIZES[self.size].blocks[-1])

    @property
    def widening(self) -> tuple[int, ...]:
        """How many times a stage's blocks widen inside, from fine to coarse."""
        return (*SIZES[self.size].widening[: self.halvings], SIZES[self.size].widening[-1])

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology: halved as often as every axis is, four times at most.

        Args:
            topology: strides and kernels of each stage.
            base: width of the first stage; it doubles from stage to stage.
            most: width that no stage of a U-Net exceeds; not kept to, since depth-wise convolutions cost little.
            flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        """
        halved = min(int(log2(stride)) for axis, stride in enumerate(topology.stride) if axis != flat_axis)
        return cls(first_width=base, halvings=max(1, min(halved, MOST_HALVINGS)), flat_axis=flat_axis)


class Group(NamedTuple):
    """Blocks of EfficientNet-B0 that are alike; `level` counts how often the image was halved before them."""

    level: int
    width: int
    blocks: int
    kernel: int
    widening: int


GROUPS = (
    Group(1, 16, 1, 3, 1),
    Group(2, 24, 2, 3, 6),
    Group(3, 40, 2, 5, 6),
    Group(4, 80, 3, 3, 6),
    Group(4, 112, 3, 5, 6),
    Group(5, 192, 4, 5, 6),
    Group(5, 320, 1, 3, 6),
)
LEVELS = 5
# how many times B0's width and blocks
SCALES = {
    "b0": (1.0, 1.0),
    "b1": (1.0, 1.1),
    "b2": (1.1, 1.2),
    "b3": (1.2, 1.4),
    "b4": (1.4, 1.8),
    "b5": (1.6, 2.2),
    "b6": (1.8, 2.6),
    "b7": (2.0, 3.1),
}


class EfficientNetUNetOptions(Stages):
    """U-Net with an EfficientNet as its encoder.

    Attributes:
        features: channels of each stage of the decoder, from fine to coarse; the last is not used.
        kernels: kernel size of each stage of the decoder along (X, Y, Z).
        strides: of the first block of each stage; the first is (1, 1, 1), the image itself.
        flat_axis: the axis that has one voxel in a 2D network; None in a 3D one.
        scale: of the encoder: "b0" to "b7".
        narrowing: the encoder's width is multiplied by it, beside its scale.
        norm: of the encoder: instance norm, or batch norm, which weights of other libraries have.
    """

    scale: Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7"] = "b0"
    narrowing: float = Field(1.0, gt=0, le=4)
    norm: Literal["instance", "batch"] = "instance"

    @model_validator(mode="after")
    def _not_too_deep(self) -> Self:
        if len(self.features) > LEVELS + 1:
            raise ValueError(f"features has {len(self.features)} stages; this network has {LEVELS + 1} at most")
        return self

    @property
    def stem_width(self) -> int:
        """Channels of the encoder's first convolution."""
        return self._scaled(32)

    @property
    def block_groups(self) -> tuple[Group, ...]:
        """The encoder's groups of blocks, widened and repeated by its scale, as deep as there are stages."""
        deeper = SCALES[self.scale][1]
        return tuple(
            group._replace(width=self._scaled(group.width), blocks=ceil(deeper * group.blocks))
            for group in GROUPS
            if group.level < len(self.features)
        )

    def given(self, level: int) -> int:
        """Return the channels that the encoder gives after it halved the image that often."""
        return [group.width for group in self.block_groups if group.level == level][-1]

    def _scaled(self, width: int) -> int:
        """Return a width that is a multiple of 8 and no more than a tenth below, as the authors round."""
        wanted = SCALES[self.scale][0] * self.narrowing * width
        rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
        return rounded + DIVISOR * (rounded < 0.9 * wanted)

    @classmethod
    def planned(cls, topology: Topology, base: int, most: int, flat_axis: int | None = None) -> Self:
        """Return the options for a planned topology, the decoder half as wide as a U-Net's of that width."""
        features = plan_features(len(topology.strides), max(1, base // 2), most)
        return cls(
            features=features,
            kernels=topology.kernels,
            strides=topology.strides,
            flat_axis=flat_axis,
            narrowing=base / BASE_WIDTH,
        )
