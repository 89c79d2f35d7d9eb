"""Which stage of a training a step belongs to, and the learning rate that it has there. Needs no torch.

A stage is a piece of the schedule: it begins and ends where so much of all steps is over. So it moves along where the
number of steps is fixed anew on the way, and each step's stage follows from the course alone.
"""

from __future__ import annotations

from itertools import pairwise

from neuraxis.errors import UsageError
from neuraxis.recipe.branches.stages import ROUNDING, spans_of
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.schedule import Course, height_of, learning_rate, warmup_of

FINE = ROUNDING / 1000


def stage_at(step: int, recipe: Recipe, course: Course) -> int:
    """Return the stage of a step that comes next, counted from 0; 0 where the recipe has no stages.

    Args:
        step: steps done before it.
        recipe: with its stages.
        course: the steps in all, with corrections.
    """
    done = course.share_done(step)
    ends = [end for _, end in spans_of(recipe.stage)] if recipe.stage else []
    return sum(done >= end - FINE for end in ends[:-1])


def first_step(stage: int, recipe: Recipe, course: Course) -> int:
    """Return the first step of a stage, as the course is known now."""
    low, high = 0, course.steps
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if stage_at(middle, recipe, course) >= stage else (middle + 1, high)
    return low


def staged_rate(step: int, recipe: Recipe, course: Course) -> float:
    """Return the learning rate of a step: each stage warms up, then follows the schedule to its own last step."""
    if not recipe.stage:
        return learning_rate(step, recipe.training, course)
    number = stage_at(step, recipe, course)
    (begin, end), stage = spans_of(recipe.stage)[number], recipe.stage[number]
    highest = stage.learning_rate or recipe.training.learning_rate
    warmup = warmup_of(round(course.planned * (end - begin)), recipe.training)
    first = first_step(number, recipe, course)
    if step < first + warmup:
        return highest * (step - first + 1) / warmup
    risen = course.share_done(first + warmup)
    done = (course.share_done(step) - risen) / max(end - risen, FINE)
    return highest * height_of(min(1.0, max(0.0, done)), recipe.training)


def refuse_empty_stages(recipe: Recipe, course: Course) -> None:
    """Refuse a training of so few steps that a stage has none.

    Raises:
        UsageError: with the stage.
    """
    firsts = [first_step(number, recipe, course) for number in range(len(recipe.stage))]
    for number, (first, after) in enumerate(pairwise([*firsts, course.steps]), start=1):
        if first == after:
            raise UsageError(
                f"Of the {course.steps} steps stage {number} has none: give more steps (or a longer --budget), or "
                "the stage a larger share."
            )
