"""The recipe's branch for augmentation: what is varied in training, how often and how far.

A preset gives the defaults, and every value that is set beside it goes before. The resolved recipe holds all of them.

>>> recipe = AugmentationRecipe(preset="nnunet", noise=0.2)
>>> recipe.low_resolution_probability, recipe.noise
(0.25, 0.2)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from neuraxis.errors import UnknownName
from neuraxis.recipe.part import Axis, Part

Probability = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]
FOLDS_ABOVE = 0.4

_OFF = {
    f"{kind}_probability": 0.0
    for kind in ("affine", "noise", "blur", "brightness", "contrast", "gamma")  # what `light` switches on
}
_NNUNET: dict[str, Any] = {
    "affine_probability": 0.2,
    "rotation_deg": (30.0, 30.0, 30.0),
    "scale": (1.0, 1.0),
    "zoom_probability": 0.2,
    "zoom": (0.7, 1.4),
    "mirror_axes": (0, 1, 2),
    "noise_probability": 0.1,
    "noise": 0.1,
    "blur_probability": 0.1,
    "blur": 1.0,
    "brightness_probability": 0.15,
    "brightness": (0.75, 1.25),
    "contrast_probability": 0.15,
    "contrast": (0.75, 1.25),
    "low_resolution_probability": 0.25,
    "low_resolution": (1.0, 2.0),
    "low_resolution_axes": "all",
    "gamma_probability": 0.37,
    "gamma": (0.7, 1.5),
    "channel_share": 0.5,
}
_MRI_ARTEFACTS: dict[str, Any] = {
    "noise_probability": 0.05,
    "rician_probability": 0.15,
    "rician": 0.3,
    "gamma_probability": 0.3,
    "low_resolution_probability": 0.2,
    "low_resolution": (1.0, 4.0),
    "low_resolution_axes": "one",
    "bias_probability": 0.3,
    "bias": 0.2,
    "motion_probability": 0.1,
    "ghosting_probability": 0.1,
    "spike_probability": 0.05,
    "channel_share": 0.7,
}
_PICTURE: dict[str, Any] = {
    **_OFF,
    "affine_probability": 0.5,
    "rotation_deg": (180.0, 180.0, 180.0),
    "scale": (1.0, 1.0),
    "mirror_axes": (0, 1),
    "shear_probability": 0.2,
    "shear": 0.1,
    "zoom_probability": 0.2,
    "zoom": (0.8, 1.0),
    "elastic_probability": 0.3,
    "elastic_mm": 10.0,
    "elastic_spacing_mm": 32.0,
    "barrel_probability": 0.2,
    "barrel": (0.1, 0.3),
    "barrel_radius": 0.3,
    "sharpen_probability": 0.1,
    "brightness_probability": 0.15,
    "brightness": (0.83, 1.2),
}
# Preset to the values that it states; where it is silent, the planner speaks, or the defaults of `light`.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "none": {**_OFF, "mirror_axes": ()},
        "light": {},
        "nnunet": _NNUNET,
        "mri-artefacts": _MRI_ARTEFACTS,
        "picture": _PICTURE,
    }
)


def known_preset(preset: str) -> str:
    """Return the name of a preset.

    Raises:
        UnknownName: there is none of that name; the message offers the nearest.
    """
    if preset not in PRESETS:
        raise UnknownName("augmentation preset", preset, PRESETS)
    return preset


class AugmentationRecipe(Part):
    """What is varied in training: for each kind a probability a sample, and the range it is drawn from.

    A preset gives the defaults; the table shows those of "light". What each kind does, and what each preset sets,
    stands under "Augmentations".

    Attributes:
        preset: "none", "light", "nnunet", "mri-artefacts" or "picture": the defaults of all keys below.
        affine_probability: of a rotation together with a scaling.
        rotation_deg: largest angle about each axis, in degrees.
        scale: range of the factor that multiplies sizes.
        mirror_axes: axes along which a sample is mirrored, each with probability one half; (0,) is left and right.
        shear_probability: of a shear.
        shear: its largest tangent, between each pair of axes.
        zoom_probability: of a change of size by itself.
        zoom: range of the factor that multiplies sizes; below 1 shrinks.
        elastic_probability: of a smooth random deformation.
        elastic_mm: how far a control point moves along each axis at most; up to 0.4 of `elastic_spacing_mm`, since
            more could fold the image.
        elastic_spacing_mm: distance of the control points.
        barrel_probability: of a barrel distortion of a round region.
        barrel: range of its strength, between -1 and 1; below 0 is a pincushion.
        barrel_radius: of the region, as a share of the patch's longest side.
        noise_probability: of Gaussian noise.
        noise: its largest SD, on normalised intensities.
        rician_probability: of Rician noise, that of magnitude images.
        rician: its largest sigma, on normalised intensities.
        blur_probability: of Gaussian blur.
        blur: its largest sigma, in voxels.
        sharpen_probability: of unsharp masking.
        sharpen: its largest weight.
        brightness_probability: of a change of brightness.
        brightness: range of the factor that multiplies intensities.
        contrast_probability: of a change of contrast.
        contrast: range of the factor that multiplies distances from the mean.
        gamma_probability: of a change of gamma.
        gamma: range of the exponent, on intensities scaled to 0..1.
        low_resolution_probability: of coarser voxels, which are then interpolated back.
        low_resolution: range of the factor that lengthens voxels, from 1.
        low_resolution_axes: whether "all" axes become coarser or "one", as with thick slices.
        bias_probability: of a smooth multiplicative field, as of a coil.
        bias: largest coefficient of each Legendre polynomial in the field's logarithm.
        motion_probability: of movements while the scan was taken.
        motion_deg: largest rotation of a movement.
        motion_mm: its largest shift along each axis.
        motion_moves: movements at most.
        ghosting_probability: of ghosts along one axis, as of a pulse.
        ghosting: range of their strength, as a share of the image.
        ghosting_period: range of the lines of k-space from one modulation to the next; 2 is the N/2 ghost of EPI.
        spike_probability: of stripes from single wrong points of k-space.
        spike: range of their amplitude, as a share of the image's SD.
        spikes: wrong points at most.
        cutout_probability: of boxes whose content is taken out.
        cutout: range of a box's side, as a share of the patch's.
        cutout_boxes: boxes at most.
        cutout_fill: "mean" of the channel, or "noise" about it with its SD.
        channel_share: probability with which each channel takes part in Rician noise, sharpening, low resolution,
            bias, motion, ghosting, spikes and cut-out.
        keep_zeros: whether voxels that are exactly 0, such as those outside of an extracted brain, stay 0.
    """

    preset: Annotated[str, AfterValidator(known_preset)] = "light"
    affine_probability: Probability = 0.3
    rotation_deg: tuple[float, float, float] = (15.0, 15.0, 15.0)
    scale: Range = (0.8, 1.25)
    mirror_axes: tuple[Axis, ...] = ()
    shear_probability: Probability = 0.0
    shear: float = Field(0.1, ge=0, lt=1)
    zoom_probability: Probability = 0.0
    zoom: Range = (0.7, 1.0)
    elastic_probability: Probability = 0.0
    elastic_mm: float = Field(8.0, ge=0)
    elastic_spacing_mm: float = Field(32.0, gt=0)
    barrel_probability: Probability = 0.0
    barrel: Range = (0.1, 0.3)
    barrel_radius: float = Field(0.3, gt=0)
    noise_probability: Probability = 0.1
    noise: float = Field(0.3, ge=0)
    rician_probability: Probability = 0.0
    rician: float = Field(0.3, ge=0)
    blur_probability: Probability = 0.15
    blur: float = Field(1.0, ge=0)
    sharpen_probability: Probability = 0.0
    sharpen: float = Field(1.0, ge=0)
    brightness_probability: Probability = 0.15
    brightness: Range = (0.75, 1.25)
    contrast_probability: Probability = 0.15
    contrast: Range = (0.75, 1.25)
    gamma_probability: Probability = 0.2
    gamma: Range = (0.7, 1.5)
    low_resolution_probability: Probability = 0.0
    low_resolution: Range = (1.0, 2.0)
    low_resolution_axes: Literal["all", "one"] = "all"
    bias_probability: Probability = 0.0
    bias: float = Field(0.2, ge=0)
    motion_probability: Probability = 0.0
    motion_deg: float = Field(3.0, ge=0)
    motion_mm: float = Field(3.0, ge=0)
    motion_moves: int = Field(2, ge=1)
    ghosting_probability: Probability = 0.0
    ghosting: Range = (0.1, 0.4)
    ghosting_period: tuple[int, int] = (2, 6)
    spike_probability: Probability = 0.0
    spike: Range = (0.2, 0.6)
    spikes: int = Field(2, ge=1)
    cutout_probability: Probability = 0.0
    cutout: Range = (0.1, 0.3)
    cutout_boxes: int = Field(3, ge=1)
    cutout_fill: Literal["mean", "noise"] = "mean"
    channel_share: Probability = 1.0
    keep_zeros: bool = False

    @model_validator(mode="before")
    @classmethod
    def _under_the_preset(cls, given: Any) -> Any:
        """Put the preset's values under those that are given."""
        name = given.get("preset", "light") if isinstance(given, Mapping) else None
        return {**PRESETS[name], **given} if isinstance(name, str) and name in PRESETS else given

    @field_validator("scale", "zoom", "brightness", "contrast", "gamma")
    @classmethod
    def _is_range(cls, value: Range) -> Range:
        if not 0 < value[0] <= value[1]:
            raise ValueError("a range of factors needs 0 < low <= high")
        return value

    @field_validator("low_resolution", "ghosting", "ghosting_period", "spike", "cutout", "barrel")
    @classmethod
    def _rises(cls, value: Range) -> Range:
        if value[0] > value[1]:
            raise ValueError("a range needs low <= high")
        return value

    @model_validator(mode="after")
    def _within_limits(self) -> AugmentationRecipe:
        limits = {
            "low_resolution": (1, None),
            "ghosting": (0, None),
            "ghosting_period": (2, None),
            "spike": (0, None),
            "cutout": (0, 1),
            "barrel": (-0.99, 0.99),
        }
        for key, (least, most) in limits.items():
            low, high = getattr(self, key)
            if low < least or (most is not None and high > most):
                raise ValueError(f"{key} needs values {f'from {least} up' if most is None else f'in {least}..{most}'}")
        if self.elastic_mm > FOLDS_ABOVE * self.elastic_spacing_mm:
            raise ValueError(
                f"elastic_mm is {self.elastic_mm:g}, which could fold the image: take at most {FOLDS_ABOVE:g} of "
                f"elastic_spacing_mm, here {FOLDS_ABOVE * self.elastic_spacing_mm:g}"
            )
        return self
