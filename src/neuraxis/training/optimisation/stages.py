"""A training led from stage to stage: what moves, how fast, and an optimiser that begins anew with each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from neuraxis.recipe.recipe import Recipe
from neuraxis.training.optimisation.parts import hold_still, trained_groups
from neuraxis.training.optimisation.stage_schedule import stage_at
from neuraxis.training.optimisation.watch import Watch
from neuraxis.training.schedule import Course

log = logging.getLogger("neuraxis")


class Stages:
    """The stages of one training; without any in the recipe it changes nothing.

    Args:
        recipe: with its stages.
        network: in training.
        watch: of the validations; it forgets with each stage, and only the last one may end early.

    Attributes:
        current: the stage that the optimiser serves, from 0; a checkpoint keeps it.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, watch: Watch) -> None:
        self.recipe, self.network, self.watch = recipe, network, watch
        self.current = 0
        self._told = -1

    def trained(self) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
        """Return what the optimiser of the current stage moves."""
        stages = self.recipe.stage
        return trained_groups(self.network, stages[self.current]) if stages else self.network.parameters()

    def lead(self, step: int, course: Course, optimizer: torch.optim.Optimizer) -> None:
        """Make network and optimiser ready for a step.

        Args:
            step: steps done before it.
            course: the steps in all.
            optimizer: of the stage before, or of this one; with a new stage it forgets all it knew.
        """
        stages = self.recipe.stage
        if not stages:
            return
        number = stage_at(step, self.recipe, course)
        if number != self.current:
            self.current = number
            self.watch.forget()
            optimizer.state.clear()
            optimizer.param_groups.clear()
            for group in trained_groups(self.network, stages[number]):
                optimizer.add_param_group(group)
        if number != self._told:
            self._told = number
            log.info("%s", self.describe(step))
        self.watch.may_end = number == len(stages) - 1
        hold_still(self.network, stages[number])

    def describe(self, step: int) -> str:
        """Say in a line what the current stage does, from this step on."""
        stage = self.recipe.stage[self.current]
        groups = trained_groups(self.network, stage)
        learning = sum(parameter.numel() for group in groups for parameter in group["params"])
        every = sum(parameter.numel() for parameter in self.network.parameters())
        rate = stage.learning_rate or self.recipe.training.learning_rate
        factors = ", ".join(f"{pattern} x {factor:g}" for pattern, factor in stage.rates.items())
        parts = [
            f"{learning / every:.1%} of the weights learn, at up to {rate:g}{f' ({factors})' if factors else ''}",
            *([f"frozen: {', '.join(stage.freeze)}"] if stage.freeze else []),
            *([f"channels: {', '.join(stage.channels)}"] if stage.channels else []),
        ]
        return f"stage {self.current + 1} of {len(self.recipe.stage)}, after step {step}: {'; '.join(parts)}"
