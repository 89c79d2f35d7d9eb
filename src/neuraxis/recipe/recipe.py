"""Every decision of a run in one frozen tree.

A file or `--set key=value` gives wishes, the planner takes the open decisions from the data, and the resolved
`Recipe` is passed down as an argument and saved in the run and in the bundle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from neuraxis.errors import RecipeError
from neuraxis.losses.catalog import OPTIONS as LOSS_OPTIONS
from neuraxis.losses.options import LossSettings
from neuraxis.networks.catalog import OPTIONS
from neuraxis.recipe.augmentation import AugmentationRecipe
from neuraxis.recipe.branches.labels import LabelRecipe
from neuraxis.recipe.branches.missing import MissingRecipe
from neuraxis.recipe.branches.stages import StageRecipe, shares_of
from neuraxis.recipe.branches.transfer import TransferRecipe
from neuraxis.recipe.part import Axis, Part
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.recipe.previews import PreviewRecipe

Triple = tuple[int, int, int]
Arithmetic = Literal["neuraxis", "nnunet", "monai"]
Watched = Literal["validation_dice", "validation_loss", "loss"]


def _can_be_trained(configuration: Any) -> Any:
    if configuration == "cascade":
        raise PydanticCustomError(
            "cascade",
            "the second stage of the cascade cannot be trained yet. Set '3d_low', its first stage, or '3d'",
        )
    return configuration


Configuration = Annotated[Literal["auto", "2d", "3d", "3d_low"], BeforeValidator(_can_be_trained)]


class SplitRecipe(Part):
    """How patients are dealt to folds; the first two are ignored where the data bring their own splits.

    Attributes:
        folds: into how many.
        seed: of the order of patients, apart from the run's seed.
        own: whether splits that the data bring are used.
        share: of each fold's training patients that train, in (0, 1]; those of a smaller share are among those of a
            larger one. Who is held out stays.
    """

    folds: int = Field(5, ge=2)
    seed: int = 0
    own: bool = True
    share: float = Field(1.0, gt=0, le=1)


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

    It is `entropy_weight` times a part that looks at each voxel, plus `dice_weight` times a part that counts overlap,
    plus what it adds of its own. What each loss computes stands under "Losses".

    Attributes:
        name: as `neuraxis catalog losses` lists it.
        dice_weight: weight of the part that counts overlap: Dice, or what the loss has in its place.
        entropy_weight: weight of the part that looks at each voxel: cross-entropy, or what the loss has in its place.
        batch_dice: whether overlap is counted over the whole batch, or sample by sample.
        deep_supervision: whether every stage of the decoder is trained, not the finest alone.
        soft_scales: whether coarser stages learn the share of each label in a voxel, not the nearest voxel's label.
        class_weights: one number for each output, the background's first; "fingerprint" takes one over the root of
            each label's share of all voxels. Empty: all weigh the same.
        label_smoothing: share of each voxel's label that is spread over all outputs in the part that looks at voxels.
        options: the loss's own; the tables below list them.
    """

    name: str = "dice_ce"
    dice_weight: float = Field(1.0, ge=0)
    entropy_weight: float = Field(1.0, ge=0)
    batch_dice: bool = True
    deep_supervision: bool = True
    soft_scales: bool = False
    class_weights: Literal["fingerprint"] | tuple[Annotated[float, Field(ge=0)], ...] = ()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    options: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _known(self) -> Self:
        object.__setattr__(self, "options", self.typed_options().model_dump())
        if self.dice_weight + self.entropy_weight == 0:
            raise ValueError("dice_weight and entropy_weight are both 0: one of them has to count")
        if self.class_weights and self.class_weights != "fingerprint" and sum(self.class_weights[1:]) == 0:
            raise ValueError("class_weights gives every output but the first a weight of 0: nothing would be learned")
        return self

    def typed_options(self) -> Any:
        """Return the options as the loss's own frozen type."""
        return LOSS_OPTIONS.load(self.name)(**self.options)

    def settings(self, regions: bool, extent_mm: Sequence[float]) -> LossSettings:
        """Return what every loss is built with.

        Args:
            regions: whether outputs may overlap.
            extent_mm: size of what is compared along each axis.

        Raises:
            RecipeError: class weights are still to be taken from a fingerprint, which the planner does.
        """
        if self.class_weights == "fingerprint":
            raise RecipeError("loss.class_weights is still 'fingerprint': plan with the data first, or give numbers.")
        return LossSettings(
            regions=regions,
            dice_weight=self.dice_weight,
            entropy_weight=self.entropy_weight,
            batch_dice=self.batch_dice,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
            extent=extent_mm,
        )


class TrainingRecipe(Part):
    """How weights are found.

    Attributes:
        steps: optimiser steps in all; a time budget takes what fits instead, at most the number that was set.
        optimizer: "adamw", "adam" or "sgd".
        learning_rate: its highest value.
        weight_decay: as the optimiser takes it: "adamw" shrinks the weights, "adam" and "sgd" add it to the gradients.
        momentum: of "sgd".
        nesterov: whether "sgd" takes Nesterov's form of it.
        schedule: of the learning rate. "cosine" and "poly" fall to `floor` at the last step; "restarts" falls along
            `cycles` cosines; "one-cycle" rises first, for three tenths of the steps from a 25th; "plateau" falls by
            `plateau_factor` when `watch` gains nothing; "constant".
        warmup_steps: steps over which the learning rate rises, a tenth of all steps at most; none with "one-cycle".
        poly_exponent: of "poly".
        cycles: how many cosines "restarts" has.
        cycle_growth: how many times as long as the one before each of them is.
        floor: lowest learning rate, as a share of the highest.
        plateau_factor: what "plateau" multiplies the learning rate by.
        plateau_patience: after how many validations without gain "plateau" does so.
        stop_patience: after how many validations without gain training ends early; 0: never.
        watch: what has to gain. "validation_dice" and "validation_loss" of the held-out patches: then scores of these
            cases are marked as such; "loss" of training.
        least_gain: how much better than the best a validation has to be.
        accumulate: batches whose gradients are added up to one step, as one batch of as many patches would give.
        clip_norm: gradients longer than this are shortened; 0: none is.
        clip_value: numbers of the gradients are cut at this, before; 0: none is.
        ema_decay: decay of the running mean of weights that is scored and shipped; 0 ships the last weights.
        precision: "bf16" computes convolutions in bfloat16; "auto" does where the device has it.
        validations: how often the held-out patches are scored during training, for the curves and for `watch`.
        checkpoint_minutes: a checkpoint is written about this often; it does not change the result.
        loader_workers: processes that cut patches ahead; 0 cuts them in a thread of the training process.
    """

    steps: int = Field(12_500, ge=1)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    momentum: float = Field(0.99, ge=0, lt=1)
    nesterov: bool = True
    schedule: Literal["cosine", "poly", "restarts", "one-cycle", "plateau", "constant"] = "cosine"
    warmup_steps: int = Field(50, ge=0)
    poly_exponent: float = Field(0.9, gt=0)
    cycles: int = Field(3, ge=1, le=100)
    cycle_growth: float = Field(1.0, ge=1, le=10)
    floor: float = Field(0.0, ge=0, lt=1)
    plateau_factor: float = Field(0.2, gt=0, lt=1)
    plateau_patience: int = Field(3, ge=1)
    stop_patience: int = Field(0, ge=0)
    watch: Watched = "validation_dice"
    least_gain: float = Field(0.0, ge=0)
    accumulate: int = Field(1, ge=1)
    clip_norm: float = Field(12.0, ge=0)
    clip_value: float = Field(0.0, ge=0)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validations: int = Field(20, ge=1)
    checkpoint_minutes: float = Field(1.0, gt=0)
    loader_workers: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _patience_can_end(self) -> Self:
        if self.validations < self.least_validations:
            key = "stop_patience" if self.stop_patience else "plateau_patience"
            raise ValueError(
                f"{key} is {getattr(self, key)}, but there are {self.validations} validations: nothing could come of "
                f"it. Lower it, or set training.validations to {self.least_validations} or more"
            )
        return self

    @property
    def least_validations(self) -> int:
        """How many validations it takes until something can come of what is watched; 1 where nothing is."""
        plateau = self.plateau_patience if self.schedule == "plateau" else 0
        return 2 + max(plateau, self.stop_patience) if plateau or self.stop_patience else 1

    @property
    def chooses_on_held_out(self) -> bool:
        """Whether the held-out cases decide when the learning rate falls or when training ends."""
        return self.watch != "loss" and (self.stop_patience > 0 or self.schedule == "plateau")


class InferenceRecipe(Part):
    """How a whole scan is predicted: windows of the patch's shape, overlapping, Gaussian-weighted.

    Attributes:
        overlap: share of a window's side that the next one covers again, in [0, 0.9].
        mirror_axes: axes along which the window is also predicted mirrored; the mean is taken.
        arithmetic: "neuraxis" adds windows up in float32 and averages and interpolates probabilities; "nnunet" does as
            nnU-Net's predictor, to the voxel: float16 sums, and logits averaged over folds and interpolated; "monai"
            as MONAI's: windows at multiples of a step of whole voxels, no weight below 0.001, and probabilities of
            regions interpolated, not their logits.
        weight: of a window's voxels: "gaussian", most in its middle, or "constant". The latter with "monai" alone.
        padding: what surrounds a scan that is smaller than the window: "zeros", or the voxels at its "edge".
        skip_flat: whether a window in which every channel is one value, such as air, is background without being run.
    """

    overlap: float = Field(0.5, ge=0, le=0.9)
    mirror_axes: tuple[Axis, ...] = ()
    arithmetic: Arithmetic = "neuraxis"
    weight: Literal["gaussian", "constant"] = "gaussian"
    padding: Literal["zeros", "edge"] = "zeros"
    skip_flat: bool = False

    @model_validator(mode="after")
    def _weighs(self) -> InferenceRecipe:
        if self.weight == "constant" and self.arithmetic != "monai":
            raise ValueError("weight 'constant' needs arithmetic 'monai'")
        return self


class Recipe(Part):
    """All decisions of one run.

    Attributes:
        name: of the recipe; it becomes part of the model's name.
        summary: what it is for, in a sentence.
        seed: of every random draw.
        memory_gb: memory that training may take, in GiB; patch, batch and network are planned for it.
        configuration: "2d" trains slices, "3d" volumes at full resolution, "3d_low" at a coarser one of which a patch
            sees more. "auto" takes 3D where there is more than one slice; `neuraxis plan` shows them all.
        stage: parts of the training, one after the other; empty: it is one.
    """

    name: str = "auto"
    summary: str = ""
    seed: int = Field(0, ge=0, lt=2**31)
    memory_gb: float = Field(8.0, gt=0)
    configuration: Configuration = "auto"
    labels: LabelRecipe = LabelRecipe()
    splits: SplitRecipe = SplitRecipe()
    preparation: PreparationRecipe
    patches: PatchRecipe
    augmentation: AugmentationRecipe = AugmentationRecipe()
    network: NetworkRecipe
    loss: LossRecipe = LossRecipe()
    training: TrainingRecipe = TrainingRecipe()
    stage: tuple[StageRecipe, ...] = ()
    missing: MissingRecipe = MissingRecipe()
    transfer: TransferRecipe = TransferRecipe()
    inference: InferenceRecipe = InferenceRecipe()
    postprocessing: PostprocessingRecipe = PostprocessingRecipe()
    previews: PreviewRecipe = PreviewRecipe()

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
        if self.stage:
            shares_of(self.stage)
        return self

    def to_toml(self) -> str:
        """Return the fully resolved recipe as TOML, which `--recipe FILE` reads again."""
        content = self.model_dump(mode="json", exclude=set() if self.stage else {"stage"})
        text = tomli_w.dumps(_without_none(content))
        return re.sub(r"\[\n\s+([^\[\]\"]*?),?\n\s*\]", lambda found: f"[{' '.join(found[1].split())}]", text)


def _without_none(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_none(value) for key, value in content.items() if value is not None}
    if isinstance(content, list):
        return [_without_none(item) for item in content]
    return content
