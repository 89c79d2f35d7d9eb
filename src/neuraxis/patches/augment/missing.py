"""Channels that are left out of samples in training, so that the model works without them, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neuraxis.patches.draws import Purpose, generator
from neuraxis.preparation.missing import fill_missing
from neuraxis.recipe.recipe import Recipe


@dataclass(frozen=True)
class ChannelDropout:
    """Leaves channels out; which ones depends on (seed, step, sample) alone.

    Args:
        recipe: with the probabilities and the fill. Its normalisation names the channels in their order.
    """

    recipe: Recipe

    def __call__(self, images: torch.Tensor, step: int, stage: int = 0, samples: Sequence[int] = ()) -> torch.Tensor:
        """Fill what is missing in images (B, C, X, Y, Z), in place, and return them.

        Args:
            images: augmented already.
            step: whose samples they are.
            stage: whose channels are there at most, from 0.
            samples: their numbers in that step; empty: 0, 1, …
        """
        for sample, image in zip(samples or range(len(images)), images, strict=True):
            fill_missing(image, self.present(step, sample, stage), self.recipe.missing.fill)
        return images

    def without_absent(self, images: torch.Tensor, stage: int) -> torch.Tensor:
        """Fill the channels that a stage leaves out, and no others, in place, and return the images."""
        for image in images:
            fill_missing(image, self._in_stage(stage), self.recipe.missing.fill)
        return images

    def present(self, step: int, sample: int, stage: int = 0) -> list[bool]:
        """Draw for each channel whether a sample has it; one at least."""
        there = self._in_stage(stage)
        chances = self.recipe.missing.by_channel
        if not chances:
            return there
        draws = generator(self.recipe.seed, Purpose.MISSING, step, sample)
        names, kept, survivor = self._names, [*there], draws.random()
        for place, name in enumerate(names):
            if draws.random() < chances.get(name, 0.0):
                kept[place] = False
        if not any(kept):
            able = [place for place, is_there in enumerate(there) if is_there]
            kept[able[int(survivor * len(able))]] = True
        return kept

    def _in_stage(self, stage: int) -> list[bool]:
        chosen = self.recipe.stage[stage].channels if self.recipe.stage else ()
        return [not chosen or name in chosen for name in self._names]

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.recipe.preparation.normalisation)
