"""Batches by step number, for Lightning's loop."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, Dataset

from neuraxis.patches.augment.spatial import margin
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.preparation.store import Store
from neuraxis.recipe.recipe import Recipe


class StepBatches(Dataset[tuple[torch.Tensor, torch.Tensor, int]]):
    """Item n is the batch of step n, not yet augmented: images (B, C, *cut), targets (B, T, *cut), n."""

    def __init__(self, sampler: PatchSampler) -> None:
        self.sampler = sampler

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Cut the batch of a step."""
        images, targets = self.sampler.batch(step)
        return torch.from_numpy(images), torch.from_numpy(targets), step


def training_sampler(store: Store, ids: tuple[str, ...], recipe: Recipe) -> PatchSampler:
    """Return the sampler of training patches, cut with a margin for the augmentation."""
    options = SamplerOptions(
        shape=margin(recipe.patches.shape, recipe.augmentation),
        core=recipe.patches.shape,
        batch=recipe.patches.batch,
        foreground=recipe.patches.foreground,
        seed=recipe.seed,
    )
    return PatchSampler(store, ids, options)


def step_loader(
    sampler: PatchSampler, first: int, last: int, workers: int
) -> DataLoader[tuple[torch.Tensor, torch.Tensor, int]]:
    """Return a loader of the batches of steps `first` to `last` - 1, in order."""
    return DataLoader(
        StepBatches(sampler),
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
