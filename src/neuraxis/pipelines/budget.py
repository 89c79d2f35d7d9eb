"""How many training steps fit into the time that a user gives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from neuraxis.errors import UsageError
from neuraxis.patches.grid import window_starts
from neuraxis.progress import Progress

if TYPE_CHECKING:
    from neuraxis.training.train import TrainingJob

MEASURING_SHARE, LONGEST_MEASURING_S = 0.045, 60.0
BUNDLE_AND_REPORT_S, SECONDS_PER_CASE, SECONDS_PER_MEGAVOXEL, RESERVE = 12.0, 0.15, 0.05, 0.98
HELD_OUT_BATCHES = 8


@dataclass(frozen=True)
class Clock:
    """A time budget in seconds, and when it began (`time.monotonic`)."""

    budget_s: float
    began: float

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return self.budget_s - (time.monotonic() - self.began)


def fix_steps(job: TrainingJob, clock: Clock, most: int | None, progress: Progress) -> dict[str, Any]:
    """Measure the speed and return the facts of the decision: steps, seconds per step, and the reason in words.

    Measuring ends when at most 5 % of the budget are gone. Kept back is the time for the curves' validations, for
    predicting and scoring the held-out fold, and for bundle and report. More than `most` steps, which the user set, are
    not taken.

    Raises:
        UsageError: not even one step fits.
    """
    from neuraxis.training.train import seconds_per_step

    spare = MEASURING_SHARE * clock.budget_s - (clock.budget_s - clock.left_s)
    with progress.stage("measure speed", 1) as stage:
        step_s, timed = seconds_per_step(job, at_most=min(LONGEST_MEASURING_S, max(2.0, spare)))
        stage.advance()
    forward_s = step_s / 3
    validating = job.recipe.training.validations * HELD_OUT_BATCHES * forward_s
    scoring = _scoring_s(job, forward_s / job.recipe.patches.batch)
    room = RESERVE * clock.left_s - validating - scoring - BUNDLE_AND_REPORT_S
    fitting = int(room / step_s)
    if fitting < 1:
        needed = clock.budget_s - room + 100 * step_s
        raise UsageError(
            f"--budget: {clock.budget_s:.0f} s leave no room for a step of {step_s:.3g} s besides preparing. "
            f"Needed are at least {needed:.0f} s for 100 steps; give more, or leave the budget out."
        )
    steps = fitting if most is None else min(fitting, most)
    reason = (
        f"{clock.budget_s / 60:.3g} minutes in all leave room for {fitting} steps of {step_s:.3g} s on this machine."
    )
    if steps < fitting:
        reason += f" The {steps} that were set are kept."
    return {
        "steps": steps,
        "seconds_per_step": round(step_s, 5),
        "steps_timed": timed,
        "kept_back_s": round(validating + scoring + BUNDLE_AND_REPORT_S, 1),
        "budget_s": clock.budget_s,
        "reason": reason,
    }


def _scoring_s(job: TrainingJob, window_s: float) -> float:
    """Estimate how long predicting and scoring the held-out fold takes."""
    recipe, seconds = job.recipe, 0.0
    mirrored = 2 ** len(recipe.inference.mirror_axes)
    for id in job.fold.validation:
        windows = len(window_starts(job.store.shape(id), recipe.patches.shape, recipe.inference.overlap))
        megavoxels = prod(job.store.way_back(id).source.shape) * (job.channels + len(job.labels.outputs)) / 1e6
        seconds += SECONDS_PER_CASE + SECONDS_PER_MEGAVOXEL * megavoxels + windows * mirrored * window_s
    return seconds
