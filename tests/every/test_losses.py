"""Every loss of the catalog: right is cheaper than wrong, and no patch makes a gradient that is not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from neuraxis.losses.catalog import LOSSES, OPTIONS
from neuraxis.losses.compound import DeepSupervision
from neuraxis.losses.options import LossSettings

OUTPUTS, IGNORED = 3, 255
SHAPES = {"3d": (8, 12, 4), "2d": (12, 16, 1)}
STRIDES = {"3d": ((1, 1, 1), (2, 2, 1), (4, 4, 2)), "2d": ((1, 1, 1), (2, 2, 1), (4, 4, 1))}

every_loss = pytest.mark.parametrize("name", LOSSES.names())
both_kinds = pytest.mark.parametrize("regions", [False, True], ids=["softmax", "regions"])
both_shapes = pytest.mark.parametrize("shape", SHAPES)


def build(name, regions, **settings):
    return LOSSES.load(name)(LossSettings(regions, **settings), OPTIONS.load(name)())


def blobs(shape, regions, seed=0):
    """Two samples of round labels; regions overlap."""
    fields = torch.randn(2, OUTPUTS, 4, 4, 1, generator=torch.Generator().manual_seed(seed))
    smooth = F.interpolate(fields, SHAPES[shape], mode="trilinear")
    return (smooth > 0.2).to(torch.uint8) if regions else smooth.argmax(dim=1, keepdim=True).to(torch.uint8)


def make_target(kind, shape, regions):
    target = blobs(shape, regions)
    if kind == "empty":
        return torch.zeros_like(target)
    if kind == "full":
        return torch.ones_like(target)
    if kind == "ignored":
        return torch.full_like(target, IGNORED)
    if kind == "partly ignored":
        target[:, :, :5] = IGNORED
    if kind == "soft":
        return soft(target, regions)
    return target


def soft(target, regions):
    there = target.float() if regions else F.one_hot(target[:, 0].long(), OUTPUTS).movedim(-1, 1).float()
    return 0.8 * there + (0.1 if regions else 0.2 / OUTPUTS)


def right_logits(target, regions, sure=40.0):
    if regions:
        return sure * (2.0 * (target == 1) - 1)
    there = torch.where(target == IGNORED, 0, target)
    return sure * F.one_hot(there[:, 0].long(), OUTPUTS).movedim(-1, 1).float()


def heads(logits, shape):
    return [logits[:, :, ::x, ::y, ::z] for x, y, z in STRIDES[shape]]


@every_loss
@both_kinds
@both_shapes
@pytest.mark.parametrize("kind", ["empty", "full", "ignored", "partly ignored", "usual", "soft"])
@pytest.mark.parametrize("soft_scales", [False, True])
def test_every_patch_gives_a_finite_loss_and_gradient_at_every_scale(name, regions, shape, kind, soft_scales):
    source = torch.Generator().manual_seed(1)
    logits = 30 * torch.randn(2, OUTPUTS, *SHAPES[shape], generator=source)
    logits[0] *= 0.01
    logits.requires_grad_()
    loss = DeepSupervision(build(name, regions, class_weights=(0.2, 1.0, 1.8)), soft_scales)

    with torch.autocast("cpu", torch.bfloat16):
        value = loss(heads(logits, shape), make_target(kind, shape, regions))
    value.backward()

    value = value.detach()
    assert value.dtype == torch.float32
    assert math.isfinite(value)
    assert value >= -1e-6
    assert torch.isfinite(logits.grad).all()
    if kind == "ignored":
        assert float(value) == pytest.approx(0, abs=1e-4)
        assert not logits.grad.abs().max()
    else:
        assert logits.grad.abs().max() > 0


@every_loss
@both_kinds
@both_shapes
@pytest.mark.parametrize("batch_dice", [False, True])
def test_a_loss_falls_to_nothing_as_the_prediction_becomes_right(name, regions, shape, batch_dice):
    target = blobs(shape, regions)
    loss, right = build(name, regions, batch_dice=batch_dice), right_logits(target, regions)

    losses = [float(loss(share * right, target)) for share in (-0.1, 0, 0.02, 0.05, 0.1, 0.2, 1)]

    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[1] + 0.1
    assert losses[-1] == pytest.approx(0, abs=1e-4)


@every_loss
@both_kinds
def test_ignored_voxels_count_nowhere(name, regions):
    target = make_target("partly ignored", "3d", regions)
    logits = torch.randn(2, OUTPUTS, *SHAPES["3d"], generator=torch.Generator().manual_seed(2))
    other = logits.clone()
    other[:, :, :5] = -5 * other[:, :, :5]
    loss = build(name, regions)

    assert torch.allclose(loss(logits, target), loss(other, target), atol=1e-6)
    assert not torch.allclose(loss(logits, target), loss(logits, blobs("3d", regions)))


@every_loss
@both_kinds
def test_a_gradient_step_goes_downhill(name, regions):
    target, loss = blobs("3d", regions), build(name, regions)
    logits = torch.randn(2, OUTPUTS, *SHAPES["3d"], generator=torch.Generator().manual_seed(3)).requires_grad_()
    before = loss(logits, target)
    before.backward()
    step = 0.01 * logits.grad / logits.grad.norm()

    after = loss(logits.detach() - step, target)

    assert float(before.detach() - after) == pytest.approx(0.01 * float(logits.grad.norm()), rel=0.05)


@every_loss
@both_kinds
def test_soft_labels_that_are_certain_are_the_labels(name, regions):
    hard = make_target("partly ignored", "3d", regions)
    there = (hard == 1).float() if regions else F.one_hot(torch.where(hard == 255, 0, hard)[:, 0].long(), 3)
    certain = torch.where(hard == IGNORED, -1.0, there if regions else there.movedim(-1, 1).float())
    logits = torch.randn(2, OUTPUTS, *SHAPES["3d"], generator=torch.Generator().manual_seed(4))
    loss = build(name, regions, class_weights=(0.5, 1.0, 1.5))

    assert float(loss(logits, certain)) == pytest.approx(float(loss(logits, hard)), rel=1e-5)


@every_loss
@both_kinds
def test_an_output_that_weighs_more_counts_more(name, regions):
    target = blobs("3d", regions)
    logits = right_logits(target, regions, 3.0)
    logits[:, 2] = -logits[:, 2]  # only the last output is wrong

    light, even, heavy = (
        float(build(name, regions, class_weights=weights)(logits, target)) for weights in ((1, 1, 0.1), (), (1, 1, 9))
    )

    assert light < even < heavy


@every_loss
def test_equal_weights_change_nothing(name):
    target = blobs("3d", True)
    logits = torch.randn(2, OUTPUTS, *SHAPES["3d"], generator=torch.Generator().manual_seed(8))

    weighed = build(name, True, class_weights=(2.0, 2.0, 2.0))(logits, target)

    assert float(weighed) == pytest.approx(float(build(name, True)(logits, target)), rel=1e-5)


@every_loss
@both_kinds
@both_shapes
def test_the_gradient_is_that_of_the_loss(name, regions, shape):
    """By finite differences, in float64 on a few voxels."""
    cut = (slice(None), slice(None), slice(2, 6), slice(2, 5), slice(0, 2))
    target = blobs(shape, regions, seed=5)[cut]
    logits = torch.randn(2, OUTPUTS, *target.shape[2:], generator=torch.Generator().manual_seed(6)).double()
    loss = build(name, regions, label_smoothing=0.1)

    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_(), eps=1e-7, atol=1e-5)


@every_loss
def test_a_loss_can_be_had_without_the_part_that_looks_at_voxels(name):
    target, logits = blobs("3d", False), torch.zeros(2, OUTPUTS, *SHAPES["3d"])
    both, overlap = build(name, False), build(name, False, entropy_weight=0.0)

    assert float(overlap(logits, target)) < float(both(logits, target))
    assert float(overlap(right_logits(target, False), target)) == pytest.approx(0, abs=1e-4)


@pytest.mark.gpu
@every_loss
@both_kinds
def test_the_gpu_gives_what_the_cpu_gives(name, regions):
    target, loss = make_target("partly ignored", "3d", regions), build(name, regions, class_weights=(0.5, 1.0, 1.5))
    logits = torch.randn(2, OUTPUTS, *SHAPES["3d"], generator=torch.Generator().manual_seed(7))

    assert float(loss.cuda()(logits.cuda(), target.cuda())) == pytest.approx(
        float(loss.cpu()(logits, target)), rel=1e-4
    )
