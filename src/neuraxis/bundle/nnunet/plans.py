"""What nnU-Net's `plans.json` and `dataset.json` decide, as a recipe and labels of ours.

Everything that its predictor does is either said by a key of the recipe or refused: an import is exact or not at all.
The format is that of nnU-Net 2 (Isensee et al. 2021, Nature Methods 18:203); plans from before version 2.5, which name
the network's parts one by one, are read too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuraxis.bundle.card import TrainingData, input_names
from neuraxis.bundle.nnunet.layers import NetworkPlan, architecture_of_old, not_exact
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, NeuraxisError
from neuraxis.recipe.preparation import Normalisation
from neuraxis.recipe.recipe import Recipe

READERS: dict[str, Literal["stored", "canonical"]] = {
    "SimpleITKIO": "stored",
    "NibabelIO": "stored",
    "SimpleITKIOWithReorient": "canonical",
    "NibabelIOWithReorient": "canonical",
}
NORMALISATIONS: dict[str, Normalisation] = {
    "ZScoreNormalization": "zscore",
    "CTNormalization": "ct",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "range",
    "RGBTo01Normalization": "picture",
}
RESAMPLING, THICK = "resample_data_or_seg_to_shape", 3.0
CONFIGURATIONS: dict[str, Literal["2d", "3d", "3d_low"]] = {"2d": "2d", "3d_lowres": "3d_low"}
USUAL_EPOCH = 250  # steps
MAX_PATCH = 2**28  # voxels


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Resampling(_Part):
    order: int
    order_z: int = 0
    force_separate_z: bool | None = None


class _Architecture(_Part):
    network_class_name: str
    arch_kwargs: dict[str, Any]


class _Configuration(_Part):
    patch_size: tuple[int, ...] = Field(min_length=2, max_length=3)
    batch_size: int = Field(ge=1)
    spacing: tuple[float, ...] = Field(min_length=2, max_length=3)
    preprocessor_name: str = "DefaultPreprocessor"
    normalization_schemes: tuple[str, ...]
    use_mask_for_norm: tuple[bool, ...]
    resampling_fn_data: str
    resampling_fn_data_kwargs: _Resampling
    resampling_fn_probabilities: str
    resampling_fn_probabilities_kwargs: _Resampling
    resampling_fn_seg: str = "none"
    resampling_fn_seg_kwargs: dict[str, Any] = {}
    architecture: _Architecture
    previous_stage: str | None = None

    @property
    def kind(self) -> str:
        """Name of the network's class, without its module."""
        return self.architecture.network_class_name.rpartition(".")[2]


class _Intensity(_Part):
    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


class _Plans(_Part):
    dataset_name: str = "nnU-Net model"
    plans_name: str = "nnUNetPlans"
    image_reader_writer: str
    transpose_forward: tuple[Literal[0, 1, 2], Literal[0, 1, 2], Literal[0, 1, 2]]
    configurations: dict[str, dict[str, Any]]
    foreground_intensity_properties_per_channel: dict[str, _Intensity] = {}
    original_median_spacing_after_transp: tuple[float, float, float] | None = None
    original_median_shape_after_transp: tuple[float, float, float] | None = None


class _Dataset(_Part):
    channel_names: dict[str, str] | None = None
    modality: dict[str, str] | None = None
    labels: dict[str, int | tuple[int, ...]]
    regions_class_order: tuple[int, ...] | None = None
    cases: int = Field(0, alias="numTraining", ge=0)
    licence: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Planned:
    """A model of nnU-Net in our words.

    Attributes:
        name: of its dataset, with the configuration.
        recipe: every decision.
        labels: what the outputs mean.
        channels: names of the image's channels.
        modality: channel to what it is, where that is known.
        data: what it learned from.
        licence: as `dataset.json` states it.
        reference: where the data came from, as `dataset.json` states it.
        previous_stage: configuration whose result the network sees too, in the second stage of a cascade.
        previous_labels: the labels of that result.
    """

    name: str
    recipe: Recipe
    labels: Labels
    channels: tuple[str, ...]
    modality: dict[str, str]
    data: TrainingData
    licence: str
    reference: str
    previous_stage: str | None = None
    previous_labels: tuple[int, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the network's input channels are (see `Card.inputs`)."""
        return input_names(self.channels, self.previous_labels)


@dataclass(frozen=True)
class Training:
    """What a checkpoint says of its training.

    Attributes:
        configuration: the one that was trained.
        trainer: name of nnU-Net's trainer.
        epochs: how many it has behind it.
        mirror_axes: along which its predictor mirrors, counted in the network's own axes; None for not at all.
    """

    configuration: str
    trainer: str
    epochs: int
    mirror_axes: tuple[int, ...] | None


def translate(plans: dict[str, Any], dataset: dict[str, Any], training: Training, name: str) -> Planned:
    """Turn plans and dataset description into a recipe.

    Args:
        plans: content of `plans.json`.
        dataset: content of `dataset.json`.
        training: what the checkpoint says.
        name: of the model, for messages.

    Raises:
        BundleError: something is missing, or nnU-Net would do what no recipe can say.
    """
    try:
        return _Translation(_Plans.model_validate(plans), _Dataset.model_validate(dataset), training, name).planned()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{key}: " for key in first["loc"])[:200]
        reason = " ".join(str(first["msg"]).split())[:300]
        raise BundleError(f"{name}: its plans or dataset.json cannot be used: {place}{reason}.") from error
    except NeuraxisError as error:
        raise error if isinstance(error, BundleError) else BundleError(f"{name}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{name}: its plans hold a value of the wrong kind ({error}).") from error


class _Translation:
    def __init__(self, plans: _Plans, dataset: _Dataset, training: Training, name: str) -> None:
        self.plans, self.dataset, self.training, self.name = plans, dataset, training, name
        content = self._inherited(training.configuration, ())
        if "architecture" not in content:
            content["architecture"] = architecture_of_old(content)
        self.chosen = _Configuration.model_validate(content)
        self.flat = len(self.chosen.patch_size) == 2

    def planned(self) -> Planned:
        channels = self._channels()
        labels = self._labels()
        plans, chosen = self.plans, self.chosen
        if prod(chosen.patch_size) > MAX_PATCH or min(chosen.patch_size) < 1:
            raise BundleError(f"{self.name}: its plans have the patch {chosen.patch_size}, which no network can take.")
        if plans.image_reader_writer not in READERS:
            self._refuse(f"its reader {plans.image_reader_writer} is none of {', '.join(READERS)}")
        if chosen.preprocessor_name != "DefaultPreprocessor":
            self._refuse(f"its preprocessor {chosen.preprocessor_name} is not nnU-Net's own")
        preparation = self._preparation(channels)
        recipe: dict[str, Any] = {
            "name": f"{plans.dataset_name} {self.training.configuration}"[:200],
            "summary": f"{self.training.trainer}, {plans.plans_name}: trained with nnU-Net.",
            "configuration": CONFIGURATIONS.get(self.training.configuration, "2d" if self.flat else "3d"),
            "preparation": preparation,
            "patches": {"shape": self._three(chosen.patch_size, 1), "batch": chosen.batch_size},
            "augmentation": {"preset": "nnunet"},
            "network": NetworkPlan(chosen.architecture.arch_kwargs, self.flat, self.name).recipe(chosen.kind),
            "training": {
                "steps": max(1, self.training.epochs * USUAL_EPOCH),
                "optimizer": "sgd",
                "learning_rate": 1e-2,
                "weight_decay": 3e-5,
                "schedule": "poly",
                "warmup_steps": 0,
                "ema_decay": 0.0,
                "precision": "fp32",
            },
            "inference": {"overlap": 0.5, "mirror_axes": self._mirror_axes(), "arithmetic": "nnunet"},
        }
        return Planned(
            name=recipe["name"],
            recipe=Recipe.model_validate(recipe),
            labels=labels,
            channels=channels,
            modality={channel: "CT" for channel, rule in preparation["normalisation"].items() if rule == "ct"},
            data=self._data(),
            licence=self.dataset.licence or "not stated",
            reference=self.dataset.reference,
            previous_stage=chosen.previous_stage,
            previous_labels=tuple(sorted(set(labels.names.values()) - {0})) if chosen.previous_stage else (),
        )

    def _inherited(self, configuration: str, seen: tuple[str, ...]) -> dict[str, Any]:
        """Return a configuration with what it inherits from others."""
        known = self.plans.configurations
        if configuration not in known or configuration in seen:
            raise BundleError(f"{self.name}: its plans lack the configuration '{configuration[:80]}'.")
        own = dict(known[configuration])
        parent = own.pop("inherits_from", None)
        return {**self._inherited(str(parent), (*seen, configuration)), **own} if parent else own

    def _channels(self) -> tuple[str, ...]:
        named = self.dataset.channel_names or self.dataset.modality or {}
        places = [str(place) for place in range(len(named))]
        if not named or sorted(named) != sorted(places):
            raise BundleError(f"{self.name}: dataset.json names no channels 0, 1, ... ('channel_names').")
        names = [named[place] for place in places]
        return tuple(name if names.count(name) == 1 else f"{name} {place}" for place, name in enumerate(names))

    def _labels(self) -> Labels:
        given = {name: value for name, value in self.dataset.labels.items() if name != "ignore"}
        ignore = self.dataset.labels.get("ignore")
        if isinstance(ignore, tuple):
            raise BundleError(f"{self.name}: the label 'ignore' of dataset.json must be a number.")
        joined = {name: (value,) if isinstance(value, int) else value for name, value in given.items()}
        numbers = sorted({number for group in joined.values() for number in group} | {0})
        if numbers != list(range(len(numbers))):
            raise BundleError(f"{self.name}: the labels of dataset.json are not 0, 1, 2, ... without a gap: {numbers}.")
        if all(len(group) == 1 for group in joined.values()):
            return Labels(names={name: group[0] for name, group in joined.items()}, ignore=ignore)
        regions = {name: group for name, group in joined.items() if set(group) != {0}}
        alone = {group[0]: name for name, group in regions.items() if len(group) == 1}
        names = {"background": 0, **{alone.get(number, f"label {number}"): number for number in numbers if number}}
        paint = self.dataset.regions_class_order
        if paint is None or len(paint) != len(regions):
            raise BundleError(f"{self.name}: regions_class_order of dataset.json needs one number for each region.")
        return Labels(names=names, regions=regions, paint=paint, ignore=ignore)

    def _preparation(self, channels: Sequence[str]) -> dict[str, Any]:
        chosen = self.chosen
        rules = chosen.normalization_schemes
        if len(rules) != len(channels) or len(chosen.use_mask_for_norm) != len(channels):
            count = len(channels)
            raise BundleError(f"{self.name}: its plans normalise {len(rules)} channels, dataset.json names {count}.")
        normalisation: dict[str, str] = {}
        for channel, rule, masked in zip(channels, rules, chosen.use_mask_for_norm, strict=True):
            if rule not in NORMALISATIONS:
                self._refuse(f"its normalisation {rule} is none of {', '.join(NORMALISATIONS)}")
            known = NORMALISATIONS[rule]
            normalisation[channel] = "zscore_head" if masked and known == "zscore" else known
        image, back = chosen.resampling_fn_data_kwargs, chosen.resampling_fn_probabilities_kwargs
        for function in (chosen.resampling_fn_data, chosen.resampling_fn_probabilities):
            if function != RESAMPLING:
                self._refuse(f"it resamples by {function}, not by {RESAMPLING}")
        if image.order not in (1, 3) or back.order != 1 or image.order_z != back.order_z or image.order_z not in (0, 1):
            self._refuse(f"it resamples with orders {image.order}, {image.order_z} and {back.order}, {back.order_z}")
        if image.force_separate_z != back.force_separate_z or image.force_separate_z:
            self._refuse("it always resamples an axis of its own apart (force_separate_z)")
        return {
            "spacing_mm": self._three(chosen.spacing, 0.0),
            "crop": "nonzero",
            "normalisation": normalisation,
            "intensity": self._intensity(channels, normalisation),
            "image_order": image.order,
            **({"label_order": self._label_order(image)} if chosen.previous_stage else {}),
            "thick_ratio": THICK if image.force_separate_z is None else 0.0,
            "thick_across": "linear" if image.order_z else "nearest",
            "clip_overshoot": True,
            "orientation": READERS[self.plans.image_reader_writer],
            "axes": tuple(2 - axis for axis in self.plans.transpose_forward),  # its arrays are (Z, Y, X)
        }

    def _label_order(self, image: _Resampling) -> str:
        """Return how the labels of the previous stage are resampled."""
        labels = _Resampling.model_validate(self.chosen.resampling_fn_seg_kwargs)
        if self.chosen.resampling_fn_seg != RESAMPLING:
            self._refuse(f"it resamples labels by {self.chosen.resampling_fn_seg}, not by {RESAMPLING}")
        if not self.chosen.resampling_fn_seg_kwargs.get("is_seg"):
            self._refuse("it resamples labels as if they were an image (is_seg)")
        if labels.order not in (0, 1) or labels.order_z or labels.force_separate_z != image.force_separate_z:
            self._refuse(f"it resamples labels with orders {labels.order} and {labels.order_z}, or axes as no scan")
        return "linear" if labels.order else "nearest"

    def _intensity(self, channels: Sequence[str], normalisation: dict[str, str]) -> dict[str, Any]:
        found = {}
        for place, channel in enumerate(channels):
            if normalisation[channel] == "ct":
                known = self.plans.foreground_intensity_properties_per_channel.get(str(place))
                if known is None:
                    raise BundleError(f"{self.name}: its plans lack the intensities of channel {place} ('{channel}').")
                found[channel] = {
                    "low": known.percentile_00_5,
                    "high": known.percentile_99_5,
                    "mean": known.mean,
                    "std": max(known.std, 1e-8),
                }
        return found

    def _mirror_axes(self) -> tuple[int, ...]:
        return tuple(axis + self.flat for axis in self.training.mirror_axes or ())

    def _data(self) -> TrainingData:
        return TrainingData(
            datasets=(self.plans.dataset_name,),
            cases=self.dataset.cases,
            median_shape=self.plans.original_median_shape_after_transp,
            median_spacing_mm=self.plans.original_median_spacing_after_transp,
        )

    def _three(self, values: Sequence[Any], flat: Any) -> tuple[Any, ...]:
        """Return a value for each of three axes: of a 2D network the first is flat."""
        return (flat, *values) if self.flat else tuple(values)

    def _refuse(self, what: str) -> NoReturn:
        raise not_exact(self.name, what)
