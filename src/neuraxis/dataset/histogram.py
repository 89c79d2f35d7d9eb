"""Exact histograms in bounded memory: distinct values and how often each occurs.

Integers of 16 bits are counted in a table. Everything else is sorted and its runs are counted, so that images of real
numbers are exact too, as long as they hold at most `MOST_BINS` distinct values (scaled integers do). Beyond that,
neighbouring values are put together by shortening their mantissa, bit by bit, until they fit; a bin stands for the mean
of its values, and `tolerance` says how far a percentile may be off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

MOST_BINS = 2**18
CHUNK = 2**18
_MANTISSA = 52


@dataclass(frozen=True, eq=False)
class Histogram:
    """Distinct values and their counts.

    Attributes:
        values: ascending, float64; where bins hold several values, their means.
        counts: voxels of each, or weights; float64.
        bits: of the mantissa that tell bins apart; 52 where every value has its own.
    """

    values: np.ndarray
    counts: np.ndarray
    bits: int = _MANTISSA

    @property
    def total(self) -> float:
        """Number of voxels, or sum of weights."""
        return float(self.counts.sum())

    @property
    def tolerance(self) -> float:
        """By what share of its value a percentile may be off; 0 where it is exact."""
        return 0.0 if self.bits == _MANTISSA else 2.0**-self.bits

    @property
    def mean(self) -> float:
        """The mean; exact also where values were put together."""
        return float(self.values @ self.counts) / self.total

    @property
    def std(self) -> float:
        """The standard deviation, of the population."""
        square = float((self.values - self.mean) ** 2 @ self.counts)
        return float(np.sqrt(square / self.total))

    def percentiles(self, percents: Sequence[float]) -> tuple[float, ...]:
        """Return the percentiles as `numpy.percentile` does for the values, each repeated as often as it counts.

        Args:
            percents: in [0, 100].
        """
        ends = np.cumsum(self.counts)
        knots = np.maximum.accumulate(np.column_stack([ends - self.counts, ends - 1]).ravel())
        places = np.array(percents, dtype=np.float64) / 100 * (ends[-1] - 1)
        return tuple(np.interp(places, knots, np.repeat(self.values, 2)).tolist())

    def above(self, level: float) -> Histogram:
        """Return the part whose values are larger than `level`."""
        first = int(np.searchsorted(self.values, level, side="right"))
        return Histogram(self.values[first:], self.counts[first:], self.bits)

    def weighted(self, factor: float) -> Histogram:
        """Return it with every count multiplied."""
        return Histogram(self.values, self.counts * factor, self.bits)

    def joined(self, other: Histogram) -> Histogram:
        """Return the sum of both, coarser where that is needed to stay within `MOST_BINS`."""
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")
        counts = np.concatenate([self.counts, other.counts])[order]
        return _fitted(values[order], counts, min(self.bits, other.bits))


EMPTY = Histogram(np.empty(0), np.empty(0))


class Tally:
    """Counts the values of one dtype, portion by portion; NaN and infinity are passed over."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        self._table = np.zeros(256 ** min(2, dtype.itemsize) if dtype.kind in "iu" else 0, np.int64)
        self._keys = np.dtype(f"u{dtype.itemsize}") if dtype.kind in "iu" else dtype
        self._dtype, self._sorted = dtype, EMPTY

    def add(self, values: np.ndarray) -> None:
        """Count some more values (N,)."""
        for part in _chunks(values):
            if self._table.size and (part.itemsize <= 2 or part.view(self._keys).max() < self._table.size):
                self._table += np.bincount(part.view(self._keys).astype(np.intp), minlength=self._table.size)
            else:
                self._sorted = self._sorted.joined(_count_runs(part, self._sorted.bits))

    def add_zeros(self, count: int) -> None:
        """Count zeros that were not looked at."""
        if self._table.size:
            self._table[0] += count
        elif count:
            self._sorted = self._sorted.joined(Histogram(np.zeros(1), np.array([float(count)])))

    def histogram(self) -> Histogram:
        """Return what was counted."""
        places = np.flatnonzero(self._table)
        values = places.astype(self._keys).view(self._dtype).astype(np.float64)
        order = np.argsort(values)
        counted = Histogram(values[order], self._table[places][order].astype(np.float64))
        return counted.joined(self._sorted) if len(self._sorted.values) else counted


class Pool:
    """Histograms of several cases as one, each case weighing the same however many voxels it has."""

    def __init__(self) -> None:
        self._sum, self._largest = EMPTY, 0.0

    def add(self, case: Histogram) -> None:
        """Add a case; one without voxels adds nothing."""
        if case.total:
            self._sum = self._sum.joined(case.weighted(1 / case.total))
            self._largest = max(self._largest, case.total)

    def histogram(self) -> Histogram:
        """Return the pool: that of all voxels, each case's repeated until it has as many as the largest."""
        return self._sum.weighted(self._largest)


def count_image(array: np.ndarray) -> Histogram:
    """Count every voxel of an image (X, Y, Z) whose background is often 0."""
    flat = memory_order([array])[1][0].reshape(-1)
    tally = Tally(flat.dtype)
    for part in _chunks(flat):
        held = part[part != 0]
        tally.add(held)
        tally.add_zeros(len(part) - len(held))
    return tally.histogram()


def count_inside(mask: np.ndarray, arrays: Sequence[np.ndarray]) -> list[Histogram]:
    """Count the voxels of several images of one shape where a mask of that shape is true."""
    where, *flat = (view.reshape(-1) for view in memory_order([mask, *arrays])[1])
    tallies = [Tally(array.dtype) for array in flat]
    for start in range(0, len(where), CHUNK):
        places = np.flatnonzero(where[start : start + CHUNK])
        for array, tally in zip(flat, tallies, strict=True):
            tally.add(array[start : start + CHUNK][places])
    return [tally.histogram() for tally in tallies]


def memory_order(arrays: Sequence[np.ndarray]) -> tuple[list[int], list[np.ndarray]]:
    """Return how the first array (X, Y, Z) lies in memory, slowest axis first, and views of all in that order.

    Axes that run backwards are turned round. What reads the views goes straight through memory.
    """
    strides = arrays[0].strides
    order = sorted(range(len(strides)), key=lambda axis: -abs(strides[axis]))
    turns = tuple(slice(None, None, -1 if strides[axis] < 0 else 1) for axis in order)
    return order, [array.transpose(order)[turns] for array in arrays]


def _chunks(flat: np.ndarray) -> Iterator[np.ndarray]:
    return (flat[start : start + CHUNK] for start in range(0, len(flat), CHUNK))


def _count_runs(values: np.ndarray, bits: int) -> Histogram:
    ordered = np.sort(values)
    if ordered.dtype.kind == "f":
        ordered = ordered[np.isfinite(ordered)]
    return _fitted(ordered.astype(np.float64), np.ones(len(ordered)), bits)


def _fitted(values: np.ndarray, counts: np.ndarray, bits: int) -> Histogram:
    """Put equal ascending values together, and close ones while there are too many."""
    starts = _run_starts(values, bits)
    if len(starts) > MOST_BINS:
        fits, bits = 0, bits - 1
        while fits < bits:
            middle = (fits + bits + 1) // 2
            fits, bits = (middle, bits) if len(_run_starts(values, middle)) <= MOST_BINS else (fits, middle - 1)
        starts = _run_starts(values, bits)
    if len(starts) == len(values):
        return Histogram(values, counts, bits)
    held = np.add.reduceat(counts, starts)
    ends = np.append(starts[1:], len(values)) - 1
    first = values[starts]
    means = np.add.reduceat(values * counts, starts) / held
    return Histogram(np.where(first == values[ends], first, means), held, bits)


def _run_starts(values: np.ndarray, bits: int) -> np.ndarray:
    """Return where a new bin begins among ascending values whose mantissas are cut to some bits."""
    if bits < _MANTISSA:
        values = (values.view(np.int64) & np.int64(-(1 << (_MANTISSA - bits)))).view(np.float64)
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.empty(0, np.intp)
