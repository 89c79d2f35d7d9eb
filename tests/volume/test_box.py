from __future__ import annotations

import numpy as np

from neuraxis.volume.box import nonzero_box


def test_the_box_holds_every_voxel_that_any_channel_fills() -> None:
    array = np.zeros((2, 6, 7, 8))
    array[0, 1, 3, 2] = 5
    array[1, 4, 2, 6] = -1
    assert nonzero_box(array) == ((1, 2, 2), (4, 2, 5))


def test_a_single_voxel_has_a_box_of_one() -> None:
    array = np.zeros((1, 3, 3, 3), np.int16)
    array[0, 2, 0, 1] = 1
    assert nonzero_box(array) == ((2, 0, 1), (1, 1, 1))


def test_an_empty_scan_is_kept_whole() -> None:
    assert nonzero_box(np.zeros((2, 3, 4, 5))) == ((0, 0, 0), (3, 4, 5))


def test_a_full_scan_is_kept_whole() -> None:
    assert nonzero_box(np.ones((1, 3, 4, 5))) == ((0, 0, 0), (3, 4, 5))


def test_channels_may_come_one_by_one_and_in_any_memory_order() -> None:
    first = np.zeros((4, 5, 6), order="F")[::-1]
    second = np.zeros((4, 5, 6), np.uint8)
    first[0, 1, 1] = second[3, 4, 1] = 1
    assert nonzero_box([first, second]) == ((0, 1, 1), (4, 4, 1))


def test_voxels_that_are_not_a_number_count_as_filled() -> None:
    array = np.zeros((1, 3, 3, 3))
    array[0, 1, 1, 1] = np.nan
    assert nonzero_box(array) == ((1, 1, 1), (1, 1, 1))
