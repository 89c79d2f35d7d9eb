"""Distances to an outline, and the loss that is made of them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from neuraxis.losses.boundary import Boundary, signed_distance
from neuraxis.losses.compared import compare
from neuraxis.losses.options import BoundaryOptions, LossSettings

SETTINGS = LossSettings(regions=True)


@pytest.mark.parametrize("steps", [(1.0, 1.0, 1.0), (1.0, 1.5, 3.0)])
@pytest.mark.parametrize("shape", [(14, 12, 9), (20, 18, 1)])
@pytest.mark.parametrize("reach", [3, 40])
def test_distances_are_scipys_as_far_as_they_reach(shape, steps, reach):
    field = np.random.default_rng(0).normal(size=shape)
    inside = np.array([field > 1.5, field > -2])
    expected = [
        np.minimum(distance_transform_edt(~mask, steps), reach) - np.minimum(distance_transform_edt(mask, steps), reach)
        for mask in inside
    ]

    found = signed_distance(torch.from_numpy(inside)[None], steps, reach)

    assert found.shape == (1, 2, *shape)
    assert np.allclose(found[0].numpy() * reach, expected, atol=1e-4)


def test_a_mask_that_is_nowhere_is_far_from_everywhere():
    assert signed_distance(torch.zeros(1, 1, 4, 4, 4, dtype=torch.bool), (1, 1, 1), 5).unique().tolist() == [1]


def test_a_mistake_far_from_the_outline_costs_more():
    target = torch.zeros(1, 1, 16, 1, 1, dtype=torch.uint8)
    target[:, :, :4] = 1
    logits = 80.0 * target - 40
    near, far = logits.clone(), logits.clone()
    near[:, :, 4], far[:, :, 12] = 40, 40
    loss = Boundary(SETTINGS, BoundaryOptions(reach=10))
    costs = [float(loss.boundary(compare(some, target, True))) for some in (logits, near, far)]

    assert costs == pytest.approx([0, 1 / 10 / 16, 9 / 10 / 16], abs=1e-6)


def test_its_weight_rises_evenly_over_training():
    target = torch.zeros(1, 1, 8, 8, 1, dtype=torch.uint8)
    target[:, :, :3] = 1
    logits, loss = torch.zeros(1, 1, 8, 8, 1), Boundary(SETTINGS, BoundaryOptions(boundary_weight=2.0))
    part = float(loss.boundary(compare(logits, target, True)))
    totals = []
    for share in (0.0, 0.25, 1.0):
        loss.at(share)
        totals.append(float(loss(logits, target)))

    assert part > 0
    assert [total - totals[0] for total in totals] == pytest.approx([0, 0.5 * part, 2 * part], abs=1e-5)


def test_thick_slices_are_far_apart():
    target = torch.zeros(1, 1, 5, 1, 5, dtype=torch.uint8)
    target[:, :, 2, :, 2] = 1
    logits = 80.0 * target - 40
    along, across = logits.clone(), logits.clone()
    along[:, :, 4, :, 2], across[:, :, 2, :, 4] = 40, 40
    loss = Boundary(LossSettings(True, extent=(5.0, 1.0, 15.0)), BoundaryOptions(reach=10))

    costs = [float(loss.boundary(compare(some, target, True))) for some in (along, across)]

    assert costs[1] == pytest.approx(3 * costs[0], rel=1e-4)
