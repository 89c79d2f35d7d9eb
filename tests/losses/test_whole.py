"""A training's loss as a score of whole cases."""

import math

import numpy as np
import pytest
import torch

from neuraxis.losses.catalog import LOSSES, OPTIONS
from neuraxis.losses.options import LossOptions, LossSettings
from neuraxis.losses.whole import LEAST, loss_of_case


def made(regions: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (3, 6, 5, 4) and their target, some voxels of which count for nothing."""
    generator = torch.Generator().manual_seed(7)
    logits = 2 * torch.randn(3, 6, 5, 4, generator=generator)
    target = torch.randint(0, 2 if regions else 3, (3 if regions else 1, 6, 5, 4), generator=generator)
    target[:, 0, 0] = 255
    return logits, target.to(torch.uint8)


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("regions", [False, True])
def test_from_probabilities_it_is_what_the_training_computes_from_logits(name, regions):
    logits, target = made(regions)
    options = OPTIONS.load(name)()
    settings = LossSettings(regions=regions, class_weights=(0.5, 1.0, 2.0), label_smoothing=0.1, extent=(6.0, 5.0, 8.0))
    probability = torch.sigmoid(logits) if regions else torch.softmax(logits, dim=0)

    wanted = LOSSES.load(name)(settings, options)(logits[None], target[None])

    found = loss_of_case(probability.numpy(), target.numpy(), (name, settings, options))
    assert found == pytest.approx(float(wanted), rel=1e-4)


def test_the_slices_of_a_flat_network_are_one_batch():
    logits, target = made(False)
    settings = LossSettings(regions=False, batch_dice=False)
    slices = [(logits[None, :, :, place : place + 1], target[None, :, :, place : place + 1]) for place in range(5)]
    batch = torch.cat([one for one, _ in slices]), torch.cat([one for _, one in slices])
    loss = LOSSES.load("dice_ce")(settings, LossOptions())

    asked = torch.softmax(logits, dim=0).numpy(), target.numpy(), ("dice_ce", settings, LossOptions())
    found = loss_of_case(*asked, flat_axis=1)

    assert found == pytest.approx(float(loss(*batch)), rel=1e-4)
    assert found != pytest.approx(float(loss(logits[None], target[None])), rel=1e-3)


def test_what_is_wrong_for_certain_is_dear_but_not_infinite():
    probability = np.array([1.0, 0.0], np.float32).reshape(2, 1, 1, 1)
    settings = LossSettings(regions=False, dice_weight=0.0)

    found = loss_of_case(probability, np.ones((1, 1, 1, 1), np.uint8), ("dice_ce", settings, LossOptions()))

    assert found == pytest.approx(-math.log(LEAST), rel=1e-4)
