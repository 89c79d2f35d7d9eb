"""What validations have a say in."""

import pytest

from neuraxis.recipe.recipe import TrainingRecipe
from neuraxis.training.optimisation.watch import Watch

DICE = "validation_dice"


def watching(values, **settings):
    """Return a watch that saw values at steps 10, 20, ..., and the factors of the learning rate after each."""
    recipe = TrainingRecipe(**{"watch": DICE, **settings})
    watch, factors = Watch(recipe), []
    for place, value in enumerate(values, start=1):
        watch.see(10 * place, {recipe.watch: value})
        factors.append(watch.factor)
    return watch, factors


def test_the_learning_rate_falls_after_so_many_validations_without_gain():
    settings = {"schedule": "plateau", "plateau_factor": 0.1, "plateau_patience": 2}

    _, factors = watching([0.5, 0.4, 0.5, 0.6, 0.1, 0.1, 0.1, 0.1, 0.7], **settings)

    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_it_falls_no_lower_than_its_floor():
    settings = {"schedule": "plateau", "plateau_factor": 0.1, "plateau_patience": 1, "floor": 0.05}

    assert watching([0.5] * 4, **settings)[1] == pytest.approx([1, 0.1, 0.05, 0.05])


def test_other_schedules_hear_nothing_of_a_plateau():
    assert watching([0.5] * 15, schedule="cosine", plateau_patience=1)[1] == [1] * 15


@pytest.mark.parametrize("watch", ["loss", "validation_loss"])
def test_a_loss_gains_where_it_falls(watch):
    seen = watching([3, 2, 1, 2], watch=watch)[0]

    assert (seen.best, seen.best_step, seen.without_gain) == (1, 30, 1)


def test_training_ends_after_so_many_validations_without_gain():
    watch = watching([0.1, 0.5, 0.4, 0.3], stop_patience=3)[0]
    assert watch.stopped_at is None

    watch.see(50, {DICE: 0.5})

    assert watch.stopped_at == 50
    assert watch.reason == (
        "After step 50 training ended early: validation_dice gained nothing in 3 validations; its best was 0.5 after "
        "step 20."
    )


def test_a_gain_that_is_too_small_is_none():
    assert watching([0.5, 0.505, 0.509], stop_patience=2, least_gain=0.01)[0].stopped_at == 30
    assert watching([0.5, 0.52, 0.54], stop_patience=2, least_gain=0.01)[0].stopped_at is None


def test_without_patience_training_goes_on():
    assert watching([0.5] * 30)[0].stopped_at is None


def test_a_row_without_the_value_does_not_count():
    watch = watching([0.5, 0.4], stop_patience=2)[0]

    watch.see(30, {"loss": 1.0})

    assert (watch.without_gain, watch.stopped_at) == (1, None)


def test_what_it_remembers_survives():
    settings = {"schedule": "plateau", "plateau_patience": 2, "stop_patience": 5}
    whole = watching([0.5, 0.4, 0.4, 0.4, 0.4, 0.4], **settings)[0]
    resumed = Watch(whole.recipe)
    resumed.restore(watching([0.5, 0.4, 0.4, 0.4], **settings)[0].state())

    for step in (50, 60):
        resumed.see(step, {DICE: 0.4})

    assert resumed.state() == whole.state()
    assert whole.stopped_at == 60
    assert set(map(type, whole.state().values())) <= {float, int, type(None)}


def test_a_checkpoint_of_before_is_as_at_the_start():
    watch = Watch(TrainingRecipe())
    watch.restore({})

    assert watch.state() == Watch(TrainingRecipe()).state()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stop_patience": 19}, "stop_patience is 19, but there are 20 validations.*to 21 or more"),
        ({"schedule": "plateau", "plateau_patience": 20}, "plateau_patience is 20, .*to 22 or more"),
    ],
)
def test_a_patience_of_which_nothing_could_come_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingRecipe(**settings)


@pytest.mark.parametrize(
    ("settings", "chooses"),
    [
        ({}, False),
        ({"stop_patience": 5}, True),
        ({"schedule": "plateau"}, True),
        ({"schedule": "plateau", "watch": "validation_loss"}, True),
        ({"schedule": "plateau", "stop_patience": 5, "watch": "loss"}, False),
    ],
)
def test_a_recipe_knows_whether_held_out_cases_choose(settings, chooses):
    assert TrainingRecipe(**settings).chooses_on_held_out is chooses
