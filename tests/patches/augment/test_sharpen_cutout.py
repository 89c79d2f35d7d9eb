"""What happens last: sharpening and cut-out."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.filters import smooth
from neuraxis.patches.augment.patch import Patch
from neuraxis.patches.augment.sharpen_cutout import CutOut, Sharpen, apply_cutout, apply_sharpen, draw_cutout
from neuraxis.recipe.augmentation import AugmentationRecipe


def test_sharpening_adds_what_a_blur_takes_away():
    image = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))

    sharp = apply_sharpen(image, Sharpen(0.7))

    torch.testing.assert_close(sharp, image + 0.7 * (image - smooth(image, 1.0)))


def test_a_cut_out_box_holds_the_mean_and_the_rest_is_untouched():
    image = torch.arange(64.0).view(1, 4, 4, 4)
    cut = apply_cutout(image, CutOut((((1, 0, 2), (3, 2, 4)),), None))

    assert torch.equal(cut[0, 1:3, 0:2, 2:4], torch.full((2, 2, 2), 31.5))
    assert int((cut != image).sum()) == 8
    assert float(image[0, 1, 0, 2]) == 18


def test_noise_in_a_cut_out_box_has_the_channels_mean_and_sd():
    image = torch.cat([torch.full((1, 40, 40, 20), 1.0), torch.full((1, 40, 40, 20), 5.0)], dim=3)

    inside = apply_cutout(image, CutOut((((0, 0, 0), (40, 40, 30)),), 7))[..., :30]

    assert float(inside.mean()) == pytest.approx(3, abs=0.05)
    assert float(inside.std()) == pytest.approx(2, rel=0.02)


def test_boxes_lie_inside_and_are_as_large_as_asked_for():
    recipe = AugmentationRecipe(cutout=(0.25, 0.5), cutout_boxes=3)

    for seed in range(20):
        drawn = draw_cutout(np.random.default_rng(seed), recipe, Patch((16, 20, 1), flat_axis=2))
        assert 1 <= len(drawn.boxes) <= 3
        assert drawn.noise_seed is None
        for first, after in drawn.boxes:
            sides = np.subtract(after, first)
            assert np.all(np.array(first) >= 0)
            assert np.all(np.array(after) <= (16, 20, 1))
            assert 4 <= sides[0] <= 8
            assert 5 <= sides[1] <= 10
            assert sides[2] == 1
