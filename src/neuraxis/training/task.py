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
from neuraxis.losses.compared import Loss
from neuraxis.losses.compound import DeepSupervision
from neuraxis.networks.catalog import NETWORKS
from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.augment.missing import ChannelDropout
from neuraxis.patches.draws import Purpose, derived_seed
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.clock import TrainingClock
from neuraxis.training.data import Batch
from neuraxis.training.determinism import steady
from neuraxis.training.devices.ranks import ALONE, Ranks
from neuraxis.training.optimisation.optimizers import build_optimizer, clip_gradients
from neuraxis.training.optimisation.stage_schedule import stage_at, staged_rate
from neuraxis.training.optimisation.stages import Stages
from neuraxis.training.optimisation.watch import Watch
from neuraxis.training.schedule import Course


def build_network(recipe: Recipe, channels: int, outputs: int) -> nn.Module:
    """Build the recipe's network with weights that depend on the seed and, where it has one, its base alone.

    Global generators stay untouched.

    Raises:
        BundleError: its base is not there, or another than was planned with.
    """
    kind = NETWORKS.load(recipe.network.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(recipe.seed, Purpose.WEIGHTS))
        network = kind(recipe.network.typed_options(), channels, outputs)
        if hasattr(network, "begin_with_base"):
            network.begin_with_base()
        return network


def learn(network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """Return a network's logits, and the targets that they are held against.

    One that is told where to look is told by the targets, and has to answer with what it was asked for alone.
    """
    if hasattr(network, "learn"):
        logits, targets = network.learn(images, targets)
        return logits, targets
    return network(images), targets


def build_loss(recipe: Recipe, regions: bool) -> Loss:
    """Build the recipe's loss for one scale.

    Raises:
        RecipeError: class weights are still to be taken from a fingerprint, which the planner does.
    """
    asked = recipe.loss
    extent = [n * mm for n, mm in zip(recipe.patches.shape, recipe.preparation.spacing_mm, strict=True)]
    settings = asked.settings(regions, extent)
    loss: Loss = LOSSES.load(asked.name)(settings, asked.typed_options())
    return loss


def add_own_loss(loss: torch.Tensor, network: nn.Module, share: float) -> torch.Tensor:
    """Add what a network with `own_loss`, such as one with experts, has to say about itself.

    Args:
        loss: of what it predicts.
        network: after a forward pass in training.
        share: of the batch that it saw, in (0, 1].
    """
    own = network.own_loss() if hasattr(network, "own_loss") else None
    return loss if own is None else loss + share * own


class SegmentationTask(L.LightningModule):
    """Trains one network.

    Args:
        recipe: all decisions.
        channels: channels of the image.
        outputs: outputs of the network.
        regions: whether outputs may overlap.

    Attributes:
        course: the steps in all, with corrections.
        watch: what the validations said.
        stages: what moves at which step.
        missing: which channels are left out of which sample.
        clock: how long it has worked.
        ranks: the processes that share each batch.
        optimizer_state: what the optimiser begins with, until it is built.
        first_step: optimiser steps done before this process began.
        loss_sum: sum of losses since the last row of the curves.
        loss_count: steps in that sum.
    """

    def __init__(self, recipe: Recipe, channels: int, outputs: int, regions: bool) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = build_network(recipe, channels, outputs)
        steady(self.network)
        self.running = copy.deepcopy(self.network).requires_grad_(False)
        self.running.eval()
        self.one_scale = build_loss(recipe, regions)
        self.loss = self.one_scale
        if recipe.loss.deep_supervision:
            self.loss = DeepSupervision(self.one_scale, recipe.loss.soft_scales)
        flat = recipe.network.options.get("flat_axis")
        self.augmentation = Augmentation(
            recipe.augmentation, recipe.patches.shape, recipe.preparation.spacing_mm, recipe.seed, flat
        )
        self.course, self.clock = Course(recipe.training.steps), TrainingClock()
        self.watch = Watch(recipe.training)
        self.stages, self.missing = Stages(recipe, self.network, self.watch), ChannelDropout(recipe)
        self.ranks: Ranks = ALONE
        self.first_step, self.loss_sum, self.loss_count = 0, 0.0, 0
        self.optimizer_state: dict[str, Any] | None = None
        self._unread: torch.Tensor | None = None
        if flat is None:
            self.network.to(memory_format=torch.channels_last_3d)

    @property
    def step(self) -> int:
        """Optimiser steps done, those before an interruption counted in."""
        return self.first_step + int(self.global_step)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser; after an interruption with the moments it had."""
        optimizer = build_optimizer(self.recipe.training, self.stages.trained())
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            self.optimizer_state = None
        return optimizer

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Hear, as one of several ranks, what rank 0 decided since the last step, and augment on the device."""
        if not self.ranks.agree(self):
            self.trainer.should_stop = True
            return batch
        images, targets, step = batch
        with record_function("augmentation"):
            numbers = self.ranks.samples(self.recipe)
            images, targets = self.augmentation(images, targets, step, numbers)
            images = self.missing(images, step, stage_at(step, self.recipe, self.course), numbers)
        return images, targets, step

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step that comes next or was just done."""
        return staged_rate(step, self.recipe, self.course) * self.watch.factor

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> int | None:
        """Set the step's learning rate, weights of the loss that rise, and the seed of draws inside the network."""
        if self.trainer.should_stop:
            return -1
        torch.manual_seed(derived_seed(self.recipe.seed, Purpose.DROPOUT, self.step, self.ranks.rank))
        self.loss.at(self.course.share_done(self.step))
        optimizer = self.optimizers(use_pl_optimizer=False)
        self.stages.lead(self.step, self.course, optimizer)
        for group in optimizer.param_groups:
            group["lr"] = self.rate_at(self.step) * group.get("factor", 1.0)
        return None

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch; of several parts that of the last, with the others' gradients left behind."""
        images, targets, _ = batch
        parts = self.recipe.training.accumulate
        if parts == 1:
            loss = self._loss(images, targets)
            self.settle()
            self._unread = loss.detach()
            return loss
        self.optimizers(use_pl_optimizer=False).zero_grad()
        pairs = [*zip(images.chunk(parts), targets.chunk(parts), strict=True)]
        total = torch.zeros((), device=images.device)
        for some in pairs[:-1]:
            loss = self._loss(*some) / parts
            total += loss.detach()
            with torch.autocast(images.device.type, enabled=False), record_function("backward"):
                loss.backward()
        loss = self._loss(*pairs[-1]) / parts
        self.settle()
        self._unread = total + loss.detach()
        return loss

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Forget the last step's gradients, unless those of a batch's first parts lie there."""
        if self.recipe.training.accumulate == 1:
            optimizer.zero_grad()

    def _loss(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.recipe.network.options.get("flat_axis") is None:
            images = images.contiguous(memory_format=torch.channels_last_3d)
        with record_function("network"):
            logits, targets = learn(self.network, images, targets)
        if not self.recipe.loss.deep_supervision and not isinstance(logits, torch.Tensor):
            logits = logits[0]
        with record_function("loss"):
            logits, whole = self.ranks.whole(logits, targets)
            return add_own_loss(self.loss(logits, whole), self.network, len(targets) / len(whole))

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
        """Add up the ranks' gradients, then clip them; Lightning's own clipping refuses the fused optimiser."""
        unread, self._unread = self._unread, None  # should a rank be lost here, the step was not taken
        self.ranks.add_up(self.network)
        self._unread = unread
        with record_function("gradient clipping"):
            moved = (parameter for group in optimizer.param_groups for parameter in group["params"])
            clip_gradients(self.recipe.training, moved)

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Take the step, then move the running mean of the weights, which rank 0 keeps; early on it forgets faster."""
        super().optimizer_step(*arguments, **options)
        if self.ranks.rank:
            return
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
            "watch": self.watch.state(),
            "stage": self.stages.current,
        }

    def restore(self, progress: dict[str, Any]) -> None:
        """Continue from what `progress` returned; call it before training starts."""
        self.network.load_state_dict(progress["network"])
        self.running.load_state_dict(progress["running"])
        self.optimizer_state, self.stages.current = progress["optimizer"], int(progress.get("stage", 0))
        self.first_step = int(progress["step"])
        self.clock.restore(progress.get("clock", {}))
        self.watch.restore(progress.get("watch", {}))
        if self.watch.stopped_at is not None:
            self.course = self.course.ended(self.watch.stopped_at)
        self.loss_sum, self.loss_count = float(progress["loss_sum"]), int(progress["loss_count"])
