"""Every augmentation of the catalog: labels stay integers, the same seed gives the same, the CPU what the GPU gives."""

from __future__ import annotations

import pytest
import torch

from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.augment.catalog import AUGMENTATIONS
from neuraxis.recipe.augmentation import PRESETS, AugmentationRecipe

CORE, CUT = (14, 12, 10), (18, 16, 12)
LABELS = {0, 1, 7, 255}
MOVING = {"affine", "mirror", "shear", "zoom", "elastic", "barrel"}
SPANS = {"brightness": (0.7, 1.3), "contrast": (0.7, 1.3), "gamma": (1.1, 2.5), "zoom": (0.6, 0.9)}
SPANS["low_resolution"] = (1.5, 4.0)
Batch = tuple[torch.Tensor, torch.Tensor]

every_name = pytest.mark.parametrize("name", AUGMENTATIONS.names())


@pytest.fixture
def batch() -> Batch:
    """Two samples of two channels, and labels with numbers far apart."""
    source = torch.Generator().manual_seed(0)
    images = torch.randn(2, 2, *CUT, generator=source)
    places = torch.randint(0, 4, (2, 1, *CUT), generator=source)
    return images, torch.tensor(sorted(LABELS), dtype=torch.uint8)[places]


def augment(recipe: AugmentationRecipe, batch: Batch, step: int = 0, seed: int = 3) -> Batch:
    return Augmentation(recipe, CORE, (1.0, 1.0, 1.5), seed)(*batch, step)


def cropped(batch: Batch) -> Batch:
    images, labels = (part[:, :, 2:16, 2:14, 1:11] for part in batch)
    return images, labels


@every_name
def test_images_change_and_labels_stay_the_numbers_they_were(name: str, batch: Batch) -> None:
    images, labels = augment(AUGMENTATIONS.load(name), batch, step=1)

    assert images.shape == (2, 2, *CORE)
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()
    assert not torch.allclose(images, cropped(batch)[0], atol=1e-3)
    assert labels.shape == (2, 1, *CORE)
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) <= LABELS
    assert torch.equal(labels, cropped(batch)[1]) is (name not in MOVING)


@pytest.mark.parametrize("name", sorted(MOVING))
def test_image_and_label_move_alike(name: str) -> None:
    """An image that is its own label has the label's outline afterwards; a voxel's shift would cost a Dice of 0.1."""
    places = torch.stack(torch.meshgrid(*[torch.arange(24.0)] * 3, indexing="ij"))
    ball = ((places - torch.tensor([10.0, 12, 13]).view(3, 1, 1, 1)) ** 2).sum(dim=0)[None, None] < 50

    recipe = AUGMENTATIONS.load(name)
    images, labels = Augmentation(recipe, (24, 24, 24), (1, 1, 1), 3)(ball.float(), ball.to(torch.uint8), 1)

    seen, labelled = images > 0.5, labels > 0
    assert not torch.equal(labelled, ball)
    assert 2 * int((seen & labelled).sum()) / int(seen.sum() + labelled.sum()) > 0.97


@every_name
def test_the_same_seed_and_step_give_the_same_and_others_give_others(name: str, batch: Batch) -> None:
    recipe = AUGMENTATIONS.load(name)
    if name in SPANS:  # the strong recipe leaves nothing to draw
        recipe = AugmentationRecipe(**{**recipe.model_dump(), name: SPANS[name]})
    first, again = augment(recipe, batch), augment(recipe, batch)

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert any(not torch.equal(first[0], augment(recipe, batch, seed=seed)[0]) for seed in range(4, 8))
    assert any(not torch.equal(first[0], augment(recipe, batch, step=step)[0]) for step in range(1, 5))


@every_name
def test_the_batch_that_comes_in_is_not_changed(name: str, batch: Batch) -> None:
    before = [part.clone() for part in batch]

    augment(AUGMENTATIONS.load(name), batch)

    assert all(torch.equal(part, old) for part, old in zip(batch, before, strict=True))


@every_name
def test_a_flat_picture_stays_one(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    picture = torch.randn(1, 1, 20, 18, 1, generator=source)
    label = torch.randint(0, 3, (1, 1, 20, 18, 1), generator=source, dtype=torch.uint8)

    image, target = Augmentation(AUGMENTATIONS.load(name), (16, 16, 1), (0.5, 0.5, 6.0), 3, 2)(picture, label, 1)

    assert image.shape == target.shape == (1, 1, 16, 16, 1)
    assert torch.isfinite(image).all()
    assert set(target.unique().tolist()) <= {0, 1, 2}
    assert float(image.std()) > 0.1


@every_name
def test_nothing_happens_at_probability_0(name: str, batch: Batch) -> None:
    values = AUGMENTATIONS.load(name).model_dump()
    switch = {"mirror_axes": ()} if name == "mirror" else {f"{name}_probability": 0.0}
    off = AugmentationRecipe(**{**values, **switch})

    images, labels = augment(off, batch)

    assert torch.equal(images, cropped(batch)[0])
    assert torch.equal(labels, cropped(batch)[1])


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_augments_volumes_and_pictures(preset: str, batch: Batch) -> None:
    recipe = AugmentationRecipe(preset=preset)
    for step in range(8):
        images, labels = augment(recipe, batch, step)
        flat, _ = Augmentation(recipe, (14, 12, 1), (1, 1, 1), 0, 2)(batch[0][..., :1], batch[1][..., :1], step)
        assert torch.isfinite(images).all()
        assert torch.isfinite(flat).all()
        assert set(labels.unique().tolist()) <= LABELS


@every_name
def test_nothing_is_computed_on_another_device_than_the_batchs(name: str, batch: Batch) -> None:
    """Tensors of torch's device without memory refuse to meet tensors of any other device."""
    images, labels = augment(AUGMENTATIONS.load(name), (batch[0].to("meta"), batch[1].to("meta")), step=1)

    assert images.device.type == labels.device.type == "meta"
    assert images.shape == (2, 2, *CORE)


@pytest.mark.gpu
@every_name
def test_the_gpu_gives_what_the_cpu_gives(name: str, batch: Batch) -> None:
    recipe = AUGMENTATIONS.load(name)
    images, labels = augment(recipe, batch, step=1)

    on_gpu = augment(recipe, (batch[0].cuda(), batch[1].cuda()), step=1)

    torch.testing.assert_close(on_gpu[0].cpu(), images, atol=1e-3, rtol=1e-3)
    assert float((on_gpu[1].cpu() != labels).float().mean()) < 1e-3  # a voxel midway between two may go either way
