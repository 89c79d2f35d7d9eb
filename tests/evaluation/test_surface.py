from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from neuraxis.evaluation.surface import bounding_box, hd95_mm, joint_box, percentile_distance_mm, surface
from neuraxis.volume.formats import nifti

Voxel = tuple[int, ...]
MM = (1.0, 1.0, 1.0)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
pairs = shapes.flatmap(lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape)))
spacings = st.tuples(*[st.sampled_from([0.5, 1.0, 1.7, 3.0])] * 3)


# The same once more, written as slowly and plainly as can be, to compare with.


def voxels(mask: np.ndarray) -> set[Voxel]:
    return {place for place in itertools.product(*map(range, mask.shape)) if mask[place]}


def plain_surface(mask: np.ndarray) -> set[Voxel]:
    inside = voxels(mask)

    def neighbours(x: int, y: int, z: int) -> set[Voxel]:
        return {(x - 1, y, z), (x + 1, y, z), (x, y - 1, z), (x, y + 1, z), (x, y, z - 1), (x, y, z + 1)}

    return {place for place in inside if not neighbours(*place) <= inside}


def plain_percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    position = percent / 100 * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def plain_hd95_mm(predicted: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    ours, theirs = plain_surface(predicted), plain_surface(reference)
    if not ours or not theirs:
        return math.nan

    def apart(one: Voxel, other: Voxel) -> float:
        return math.sqrt(sum(((a - b) * size) ** 2 for a, b, size in zip(one, other, spacing_mm, strict=True)))

    there = [min(apart(place, other) for other in theirs) for place in ours]
    back = [min(apart(place, other) for other in ours) for place in theirs]
    return max(plain_percentile(there, 95), plain_percentile(back, 95))


def ball(radius_mm: float, spacing_mm: tuple[float, float, float] = MM, size_mm: float = 40.0) -> np.ndarray:
    axes = [(np.arange(round(size_mm / step)) + 0.5) * step - size_mm / 2 for step in spacing_mm]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.asarray(x**2 + y**2 + z**2 <= radius_mm**2)


@settings(max_examples=150, deadline=None)
@given(pairs, spacings)
def test_hd95_equals_brute_force(pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float, float]) -> None:
    expected = plain_hd95_mm(*pair, spacing)
    np.testing.assert_allclose(hd95_mm(*pair, spacing), expected, rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(pairs)
def test_surface_equals_brute_force_and_both_memory_orders_agree(pair: tuple[np.ndarray, np.ndarray]) -> None:
    mask = pair[0]
    assert voxels(surface(mask)) == plain_surface(mask)
    assert np.array_equal(surface(np.asfortranarray(mask)), surface(mask))


@settings(deadline=None)
@given(pairs, st.permutations([0, 1, 2]))
def test_the_box_is_the_smallest_in_any_memory_order(pair: tuple[np.ndarray, np.ndarray], order: list[int]) -> None:
    mask = pair[0].transpose(order)[::-1]
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


@pytest.mark.parametrize("shift", [0, 1, 3, 6, 9])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cube_shifted_by_k_voxels_is_k_spacings_away(shift: int, axis: int) -> None:
    spacing = (0.8, 1.25, 3.0)
    reference = np.zeros((20, 20, 20), bool)
    reference[1:9, 1:9, 1:9] = True
    assert hd95_mm(np.roll(reference, shift, axis), reference, spacing) == pytest.approx(shift * spacing[axis])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 1.0, 2.0)])
def test_concentric_balls_are_as_far_apart_as_their_radii(spacing: tuple[float, float, float]) -> None:
    assert hd95_mm(ball(15, spacing), ball(9, spacing), spacing) == pytest.approx(6, abs=max(spacing))


def test_the_larger_direction_counts_and_directions_are_not_pooled() -> None:
    reference, predicted = np.zeros((2, 20, 1, 1), bool)
    reference[0] = True
    predicted[[0, 10]] = True
    assert hd95_mm(predicted, reference, MM) == 9.5
    assert hd95_mm(reference, predicted, MM) == 9.5
    assert percentile_distance_mm(predicted, reference, MM, 100) == 10
    pooled = np.percentile([0, 10, 0], 95)
    assert pooled == 9.0


def test_the_edge_of_the_image_is_a_surface() -> None:
    full = np.ones((5, 5, 5), bool)
    hole = np.ones((5, 5, 5), bool)
    hole[2, 2, 2] = False
    assert surface(full).sum() == 125 - 27
    assert surface(hole).sum() == 125 - 27 + 6


def test_one_or_two_empty_masks_have_no_distance() -> None:
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    assert math.isnan(hd95_mm(empty, full, MM))
    assert math.isnan(hd95_mm(full, empty, MM))
    assert math.isnan(hd95_mm(empty, empty, MM))


def test_two_single_voxels_are_their_distance_apart() -> None:
    one, other = np.zeros((2, 5, 6, 7), bool)
    one[0, 1, 2] = other[4, 5, 6] = True
    assert hd95_mm(one, other, (1.0, 2.0, 3.0)) == pytest.approx(math.sqrt(4**2 + 8**2 + 12**2))


@pytest.mark.parametrize(
    ("spacing", "percent", "said"), [((1.0, 0.0, 1.0), 95, "Spacing"), (MM, 101, "percentile"), (MM, -1, "percentile")]
)
def test_impossible_arguments_are_refused(spacing: tuple[float, float, float], percent: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        percentile_distance_mm(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), spacing, percent)


@pytest.mark.data
def test_hd95_of_real_lesions_equals_a_distance_transform(shared_data: Path) -> None:
    reference = nifti.read(next((shared_data / "ms-ljubljana-mni" / "labels").glob("patient07*"))).array[0] > 0
    spacing = (1.0, 1.5, 0.7)
    predicted = np.roll(reference, (2, -1, 1), (0, 1, 2)) | np.roll(reference, 9, 1)
    box = joint_box(predicted, reference)
    predicted, reference = predicted[box], reference[box]
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (predicted, reference)]
    ours, theirs = (ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges)
    expected = max(np.percentile(theirs[edges[0]], 95), np.percentile(ours[edges[1]], 95))
    assert expected > 1
    assert hd95_mm(predicted, reference, spacing) == pytest.approx(float(expected), rel=1e-6)
