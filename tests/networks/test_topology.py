"""Where to halve, and nnU-Net's measure of memory. That whole plans equal nnU-Net's: tests/recipe/test_nnunet.py."""

import pytest

from neuraxis.networks.topology import (
    RULES,
    configure,
    count_values,
    halve,
    pad_to_stride,
    plan_features,
    plan_topology,
    topology_of,
)


def test_a_hippocampus_patch_gets_nnunets_topology():
    topology = plan_topology((40, 56, 40), (1, 1, 1))

    assert topology.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    assert topology.kernels == ((3, 3, 3),) * 4


def test_thick_slices_are_neither_halved_nor_convolved_until_the_others_have_caught_up():
    topology = plan_topology((256, 256, 16), (0.5, 0.5, 3.0))

    assert topology.kernels[:3] == ((3, 3, 1), (3, 3, 1), (3, 3, 3))
    assert topology.strides[1:4] == ((2, 2, 1), (2, 2, 1), (2, 2, 2))


def test_a_flat_axis_stays_flat():
    topology = plan_topology((128, 128, 1), (1, 1, 1))

    assert {kernel[2] for kernel in topology.kernels} == {1}
    assert topology.stride[2] == 1
    assert topology.stride[0] == 32


def test_a_patch_of_one_voxel_has_a_single_stage():
    assert plan_topology((1, 1, 1), (1, 1, 1)).strides == ((1, 1, 1),)


def test_sides_are_raised_to_the_next_multiple():
    assert pad_to_stride((35, 50, 36), (8, 8, 8)) == (40, 56, 40)


def test_widths_double_up_to_the_limit():
    assert plan_features(6) == (32, 64, 128, 256, 320, 320)


def test_a_single_long_axis_is_halved_only_while_three_times_the_least_remains():
    assert halve((16, 6, 6), (1, 1, 1)) == ((1, 1, 1), (2, 1, 1))
    assert halve((11, 6, 6), (1, 1, 1)) == ((1, 1, 1),)


def test_the_coarsest_stage_has_full_kernels_and_a_flat_axis_never_has():
    assert plan_topology((32, 32, 2), (0.5, 0.5, 5.0)).kernels[-1] == (3, 3, 3)
    assert plan_topology((32, 32, 1), (0.5, 0.5, 5.0)).kernels[-1] == (3, 3, 1)


def test_strides_that_are_fixed_get_the_kernels_that_fit_them():
    strides = ((1, 1, 1), (2, 2, 1), (2, 2, 2))

    assert topology_of(strides, (64, 64, 16), (1, 1, 2.5)).kernels == ((3, 3, 1), (3, 3, 3), (3, 3, 3))
    assert topology_of(strides, (64, 64, 1), (1, 1, 2.5)).kernels == ((3, 3, 1),) * 3


def test_stages_end_where_they_are_told_to():
    assert len(plan_topology((512, 512, 512), (1, 1, 1), 3).strides) == 3
    assert len(halve((512, 512, 512), (1, 1, 1))) == 8


def test_widths_start_and_end_where_they_are_told_to():
    assert plan_features(4, base=24, most=100) == (24, 48, 96, 100)


def test_values_of_the_residual_networks_are_those_that_nnunet_states():
    # The two counts stand in its residual_encoder_unet_planners.py, for three labels and with an output at every stage
    # of the decoder; when it plans it counts the finest output alone, and so do we.
    cube, picture = ((1, 1, 1), *[(2, 2, 2)] * 5), ((1, 1), *[(2, 2)] * 6)
    coarse_3d, coarse_2d = 3 * (64**3 + 32**3 + 16**3 + 8**3), 3 * (256**2 + 128**2 + 64**2 + 32**2 + 16**2)

    assert count_values((128, 128, 128), cube, 3, RULES["resenc-m"]) == 558_319_104 - coarse_3d
    assert count_values((512, 512), picture, 3, RULES["resenc-m"]) == 129_793_792 - coarse_2d


def test_values_of_a_plain_network_counted_by_hand():
    # Two stages of widths 32 and 64 on 16 x 16 and 8 x 8: two convolutions each, one decoder stage of two and an
    # up-convolution, and two outputs.
    expected = 256 * 32 * 2 + 64 * 64 * 2 + 256 * 32 * 3 + 256 * 2

    assert count_values((16, 16), ((1, 1), (2, 2)), 2, RULES["plain"]) == expected


def test_a_batch_never_holds_more_than_a_share_of_the_dataset_but_two_patches_at_least():
    def batch(voxels):
        return configure((1, 1, 1), (40, 40, 40), voxels, 2, RULES["plain"]).batch

    assert batch(64_000 * 60) == 3
    assert batch(64_000) == 2


@pytest.mark.parametrize("name", RULES)
def test_a_patch_of_a_huge_cube_fits_the_reference_and_stays_nearly_a_cube(name):
    found = configure((1, 1, 1), (500, 500, 500), 1e9, 2, RULES[name])

    assert 0.7 * RULES[name].reference_3d < count_values(found.patch, found.strides, 2, RULES[name])
    assert count_values(found.patch, found.strides, 2, RULES[name]) <= RULES[name].reference_3d
    assert max(found.patch) - min(found.patch) <= 32
