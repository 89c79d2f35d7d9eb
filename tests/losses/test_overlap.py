"""Losses of overlap against closed forms and MONAI's own."""

import pytest
import torch

from neuraxis.losses.compared import compare
from neuraxis.losses.options import (
    FocalTverskyOptions,
    GeneralisedDiceOptions,
    LossSettings,
    TverskyOptions,
)
from neuraxis.losses.overlap import DiceLoss, FocalTversky, GeneralisedDice, Tversky

ONLY_OVERLAP = {"entropy_weight": 0.0}


@pytest.fixture
def case():
    """Probabilities one half and certain labels: 2 voxels shared in part, 1 false in part."""
    return torch.zeros(1, 1, 3, 1, 1), torch.tensor([1, 1, 0], dtype=torch.uint8).view(1, 1, 3, 1, 1)


@pytest.fixture
def labels():
    source = torch.Generator().manual_seed(0)
    target = (torch.rand(2, 1, 6, 5, 4, generator=source) * 3).to(torch.uint8)
    return torch.randn(2, 3, 6, 5, 4, generator=source), target


def test_tversky_weighs_what_is_false_and_what_is_missed(case):
    loss = Tversky(LossSettings(True, **ONLY_OVERLAP), TverskyOptions(alpha=0.2, beta=0.6))

    assert float(loss(*case)) == pytest.approx(1 - 1 / (1 + 0.2 * 0.5 + 0.6 * 1), rel=1e-4)


@pytest.mark.parametrize("batch", [False, True])
def test_tversky_of_halves_is_dice(labels, batch):
    settings = LossSettings(False, batch_dice=batch, **ONLY_OVERLAP)

    found = Tversky(settings, TverskyOptions(alpha=0.5, beta=0.5))(*labels)

    assert float(found) == pytest.approx(float(DiceLoss(settings)(*labels)), rel=1e-4)


def test_focal_tversky_is_a_power_of_tversky(case):
    options = {"alpha": 0.2, "beta": 0.6}
    plain = Tversky(LossSettings(True, **ONLY_OVERLAP), TverskyOptions(**options))

    found = FocalTversky(LossSettings(True, **ONLY_OVERLAP), FocalTverskyOptions(gamma=0.75, **options))

    assert float(found(*case)) == pytest.approx(float(plain(*case)) ** 0.75, rel=1e-4)


@pytest.mark.parametrize("batch", [False, True])
def test_dice_is_monais(labels, batch):
    from monai.losses import DiceLoss as Theirs

    theirs = Theirs(False, True, softmax=True, smooth_nr=1e-5, smooth_dr=1e-5, batch=batch)

    found = DiceLoss(LossSettings(False, batch_dice=batch, **ONLY_OVERLAP))(*labels)

    assert float(found) == pytest.approx(float(theirs(labels[0], labels[1].float())), rel=1e-5)


@pytest.mark.parametrize(("weighting", "power"), [("square", 2), ("simple", 1), ("uniform", 0)])
def test_generalised_dice_weighs_outputs_by_their_size(labels, weighting, power):
    logits, target = labels
    probability = torch.softmax(logits, dim=1)
    there = compare(logits, target, False).truth.float()
    axes = (0, 2, 3, 4)
    weights = there.sum(axes) ** -power
    expected = (
        1 - 2 * (weights * (probability * there).sum(axes)).sum() / (weights * (probability + there).sum(axes)).sum()
    )

    loss = GeneralisedDice(LossSettings(False, **ONLY_OVERLAP), GeneralisedDiceOptions(weighting=weighting))

    assert float(loss(logits, target)) == pytest.approx(float(expected), rel=1e-4)


def test_generalised_dice_does_not_vanish_with_large_structures():
    small = torch.zeros(1, 1, 8, 4, 4, dtype=torch.uint8)
    small[:, :, :4] = 1
    large = small.repeat_interleave(8, 2).repeat_interleave(16, 3).repeat_interleave(16, 4)  # 131072 voxels each
    loss = GeneralisedDice(LossSettings(False, **ONLY_OVERLAP), GeneralisedDiceOptions())

    costs = [float(loss(torch.zeros(1, 2, *target.shape[2:]), target)) for target in (small, large)]

    assert costs == pytest.approx([0.5, 0.5], rel=1e-3)


def test_weights_of_outputs_leave_out_the_background(labels):
    logits, target = labels
    settings = LossSettings(False, class_weights=(100.0, 1.0, 3.0), **ONLY_OVERLAP)
    each = [
        DiceLoss(LossSettings(False, class_weights=(1.0, *only), **ONLY_OVERLAP))(logits, target)
        for only in ((1.0, 0.0), (0.0, 1.0))
    ]

    assert float(DiceLoss(settings)(logits, target)) == pytest.approx(float(each[0] + 3 * each[1]) / 4, rel=1e-5)
