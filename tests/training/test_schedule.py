"""How many steps a training takes, also where that was fixed anew on the way."""

from itertools import pairwise

import pytest
import torch

from neuraxis.recipe.recipe import TrainingRecipe
from neuraxis.training.schedule import Course, course_of, learning_rate


def rates(course, schedule="cosine", warmup=10, **settings):
    recipe = TrainingRecipe(steps=course.planned, warmup_steps=warmup, learning_rate=1.0, schedule=schedule, **settings)
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


@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_some_schedules_stay_where_they_are(schedule):
    assert rates(Course(100), schedule) == pytest.approx([0.1 * step for step in range(1, 10)] + [1.0] * 91)


@pytest.mark.parametrize(("growth", "first"), [(1, 40), (2, 20)])
def test_warm_restarts_are_torchs(growth, first):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, first, growth, eta_min=0.1)
    expected = []
    for _ in range(first * (3 if growth == 1 else 7)):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()

    found = rates(Course(len(expected)), "restarts", warmup=0, cycles=3, cycle_growth=growth, floor=0.1)

    assert found == pytest.approx(expected)


def test_one_cycle_rises_for_three_tenths_and_falls_to_its_floor():
    found = rates(Course(1000), "one-cycle", floor=0.001)

    assert found[0] == pytest.approx(1 / 25, abs=0.002)
    assert found.index(max(found)) == 300
    assert max(found) == 1
    assert all(later > earlier for earlier, later in pairwise(found[:301]))
    assert all(later < earlier for earlier, later in pairwise(found[300:]))
    assert found[-1] == pytest.approx(0.001, abs=1e-4)


@pytest.mark.parametrize("schedule", ["cosine", "poly", "restarts", "one-cycle"])
def test_no_schedule_goes_below_its_floor(schedule):
    found = rates(Course(100), schedule, warmup=0, floor=0.2)

    assert min(found) >= 0.2
    assert found[-1] < 0.25


@pytest.mark.parametrize("schedule", ["restarts", "one-cycle"])
def test_every_schedule_takes_corrections_without_a_change_of_the_past(schedule):
    corrected = rates(Course(100).corrected(50, 80), schedule)

    assert corrected[:51] == pytest.approx(rates(Course(100), schedule)[:51])
    assert corrected[-1] < 0.05


def test_the_exponent_of_poly_can_be_set():
    assert rates(Course(100), "poly", warmup=0, poly_exponent=2.0)[50] == pytest.approx(0.25)


def test_a_course_that_ended_early_is_over():
    course = Course(100).corrected(50, 80).corrected(60, 90)

    assert course.ended(55).steps == 55
    assert course.ended(55).corrections[:-1] == course.corrections[:1]
    assert course.ended(55).share_done(50) == course.share_done(50)


@pytest.mark.parametrize(("step", "steps"), [(0, 50), (70, 70), (40, 90), (60, 59)])
def test_a_correction_that_rewrites_the_past_is_refused(step, steps):
    with pytest.raises(ValueError, match="does not follow"):
        Course(100).corrected(50, 80).corrected(step, steps)
