"""Augmented copies of whole prepared cases, made before training."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from neuraxis.patches.augment.augment import Augmentation
from neuraxis.preparation.prepared import Prepared
from neuraxis.recipe.recipe import Recipe


def augmented_copy(prepared: Prepared, recipe: Recipe, case: str, copy: int) -> Prepared:
    """Return a copy of a labelled case with everything that may happen to a training sample.

    What happens is a function of the run's seed, the case's id and the copy's number.

    Args:
        prepared: image and target of the case.
        recipe: its augmentation, spacing and seed.
        case: its id.
        copy: number of the copy, from 1.
    """
    if prepared.target is None:
        raise ValueError(f"{case}: a copy for training needs a target.")
    x, y, z = prepared.image.shape[1:]
    augmentation = Augmentation(
        recipe.augmentation,
        (x, y, z),
        recipe.preparation.spacing_mm,
        recipe.seed,
        recipe.network.options.get("flat_axis"),
    )
    place = int.from_bytes(hashlib.sha256(case.encode()).digest()[:7], "little")
    image, target = torch.from_numpy(prepared.image)[None], torch.from_numpy(prepared.target)[None]
    with torch.inference_mode():
        images, targets = augmentation(image, target, place, [copy])
    return replace(prepared, image=images[0].numpy(), target=targets[0].numpy())
