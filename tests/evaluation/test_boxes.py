from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuraxis.evaluation.boxes import bounding_box, flat_axes, joint_box

masks = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)).flatmap(lambda s: arrays.arrays(bool, s))


@settings(deadline=None)
@given(masks, st.permutations([0, 1, 2]))
def test_the_box_is_the_smallest_in_any_memory_order(mask: np.ndarray, order: list[int]) -> None:
    mask = mask.transpose(order)[::-1]
    box = bounding_box(mask)
    if not mask.any():
        assert box is None
        return
    assert box == tuple(slice(int(line.min()), int(line.max()) + 1) for line in np.nonzero(mask))


def test_the_joint_box_holds_both_masks() -> None:
    one, other = np.zeros((2, 9, 9, 9), bool)
    one[1, 2, 3] = other[4, 2, 8] = True
    assert joint_box(one, other) == (slice(1, 5), slice(2, 3), slice(3, 9))
    assert joint_box(one, one & other) == (slice(1, 2), slice(2, 3), slice(3, 4))
    assert joint_box(one & other, one & other) is None


@pytest.mark.parametrize(
    ("shape", "flat"), [((9, 8, 7), ()), ((9, 8, 1), (2,)), ((1, 8, 7), (0,)), ((9, 1, 1), (1, 2)), ((1, 1, 1), ())]
)
def test_axes_of_one_voxel_are_flat_but_a_single_voxel_is_none(shape: tuple[int, ...], flat: tuple[int, ...]) -> None:
    assert flat_axes(shape) == flat
