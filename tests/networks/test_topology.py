"""Where to halve, and what a training step takes."""

import pytest

from neuraxis.networks.topology import pad_to_stride, plan_features, plan_topology, training_memory_gb


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


@pytest.mark.parametrize(("batch", "patch"), [(4, (40, 56, 40)), (2, (80, 56, 40))])
def test_more_voxels_need_more_memory(batch, patch):
    topology = plan_topology((40, 56, 40), (1, 1, 1))
    base = training_memory_gb((40, 56, 40), topology, plan_features(4), 2)

    assert training_memory_gb(patch, topology, plan_features(4), batch) > 1.2 * base
