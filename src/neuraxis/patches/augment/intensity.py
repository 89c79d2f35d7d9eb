"""Noise, blur, brightness, contrast and gamma of a sample, on the tensor's device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neuraxis.patches.augment.filters import deviation, highest, lowest, mean, normal_like, smooth
from neuraxis.recipe.augmentation import AugmentationRecipe


@dataclass(frozen=True)
class IntensityDraw:
    """What happens to one sample; a neutral value means nothing.

    Attributes:
        noise: SD of Gaussian noise.
        noise_seed: of the noise field.
        blur: sigma of the Gaussian, in voxels.
        brightness: factor.
        contrast: factor about the mean, within the old range.
        gamma: exponent on the range scaled to 0..1; mean and SD are restored.
        inverted: whether gamma acts on the negative.
    """

    noise: float = 0.0
    noise_seed: int = 0
    blur: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0
    inverted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds that happen."""
        neutral = {"noise": 0.0, "blur": 0.0, "brightness": 1.0, "contrast": 1.0, "gamma": 1.0}
        return tuple(name for name, value in neutral.items() if getattr(self, name) != value)


def draw_intensity(draws: np.random.Generator, recipe: AugmentationRecipe) -> IntensityDraw:
    """Draw one sample; the number of draws does not depend on what is active."""

    def when(probability: float, value: float, neutral: float) -> float:
        return value if draws.random() < probability else neutral

    return IntensityDraw(
        noise=when(recipe.noise_probability, draws.uniform(0, recipe.noise), 0.0),
        noise_seed=int(draws.integers(2**62)),
        blur=when(recipe.blur_probability, draws.uniform(0.4 * recipe.blur, recipe.blur), 0.0),
        brightness=when(recipe.brightness_probability, draws.uniform(*recipe.brightness), 1.0),
        contrast=when(recipe.contrast_probability, draws.uniform(*recipe.contrast), 1.0),
        gamma=when(recipe.gamma_probability, draws.uniform(*recipe.gamma), 1.0),
        inverted=bool(draws.random() < 0.25),
    )


def apply_intensity(image: torch.Tensor, draw: IntensityDraw) -> torch.Tensor:
    """Return a sample (C, X, Y, Z) changed as drawn: a new tensor, or the same where nothing happens."""
    if draw.noise > 0:
        image = normal_like(image, draw.noise_seed).mul_(draw.noise).add_(image)
    if draw.blur > 0:
        image = smooth(image, draw.blur)
    if draw.brightness != 1:
        image = image * draw.brightness
    if draw.contrast != 1:
        middle = mean(image)
        image = (image - middle).mul_(draw.contrast).add_(middle).clamp_(lowest(image), highest(image))
    if draw.gamma != 1:
        image = _gamma(image.neg(), draw.gamma).neg_() if draw.inverted else _gamma(image, draw.gamma)
    return image


def _gamma(image: torch.Tensor, gamma: float) -> torch.Tensor:
    low = lowest(image)
    width = (highest(image) - low).clamp_min(1e-7)
    changed = (image - low).div_(width).pow_(gamma).mul_(width).add_(low)
    spread = deviation(changed).clamp_min(1e-7)
    return changed.sub_(mean(changed)).div_(spread).mul_(deviation(image)).add_(mean(image))
