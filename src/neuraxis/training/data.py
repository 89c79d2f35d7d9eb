"""Batches by step number, for Lightning's loop."""

from __future__ import annotations

import numpy as np
import torch

from neuraxis.networks.catalog import PROMPTED
from neuraxis.patches.augment.spatial import margin
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.patches.stream import BatchStream
from neuraxis.preparation.store import Store
from neuraxis.recipe.recipe import Recipe

Batch = tuple[torch.Tensor, torch.Tensor, int]


def training_sampler(store: Store, ids: tuple[str, ...], recipe: Recipe, samples: tuple[int, ...] = ()) -> PatchSampler:
    """Return the sampler of training patches, cut with a margin for the augmentation.

    Args:
        store: prepared cases.
        ids: those that train.
        recipe: all decisions.
        samples: numbers of the patches of a step that are cut here; empty: all.
    """
    options = SamplerOptions(
        shape=margin(recipe.patches.shape, recipe.augmentation),
        core=recipe.patches.shape,
        batch=recipe.patches.batch * recipe.training.accumulate,
        foreground=recipe.patches.foreground,
        seed=recipe.seed,
        samples=samples,
        whole=sees_whole_slices(recipe),
    )
    return PatchSampler(store, ids, options)


def sees_whole_slices(recipe: Recipe) -> bool:
    """Tell whether the network sees slices as a whole, as one does that is told where to look."""
    return recipe.network.name in PROMPTED


def step_stream(sampler: PatchSampler, first: int, workers: int) -> BatchStream[Batch]:
    """Return the batches of steps `first`, `first` + 1, …, not yet augmented, cut ahead.

    A batch is images (B, C, *cut), targets (B, T, *cut) and its step, in memory that a GPU can fetch by itself.
    """
    return BatchStream(sampler, first, workers, _pinned if torch.cuda.is_available() else _tensors)


def _tensors(images: np.ndarray, targets: np.ndarray, step: int) -> Batch:
    return torch.from_numpy(images), torch.from_numpy(targets), step


def _pinned(images: np.ndarray, targets: np.ndarray, step: int) -> Batch:
    return torch.from_numpy(images).pin_memory(), torch.from_numpy(targets).pin_memory(), step
