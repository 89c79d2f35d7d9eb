from __future__ import annotations

import numpy as np
import pytest

from neuraxis.dataset.phantoms.fields import Field, blend, capsule, ellipsoid, fraction, generator


def points(*xyz: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = np.array(xyz, np.float32).T
    return x, y, z


def test_a_generator_depends_on_seed_subject_and_stream_and_on_nothing_else() -> None:
    first = generator(3, 7, 1).integers(0, 1 << 30, 4).tolist()
    assert generator(3, 7, 1).integers(0, 1 << 30, 4).tolist() == first
    others = [generator(*key).integers(0, 1 << 30, 4).tolist() for key in ((4, 7, 1), (3, 8, 1), (3, 7, 2), (7, 3, 1))]
    assert first not in others
    assert len({tuple(other) for other in others}) == 4


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed -1"):
        generator(-1, 0, 0)


def test_a_field_has_mean_0_sd_1_and_its_wavelength() -> None:
    field = Field.draw(generator(0, 0, 0), 32, fineness=8)
    assert abs(field.lattice.mean()) < 0.01
    assert field.lattice.std() == pytest.approx(1, abs=1e-3)
    signs = np.sign(field.lattice)
    crossings = (signs[1:] != signs[:-1]).mean() / field.step_mm  # per mm along x
    assert 1 / crossings == pytest.approx(32 * np.sqrt(3) / 2, rel=0.15)  # an isotropic wave seen along one axis


def test_a_field_has_the_same_values_at_any_voxel_size() -> None:
    field = Field.draw(generator(0, 0, 0), 40)
    fine, coarse = np.arange(-50, 51, 1.0), np.arange(-50, 51, 5.0)
    np.testing.assert_allclose(field.on([fine] * 3)[::5, ::5, ::5], field.on([coarse] * 3), atol=1e-5)


def test_a_field_at_scattered_points_agrees_with_the_field_on_a_grid() -> None:
    field = Field.draw(generator(0, 0, 0), 60, fineness=16)
    axes = [np.arange(-20, 20, 4.0)] * 3
    x, y, z = np.meshgrid(*axes, indexing="ij")
    np.testing.assert_allclose(field.at((x, y, z)), field.on(axes), atol=0.12)


def test_the_distance_to_a_sphere_is_exact() -> None:
    found = ellipsoid(points((0, 0, 6), (0, 10, 0), (13, 0, 0)), (0, 0, 0), (10, 10, 10))
    np.testing.assert_allclose(found, [4, 0, -3], atol=1e-4)


def test_the_surface_of_an_ellipsoid_is_where_its_distance_is_0() -> None:
    found = ellipsoid(points((7, 2, 3), (1, 10, 3), (1, 2, 0)), (1, 2, 3), (6, 8, 3))
    np.testing.assert_allclose(found, [0, 0, 0], atol=1e-4)


def test_a_capsule_widens_from_one_end_to_the_other() -> None:
    found = capsule(points((0, 0, 0), (10, 0, 0), (5, 3, 0), (14, 0, 0)), (0, 0, 0), (10, 0, 0), (2, 4))
    np.testing.assert_allclose(found, [2, 4, 0, 0], atol=1e-5)


def test_a_blend_is_the_larger_far_from_the_seam_and_more_at_it() -> None:
    found = blend(np.float32([9, 1, 3]), np.float32([1, 9, 3]), 4)
    np.testing.assert_allclose(found, [9, 9, 4])


def test_a_voxel_is_filled_by_half_where_the_surface_cuts_its_centre() -> None:
    np.testing.assert_allclose(fraction(np.float32([-2, -1, 0, 0.5, 1, 5]), 2), [0, 0, 0.5, 0.75, 1, 1])
