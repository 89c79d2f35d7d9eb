"""What validations have a say in: a learning rate that falls on a plateau, and training that ends early.

Both follow from the rows of the curves alone, and all that they remember goes into the checkpoint. So a run that is
killed and resumed falls and ends where one does that never stopped. Needs no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from neuraxis.recipe.recipe import TrainingRecipe

log = logging.getLogger("neuraxis")


class Watch:
    """Looks at each validation.

    Args:
        recipe: what has to gain, how much, and how long it may not.

    Attributes:
        best: the best value so far; None before the first.
        best_step: when it was.
        without_gain: validations since.
        falls: how often the learning rate fell.
        stopped_at: the step after which training ends early; None: it does not.
        may_end: whether it may end early yet: in the last stage alone, where there are several.
    """

    def __init__(self, recipe: TrainingRecipe) -> None:
        self.recipe = recipe
        self.best: float | None = None
        self.best_step, self.without_gain, self.falls = 0, 0, 0
        self.stopped_at: int | None = None
        self.may_end, self._since_fall = True, 0

    @property
    def factor(self) -> float:
        """What the learning rate is multiplied by, 1 unless the schedule is "plateau"."""
        if not self.falls:
            return 1.0
        return float(max(self.recipe.floor, self.recipe.plateau_factor**self.falls))

    @property
    def reason(self) -> str:
        """Why training ended early, in words."""
        gained = f" by more than {self.recipe.least_gain:g}" if self.recipe.least_gain else ""
        return (
            f"After step {self.stopped_at} training ended early: {self.recipe.watch} gained nothing{gained} in "
            f"{self.without_gain} validations; its best was {self.best:.4g} after step {self.best_step}."
        )

    def see(self, step: int, row: Mapping[str, float]) -> None:
        """Take note of a validation.

        Args:
            step: steps done.
            row: of the curves; where it lacks the value that is watched it does not count.
        """
        value = row.get(self.recipe.watch)
        if value is None:
            return
        if self._gains(value):
            self.best, self.best_step, self.without_gain, self._since_fall = value, step, 0, 0
            return
        self.without_gain, self._since_fall = self.without_gain + 1, self._since_fall + 1
        if self.recipe.schedule == "plateau" and self._since_fall >= self.recipe.plateau_patience:
            before, self._since_fall = self.factor, 0
            self.falls += 1
            if self.factor < before:
                log.info("the learning rate falls to %.3g after step %d", self.recipe.learning_rate * self.factor, step)
        if self.may_end and 0 < self.recipe.stop_patience <= self.without_gain:
            self.stopped_at = step

    def forget(self) -> None:
        """Begin anew, with the learning rate at its height: another stage begins."""
        self.best, self.best_step, self.without_gain, self.falls, self._since_fall = None, 0, 0, 0, 0

    def state(self) -> dict[str, Any]:
        """Return all that it remembers, plain numbers alone."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "without_gain": self.without_gain,
            "since_fall": self._since_fall,
            "falls": self.falls,
            "stopped_at": self.stopped_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what `state` returned; what is missing is as at the start."""
        self.best, self.stopped_at = state.get("best"), state.get("stopped_at")
        self.best_step, self.without_gain = int(state.get("best_step", 0)), int(state.get("without_gain", 0))
        self._since_fall, self.falls = int(state.get("since_fall", 0)), int(state.get("falls", 0))

    def _gains(self, value: float) -> bool:
        if self.best is None:
            return True
        rise = value - self.best if self.recipe.watch == "validation_dice" else self.best - value
        return rise > self.recipe.least_gain
