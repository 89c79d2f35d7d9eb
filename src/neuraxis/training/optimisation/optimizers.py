"""The optimisers, and what is done to gradients before a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from neuraxis.recipe.recipe import TrainingRecipe


def build_optimizer(
    recipe: TrainingRecipe, parameters: Iterable[nn.Parameter] | list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """Build the recipe's optimiser: SGD, Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019)."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            recipe.learning_rate,
            recipe.momentum,
            nesterov=recipe.nesterov and recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def clip_gradients(recipe: TrainingRecipe, parameters: Iterable[nn.Parameter]) -> None:
    """Cut the gradients' numbers, then shorten the whole where it is too long."""
    every = list(parameters)
    if recipe.clip_value:
        nn.utils.clip_grad_value_(every, recipe.clip_value)
    if recipe.clip_norm:
        nn.utils.clip_grad_norm_(every, recipe.clip_norm)
