"""How many steps a training takes and how far its schedule is at each of them, also where the number was fixed anew.

A time budget cannot know at the start how fast the machine will be all along. So the number of steps may be corrected
on the way: from then on the schedule moves evenly from where it stands to its end at the new last step. Whoever knows
the corrections knows the learning rate of every step, which is what resuming and repeating need. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from neuraxis.recipe.recipe import TrainingRecipe

RISE, _LOW = 0.3, 1 / 25  # of the one-cycle schedule (Smith and Topin 2018): how long it rises, and from where


@dataclass(frozen=True)
class Correction:
    """The number of steps, fixed anew.

    Attributes:
        step: steps done when it took effect; earlier steps keep the schedule they had.
        steps: optimiser steps in all, from then on.
    """

    step: int
    steps: int


@dataclass(frozen=True)
class Course:
    """The steps of one training.

    Attributes:
        planned: optimiser steps in all, as fixed before the first.
        corrections: in the order of their steps.

    >>> course = Course(100).corrected(50, 60)
    >>> course.steps, course.share_done(50), course.share_done(55), course.share_done(60)
    (60, 0.5, 0.75, 1.0)
    """

    planned: int
    corrections: tuple[Correction, ...] = ()

    @property
    def steps(self) -> int:
        """Optimiser steps in all, by the last correction."""
        return self.corrections[-1].steps if self.corrections else self.planned

    @property
    def fixed_at(self) -> int:
        """The step from which on the last correction holds; 0 without any."""
        return self.corrections[-1].step if self.corrections else 0

    def corrected(self, step: int, steps: int) -> Course:
        """Return the course that ends after `steps`, decided when `step` steps were done.

        Raises:
            ValueError: it would end in the past, or change what an earlier correction said of earlier steps.
        """
        if not self.fixed_at < step < steps:
            raise ValueError(f"A correction at step {step} to {steps} steps does not follow on {self}.")
        return replace(self, corrections=(*self.corrections, Correction(step, steps)))

    def ended(self, step: int) -> Course:
        """Return the course that ends after `step` steps, the one that was just done."""
        earlier = (correction for correction in self.corrections if correction.step < step)
        return replace(self, corrections=(*earlier, Correction(step, step)))

    def share_done(self, step: int, first: int = 0) -> float:
        """Return how much of the schedule is over before a step, in [0, 1]; it is a straight line but for corrections.

        Args:
            step: optimiser steps done.
            first: steps of warm-up, which are no part of the schedule.
        """
        start, share, end = first, 0.0, self.planned
        for correction in self.corrections:
            if correction.step > step:
                break
            if correction.step > start:
                share = _further(share, start, end, correction.step)
                start = correction.step
            end = correction.steps
        return _further(share, start, end, step)


@dataclass(frozen=True)
class Moment:
    """Where a training stands after a step, for whoever may fix the number of steps anew.

    Attributes:
        step: optimiser steps done.
        course: the steps in all.
        seconds: of training so far, earlier processes counted in.
        rows_s: those of them that this process spent on rows of the curves.
        rows: how many rows that were.
        every: steps from row to row.
    """

    step: int
    course: Course
    seconds: float
    rows_s: float
    rows: int
    every: int


Steer = Callable[[Moment], int | None]
"""Returns the number of steps in all to go on with, written down before, or None to leave it."""


def course_of(planned: int, corrections: Iterable[tuple[int, int]]) -> Course:
    """Return the course with corrections (step, steps), such as `run.json` keeps."""
    course = Course(planned)
    for step, steps in corrections:
        course = course.corrected(step, steps)
    return course


def learning_rate(step: int, recipe: TrainingRecipe, course: Course | None = None) -> float:
    """Return the learning rate of a step: linear warm-up, then the schedule, which ends after the last step.

    "plateau" and "constant" stay at the highest value here; what a plateau takes away is the task's to know.

    Args:
        step: steps done before it.
        recipe: highest value, warm-up and form of the schedule; its number of steps counts where there is no course.
        course: the steps in all, with corrections; the warm-up follows from what was planned at first.

    >>> rates = TrainingRecipe(steps=100, warmup_steps=10, learning_rate=1.0)
    >>> learning_rate(0, rates), learning_rate(9, rates), round(learning_rate(55, rates), 3)
    (0.1, 1.0, 0.5)
    """
    course = course or Course(recipe.steps)
    warmup = warmup_of(course.planned, recipe)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    return recipe.learning_rate * height_of(course.share_done(step, warmup), recipe)


def warmup_of(steps: int, recipe: TrainingRecipe) -> int:
    """Return over how many of so many steps the learning rate rises."""
    return 0 if recipe.schedule == "one-cycle" else min(recipe.warmup_steps, steps // 10)


def height_of(done: float, recipe: TrainingRecipe) -> float:
    """Return the learning rate as a share of its highest value where so much of the schedule is over, in [0, 1]."""
    height = _height(done, recipe)
    return recipe.floor + (1 - recipe.floor) * height if recipe.floor else height


def _height(done: float, recipe: TrainingRecipe) -> float:
    """Return how far from its floor (0) to its top (1) a schedule is."""
    if recipe.schedule == "poly":
        return float((1 - done) ** recipe.poly_exponent)
    if recipe.schedule in ("plateau", "constant"):
        return 1.0
    if recipe.schedule == "one-cycle":
        if done < RISE:
            return _LOW + (1 - _LOW) * (1 - _cosine(done / RISE))
        return _cosine((done - RISE) / (1 - RISE))
    if recipe.schedule == "restarts":
        return _cosine(_share_of_cycle(done, recipe.cycles, recipe.cycle_growth))
    return _cosine(done)


def _cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def _share_of_cycle(done: float, cycles: int, growth: float) -> float:
    """Return how much of the cycle that holds this moment is over; each is `growth` times as long as the one before."""
    lengths = [growth**cycle for cycle in range(cycles)]
    left = done * sum(lengths)
    for length in lengths[:-1]:
        if left < length:
            return left / length
        left -= length
    return min(1.0, left / lengths[-1])


def _further(share: float, start: int, end: int, step: int) -> float:
    return min(1.0, share + (1 - share) * (step - start) / max(1, end - start))
