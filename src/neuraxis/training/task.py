"""One training run as Lightning sees it: a network, its running mean, a loss, an optimiser and a schedule.

Everything that is random or scheduled is a function of the step's number, which counts on over interruptions.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import lightning as L
import torch
from torch import nn
from torch.profiler import record_function

from neuraxis.errors import RecipeError
from neuraxis.losses.catalog import LOSSES
from neuraxis.losses.compound import DeepSupervision
from neuraxis.networks.catalog import NETWORKS
from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.draws import Purpose, derived_seed
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.clock import TrainingClock
from neuraxis.training.data import Batch
from neuraxis.training.schedule import Course, learning_rate


def build_network(recipe: Recipe, channels: int, outputs: int) -> nn.Module:
    """Build the recipe's network with weights that depend on the seed alone; global generators stay untouched."""
    kind = NETWORKS.load(recipe.network.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(recipe.seed, Purpose.WEIGHTS))
        return kind(recipe.network.typed_options(), channels, outputs)


class SegmentationTask(L.LightningModule):
    """Trains one network.

    Args:
        recipe: all decisions.
        channels: channels of the image.
        outputs: outputs of the network.
        regions: whether outputs may overlap.

    Attributes:
        course: the steps in all, with corrections.
        clock: how long it has worked.
        first_step: optimiser steps done before this process began.
        loss_sum: sum of losses since the last row of the curves.
        loss_count: steps in that sum.
    """

    def __init__(self, recipe: Recipe, channels: int, outputs: int, regions: bool) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = build_network(recipe, channels, outputs)
        self.running = copy.deepcopy(self.network).requires_grad_(False)
        self.running.eval()
        loss = LOSSES.load(recipe.loss.name)(
            regions, recipe.loss.dice_weight, recipe.loss.entropy_weight, recipe.loss.batch_dice
        )
        self.loss = DeepSupervision(loss) if recipe.loss.deep_supervision else loss
        flat = recipe.network.options.get("flat_axis")
        self.augmentation = Augmentation(
            recipe.augmentation, recipe.patches.shape, recipe.preparation.spacing_mm, recipe.seed, flat
        )
        self.course, self.clock = Course(recipe.training.steps), TrainingClock()
        self.first_step, self.loss_sum, self.loss_count = 0, 0.0, 0
        self._optimizer_state: dict[str, Any] | None = None
        self._unread: torch.Tensor | None = None
        if flat is None:
            self.network.to(memory_format=torch.channels_last_3d)

    @property
    def step(self) -> int:
        """Optimiser steps done, those before an interruption counted in."""
        return self.first_step + int(self.global_step)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser; after an interruption with the moments it had."""
        settings = self.recipe.training
        if settings.optimizer == "sgd":
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                self.network.parameters(),
                settings.learning_rate,
                0.99,
                nesterov=True,
                weight_decay=settings.weight_decay,
            )
        else:
            optimizer = torch.optim.AdamW(
                self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
            )
        if self._optimizer_state is not None:
            optimizer.load_state_dict(self._optimizer_state)
            self._optimizer_state = None
        return optimizer

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment on the device."""
        images, targets, step = batch
        with record_function("augmentation"):
            images, targets = self.augmentation(images, targets, step)
        return images, targets, step

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the step's learning rate, and the seed of draws inside the network."""
        torch.manual_seed(derived_seed(self.recipe.seed, Purpose.DROPOUT, self.step))
        for group in self.optimizers(use_pl_optimizer=False).param_groups:
            group["lr"] = learning_rate(self.step, self.recipe.training, self.course)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch."""
        images, targets, _ = batch
        if self.recipe.network.options.get("flat_axis") is None:
            images = images.contiguous(memory_format=torch.channels_last_3d)
        with record_function("network"):
            logits = self.network(images)
        if not self.recipe.loss.deep_supervision and not isinstance(logits, torch.Tensor):
            logits = logits[0]
        with record_function("loss"):
            loss = self.loss(logits, targets)
        self.settle()
        self._unread = loss.detach()
        return loss

    def settle(self) -> None:
        """Read the last step's loss; only now, so that a GPU need not pause between forward and backward.

        Raises:
            RecipeError: it is not finite.
        """
        if self._unread is None:
            return
        value, self._unread = float(self._unread), None
        if not math.isfinite(value):
            raise RecipeError(
                f"The loss is {value} about step {self.step}: the training diverged. Lower training.learning_rate (now "
                f"{self.recipe.training.learning_rate:g}), or set training.precision=fp32, in a new --into."
            )
        self.loss_sum, self.loss_count = self.loss_sum + value, self.loss_count + 1

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Shorten gradients that are too long; Lightning's own clipping refuses the fused optimiser."""
        with record_function("gradient clipping"):
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.training.clip_norm)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Take the step, then move the running mean of the weights; early on it forgets faster."""
        super().optimizer_step(*arguments, **options)
        done = self.step + 1
        decay = min(self.recipe.training.ema_decay, done / (done + 10))
        with torch.no_grad(), record_function("running mean"):
            torch._foreach_lerp_(list(self.running.parameters()), list(self.network.parameters()), 1 - decay)
            for kept, now in zip(self.running.buffers(), self.network.buffers(), strict=True):
                kept.copy_(now)

    def shipped_network(self) -> nn.Module:
        """Return the network that is scored and shipped: the running mean, or the last weights without one."""
        return self.running if self.recipe.training.ema_decay > 0 else self.network

    def progress(self) -> dict[str, Any]:
        """Return all that a resumed run needs, tensors and plain numbers alone."""
        self.settle()
        return {
            "format": 1,
            "step": self.step,
            "network": self.network.state_dict(),
            "running": self.running.state_dict(),
            "optimizer": self.optimizers(use_pl_optimizer=False).state_dict(),
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "clock": self.clock.state(),
        }

    def restore(self, progress: dict[str, Any]) -> None:
        """Continue from what `progress` returned; call it before training starts."""
        self.network.load_state_dict(progress["network"])
        self.running.load_state_dict(progress["running"])
        self._optimizer_state = progress["optimizer"]
        self.first_step = int(progress["step"])
        self.clock.restore(progress.get("clock", {}))
        self.loss_sum, self.loss_count = float(progress["loss_sum"]), int(progress["loss_count"])
