"""All augmentation of a batch at one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neuraxis.patches.augment.intensity import apply_intensity, draw_intensity
from neuraxis.patches.augment.spatial import apply_spatial, draw_spatial
from neuraxis.patches.draws import Purpose, generator
from neuraxis.recipe.augmentation import AugmentationRecipe

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Augmentation:
    """Augments the batch of any step; what happens depends on (seed, step, sample) alone.

    Attributes:
        recipe: probabilities and ranges.
        core: shape that is kept of the cut patches.
        spacing_mm: of the patches.
        seed: of the run.
        flat_axis: the axis that is not rotated out of, in 2D.
    """

    recipe: AugmentationRecipe
    core: Triple
    spacing_mm: Sequence[float]
    seed: int
    flat_axis: int | None = None

    def __call__(self, images: torch.Tensor, targets: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take (B, C, *cut) and (B, T, *cut), return (B, C, *core) and (B, T, *core)."""
        spatial, intensity = [], []
        for sample in range(images.shape[0]):
            draws = generator(self.seed, Purpose.AUGMENT, step, sample)
            spatial.append(draw_spatial(draws, self.recipe, self.flat_axis))
            intensity.append(draw_intensity(draws, self.recipe))
        images, targets = apply_spatial(images, targets, spatial, self.core, self.spacing_mm)
        return apply_intensity(images, intensity), targets
