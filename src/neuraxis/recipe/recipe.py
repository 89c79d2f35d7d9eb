"""Every decision of a run in one frozen tree.

A file or `--set key=value` gives wishes, the planner takes the open decisions from the data, and the resolved
`Recipe` is passed down as an argument and saved in the run and in the bundle.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from neuraxis.errors import UnknownName
from neuraxis.losses.catalog import LOSSES
from neuraxis.networks.catalog import OPTIONS
from neuraxis.recipe.augmentation import AugmentationRecipe
from neuraxis.recipe.part import Axis, Part
from neuraxis.recipe.preparation import PreparationRecipe

Triple = tuple[int, int, int]
Arithmetic = Literal["neuraxis", "nnunet"]


def _can_be_trained(configuration: Any) -> Any:
    if configuration == "cascade":
        raise PydanticCustomError(
            "cascade",
            "the second stage of the cascade cannot be trained yet. Set '3d_low', its first stage, or '3d'",
        )
    return configuration


Configuration = Annotated[Literal["auto", "2d", "3d", "3d_low"], BeforeValidator(_can_be_trained)]


class SplitRecipe(Part):
    """How patients are dealt to folds; ignored where the data bring their own splits.

    Attributes:
        folds: into how many.
        seed: of the order of patients, apart from the run's seed.
        own: whether splits that the data bring are used.
    """

    folds: int = Field(5, ge=2)
    seed: int = 0
    own: bool = True


class PatchRecipe(Part):
    """What a training step cuts from the prepared cases.

    Attributes:
        shape: voxels along (X, Y, Z); 1 along the flat axis of a 2D network.
        batch: patches a step.
        foreground: share of each batch whose patches are centred on a labelled voxel, in [0, 1].
    """

    shape: Triple
    batch: int = Field(2, ge=1)
    foreground: float = Field(0.33, ge=0, le=1)


class NetworkRecipe(Part):
    """The network by its name in the catalog, and its options.

    Attributes:
        name: as `neuraxis catalog networks` lists it.
        options: the network's own; the tables below list them.
    """

    name: str = "unet"
    options: dict[str, Any]

    @model_validator(mode="after")
    def _known(self) -> NetworkRecipe:
        object.__setattr__(self, "options", self.typed_options().model_dump())
        return self

    def typed_options(self) -> Any:
        """Return the options as the network's own frozen type."""
        return OPTIONS.load(self.name)(**self.options)


class LossRecipe(Part):
    """The loss by its name in the catalog.

    Attributes:
        name: as `neuraxis catalog losses` lists it.
        dice_weight: weight of the Dice part.
        entropy_weight: weight of the cross-entropy part.
        batch_dice: whether the Dice part counts voxels over the whole batch, or sample by sample.
        deep_supervision: whether every stage of the decoder is trained, not the finest alone.
    """

    name: str = "dice_ce"
    dice_weight: float = Field(1.0, ge=0)
    entropy_weight: float = Field(1.0, ge=0)
    batch_dice: bool = True
    deep_supervision: bool = True

    @field_validator("name")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in LOSSES.names():
            raise UnknownName("loss", value, LOSSES.names())
        return value


class TrainingRecipe(Part):
    """How weights are found.

    Attributes:
        steps: optimiser steps in all; a time budget takes what fits instead, at most the number that was set.
        optimizer: "adamw", or "sgd" with Nesterov momentum 0.99.
        learning_rate: its highest value, after `warmup_steps` of linear rise.
        weight_decay: as the optimiser takes it.
        schedule: fall to 0 at the last step: "cosine", or "poly" with exponent 0.9.
        warmup_steps: steps over which the learning rate rises, a tenth of all steps at most.
        clip_norm: gradients longer than this are shortened.
        ema_decay: decay of the running mean of weights that is scored and shipped; 0 ships the last weights.
        precision: "bf16" computes convolutions in bfloat16; "auto" does where the device has it.
        validations: how often the held-out patches are scored during training, for the curves alone.
        checkpoint_minutes: a checkpoint is written about this often; it does not change the result.
        loader_workers: processes that cut patches ahead; 0 cuts them in a thread of the training process.
    """

    steps: int = Field(12_500, ge=1)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["cosine", "poly"] = "cosine"
    warmup_steps: int = Field(50, ge=0)
    clip_norm: float = Field(12.0, gt=0)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validations: int = Field(20, ge=1)
    checkpoint_minutes: float = Field(1.0, gt=0)
    loader_workers: int = Field(0, ge=0)


class InferenceRecipe(Part):
    """How a whole scan is predicted: windows of the patch's shape, overlapping, Gaussian-weighted.

    Attributes:
        overlap: share of a window's side that the next one covers again, in [0, 0.9].
        mirror_axes: axes along which the window is also predicted mirrored; the mean is taken.
        arithmetic: "neuraxis" adds windows up in float32 and averages and interpolates probabilities; "nnunet" does as
            nnU-Net's predictor, to the voxel: float16 sums, and logits averaged over folds and interpolated.
    """

    overlap: float = Field(0.5, ge=0, le=0.9)
    mirror_axes: tuple[Axis, ...] = ()
    arithmetic: Arithmetic = "neuraxis"


class Recipe(Part):
    """All decisions of one run.

    Attributes:
        name: of the recipe; it becomes part of the model's name.
        summary: what it is for, in a sentence.
        seed: of every random draw.
        memory_gb: memory that training may take, in GiB; patch, batch and network are planned for it.
        configuration: "2d" trains slices, "3d" volumes at full resolution, "3d_low" at a coarser one of which a patch
            sees more. "auto" takes 3D where there is more than one slice; `neuraxis plan` shows them all.
    """

    name: str = "auto"
    summary: str = ""
    seed: int = Field(0, ge=0, lt=2**31)
    memory_gb: float = Field(8.0, gt=0)
    configuration: Configuration = "auto"
    splits: SplitRecipe = SplitRecipe()
    preparation: PreparationRecipe
    patches: PatchRecipe
    augmentation: AugmentationRecipe = AugmentationRecipe()
    network: NetworkRecipe
    loss: LossRecipe = LossRecipe()
    training: TrainingRecipe = TrainingRecipe()
    inference: InferenceRecipe = InferenceRecipe()

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        stride = getattr(self.network.typed_options(), "stride", (1, 1, 1))
        for axis, (size, factor) in enumerate(zip(self.patches.shape, stride, strict=True)):
            if size < 1 or size % factor:
                better = max(factor, -(-size // factor) * factor)
                raise ValueError(
                    f"patches.shape[{axis}] is {size}, but the network halves it to a multiple of {factor}: "
                    f"set it to {better}"
                )
        return self

    def to_toml(self) -> str:
        """Return the fully resolved recipe as TOML, which `--recipe FILE` reads again."""
        text = tomli_w.dumps(_without_none(self.model_dump(mode="json")))
        return re.sub(r"\[\n\s+([^\[\]\"]*?),?\n\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _without_none(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_none(value) for key, value in content.items() if value is not None}
    return content
