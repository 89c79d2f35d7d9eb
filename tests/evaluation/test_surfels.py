from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuraxis.evaluation.boxes import flat_axes
from neuraxis.evaluation.surfels import cell_codes, surfel_areas, surfel_distances

MM = (1.0, 1.0, 1.0)
UNEVEN = (1.0, 2.0, 5.0)
TRIANGLE, RAMP = math.sqrt(3) / 8, math.sqrt(2) / 2  # around one corner, along one edge, of a cell of 1 mm
shapes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
pairs = shapes.flatmap(lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape)))
spacings = st.tuples(*[st.sampled_from([0.5, 1.0, 1.7, 3.0])] * 3)


def block(shape: tuple[int, int, int], *sides: slice) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[sides] = True
    return mask


def cube(side: int, start: int, size: int = 14) -> np.ndarray:
    return block((size,) * 3, *[slice(start, start + side)] * 3)


def area(mask: np.ndarray, spacing_mm: tuple[float, float, float] = MM) -> float:
    return float(surfel_distances(mask, mask, spacing_mm).there_size.sum())


# The same once more, written as slowly and plainly as can be, to compare with.


def plain_surfels(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> dict[tuple[int, ...], float]:
    """Return the size of each cell that holds surface."""
    flat = flat_axes(mask.shape)
    areas = surfel_areas(tuple(1.0 if axis in flat else size for axis, size in enumerate(spacing_mm)))
    found = {}
    for cell in itertools.product(*(range(size + (axis not in flat)) for axis, size in enumerate(mask.shape))):
        code = 0
        for corner in itertools.product((0, 1), repeat=3):
            voxel = [place if axis in flat else place - 1 + corner[axis] for axis, place in enumerate(cell)]
            inside = all(0 <= place < size for place, size in zip(voxel, mask.shape, strict=True))
            code |= int(inside and mask[tuple(voxel)]) << (4 * corner[0] + 2 * corner[1] + corner[2])
        if 0 < code < 255:
            found[cell] = float(areas[code])
    return found


def plain_share(pair: tuple[np.ndarray, np.ndarray], spacing_mm: tuple[float, float, float], tolerance: float) -> float:
    ours, theirs = (plain_surfels(mask, spacing_mm) for mask in pair)
    whole = sum(ours.values()) + sum(theirs.values())
    if not whole:
        return math.nan
    near = 0.0
    for own, other in ((ours, theirs), (theirs, ours)):
        for cell, size in own.items():
            apart = [math.dist(np.multiply(cell, spacing_mm), np.multiply(place, spacing_mm)) for place in other]
            near += size * any(distance <= tolerance for distance in apart)
    return near / whole


@settings(max_examples=150, deadline=None)
@given(pairs, spacings, st.sampled_from([0.4, 1.2, 2.6]))
def test_the_surface_dice_equals_brute_force(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float, float], tolerance: float
) -> None:
    expected = plain_share(pair, spacing, tolerance)
    found = surfel_distances(*pair, spacing)
    np.testing.assert_allclose(found.share_within(tolerance), expected, rtol=1e-12)
    near = surfel_distances(*pair, spacing, farthest_mm=tolerance)
    np.testing.assert_allclose(near.share_within(tolerance), expected, rtol=1e-12)


# --- areas ------------------------------------------------------------------------------------------------------------

PENTAGON = 0.5 + 3 * math.sqrt(3) / 8  # around three corners of a face: half a wall and a trapezium


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(0b00000000, 0.0, id="nothing"),
        pytest.param(0b11111111, 0.0, id="all"),
        pytest.param(0b00000001, TRIANGLE, id="one corner"),
        pytest.param(0b11111110, TRIANGLE, id="all but one corner"),
        pytest.param(0b00000011, RAMP, id="an edge"),
        pytest.param(0b00001001, 2 * TRIANGLE, id="two corners across a face"),
        pytest.param(0b10000001, 2 * TRIANGLE, id="two corners across the cell"),
        pytest.param(0b00000111, PENTAGON, id="three corners of a face"),
        pytest.param(0b00001111, 1.0, id="a face"),
        pytest.param(0b00010111, 6 * TRIANGLE, id="a corner with its three neighbours"),
        pytest.param(0b11000011, 2 * RAMP, id="two edges across the cell"),
        pytest.param(0b01101001, 4 * TRIANGLE, id="every other corner"),
        pytest.param(0b10000111, PENTAGON + TRIANGLE, id="three corners of a face and one across"),
        pytest.param(0b00011011, RAMP + 4 * TRIANGLE, id="a chain around three corners"),
    ],
)
def test_a_cell_holds_the_area_written_out(code: int, expected: float) -> None:
    assert surfel_areas(MM)[code] == pytest.approx(expected)


def test_a_wall_has_the_area_of_the_voxels_faces_along_each_axis() -> None:
    areas = surfel_areas(UNEVEN)
    assert areas[[0b00001111, 0b00110011, 0b01010101]].tolist() == [10.0, 5.0, 2.0]
    assert areas[0b00000001] == pytest.approx(math.sqrt(10**2 + 5**2 + 2**2) / 8)


def test_what_is_inside_and_what_is_outside_may_be_exchanged() -> None:
    areas = surfel_areas((0.7, 1.1, 3.0))
    np.testing.assert_allclose(areas, areas[::-1], rtol=1e-12)


def test_turned_and_mirrored_cells_have_the_area_of_the_spacing_turned_along() -> None:
    spacing = (0.7, 1.1, 3.0)
    for order in itertools.permutations(range(3)):
        for mirrored in itertools.product((False, True), repeat=3):
            turned = np.empty(256)
            for code in range(256):
                corners = np.array([code >> bit & 1 for bit in range(8)]).reshape(2, 2, 2)
                corners = np.flip(corners, [axis for axis in range(3) if mirrored[axis]]).transpose(order)
                moved = sum(int(bit) << place for place, bit in enumerate(corners.ravel()))
                turned[code] = surfel_areas(tuple(spacing[axis] for axis in order))[moved]
            np.testing.assert_allclose(turned, surfel_areas(spacing), rtol=1e-12)


def test_a_cube_has_faces_bevelled_edges_and_cut_corners() -> None:
    faces, edges, corners = 6 * 4**2, 12 * 4 * RAMP, 8 * TRIANGLE
    assert area(cube(5, 3)) == pytest.approx(faces + edges + corners)


def test_a_single_voxel_is_an_octahedron() -> None:
    assert area(cube(1, 3)) == pytest.approx(math.sqrt(3))
    assert area(cube(1, 3), UNEVEN) == pytest.approx(math.sqrt(10**2 + 5**2 + 2**2))


@pytest.mark.parametrize(("spacing", "ratio"), [(MM, 1.09), ((0.5, 0.5, 0.5), 1.09), ((0.5, 1.0, 1.5), 1.15)])
def test_a_ball_has_about_the_surface_of_its_sphere(spacing: tuple[float, float, float], ratio: float) -> None:
    """Steps make the surface of a binary ball a tenth too large, at any resolution; faces of voxels make it a half."""
    axes = [(np.arange(round(40 / step)) + 0.5) * step - 20 for step in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    found = area(x**2 + y**2 + z**2 <= 15**2, spacing)
    assert found / (4 * math.pi * 15**2) == pytest.approx(ratio, abs=0.02)


def test_the_edge_of_the_image_is_a_surface() -> None:
    assert area(np.ones((5, 5, 5), bool)) == pytest.approx(area(cube(5, 3)))


# --- surface Dice -----------------------------------------------------------------------------------------------------


def test_a_cube_around_a_smaller_one_shares_its_faces_then_its_edges_then_its_corners() -> None:
    outer, inner = cube(5, 3), cube(3, 4)
    small = 6 * 2**2 + 12 * 2 * RAMP + 8 * TRIANGLE
    faces, edges, corners = 6 * 4**2, 12 * 4 * RAMP, 8 * TRIANGLE
    whole = small + faces + edges + corners
    found = surfel_distances(outer, inner, MM)
    shares = [found.share_within(tolerance) for tolerance in (0.9, 1.0, 1.5, 1.8)]
    assert shares == pytest.approx([0.0, (small + faces) / whole, (whole - corners) / whole, 1.0])


def test_a_cube_shifted_beyond_itself_shares_the_faces_that_look_at_each_other() -> None:
    one, other = cube(3, 1), np.roll(cube(3, 1), 6, axis=0)  # cells from 1 to 4 and from 7 to 10
    cap = 2**2 + 8 * RAMP + 4 * TRIANGLE
    belt = 4 * 2 + 4 * RAMP  # the cells between two caps, for each of the two layers
    found = surfel_distances(one, other, MM)
    shares = [found.share_within(tolerance) for tolerance in (2.9, 3.0, 4.0, 6.0)]
    whole = 2 * cap + 2 * belt
    assert shares == pytest.approx([0.0, cap / whole, (cap + belt) / whole, 1.0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_by_a_voxel_is_within_a_tolerance_of_its_size_along_that_axis(axis: int) -> None:
    mask = cube(6, 2)
    found = surfel_distances(np.roll(mask, 1, axis=axis), mask, (0.8, 1.25, 3.0))
    size = (0.8, 1.25, 3.0)[axis]
    assert found.share_within(size) == 1.0
    assert 0.5 < found.share_within(size - 0.01) < 1.0


@pytest.mark.parametrize("spacing", [MM, (0.5, 1.0, 1.5)])
def test_concentric_balls_share_all_or_nothing_of_their_surfaces(spacing: tuple[float, float, float]) -> None:
    axes = [(np.arange(round(40 / step)) + 0.5) * step - 20 for step in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    found = surfel_distances(radius <= 15, radius <= 9, spacing)
    step = math.hypot(*spacing)
    assert found.share_within(6 - step) == 0.0
    assert found.share_within(6 + step) == 1.0


def test_perfect_masks_share_all_and_distant_ones_nothing() -> None:
    assert surfel_distances(cube(3, 1), cube(3, 1), UNEVEN).share_within(0.0) == 1.0
    assert surfel_distances(cube(2, 1), cube(2, 11), MM).share_within(3.0) == 0.0


def test_with_one_mask_empty_nothing_is_shared_and_with_both_empty_it_is_undefined() -> None:
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    assert surfel_distances(empty, full, MM).share_within(99.0) == 0.0
    assert surfel_distances(full, empty, MM).share_within(99.0) == 0.0
    assert math.isnan(surfel_distances(empty, empty, MM).share_within(99.0))


def test_memory_order_changes_nothing() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    one, other = generator.random((2, 9, 8, 7)) > 0.7
    expected = surfel_distances(one, other, UNEVEN).share_within(1.5)
    assert 0 < expected < 1
    assert surfel_distances(np.asfortranarray(one), other, UNEVEN).share_within(1.5) == expected
    turned = surfel_distances(one[::-1], other[::-1], UNEVEN).share_within(1.5)
    assert turned == pytest.approx(expected)


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_outline_of_a_square_is_four_sides_and_four_cut_corners_along_any_flat_axis(axis: int) -> None:
    picture = np.expand_dims(cube(5, 3)[:, :, 4], axis)
    found = surfel_distances(picture, picture, MM)
    assert found.there_size.sum() == pytest.approx(4 * 4 + 4 * RAMP)
    assert len(found.there_size) == 20


def test_a_smaller_square_shares_the_sides_and_then_the_corners() -> None:
    outer, inner = cube(5, 3)[:, :, 4:5], cube(3, 4)[:, :, 4:5]
    small, sides, corners = 4 * 2 + 4 * RAMP, 4 * 4, 4 * RAMP
    found = surfel_distances(outer, inner, (1.0, 1.0, 7.0))
    assert found.share_within(1.0) == pytest.approx((small + sides) / (small + sides + corners))
    assert found.share_within(1.5) == 1.0


def test_codes_number_the_corners_of_a_cell() -> None:
    single = np.ones((1, 1, 1), bool)
    assert cell_codes(single).ravel().tolist() == [128, 64, 32, 16, 8, 4, 2, 1]
    assert cell_codes(single, flat=(2,)).ravel().tolist() == [192, 48, 12, 3]


@pytest.mark.parametrize(("spacing", "said"), [((1.0, 0.0, 1.0), "Spacing"), ((1.0, -1.0, 1.0), "Spacing")])
def test_a_voxel_without_a_size_is_refused(spacing: tuple[float, float, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        surfel_distances(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), spacing)
