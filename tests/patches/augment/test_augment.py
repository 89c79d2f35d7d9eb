"""Augmentation: what changes, what must not."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.augment.catalog import AUGMENTATIONS
from neuraxis.patches.augment.spatial import SpatialDraw, apply_spatial
from neuraxis.recipe.augmentation import AugmentationRecipe

NOTHING = {f"{name}_probability": 0.0 for name in ("affine", "noise", "blur", "brightness", "contrast", "gamma")}
ALWAYS = dict.fromkeys(NOTHING, 1.0)


@pytest.fixture
def batch():
    source = torch.Generator().manual_seed(0)
    images = torch.randn(2, 1, 12, 10, 8, generator=source)
    targets = (torch.rand(2, 1, 12, 10, 8, generator=source) > 0.7).to(torch.uint8) * 3
    return images, targets


def augment(batch, step=0, core=(8, 8, 8), **changes):
    recipe = AugmentationRecipe(**(ALWAYS | {"mirror_axes": (0, 1, 2)} | changes))
    return Augmentation(recipe, core, (1, 1, 1), seed=0)(*batch, step)


def test_the_same_step_gives_the_same_result_and_another_step_another(batch):
    first, again, other = augment(batch, 4), augment(batch, 4), augment(batch, 5)

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_labels_stay_the_numbers_they_were(batch):
    _, targets = augment(batch)

    assert targets.dtype == torch.uint8
    assert set(targets.unique().tolist()) <= {0, 3}


def test_with_every_probability_0_the_core_comes_back_untouched(batch):
    images, targets = augment(batch, **NOTHING, mirror_axes=())

    assert torch.equal(images, batch[0][:, :, 2:10, 1:9, :])
    assert torch.equal(targets, batch[1][:, :, 2:10, 1:9, :])


def test_the_inputs_are_not_changed(batch):
    before = batch[0].clone()
    augment(batch)

    assert torch.equal(batch[0], before)


def test_the_identity_matrix_resamples_onto_itself(batch):
    drawn = [SpatialDraw(np.eye(3), ())] * 2

    images, targets = apply_spatial(*batch, drawn, (8, 8, 8), (1, 1, 1))

    torch.testing.assert_close(images, batch[0][:, :, 2:10, 1:9, :], atol=1e-5, rtol=0)
    assert torch.equal(targets, batch[1][:, :, 2:10, 1:9, :])


def test_a_quarter_turn_about_z_turns_x_into_y():
    image = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 1, 4, 4, 1).contiguous()
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])

    turned, _ = apply_spatial(image, image.to(torch.uint8), [SpatialDraw(turn, ())], (4, 4, 1), (1, 1, 1))

    torch.testing.assert_close(turned[0, 0, :, :, 0], torch.arange(3.0, -1, -1).expand(4, 4), atol=1e-5, rtol=0)


def test_a_rotation_is_one_in_millimetres():
    """A quarter turn with voxels twice as long in y reads every second voxel of x."""
    image = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(1, 1, 8, 4, 1).contiguous()
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])

    turned, _ = apply_spatial(image, image.to(torch.uint8), [SpatialDraw(turn, ())], (8, 4, 1), (1, 2, 1))

    torch.testing.assert_close(turned[0, 0, 4, :, 0], torch.tensor([6.5, 4.5, 2.5, 0.5]), atol=1e-4, rtol=0)


def test_mirroring_turns_image_and_target_together(batch):
    images, targets = apply_spatial(*batch, [SpatialDraw(None, (0,)), SpatialDraw(None, ())], (12, 10, 8), (1, 1, 1))

    assert torch.equal(images[0], batch[0][0].flip(1))
    assert torch.equal(targets[0], batch[1][0].flip(1))
    assert torch.equal(images[1], batch[0][1])


GOLDEN = {  # of the code before it knew more than affine, mirror, noise, blur, brightness, contrast and gamma
    ("default", 0): ((-0.004407, 0.650916, 0.013519, -0.574124), (536, 363)),
    ("default", 3): ((-0.004407, 0.707374, 0.016629, 0.95585), (536, 363)),
    ("always", 0): ((-0.003639, 0.361568, 0.672539, -0.315195), (537, 336)),
    ("always", 3): ((-0.003828, 0.21504, 0.084269, 0.211481), (536, 339)),
}


@pytest.mark.parametrize(("name", "step"), GOLDEN)
def test_recipes_of_earlier_versions_augment_as_they_did(name, step):
    numbers = torch.arange(2 * 2 * 14 * 12 * 10, dtype=torch.float64)
    images = torch.cos(numbers * 0.37).float().view(2, 2, 14, 12, 10)
    targets = (torch.sin(numbers[: 2 * 14 * 12 * 10] * 0.11) > 0.5).to(torch.uint8).view(2, 1, 14, 12, 10) * 3
    recipe = AugmentationRecipe(mirror_axes=(0, 1), **(ALWAYS if name == "always" else {}))

    image, target = Augmentation(recipe, (10, 10, 8), (1, 1.2, 2), seed=11)(images, targets, step)

    values, counts = GOLDEN[name, step]
    found = (image.mean(), image.std(), image[0, 1, 4, 5, 6], image[1, 0, 0, 9, 7])
    assert [float(value) for value in found] == pytest.approx(values, abs=2e-5)
    assert (int((target == 3).sum()), int(target[0, 0, 3:7].sum())) == counts


def test_what_happens_to_a_sample_does_not_depend_on_the_batch_around_it(batch):
    augmentation = Augmentation(AugmentationRecipe(**ALWAYS), (8, 8, 8), (1, 1, 1), seed=0)
    both, _ = augmentation(*batch, 4)
    first, _ = augmentation(batch[0][:1], batch[1][:1], 4)

    assert torch.equal(both[:1], first)


def test_switching_a_new_kind_on_leaves_the_draws_of_the_others_alone():
    before = Augmentation(AugmentationRecipe(), (8, 8, 8), (1, 1, 1), seed=0)
    after = Augmentation(AugmentationRecipe(spike_probability=1, zoom_probability=1), (8, 8, 8), (1, 1, 1), seed=0)

    for step in range(20):
        old, new = before.draw(step, 0, 1), after.draw(step, 0, 1)
        assert old.intensity == new.intensity
        assert old.spatial.mirrored == new.spatial.mirrored
        assert np.array_equal(old.spatial.affine, new.spatial.affine)


def test_a_draw_names_what_happens_by_the_names_of_the_catalog():
    kinds = [name for name in AUGMENTATIONS.entries if name != "mirror"]
    always = {f"{kind}_probability": 1.0 for kind in kinds}
    augmentation = Augmentation(AugmentationRecipe(mirror_axes=(0, 1, 2), **always), (16, 16, 16), (1, 1, 1), seed=0)

    assert sorted(augmentation.draw(1, 0, 1).names) == sorted(AUGMENTATIONS.entries)
    assert Augmentation(AugmentationRecipe(preset="none"), (8, 8, 8), (1, 1, 1), seed=0).draw(0, 0, 1).names == ()


def test_voxels_that_are_0_stay_so_where_the_recipe_says_so(batch):
    images = batch[0].clone()
    images[:, :, :6] = 0
    always = {**ALWAYS, "rician_probability": 1.0, "ghosting_probability": 1.0, "affine_probability": 0.0}

    for keeps in (True, False):
        recipe = AugmentationRecipe(keep_zeros=keeps, **always)
        changed, _ = Augmentation(recipe, (8, 8, 8), (1, 1, 1), seed=0)(images, batch[1], 0)
        assert bool((changed[:, :, :4] == 0).all()) is keeps
        assert bool((changed[:, :, 4:] != 0).all())
