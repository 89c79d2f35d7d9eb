"""Entropies against torch's and MONAI's own."""

import pytest
import torch
from torch.nn import functional as F

from neuraxis.losses.compared import compare
from neuraxis.losses.cross_entropy import binary_entropy, cross_entropy, focal

WEIGHTS = torch.tensor([0.3, 1.0, 1.7])


@pytest.fixture
def plain():
    source = torch.Generator().manual_seed(0)
    target = torch.randint(0, 3, (2, 1, 4, 5, 3), generator=source, dtype=torch.uint8)
    target[0, :, :2] = 255
    return 3 * torch.randn(2, 3, 4, 5, 3, generator=source), target


@pytest.fixture
def regions():
    source = torch.Generator().manual_seed(0)
    target = torch.randint(0, 2, (2, 3, 4, 5, 3), generator=source, dtype=torch.uint8)
    return 3 * torch.randn(2, 3, 4, 5, 3, generator=source), target


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_torchs(plain, weights):
    logits, target = plain

    expected = F.cross_entropy(logits, target[:, 0].long(), weights, ignore_index=255)

    assert float(cross_entropy(compare(logits, target, False), weights)) == pytest.approx(float(expected), rel=1e-5)


def test_label_smoothing_is_torchs(plain):
    logits, target = plain

    expected = F.cross_entropy(logits, target[:, 0].long(), ignore_index=255, label_smoothing=0.2)

    found = cross_entropy(compare(logits, target, False), smoothing=0.2)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_smoothing_of_regions_goes_towards_one_half(regions):
    logits, target = regions

    expected = F.binary_cross_entropy_with_logits(logits, 0.8 * target + 0.1)

    found = cross_entropy(compare(logits, target, True), smoothing=0.2)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_soft_labels_are_torchs(plain):
    logits = plain[0]
    soft = torch.softmax(logits.flip(2), dim=1)

    found = cross_entropy(compare(logits, soft, False))

    assert float(found) == pytest.approx(float(F.cross_entropy(logits, soft)), rel=1e-5)


def test_binary_cross_entropy_of_a_softmax_is_that_of_its_probabilities(plain):
    logits, target = plain[0][1:], plain[1][1:]
    there = F.one_hot(target[:, 0].long(), 3).movedim(-1, 1).float()

    expected = F.binary_cross_entropy(torch.softmax(logits, dim=1), there)

    assert float(binary_entropy(compare(logits, target, False))) == pytest.approx(float(expected), rel=1e-4)


def test_binary_cross_entropy_of_two_outputs_is_cross_entropy(plain):
    logits, target = plain[0][:, :2], plain[1].clamp(max=1)

    seen = compare(logits, target, False)

    assert float(binary_entropy(seen)) == pytest.approx(float(cross_entropy(seen)), rel=1e-5)


@pytest.mark.parametrize("outputs", [2, 3])
def test_a_voxel_that_is_surely_wrong_still_pulls(outputs):
    logits = torch.zeros(1, outputs, 1, 1, 1)
    logits[:, 1] = 60
    logits.requires_grad_()

    binary_entropy(compare(logits, torch.zeros(1, 1, 1, 1, 1, dtype=torch.uint8), False)).backward()

    assert float(logits.grad[0, 1]) > 0.5


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_part_is_monais(plain, regions, gamma):
    from monai.losses import FocalLoss

    logits, target = plain[0][1:], plain[1][1:]
    theirs = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=gamma, alpha=None, reduction="none")
    expected = theirs(logits, target.long()).sum(dim=1).mean()

    assert float(focal(compare(logits, target, False), gamma)) == pytest.approx(float(expected), rel=1e-4)
    expected = FocalLoss(gamma=gamma)(*regions)
    assert float(focal(compare(*regions, True), gamma)) == pytest.approx(float(expected), rel=1e-4)


def test_without_gamma_the_focal_part_is_cross_entropy(plain, regions):
    for pair, overlap in ((plain, False), (regions, True)):
        seen = compare(*pair, overlap)
        assert float(focal(seen, 0.0, WEIGHTS)) == pytest.approx(float(cross_entropy(seen, WEIGHTS)), rel=1e-5)
