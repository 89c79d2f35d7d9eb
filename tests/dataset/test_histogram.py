"""Exact counts, and what becomes of them where there are too many distinct values."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.dataset import histogram as module
from neuraxis.dataset.histogram import EMPTY, Histogram, Pool, Tally, count_image, count_inside, memory_order

PERCENTS = (0, 0.5, 1, 10, 50, 77.7, 99.5, 100)


def counted(values: np.ndarray) -> Histogram:
    tally = Tally(values.dtype)
    tally.add(values)
    return tally.histogram()


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_integers_of_every_size_are_counted_by_value(kind: str) -> None:
    limits = np.iinfo(kind)
    values = np.array([0, 1, 1, 5, 100, limits.min, limits.max // 2**12, limits.max // 2**12, 0, 0], kind)
    found = counted(values)
    expected, times = np.unique(values, return_counts=True)
    assert found.values.tolist() == expected.tolist()
    assert found.counts.tolist() == times.tolist()
    assert found.tolerance == 0


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 600_000])
def test_percentiles_mean_and_deviation_of_integers_are_numpys(count: int) -> None:
    values = np.random.default_rng(count).poisson(3, count).astype("i2") * 7 - 5
    found = counted(values)
    assert found.percentiles(PERCENTS) == pytest.approx(tuple(np.percentile(values, PERCENTS)), abs=1e-9)
    assert found.mean == pytest.approx(values.mean())
    assert found.std == pytest.approx(values.std())
    assert found.total == count


def test_real_numbers_are_exact_while_they_fit() -> None:
    values = np.random.default_rng(0).normal(100, 20, 5000).astype("f4")
    found = counted(values)
    assert found.values.tolist() == np.unique(values).tolist()
    assert found.percentiles(PERCENTS) == pytest.approx(tuple(np.percentile(values.astype(float), PERCENTS)))


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_too_many_real_numbers_keep_mean_and_range_and_percentiles_within_the_tolerance(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "MOST_BINS", 2000)
    monkeypatch.setattr(module, "CHUNK", 5000)
    draws = np.random.default_rng(0)
    values = (draws.normal(500, 100, 40_000) * draws.choice([-1, 1], 40_000)).astype(kind)
    found = counted(values)
    assert 500 < len(found.values) <= 2000
    assert 0 < found.tolerance < 1e-2
    exact = np.percentile(values.astype(float), PERCENTS)
    assert np.abs(np.array(found.percentiles(PERCENTS)) / exact - 1).max() <= found.tolerance
    assert found.mean == pytest.approx(values.mean(dtype=float))
    assert found.std == pytest.approx(values.std(dtype=float), rel=1e-4)


def test_values_of_many_magnitudes_share_the_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BINS", 2000)
    values = np.exp(np.random.default_rng(0).uniform(-20, 20, 30_000))
    found = counted(values)
    exact = np.percentile(values, (1, 50, 99))
    assert np.abs(np.array(found.percentiles((1, 50, 99))) / exact - 1).max() <= found.tolerance < 0.05


def test_a_bin_of_one_value_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BINS", 8)
    crowd = 1000 + np.arange(20) / 64
    found = counted(np.concatenate([crowd, [1.3, 1.3, 7.7, 0.0, -2.1]]))
    assert {1.3, 7.7, 0.0, -2.1} <= set(found.values.tolist())
    assert len(found.values) <= 8
    assert found.total == 25


def test_nan_and_infinity_are_passed_over() -> None:
    found = counted(np.array([1, np.nan, 2, np.inf, 2, -np.inf], "f4"))
    assert (found.values.tolist(), found.counts.tolist()) == ([1, 2], [1, 2])


def test_each_case_of_a_pool_weighs_the_same() -> None:
    small, large = np.array([1, 5, 9], "i2"), np.array([100, 200, 300, 300, 300, 300], "i2")
    pool = Pool()
    for case in (small, large, np.empty(0, "i2")):
        pool.add(counted(case) if len(case) else EMPTY)
    everything = np.concatenate([np.repeat(small, 2), large])
    found = pool.histogram()
    assert found.percentiles(PERCENTS) == pytest.approx(tuple(np.percentile(everything, PERCENTS)))
    assert found.mean == pytest.approx(everything.mean())


def test_a_pool_of_many_cases_of_real_numbers_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BINS", 3000)
    cases = [np.random.default_rng(seed).normal(100 + seed, 10, 2000).astype("f4") for seed in range(12)]
    pool = Pool()
    for case in cases:
        pool.add(counted(case))
        assert len(pool.histogram().values) <= 3000
    exact = np.percentile(np.concatenate(cases).astype(float), PERCENTS)
    assert np.abs(np.array(pool.histogram().percentiles(PERCENTS)) / exact - 1).max() <= pool.histogram().tolerance


@pytest.mark.parametrize("turn", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_an_image_is_counted_whatever_way_it_lies_in_memory(turn: slice, order: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(-3, 4, (5, 6, 7)).astype("i2")
    array = np.asfortranarray(values).transpose(order)[:, turn]
    found = count_image(array)
    expected, times = np.unique(values, return_counts=True)
    assert (found.values.tolist(), found.counts.tolist()) == (expected.tolist(), times.tolist())


def test_what_a_mask_holds_is_counted_where_images_and_mask_lie_differently() -> None:
    draws = np.random.default_rng(0)
    first, second = draws.integers(0, 99, (5, 6, 7)).astype("i2"), draws.normal(size=(5, 6, 7)).astype("f4")
    mask = draws.random((5, 6, 7)) < 0.3
    found = count_inside(np.asfortranarray(mask), [first[::-1][::-1], np.asfortranarray(second)])
    assert [each.total for each in found] == [mask.sum()] * 2
    assert found[0].mean == pytest.approx(first[mask].mean())
    assert found[1].values.tolist() == sorted(second[mask].tolist())


def test_memory_order_puts_the_slowest_axis_first_and_turns_none_backwards() -> None:
    array = np.asfortranarray(np.zeros((2, 3, 4), "u1"))[:, ::-1]
    order, (view,) = memory_order([array])
    assert order == [2, 1, 0]
    assert view.shape == (4, 3, 2)
    assert view.flags.c_contiguous
    assert np.shares_memory(view, array)


def test_what_lies_above_a_level_leaves_the_level_out() -> None:
    assert counted(np.array([1, 2, 2, 3], "u1")).above(2).values.tolist() == [3]
