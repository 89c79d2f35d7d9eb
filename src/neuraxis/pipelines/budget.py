"""How many training steps fit into the time that a user gives: measured at first, and corrected on the way."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from neuraxis.errors import UsageError
from neuraxis.patches.grid import window_starts
from neuraxis.progress import Progress
from neuraxis.training.schedule import Course, Moment, course_of

if TYPE_CHECKING:
    from neuraxis.training.train import TrainingJob

log = logging.getLogger("neuraxis")
MEASURING_SHARE, LONGEST_MEASURING_S = 0.045, 60.0
BUNDLE_AND_REPORT_S, SECONDS_PER_CASE, SECONDS_PER_MEGAVOXEL, RESERVE = 12.0, 0.15, 0.05, 0.98
HELD_OUT_BATCHES = 8
VALIDATING_SHARE = 0.1
FIXED, CORRECTED = "steps_fixed", "steps_corrected"
LOOK_SHARE, LEAST_LOOK_S, LOOKS_KEPT, TOLERANCE = 0.02, 1.0, 4, 0.03


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

    Measuring ends when at most 5 % of the budget are gone. Kept back is the time for predicting and scoring the
    held-out fold, for bundle and report, for previews, and for the curves' validations, of which there are so few that
    they take a tenth of the time at most, or as many as the recipe's patience needs. More than `most` steps, which the
    user set, are not taken.

    Raises:
        UsageError: not even one step fits.
    """
    from neuraxis.training.train import seconds_per_step

    spare = max(2.0, MEASURING_SHARE * clock.budget_s - (clock.budget_s - clock.left_s))
    with progress.stage("measure speed", 1) as stage:
        step_s, timed = seconds_per_step(job, min(LONGEST_MEASURING_S, spare), spare)
        stage.advance()
    left = clock.left_s
    training = job.recipe.training
    row_s = HELD_OUT_BATCHES * step_s / 3 / training.accumulate
    validations = min(training.validations, max(training.least_validations, int(VALIDATING_SHARE * left / row_s)))
    kept_back = validations * row_s + _after_training_s(job, step_s) + _previews_s(job, left)
    room = RESERVE * left - kept_back
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
        "most": most,
        "validations": validations,
        "seconds_per_step": round(step_s, 5),
        "steps_timed": timed,
        "kept_back_s": round(kept_back, 1),
        "budget_s": clock.budget_s,
        "trained_from_s": round(clock.budget_s - left, 1),
        "reason": reason,
    }


def decided_course(events: Sequence[Mapping[str, Any]]) -> Course | None:
    """Return the steps that the events of a run fixed and corrected; None where no budget did."""
    fixed = [event["steps"] for event in events if event["kind"] == FIXED]
    if not fixed:
        return None
    return course_of(fixed[0], ((event["step"], event["steps"]) for event in events if event["kind"] == CORRECTED))


def decided_reason(events: Sequence[Mapping[str, Any]]) -> str:
    """Return in words why a budget's number of steps is what it is."""
    reasons = [event["reason"] for event in events if event["kind"] in (FIXED, CORRECTED)]
    if len(reasons) <= 2:
        return " ".join(reasons)
    return f"{reasons[0]} It was fixed anew {len(reasons) - 1} times. {reasons[-1]}"


class Pacer:
    """Fixes the number of steps anew where the pace that is observed would end the run too early or too late.

    It looks at each 50th of the budget and before the last step, judges by the pace over the last few looks, and leaves
    what would end within 3 % of the budget. Corrections begin after the warm-up, or before the last step.

    Args:
        job: what is trained.
        decided: the event of `fix_steps`.
        write: writes the facts of a correction down, durably, before it takes effect.
    """

    def __init__(self, job: TrainingJob, decided: Mapping[str, Any], write: Callable[[dict[str, Any]], object]) -> None:
        self._job, self._decided, self._write = job, decided, write
        self._look_s = max(LEAST_LOOK_S, LOOK_SHARE * decided["budget_s"])
        self._looks: deque[tuple[int, float]] = deque(maxlen=LOOKS_KEPT + 1)
        self._last = 0.0

    def __call__(self, moment: Moment) -> int | None:
        """Return another number of steps in all, or None."""
        is_last_chance = moment.step == moment.course.steps - 1
        if self._looks and moment.seconds - self._last < self._look_s and not is_last_chance:
            return None
        self._last = moment.seconds
        self._looks.append((moment.step, moment.seconds - moment.rows_s))
        if is_last_chance and len(self._looks) < 2:
            self._looks.appendleft((0, 0.0))
        warmup = 0 if is_last_chance else min(self._job.recipe.training.warmup_steps, moment.course.planned // 10)
        if len(self._looks) < 2 or moment.step <= max(warmup, moment.course.fixed_at):
            return None
        return self._corrected(moment)

    def _corrected(self, moment: Moment) -> int | None:
        (first, began), (last, ended) = self._looks[0], self._looks[-1]
        step_s = (ended - began) / (last - first)
        unseen_s = HELD_OUT_BATCHES * step_s / 3 / self._job.recipe.training.accumulate
        row_s = moment.rows_s / moment.rows if moment.rows else unseen_s
        each_s = step_s + row_s / moment.every
        late_s = moment.seconds + (moment.course.steps - moment.step) * each_s - self.ends_s(step_s)
        steps = max(moment.step + 1, moment.course.steps - round(late_s / each_s))
        steps = min(steps, self._decided["most"] or steps)
        if abs(late_s) <= TOLERANCE * self._decided["budget_s"] or steps == moment.course.steps:
            return None
        reason = (
            f"At step {moment.step} a step takes {step_s:.3g} s; {moment.course.steps} steps would end "
            f"{abs(late_s):.0f} s too {'late' if late_s > 0 else 'early'}: {steps} steps in all."
        )
        log.info("%s", reason)
        self._write({"step": moment.step, "steps": steps, "seconds_per_step": round(step_s, 5), "reason": reason})
        return steps

    def ends_s(self, step_s: float) -> float:
        """Return when training has to end, on its own clock, where a step takes so many seconds."""
        left = self._decided["budget_s"] - self._decided["trained_from_s"]
        return float(RESERVE * left - _after_training_s(self._job, step_s))


def _previews_s(job: TrainingJob, left: float) -> float:
    """Return the seconds that previews may take, the first of which are free."""
    previews = job.recipe.previews
    shown = len(previews.cases) or min(previews.count, len(job.fold.validation or job.fold.training))
    return previews.share * left if previews.every and shown + len(job.scans) else 0.0


def _after_training_s(job: TrainingJob, step_s: float) -> float:
    """Estimate how long predicting and scoring the held-out fold takes, and bundle and report."""
    recipe, seconds = job.recipe, BUNDLE_AND_REPORT_S
    window_s = step_s / 3 / (recipe.patches.batch * recipe.training.accumulate)
    mirrored = 2 ** len(recipe.inference.mirror_axes)
    for id in job.fold.validation:
        windows = len(window_starts(job.store.shape(id), recipe.patches.shape, recipe.inference.overlap))
        megavoxels = prod(job.store.way_back(id).source.shape) * (job.channels + len(job.labels.outputs)) / 1e6
        seconds += SECONDS_PER_CASE + SECONDS_PER_MEGAVOXEL * megavoxels + windows * mirrored * window_s
    return seconds
