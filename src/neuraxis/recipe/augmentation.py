"""The recipe's branch for augmentation: what is varied in training, how often and how far."""

from __future__ import annotations

from pydantic import Field, field_validator

from neuraxis.recipe.part import Axis, Part


class AugmentationRecipe(Part):
    """What is varied in training: for each kind a probability a sample, and the range it is drawn from.

    Attributes:
        affine_probability: of a rotation together with a scaling.
        rotation_deg: largest angle about each axis, in degrees.
        scale: range of the factor that multiplies sizes.
        mirror_axes: axes along which a sample is mirrored, each with probability one half; (0,) is left and right.
        noise_probability: of Gaussian noise.
        noise: its largest SD, on normalised intensities.
        blur_probability: of Gaussian blur.
        blur: its largest sigma, in voxels.
        brightness_probability: of a change of brightness.
        brightness: range of the factor that multiplies intensities.
        contrast_probability: of a change of contrast.
        contrast: range of the factor that multiplies distances from the mean.
        gamma_probability: of a change of gamma.
        gamma: range of the exponent, on intensities scaled to 0..1.
    """

    affine_probability: float = Field(0.3, ge=0, le=1)
    rotation_deg: tuple[float, float, float] = (15.0, 15.0, 15.0)
    scale: tuple[float, float] = (0.8, 1.25)
    mirror_axes: tuple[Axis, ...] = ()
    noise_probability: float = Field(0.1, ge=0, le=1)
    noise: float = Field(0.3, ge=0)
    blur_probability: float = Field(0.15, ge=0, le=1)
    blur: float = Field(1.0, ge=0)
    brightness_probability: float = Field(0.15, ge=0, le=1)
    brightness: tuple[float, float] = (0.75, 1.25)
    contrast_probability: float = Field(0.15, ge=0, le=1)
    contrast: tuple[float, float] = (0.75, 1.25)
    gamma_probability: float = Field(0.2, ge=0, le=1)
    gamma: tuple[float, float] = (0.7, 1.5)

    @field_validator("scale", "brightness", "contrast", "gamma")
    @classmethod
    def _is_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("a range of factors needs 0 < low <= high")
        return value
