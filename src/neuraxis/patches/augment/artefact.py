"""The kinds that change channels one by one, in the order in which they happen to a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from neuraxis.patches.augment import kspace, scanner, sharpen_cutout
from neuraxis.patches.augment.patch import Patch, Streams
from neuraxis.patches.draws import Purpose
from neuraxis.recipe.augmentation import AugmentationRecipe


@dataclass(frozen=True)
class Artefact:
    """One kind.

    Attributes:
        name: in the catalog; `recipe.NAME_probability` says how often it happens.
        draw: takes its numbers from a stream.
        apply: changes (C, X, Y, Z) by them and returns a new tensor.
    """

    name: str
    draw: Callable[[np.random.Generator, AugmentationRecipe, Patch], Any]
    apply: Callable[[torch.Tensor, Any], torch.Tensor]

    def draw_if(self, streams: Streams, recipe: AugmentationRecipe, patch: Patch) -> ArtefactDraw | None:
        """Draw whether it happens to a sample, to which channels, and how."""
        probability = getattr(recipe, f"{self.name}_probability")
        return streams.drawn_if(
            Purpose[self.name.upper()], probability, partial(self._draw, recipe=recipe, patch=patch)
        )

    def _draw(self, draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> ArtefactDraw | None:
        numbers = self.draw(draws, recipe, patch)
        channels = tuple(channel for channel in range(patch.channels) if draws.random() < recipe.channel_share)
        return ArtefactDraw(self, numbers, channels) if channels else None


@dataclass(frozen=True)
class ArtefactDraw:
    """What happens to one sample: the kind, its numbers, and the channels that take part."""

    kind: Artefact
    numbers: Any
    channels: tuple[int, ...]

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Change a sample (C, X, Y, Z)."""
        if len(self.channels) == image.shape[0]:
            return self.kind.apply(image, self.numbers)
        image = image.clone()
        chosen = list(self.channels)
        image[chosen] = self.kind.apply(image[chosen], self.numbers)
        return image


ACQUIRED = (
    Artefact("bias", scanner.draw_bias, scanner.apply_bias),
    Artefact("motion", kspace.draw_motion, kspace.apply_motion),
    Artefact("ghosting", kspace.draw_ghosting, kspace.apply_ghosting),
    Artefact("spike", kspace.draw_spike, kspace.apply_spike),
    Artefact("low_resolution", scanner.draw_low_resolution, scanner.apply_low_resolution),
    Artefact("rician", scanner.draw_rician, scanner.apply_rician),
)
FINISHED = (
    Artefact("sharpen", sharpen_cutout.draw_sharpen, sharpen_cutout.apply_sharpen),
    Artefact("cutout", sharpen_cutout.draw_cutout, sharpen_cutout.apply_cutout),
)


def draw_artefacts(
    kinds: Sequence[Artefact], streams: Streams, recipe: AugmentationRecipe, patch: Patch
) -> tuple[ArtefactDraw, ...]:
    """Draw what happens to one sample, in order."""
    drawn = (kind.draw_if(streams, recipe, patch) for kind in kinds)
    return tuple(draw for draw in drawn if draw is not None)
