"""What each loss is asked, frozen and without torch, so that a recipe can be checked anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class LossSettings:
    """What every loss is built with: the keys of a recipe's branch `loss` that all losses share.

    Attributes:
        regions: whether outputs may overlap (sigmoid), or exclude one another (softmax).
        dice_weight: factor of the part that counts overlap.
        entropy_weight: factor of the part that looks at each voxel.
        batch_dice: whether overlap is counted over the whole batch, or sample by sample.
        class_weights: one for each output; none: all weigh the same.
        label_smoothing: share of each voxel's label that is spread over the outputs, in [0, 1).
        extent: size of a patch along each axis, in mm; empty: its voxels are cubes.
    """

    regions: bool
    dice_weight: float = 1.0
    entropy_weight: float = 1.0
    batch_dice: bool = True
    class_weights: Sequence[float] = ()
    label_smoothing: float = 0.0
    extent: Sequence[float] = ()


class LossOptions(BaseModel):
    """Options of a loss that has none of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FocalOptions(LossOptions):
    """Options of Dice plus focal loss.

    Attributes:
        gamma: how much voxels that are right already lose of their weight; 0 is cross-entropy.
    """

    gamma: float = Field(2.0, ge=0)


class TverskyOptions(LossOptions):
    """Options of the Tversky loss; one half and one half is Dice.

    Attributes:
        alpha: weight of what is predicted and not there.
        beta: weight of what is there and not predicted; above `alpha` it finds more.
    """

    alpha: float = Field(0.3, ge=0)
    beta: float = Field(0.7, gt=0)


class FocalTverskyOptions(TverskyOptions):
    """Options of the focal Tversky loss.

    Attributes:
        alpha: weight of what is predicted and not there.
        beta: weight of what is there and not predicted; above `alpha` it finds more.
        gamma: exponent of each output's Tversky loss; below 1 small errors keep their weight, above 1 they lose it.
    """

    gamma: float = Field(0.75, gt=0)


class GeneralisedDiceOptions(LossOptions):
    """Options of the generalised Dice loss.

    Attributes:
        weighting: of the outputs by their size n in the batch or sample: "square" 1/n², "simple" 1/n, "uniform" 1.
    """

    weighting: Literal["square", "simple", "uniform"] = "square"


class BoundaryOptions(LossOptions):
    """Options of Dice plus cross-entropy plus boundary loss.

    Attributes:
        boundary_weight: factor of the boundary part at the end of training; it rises evenly from 0.
        reach: distance to the outline, in voxels of the finest axis, beyond which it counts no further.
    """

    boundary_weight: float = Field(1.0, ge=0)
    reach: int = Field(10, ge=1, le=64)


class CentrelineOptions(LossOptions):
    """Options of Dice plus cross-entropy plus centreline Dice.

    Attributes:
        centreline_weight: factor of the centreline part.
        iterations: erosions until a skeleton is left: half the thickest structure's width, in voxels.
    """

    centreline_weight: float = Field(1.0, ge=0)
    iterations: int = Field(5, ge=0, le=50)


class BlobOptions(LossOptions):
    """Options of Dice plus cross-entropy, of the patch and of each lesion by itself.

    Attributes:
        blob_weight: factor of the mean over the lesions.
        connectivity: what joins voxels to a lesion: 6 faces, 18 edges, 26 corners.
    """

    blob_weight: float = Field(1.0, ge=0)
    connectivity: Literal[6, 18, 26] = 26
