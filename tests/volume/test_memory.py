from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from neuraxis.volume.memory import copy_reordered


def laid_out(shape: tuple[int, ...], order: tuple[int, ...], flips: tuple[int, ...], dtype: str) -> np.ndarray:
    """An array of a shape whose axes lie in memory in the given order, some of them backwards."""
    memory = np.zeros([shape[axis] for axis in order], dtype)
    return memory.transpose(np.argsort(order))[tuple(slice(None, None, flip) for flip in flips)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((1, -1), repeat=3)))
def test_every_order_in_memory_is_copied_voxel_by_voxel(order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (5, 40, 70)).astype("i2")
    source = laid_out((5, 40, 70), order, flips, "i2")
    source[...] = values
    for other in permutations(range(3)):
        out = laid_out((5, 40, 70), other, (1, -1, 1), "f4")
        copy_reordered(out, source)
        np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 1), (4, 1, 3), (6, 7, 1), (33, 2, 65)])
def test_flat_arrays_are_copied_as_well(shape: tuple[int, int, int]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    out = np.empty(shape, order="F")
    copy_reordered(out, values)
    np.testing.assert_array_equal(out, values)


def test_types_are_cast_as_an_assignment_casts_them() -> None:
    values = np.random.default_rng(0).normal(0, 100, (3, 4, 5))
    out = np.empty((3, 4, 5), ">i2", order="F")
    copy_reordered(out, values)
    np.testing.assert_array_equal(out, values.astype("i2"))
