"""Random numbers by (seed, purpose, step, sample)."""

from neuraxis.patches.draws import Purpose, derived_seed, generator


def test_the_same_combination_gives_the_same_numbers():
    assert generator(3, Purpose.PLACE, 7, 1).random() == generator(3, Purpose.PLACE, 7, 1).random()


def test_every_part_of_the_combination_matters():
    combinations = [(3, Purpose.PLACE, 7, 1), (4, Purpose.PLACE, 7, 1), (3, Purpose.AUGMENT, 7, 1)]
    combinations += [(3, Purpose.PLACE, 8, 1), (3, Purpose.PLACE, 7, 2)]

    assert len({generator(*combination).random() for combination in combinations}) == 5


def test_streams_of_neighbouring_steps_do_not_overlap():
    first = generator(0, Purpose.PLACE, 0).integers(2**62, size=10_000)
    second = generator(0, Purpose.PLACE, 1).integers(2**62, size=10_000)

    assert not set(first) & set(second)


def test_derived_seeds_fit_into_other_generators():
    assert 0 <= derived_seed(0, Purpose.WEIGHTS) < 2**63
