"""Every loss takes soft labels, and takes certain ones as it takes hard labels."""

import pytest
import torch

from neuraxis.losses.catalog import LOSSES, OPTIONS
from neuraxis.losses.compared import compare, with_background
from neuraxis.losses.options import LossSettings


@pytest.fixture
def hard():
    """Logits of 3 plain labels, and a target with voxels that do not count."""
    source = torch.Generator().manual_seed(0)
    target = torch.zeros(2, 1, 8, 8, 8, dtype=torch.uint8)
    target[:, :, 1:4, 1:4, 1:4], target[:, :, 5:7, 5:7, 5:7], target[:, :, 0, 0, :] = 1, 2, 255
    return torch.randn(2, 3, 8, 8, 8, generator=source), target


def softened(target, outputs):
    """Return a target of certain labels as shares without the background's."""
    numbers = torch.arange(1, outputs).view(1, -1, 1, 1, 1)
    return torch.where(target == 255, -1.0, (target == numbers).float()).half()


@pytest.mark.parametrize("name", LOSSES.names())
def test_certain_soft_labels_cost_what_hard_ones_do(name, hard):
    loss = LOSSES.load(name)(LossSettings(regions=False), OPTIONS.load(name)())
    loss.at(1.0)
    logits, target = hard

    assert float(loss(logits, softened(target, 3))) == pytest.approx(float(loss(logits, target)), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_step_along_the_gradient_of_soft_labels_lowers_every_loss(name, hard):
    loss = LOSSES.load(name)(LossSettings(regions=False), OPTIONS.load(name)())
    loss.at(1.0)
    logits, target = hard[0].requires_grad_(), 0.7 * softened(hard[1], 3).clamp_min(0).half()

    before = loss(logits, target)
    (gradient,) = torch.autograd.grad(before, logits)

    assert gradient.isfinite().all()
    with torch.no_grad():
        assert float(loss(logits - 0.1 * gradient / gradient.norm(), target)) < float(before)


def test_the_background_has_what_the_labels_leave(hard):
    logits, target = hard
    shares = 0.25 * softened(target, 3).clamp_min(0)

    found = compare(logits, shares, False)

    assert torch.equal(found.truth, with_background(shares))
    assert torch.allclose(found.truth.sum(dim=1), torch.ones(2, 8, 8, 8))
    assert torch.equal(compare(logits, with_background(shares), False).truth, found.truth)
