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

from neuraxis.evaluation.boxes import flat_axes, joint_box
from neuraxis.evaluation.distances import SurfaceDistances
from neuraxis.evaluation.surface import average_mm, hd95_mm, percentile_mm, surface, surface_distances
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
    steps = [step for axis, step in enumerate(np.eye(3, dtype=int)) if axis not in flat_axes(mask.shape)]

    def neighbours(place: Voxel) -> set[Voxel]:
        return {tuple(int(i) for i in np.add(place, sign * step)) for step in steps for sign in (-1, 1)}

    return {place for place in inside if not neighbours(place) <= inside}


def plain_percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    position = percent / 100 * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def plain_distances(
    predicted: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[list[float], list[float]]:
    ours, theirs = plain_surface(predicted), plain_surface(reference)

    def apart(one: Voxel, other: Voxel) -> float:
        return math.sqrt(sum(((a - b) * size) ** 2 for a, b, size in zip(one, other, spacing_mm, strict=True)))

    there = [min((apart(place, other) for other in theirs), default=math.inf) for place in ours]
    back = [min((apart(place, other) for other in ours), default=math.inf) for place in theirs]
    return there, back


def percentile_distance_mm(
    predicted: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float], percentile: float
) -> float:
    return percentile_mm(surface_distances(predicted, reference, spacing_mm), percentile)


def ball(radius_mm: float, spacing_mm: tuple[float, float, float] = MM, size_mm: float = 40.0) -> np.ndarray:
    axes = [(np.arange(round(size_mm / step)) + 0.5) * step - size_mm / 2 for step in spacing_mm]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.asarray(x**2 + y**2 + z**2 <= radius_mm**2)


@settings(max_examples=150, deadline=None)
@given(pairs, spacings)
def test_every_surface_score_equals_brute_force(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float, float]
) -> None:
    found = surface_distances(*pair, spacing)
    there, back = plain_distances(*pair, spacing)
    undefined = not there or not back
    both = [*there, *back]
    expected = {
        "hd95": math.nan if undefined else max(plain_percentile(there, 95), plain_percentile(back, 95)),
        "hd100": math.nan if undefined else max(both),
        "assd": math.nan if undefined else sum(both) / len(both),
        "dice": sum(distance <= 1.2 for distance in both) / len(both) if both else math.nan,
    }
    scores = (percentile_mm(found, 95), percentile_mm(found, 100), average_mm(found), found.share_within(1.2))
    np.testing.assert_allclose(scores, list(expected.values()), rtol=1e-12, atol=1e-12)


@settings(deadline=None)
@given(pairs)
def test_surface_equals_brute_force_and_both_memory_orders_agree(pair: tuple[np.ndarray, np.ndarray]) -> None:
    mask = pair[0]
    flat = flat_axes(mask.shape)
    assert voxels(surface(mask, flat)) == plain_surface(mask)
    assert np.array_equal(surface(np.asfortranarray(mask), flat), surface(mask, flat))


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


def test_in_a_picture_only_the_outline_is_surface() -> None:
    picture = np.zeros((9, 9, 1), bool)
    picture[2:7, 2:7] = True
    assert surface(picture, flat=(2,)).sum() == 16
    inner = np.zeros_like(picture)
    inner[4, 4] = True
    assert hd95_mm(picture, inner, (1.0, 2.0, 9.0)) == pytest.approx(math.hypot(2, 4))
    found = surface_distances(inner, picture, MM)
    assert found.there.tolist() == [2.0]
    assert len(found.back) == 16


def test_a_lesion_in_one_slice_of_a_scan_is_surface_all_over() -> None:
    scan = np.zeros((9, 9, 5), bool)
    scan[2:7, 2:7, 2] = True
    assert len(surface_distances(scan, scan, MM).there) == 25


# --- answers written out ----------------------------------------------------------------------------------------------

PERFECT = (0.0, 0.0, 0.0, 1.0)


def scores(found: SurfaceDistances, tolerance_mm: float) -> tuple[float, float, float, float]:
    """HD95, HD100, ASSD and the surface Dice of voxels."""
    return (percentile_mm(found, 95), percentile_mm(found, 100), average_mm(found), found.share_within(tolerance_mm))


def test_a_cube_around_a_smaller_one_has_distances_of_its_faces_edges_and_corners() -> None:
    outer, inner = np.zeros((2, 9, 9, 9), bool)
    outer[2:7, 2:7, 2:7] = inner[3:6, 3:6, 3:6] = True
    faces, edges, corners, within = 6 * 9, 12 * 3, 8, 26
    assd = (faces + edges * math.sqrt(2) + corners * math.sqrt(3) + within) / (98 + 26)
    found = surface_distances(outer, inner, MM)
    assert scores(found, 1.0) == pytest.approx((math.sqrt(3), math.sqrt(3), assd, (54 + 26) / 124))
    assert found.share_within(1.5) == pytest.approx((54 + 36 + 26) / 124)
    assert found.share_within(2.0) == 1.0


def test_two_walls_are_everywhere_as_far_apart_as_they_were_put() -> None:
    one, other = np.zeros((2, 12, 5, 6), bool)
    one[2], other[7] = True, True
    found = surface_distances(one, other, (1.5, 0.7, 2.0))
    assert scores(found, 7.4) == pytest.approx((7.5, 7.5, 7.5, 0.0))
    assert scores(found, 7.5) == pytest.approx((7.5, 7.5, 7.5, 1.0))


def test_hd100_sees_the_one_voxel_that_hd95_forgives() -> None:
    reference = np.zeros((30, 30, 5), bool)
    reference[5:15, 5:15] = True
    predicted = reference.copy()
    predicted[29, 14, 4] = True
    found = surface_distances(predicted, reference, MM)
    assert scores(found, 1.0)[:2] == (0.0, 15.0)
    ours, theirs = int(surface(predicted).sum()), int(surface(reference).sum())
    assert average_mm(found) == pytest.approx(15 / (ours + theirs))
    assert found.share_within(1.0) == pytest.approx((ours - 1 + theirs) / (ours + theirs))


def test_a_perfect_mask_is_at_no_distance() -> None:
    mask = ball(9)
    assert scores(surface_distances(mask, mask, (0.5, 1.0, 2.0)), 0.0) == PERFECT


def test_a_rounding_error_does_not_put_a_tie_outside_the_tolerance() -> None:
    one, other = np.zeros((2, 9, 1, 1), bool)
    one[0] = other[3] = True
    found = surface_distances(one, other, (0.1, 1.0, 1.0))
    assert found.there[0] > 0.3
    assert found.share_within(0.3) == 1.0
    assert found.share_within(0.29999) == 0.0


def test_one_or_two_empty_masks_have_no_distance() -> None:
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    for pair, dice in (((empty, full), 0.0), ((full, empty), 0.0), ((empty, empty), math.nan)):
        np.testing.assert_equal(scores(surface_distances(*pair, MM), 99.0), (math.nan, math.nan, math.nan, dice))


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
