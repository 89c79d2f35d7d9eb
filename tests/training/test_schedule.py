"""How many steps a training takes, also where that was fixed anew on the way."""

from itertools import pairwise

import pytest

from neuraxis.recipe.recipe import TrainingRecipe
from neuraxis.training.schedule import Course, course_of, learning_rate


def rates(course, schedule="cosine", warmup=10):
    recipe = TrainingRecipe(steps=course.planned, warmup_steps=warmup, learning_rate=1.0, schedule=schedule)
    return [learning_rate(step, recipe, course) for step in range(course.steps)]


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
@pytest.mark.parametrize("corrections", [[], [(50, 300)], [(50, 60)], [(30, 300), (100, 120), (110, 400)]])
def test_the_learning_rate_rises_then_falls_to_nothing_without_a_jump(schedule, corrections):
    found = rates(course_of(100, corrections), schedule)

    assert found[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert all(later < earlier for earlier, later in pairwise(found[10:]))
    assert max(earlier - later for earlier, later in pairwise(found)) < 0.2
    assert found[-1] < 0.15


def test_a_correction_changes_no_step_before_it():
    assert rates(Course(100).corrected(50, 80))[:51] == pytest.approx(rates(Course(100))[:51])


def test_from_a_correction_on_the_schedule_moves_evenly_to_the_new_end():
    course = Course(100).corrected(50, 60).corrected(55, 105)

    assert [course.share_done(step) for step in (0, 50, 55, 80, 105)] == pytest.approx([0, 0.5, 0.75, 0.875, 1])


def test_a_correction_to_the_same_number_of_steps_changes_nothing():
    assert rates(Course(100).corrected(50, 100)) == pytest.approx(rates(Course(100)))


def test_a_correction_during_the_warm_up_leaves_the_warm_up():
    assert rates(Course(100).corrected(5, 200))[:10] == rates(Course(100))[:10]


@pytest.mark.parametrize(("step", "steps"), [(0, 50), (70, 70), (40, 90), (60, 59)])
def test_a_correction_that_rewrites_the_past_is_refused(step, steps):
    with pytest.raises(ValueError, match="does not follow"):
        Course(100).corrected(50, 80).corrected(step, steps)
