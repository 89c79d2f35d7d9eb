"""What happens to a sample last: sharpening, and boxes cut out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neuraxis.patches.augment.filters import deviation, mean, normal_like, smooth
from neuraxis.patches.augment.patch import Patch, Triple
from neuraxis.recipe.augmentation import AugmentationRecipe

SHARPENED_SIGMA = 1.0


@dataclass(frozen=True)
class Sharpen:
    """Unsharp masking.

    Attributes:
        weight: with which the difference from the blurred image is added.
    """

    weight: float


@dataclass(frozen=True)
class CutOut:
    """Boxes whose content is taken out.

    Attributes:
        boxes: first voxel and the voxel after the last one of each.
        noise_seed: of the noise that fills them; None fills them with the mean.
    """

    boxes: tuple[tuple[Triple, Triple], ...]
    noise_seed: int | None


def draw_sharpen(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Sharpen:
    """Draw the weight."""
    return Sharpen(draws.uniform(0.2 * recipe.sharpen, recipe.sharpen))


def apply_sharpen(image: torch.Tensor, sharpen: Sharpen) -> torch.Tensor:
    """Add what a Gaussian of one voxel takes away."""
    return torch.lerp(smooth(image, SHARPENED_SIGMA), image, 1 + sharpen.weight)


def draw_cutout(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> CutOut:
    """Draw how many boxes, their sides and places (DeVries and Taylor 2017)."""
    boxes = []
    for _ in range(draws.integers(1, recipe.cutout_boxes, endpoint=True)):
        sides = [max(1, round(size * draws.uniform(*recipe.cutout))) for size in patch.shape]
        sides = [side if axis in patch.axes else patch.shape[axis] for axis, side in enumerate(sides)]
        starts = [
            int(draws.integers(size - side, endpoint=True)) for size, side in zip(patch.shape, sides, strict=True)
        ]
        (x, y, z), (a, b, c) = starts, sides
        boxes.append(((x, y, z), (x + a, y + b, z + c)))
    return CutOut(tuple(boxes), int(draws.integers(2**62)) if recipe.cutout_fill == "noise" else None)


def apply_cutout(image: torch.Tensor, drawn: CutOut) -> torch.Tensor:
    """Fill each box with the channel's mean, or with noise about it of the channel's SD."""
    fill = mean(image).expand_as(image)
    if drawn.noise_seed is not None:
        fill = normal_like(image, drawn.noise_seed) * deviation(image) + fill
    image = image.clone()
    for first, after in drawn.boxes:
        box = (slice(None), *(slice(start, stop) for start, stop in zip(first, after, strict=True)))
        image[box] = fill[box]
    return image
