"""Dice plus cross-entropy, and deep supervision."""

import math

import pytest
import torch

from neuraxis.losses.compound import DeepSupervision, DiceCrossEntropy


def perfect_logits(target, outputs):
    return 40.0 * torch.nn.functional.one_hot(target[:, 0].long(), outputs).movedim(-1, 1).float()


def test_a_perfect_prediction_costs_nothing():
    target = torch.tensor([[[[0, 1], [2, 1]]]], dtype=torch.uint8)

    assert DiceCrossEntropy(regions=False)(perfect_logits(target, 3), target) < 1e-4


def test_undecided_logits_cost_what_the_formulas_say():
    target = torch.tensor([[[[0, 1]]]], dtype=torch.uint8)
    dice_loss = 1 - 2 * 0.5 / (1 + 1)

    loss = DiceCrossEntropy(regions=False)(torch.zeros(1, 2, 1, 2), target)

    assert float(loss) == pytest.approx(math.log(2) + dice_loss, abs=1e-4)


def test_ignored_voxels_count_nowhere():
    target = torch.tensor([[[[0, 1, 255]]]], dtype=torch.uint8)
    logits = perfect_logits(torch.tensor([[[[0, 1, 0]]]]), 2)
    wrong_where_ignored = logits.clone()
    wrong_where_ignored[..., 2] = torch.tensor([-40.0, 40.0])[:, None]
    loss = DiceCrossEntropy(regions=False)

    assert torch.equal(loss(logits, target), loss(wrong_where_ignored, target))


def test_regions_may_overlap():
    target = torch.tensor([[[[1, 1, 0]], [[0, 1, 0]]]], dtype=torch.uint8)

    assert DiceCrossEntropy(regions=True)(80.0 * target.float() - 40, target) < 1e-4


@pytest.mark.parametrize("regions", [False, True])
def test_an_empty_target_gives_a_finite_gradient(regions):
    logits = torch.zeros(1, 2, 2, 2, requires_grad=True)
    target = torch.zeros(1, 2 if regions else 1, 2, 2, dtype=torch.uint8)

    DiceCrossEntropy(regions)(logits, target).backward()

    assert torch.isfinite(logits.grad).all()


def test_deep_supervision_halves_the_weight_from_scale_to_scale_and_leaves_out_the_coarsest():
    class Count(torch.nn.Module):
        def forward(self, logits, target):
            return torch.tensor(float(logits.shape[-1]))

    scales = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2)]

    loss = DeepSupervision(Count())(scales, torch.zeros(1, 1, 8, 8, dtype=torch.uint8))

    assert float(loss) == pytest.approx((8 * 1 + 4 * 0.5) / 1.5)


def test_deep_supervision_takes_the_nearest_label_at_each_scale():
    seen = []

    class Keep(torch.nn.Module):
        def forward(self, logits, target):
            seen.append(target.flatten().tolist())
            return logits.sum()

    target = torch.tensor([[[0, 1, 2, 3]]], dtype=torch.uint8)
    DeepSupervision(Keep())([torch.zeros(1, 1, 4), torch.zeros(1, 1, 2), torch.zeros(1, 1, 1)], target)

    assert seen == [[0, 1, 2, 3], [1, 3]]
