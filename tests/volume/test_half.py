"""float32 rounded to what float16 holds is what a conversion there and back gives."""

from __future__ import annotations

import numpy as np

from neuraxis.volume.half import round_to_half


def test_every_number_of_float16_and_those_between_are_rounded_as_a_conversion_rounds_them() -> None:
    numbers = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (numbers[1:] + numbers[:-1]) / 2  # ties, which go to the even neighbour
    beside = [np.nextafter(between, np.float32(way)) for way in (-np.inf, np.inf)]
    values = np.concatenate([numbers, between, *beside])
    values = np.concatenate([values, -values])

    found = round_to_half(values)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype(np.float16).astype(np.float32))


def test_the_values_given_stay_as_they_are() -> None:
    values = np.array([1.00001, 1e-6], np.float32)
    round_to_half(values)
    assert values.tolist() == np.array([1.00001, 1e-6], np.float32).tolist()


def test_what_is_no_number_and_what_is_infinite_stays_so() -> None:
    found = round_to_half(np.array([np.nan, np.inf, -np.inf], np.float32))
    assert np.isnan(found[0])
    assert found[1:].tolist() == [np.inf, -np.inf]
