"""Dice plus cross-entropy and its kin, and deep supervision."""

import math

import pytest
import torch

from neuraxis.losses.compound import DeepSupervision, DiceBinary, DiceCrossEntropy, DiceFocal, shares
from neuraxis.losses.options import FocalOptions, LossSettings

PLAIN, REGIONS = LossSettings(regions=False), LossSettings(regions=True)


def perfect_logits(target, outputs):
    return 40.0 * torch.nn.functional.one_hot(target[:, 0].long(), outputs).movedim(-1, 1).float()


def test_a_perfect_prediction_costs_nothing():
    target = torch.tensor([[[[0, 1], [2, 1]]]], dtype=torch.uint8)

    assert DiceCrossEntropy(PLAIN)(perfect_logits(target, 3), target) < 1e-4


def test_undecided_logits_cost_what_the_formulas_say():
    target = torch.tensor([[[[0, 1]]]], dtype=torch.uint8)
    dice_loss = 1 - 2 * 0.5 / (1 + 1)

    loss = DiceCrossEntropy(PLAIN)(torch.zeros(1, 2, 1, 2), target)

    assert float(loss) == pytest.approx(math.log(2) + dice_loss, abs=1e-4)


def test_alpha_and_beta_weigh_binary_cross_entropy_and_dice():
    target = torch.tensor([[[[0, 1]]]], dtype=torch.uint8)
    settings = LossSettings(regions=False, entropy_weight=0.25, dice_weight=0.75)

    loss = DiceBinary(settings)(torch.zeros(1, 2, 1, 2), target)

    assert float(loss) == pytest.approx(0.25 * math.log(2) + 0.75 * 0.5, abs=1e-4)


def test_the_focal_part_weakens_what_is_right_already():
    target = torch.tensor([[[[1, 1]]]], dtype=torch.uint8)
    probability = 0.8
    logits = torch.tensor([0.0, math.log(probability / (1 - probability))]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
    settings = LossSettings(regions=False, dice_weight=0.0)

    loss = DiceFocal(settings, FocalOptions(gamma=3.0))(logits, target)

    assert float(loss) == pytest.approx((1 - probability) ** 3 * -math.log(probability), rel=1e-4)


def test_ignored_voxels_count_nowhere():
    target = torch.tensor([[[[0, 1, 255]]]], dtype=torch.uint8)
    logits = perfect_logits(torch.tensor([[[[0, 1, 0]]]]), 2)
    wrong_where_ignored = logits.clone()
    wrong_where_ignored[..., 2] = torch.tensor([-40.0, 40.0])[:, None]
    loss = DiceCrossEntropy(PLAIN)

    assert torch.equal(loss(logits, target), loss(wrong_where_ignored, target))


def test_regions_may_overlap():
    target = torch.tensor([[[[1, 1, 0]], [[0, 1, 0]]]], dtype=torch.uint8)

    assert DiceCrossEntropy(REGIONS)(80.0 * target.float() - 40, target) < 1e-4


def test_the_batch_is_pooled_or_each_sample_counts_by_itself():
    target = torch.zeros(2, 1, 1, 4, dtype=torch.uint8)
    target[0] = 1
    logits = perfect_logits(target, 2)
    logits[1, :, 0, 0] = torch.tensor([-40.0, 40.0])  # one voxel too many in the sample that has none
    pooled, single = (
        DiceCrossEntropy(LossSettings(False, entropy_weight=0.0, batch_dice=batch))(logits, target)
        for batch in (True, False)
    )

    assert float(pooled) == pytest.approx(1 - 8 / 9, abs=1e-4)
    assert float(single) == pytest.approx((0 + 1) / 2, abs=1e-4)


def test_deep_supervision_halves_the_weight_from_scale_to_scale_and_leaves_out_the_coarsest():
    class Count(torch.nn.Module):
        def forward(self, logits, target):
            return torch.tensor(float(logits.shape[-1]))

    scales = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2)]

    loss = DeepSupervision(Count())(scales, torch.zeros(1, 1, 8, 8, dtype=torch.uint8))

    assert float(loss) == pytest.approx((8 * 1 + 4 * 0.5) / 1.5)


class Keep(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, logits, target):
        self.seen.append(target)
        return logits.sum()


def test_deep_supervision_takes_the_nearest_label_at_each_scale():
    keep, target = Keep(), torch.tensor([[[0, 1, 2, 3]]], dtype=torch.uint8)
    DeepSupervision(keep)([torch.zeros(1, 1, 4), torch.zeros(1, 1, 2), torch.zeros(1, 1, 1)], target)

    assert [target.flatten().tolist() for target in keep.seen] == [[0, 1, 2, 3], [1, 3]]


def test_soft_scales_take_the_share_of_each_label():
    keep, target = Keep(), torch.tensor([[[0, 1, 1, 1, 255, 2, 255, 255]]], dtype=torch.uint8)
    logits = [torch.zeros(1, 3, 8), torch.zeros(1, 3, 4), torch.zeros(1, 3, 2)]

    DeepSupervision(keep, soft=True)(logits, target)

    assert keep.seen[0] is target
    assert keep.seen[1][0].T.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]]


def test_shares_of_regions_are_taken_one_by_one():
    target = torch.tensor([[[1, 1, 0, 255], [0, 1, 0, 255]]], dtype=torch.uint8)

    assert shares(target, 2, (2,)).tolist() == [[[1.0, 0.0], [0.5, 0.0]]]


def test_soft_labels_are_averaged_themselves():
    target = torch.tensor([[[0.5, 1.0, -1.0, 0.25]]])

    assert shares(target, 1, (2,)).tolist() == [[[0.75, 0.25]]]
