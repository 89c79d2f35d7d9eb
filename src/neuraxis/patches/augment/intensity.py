"""Noise, blur, brightness, contrast and gamma of a batch: drawn for each sample, applied on the tensor's device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

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


def apply_intensity(images: torch.Tensor, drawn: Sequence[IntensityDraw]) -> torch.Tensor:
    """Change each sample of (B, C, X, Y, Z) as drawn; returns a new tensor."""
    return torch.stack([_apply(image, draw) for image, draw in zip(images, drawn, strict=True)])


def _apply(image: torch.Tensor, draw: IntensityDraw) -> torch.Tensor:
    if draw.noise > 0:
        source = torch.Generator(image.device).manual_seed(draw.noise_seed)
        image = image + draw.noise * torch.randn(image.shape, generator=source, device=image.device)
    if draw.blur > 0:
        image = _blur(image, draw.blur)
    if draw.brightness != 1:
        image = image * draw.brightness
    if draw.contrast != 1:
        mean, low, high = _mean(image), _reduce(image, "amin"), _reduce(image, "amax")
        image = torch.clamp((image - mean) * draw.contrast + mean, low, high)
    if draw.gamma != 1:
        image = -_gamma(-image, draw.gamma) if draw.inverted else _gamma(image, draw.gamma)
    return image


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    radius = max(1, int(np.ceil(3 * sigma)))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=image.device) / sigma) ** 2)
    taps = (taps / taps.sum()).to(image.dtype)
    batch = image[:, None]
    for axis in range(3):
        if image.shape[1 + axis] <= 1:
            continue
        shape, pad = [1, 1, 1], [0, 0, 0, 0, 0, 0]
        shape[axis] = len(taps)
        pad[4 - 2 * axis] = pad[5 - 2 * axis] = radius
        batch = F.conv3d(F.pad(batch, pad, mode="replicate"), taps.view(1, 1, *shape))
    return batch[:, 0]


def _gamma(image: torch.Tensor, gamma: float) -> torch.Tensor:
    low, high = _reduce(image, "amin"), _reduce(image, "amax")
    mean, deviation = _mean(image), image.std(dim=(1, 2, 3), keepdim=True)
    width = (high - low).clamp_min(1e-7)
    changed = ((image - low) / width).pow(gamma) * width + low
    spread = changed.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-7)
    return (changed - _mean(changed)) / spread * deviation + mean


def _mean(image: torch.Tensor) -> torch.Tensor:
    return image.mean(dim=(1, 2, 3), keepdim=True)


def _reduce(image: torch.Tensor, how: str) -> torch.Tensor:
    return getattr(image, how)(dim=(1, 2, 3), keepdim=True)
