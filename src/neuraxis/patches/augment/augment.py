"""All augmentation of a batch at one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neuraxis.patches.augment.artefact import ACQUIRED, FINISHED, ArtefactDraw, draw_artefacts
from neuraxis.patches.augment.intensity import IntensityDraw, apply_intensity, draw_intensity
from neuraxis.patches.augment.patch import Patch, Streams
from neuraxis.patches.augment.spatial import SpatialDraw, apply_spatial, draw_deformation, draw_spatial
from neuraxis.patches.draws import Purpose
from neuraxis.recipe.augmentation import AugmentationRecipe

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SampleDraw:
    """Everything that happens to one sample, in order.

    Attributes:
        spatial: how it is moved.
        acquired: what a scanner does to it.
        intensity: noise, blur, brightness, contrast, gamma.
        finished: sharpening and cut-out.
    """

    spatial: SpatialDraw
    acquired: tuple[ArtefactDraw, ...]
    intensity: IntensityDraw
    finished: tuple[ArtefactDraw, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds that happen, by their names in the catalog."""
        acquired, finished = ([draw.kind.name for draw in part] for part in (self.acquired, self.finished))
        return (*self.spatial.names, *acquired, *self.intensity.names, *finished)

    def change(self, image: torch.Tensor) -> torch.Tensor:
        """Return a sample (C, X, Y, Z), which has been moved, after all else: a new tensor, or the same."""
        for artefact in self.acquired:
            image = artefact(image)
        image = apply_intensity(image, self.intensity)
        for artefact in self.finished:
            image = artefact(image)
        return image


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

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, step: int, samples: Sequence[int] = ()
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take (B, C, *cut) and (B, T, *cut), return (B, C, *core) and (B, T, *core).

        Args:
            images: that are augmented.
            targets: of the images.
            step: they belong to.
            samples: their numbers in that step; empty: 0, 1, …
        """
        drawn = [self.draw(step, sample, images.shape[1]) for sample in samples or range(images.shape[0])]
        images, targets = apply_spatial(images, targets, [draw.spatial for draw in drawn], self.core, self.spacing_mm)
        for image, draw in zip(images, drawn, strict=True):
            changed = draw.change(image)
            if changed is not image:
                image.copy_(changed.masked_fill_(image == 0, 0) if self.recipe.keep_zeros else changed)
        return images, targets

    def draw(self, step: int, sample: int, channels: int) -> SampleDraw:
        """Draw what happens to one sample of a step."""
        x_mm, y_mm, z_mm = self.spacing_mm
        patch = Patch(self.core, (x_mm, y_mm, z_mm), self.flat_axis, channels)
        streams = Streams(self.seed, step, sample)
        draws = streams(Purpose.AUGMENT)
        moved = draw_spatial(draws, self.recipe, self.flat_axis)
        return SampleDraw(
            spatial=draw_deformation(moved, streams, self.recipe, patch),
            acquired=draw_artefacts(ACQUIRED, streams, self.recipe, patch),
            intensity=draw_intensity(draws, self.recipe),
            finished=draw_artefacts(FINISHED, streams, self.recipe, patch),
        )
