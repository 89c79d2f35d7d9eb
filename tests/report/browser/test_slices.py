from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from neuraxis.dataset.labels import Labels
from neuraxis.report.browser.slices import (
    agreement_picture,
    browser_case,
    bytes_a_case,
    fullest_first,
    runs,
)
from neuraxis.report.overlays import Overlay

LESION = Labels(names={"background": 0, "lesion": 1})


def unpacked(text: str) -> list[int]:
    """Read runs as the page's script does."""
    packed, found, place = base64.b64decode(text), [], 0
    while place < len(packed):
        value, length, shift = packed[place], 0, 0
        place += 1
        while True:
            byte = packed[place]
            place += 1
            length += (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found += [value] * length
    return found


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_runs_hold_every_number(codes: np.ndarray) -> None:
    assert unpacked(runs(codes)) == codes.ravel().tolist()


def test_long_runs_take_more_bytes_than_one() -> None:
    assert unpacked(runs(np.zeros((200, 100), np.uint8))) == [0] * 20_000


def whole_brain(seed: int = 0) -> Overlay:
    """A noisy ball of the size of a brain at 1 mm, with 40 lesions."""
    generator = np.random.default_rng(seed)
    shape = (182, 218, 182)
    axes = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    inside = sum(axis**2 for axis in axes) < 0.8
    image = (inside * (100 + generator.normal(0, 15, shape))).astype(np.float32)
    reference = np.zeros(shape, np.int16)
    for center in generator.integers(50, 130, (40, 3)):
        reference[tuple(slice(one, one + 4) for one in center)] = 1
    return Overlay("brain", "Dice 0.5", image, reference, np.roll(reference, 1, 0), (1.0, 1.0, 1.0), LESION)


def test_a_hundred_cases_stay_far_below_30_mb() -> None:
    case = browser_case([whole_brain()], bytes_a_case(100))
    size = len(json.dumps(case.content)) + len(case.thumbnail)
    assert 100 * size < 25_000_000
    assert len(case.content["slices"]) >= 8
    assert case.size <= size


def test_a_single_case_is_shown_finer_than_one_of_a_hundred() -> None:
    one, of_many = (browser_case([whole_brain()], bytes_a_case(count)) for count in (1, 100))
    assert len(one.content["slices"]) > 2 * len(of_many.content["slices"])
    assert one.size < 2_000_000


def test_slices_lie_in_order_and_the_fullest_is_the_first_to_be_shown(overlay: Overlay) -> None:
    content = browser_case([overlay], 1_000_000).content
    indices = [one["index"] for one in content["slices"]]
    assert indices == sorted(indices) == list(range(1, 11))
    assert content["first"] == 4
    assert (content["plane"], content["count"], content["ends"]) == ("axial", 10, "RLAP")
    assert content["mm"] == [content["columns"] * 1.0, content["rows"] * 1.0]


def test_a_voxel_says_what_reference_and_prediction_hold(overlay: Overlay) -> None:
    content = browser_case([overlay], 1_000_000).content
    codes = set(unpacked(content["slices"][3]["maps"][0]))
    assert codes == {0, 0x01, 0x02, 0x10, 0x11, 0x20, 0x22}  # shifted along x: one never meets the other


def test_the_plane_is_cut_across_the_thickest_voxels() -> None:
    array = np.zeros((20, 20, 20), np.int16)
    array[5:9, 5:9, 5:9] = 1
    planes = {
        spacing: browser_case(
            [Overlay("a", "", array.astype(np.float32), array, array, spacing, LESION)], 10**6
        ).content
        for spacing in ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (5.0, 1.0, 1.0))
    }
    assert [content["plane"] for content in planes.values()] == ["axial", "coronal", "sagittal"]


def test_a_picture_and_an_empty_case_have_one_slice_to_show() -> None:
    empty = np.zeros((30, 20, 1), np.int16)
    content = browser_case(
        [Overlay("a", "", empty.astype(np.float32), empty, empty, (1.0,) * 3, LESION)], 10**6
    ).content
    assert (len(content["slices"]), content["rows"], content["columns"]) == (1, 20, 30)


def test_voxels_to_ignore_are_shown_as_background() -> None:
    reference = np.zeros((8, 8, 8), np.int16)
    reference[2:4, 2:4, 2:4], reference[5, 5, 2] = 1, 9
    predicted = (reference > 0).astype(np.int16)
    labels = Labels(names={"background": 0, "lesion": 1}, ignore=9)
    image = predicted.astype(np.float32)
    content = browser_case([Overlay("a", "", image, reference, predicted, (1.0,) * 3, labels)], 10**6).content
    assert {code for one in content["slices"] for code in unpacked(one["maps"][0])} == {0, 0x11}


def test_the_fullest_slices_come_first_and_without_label_the_middle() -> None:
    codes = np.zeros((4, 4, 5), np.uint8)
    assert fullest_first(codes, 2) == [2]
    codes[0, 0, 1] = codes[0, :2, 3] = 1
    assert fullest_first(codes, 2) == [3, 1]


def test_found_missed_false_and_confused_have_colours_of_their_own() -> None:
    reference, predicted = np.array([[1, 1, 0, 2, 0]]), np.array([[1, 0, 1, 1, 0]])
    painted = agreement_picture(np.full((1, 5), 100, np.uint8), reference, predicted, 1.0)
    assert painted[0].tolist() == [[0, 158, 115], [230, 159, 0], [86, 180, 233], [204, 121, 167], [100] * 3]


@pytest.mark.parametrize("cases", [0, 1, 12, 100, 200])
def test_the_bytes_of_all_cases_are_bounded(cases: int) -> None:
    assert bytes_a_case(cases) * cases <= 20_000_000
