"""The blob loss against its definition: the loss of each lesion with all others masked out."""

import cc3d
import numpy as np
import pytest
import torch

from neuraxis.losses.blob import Blob
from neuraxis.losses.compared import compare
from neuraxis.losses.options import BlobOptions, LossSettings
from neuraxis.losses.overlap import DiceLoss

SIZE = (12, 10, 6)


@pytest.fixture
def lesions():
    target = torch.zeros(1, 1, *SIZE, dtype=torch.uint8)
    target[:, :, 0:6, 0:6, 0:4] = 1  # 144 voxels
    target[:, :, 9, 9, 5] = 1  # 1 voxel
    target[:, :, 10, 2:4, 0] = 1  # 2 voxels
    return target


@pytest.mark.parametrize("ignored", [False, True])
def test_it_is_the_mean_loss_over_lesions_with_the_others_masked_out(lesions, ignored):
    logits = torch.randn(1, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    if ignored:
        lesions[:, :, 5:7] = 255
    settings = LossSettings(True, dice_weight=0.7, entropy_weight=0.4, batch_dice=False)
    numbers = cc3d.connected_components(np.ascontiguousarray((lesions == 1)[0, 0].numpy()), connectivity=26)
    expected = []
    for one in range(1, numbers.max() + 1):
        alone = lesions.clone()
        alone[0, 0][torch.from_numpy((numbers != one) & (numbers > 0))] = 255
        expected.append(float(DiceLoss(settings)(logits, alone)))

    found = Blob(settings, BlobOptions()).blobs(compare(logits, lesions, True))

    assert len(expected) == 3
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_small_lesion_that_is_missed_costs_as_much_as_a_large_one(lesions):
    whole = 80.0 * lesions - 40
    without_small, without_large = whole.clone(), whole.clone()
    without_small[:, :, 9, 9, 5] = -40
    without_large[:, :, 0:6, 0:6, 0:4] = -40
    loss = Blob(LossSettings(True, entropy_weight=0.0), BlobOptions())

    costs = [float(loss.blobs(compare(some, lesions, True))) for some in (whole, without_small, without_large)]

    assert costs == pytest.approx([0, 1 / 3, 1 / 3], abs=1e-3)


def test_what_touches_at_a_corner_is_one_lesion_or_two():
    target = torch.zeros(1, 1, 4, 4, 1, dtype=torch.uint8)
    target[:, :, 0:2, 0:2] = target[:, :, 2, 2] = 1
    logits = 80.0 * target - 40
    logits[:, :, 2, 2] = -40
    settings = LossSettings(True, entropy_weight=0.0)

    joined, apart = (
        float(Blob(settings, BlobOptions(connectivity=joins)).blobs(compare(logits, target, True))) for joins in (26, 6)
    )

    assert joined == pytest.approx(1 - 8 / 9, abs=1e-3)
    assert apart == pytest.approx(1 / 2, abs=1e-3)


def test_each_label_has_its_own_lesions():
    target = torch.zeros(1, 1, 6, 4, 1, dtype=torch.uint8)
    target[:, :, 0:2], target[:, :, 2:4] = 1, 2
    logits = 40.0 * torch.nn.functional.one_hot(target[:, 0].long(), 3).movedim(-1, 1).float()
    logits[:, 2, 2:4], logits[:, 0, 2:4] = 0, 40  # the second is missed
    loss = Blob(LossSettings(False, entropy_weight=0.0), BlobOptions())

    assert float(loss.blobs(compare(logits, target, False))) == pytest.approx(1 / 2, abs=1e-3)
