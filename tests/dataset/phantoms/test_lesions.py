from __future__ import annotations

from functools import cache

import cc3d
import numpy as np
import pytest

from neuraxis.dataset.phantoms.brain import Brain, grow_brain
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.lesions import KINDS, LesionOptions, Lesions, plant_lesions

AXES = [np.arange(low, high, 2.0) for low, high in ((-78, 79), (-111, 82), (-78, 87))]
MANY = LesionOptions(fewest=150, most=150, size=0.3)


@cache
def brain() -> Brain:
    return grow_brain(AXES, generator(0, 5, 0))


@cache
def many() -> Lesions:
    return plant_lesions(brain(), AXES, generator(0, 5, 1), MANY)


def test_the_number_lies_between_fewest_and_most() -> None:
    for subject in range(4):
        found = plant_lesions(brain(), AXES, generator(1, subject, 1), LesionOptions(fewest=3, most=5))
        assert 3 <= len(found.each) <= 5


def test_each_lesion_shows_in_the_mask_at_its_place() -> None:
    components = cc3d.connected_components(many().mask, connectivity=26)
    for lesion in many().each:
        x, y, z = lesion.voxel
        assert components[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].any()


def test_the_mask_is_exactly_what_is_lesion_by_half() -> None:
    assert np.array_equal(many().mask, many().fraction >= 0.5)
    assert many().fraction.min() >= 0
    assert many().fraction.max() <= 1


def test_the_filled_volume_and_the_mask_agree() -> None:
    for subject in range(3):
        found = plant_lesions(brain(), AXES, generator(0, subject, 1), LesionOptions(fewest=10, most=10, size=3))
        filled = sum(lesion.volume_mm3 for lesion in found.each)
        assert found.fraction.sum() * 8 <= filled * 1.001  # lesions that overlap count once
        assert found.mask.sum() * 8 == pytest.approx(filled, rel=0.2)


def test_volumes_begin_where_a_voxel_shows_them_and_spread_over_orders() -> None:
    volumes = np.array([lesion.volume_mm3 for lesion in many().each])
    assert 4 <= volumes.min() < 12  # half a voxel of 8 mm3 and more
    assert volumes.max() > 20 * np.median(volumes[volumes < np.median(volumes)])
    assert 0.6 < np.log(volumes).std() < 1.4


def test_no_lesion_is_smaller_than_3_mm3_where_voxels_are_1_mm3() -> None:
    axes = [np.arange(low, high, 1.0) for low, high in ((-60, 61), (-50, 31), (0, 41))]
    found = plant_lesions(grow_brain(axes, generator(0, 2, 0)), axes, generator(0, 2, 1), LesionOptions(60, 60, 0.05))
    sizes = np.bincount(cc3d.connected_components(found.mask, connectivity=26).ravel())[1:]
    assert len(sizes) > 30
    assert sizes.min() >= 3
    assert sizes.min() <= 6


def test_lesions_spare_the_fluid() -> None:
    assert (many().mask & (brain().tissue("csf") > 0.6)).sum() == 0


def test_kinds_lie_where_their_names_say() -> None:
    distance, depth = brain().ventricle_mm, brain().cortex_mm - brain().cortex_depth_mm
    kinds = {kind: [lesion.voxel for lesion in many().each if lesion.kind == kind] for kind in KINDS}
    assert all(kinds.values())
    assert all(0 < distance[voxel] < 5 for voxel in kinds["periventricular"])
    assert all(0 < depth[voxel] < 2.5 for voxel in kinds["juxtacortical"])
    assert all(brain().points[2][voxel] < -24 for voxel in kinds["infratentorial"])


def test_the_same_draws_give_the_same_lesions() -> None:
    again = plant_lesions(brain(), AXES, generator(0, 5, 1), MANY)
    assert np.array_equal(again.fraction, many().fraction)
    assert again.each == many().each
