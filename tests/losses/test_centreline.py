"""Centreline Dice against MONAI's, and what it is for."""

import pytest
import torch

from neuraxis.losses.centreline import CentrelineDice
from neuraxis.losses.compared import compare
from neuraxis.losses.options import CentrelineOptions, LossSettings


def build(regions=True, **settings):
    return CentrelineDice(LossSettings(regions, **settings), CentrelineOptions(iterations=3))


@pytest.mark.parametrize("shape", [(16, 14, 12), (24, 20, 1)])
def test_for_one_output_it_is_monais(shape):
    from monai.losses.cldice import SoftclDiceLoss

    source = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, *shape, generator=source)
    target = (torch.rand(2, 1, *shape, generator=source) > 0.6).to(torch.uint8)

    found = build(batch_dice=False).centreline(compare(logits, target, True))

    expected = SoftclDiceLoss(iter_=3, sigmoid=True, smooth=1e-9)(logits, target.float())
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_a_gap_costs_more_than_a_thinner_line():
    """The same number of voxels is missing from a bar of three rows: across it, or along its side."""
    target = torch.zeros(1, 1, 24, 9, 1, dtype=torch.uint8)
    target[:, :, :, 3:6] = 1
    gap, thinner = target.clone(), target.clone()
    gap[:, :, 8:12, 3:6] = 0
    thinner[:, :, 6:18, 3] = 0
    loss = build(entropy_weight=0.0)
    costs = [float(loss.centreline(compare(80.0 * found - 40, target, True))) for found in (gap, thinner)]

    assert int(gap.sum()) == int(thinner.sum())
    assert costs[0] > 1.5 * costs[1]
