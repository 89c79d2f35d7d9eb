"""How a batch is shared."""

import numpy as np
import pytest
import torch

from neuraxis.errors import UsageError
from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.cutting import Cutters
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.recipe.augmentation import AugmentationRecipe
from neuraxis.training.data import training_sampler
from neuraxis.training.devices.options import Devices, own_samples, shares


@pytest.fixture(scope="module")
def job(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    prepare_datasets([toy_dataset], "auto", (*toy_settings, "patches.batch=3", "training.accumulate=2"), folder)
    return job_of_store(folder, folder / "run", 0, "cpu")


@pytest.mark.parametrize(("batch", "count"), [(2, 2), (3, 2), (5, 4), (8, 3), (4, 1)])
@pytest.mark.parametrize("parts", [1, 3])
def test_every_sample_falls_to_exactly_one_rank_and_stays_in_its_part(batch, count, parts):
    taken = [own_samples(batch, parts, rank, count) for rank in range(count)]

    assert sorted(sample for samples in taken for sample in samples) == [*range(batch * parts)]
    for samples, share in zip(taken, shares(batch, count), strict=True):
        assert [sample // batch for sample in samples] == [part for part in range(parts) for _ in range(share)]
    assert max(shares(batch, count)) - min(shares(batch, count)) <= 1


@pytest.mark.parametrize("workers", [0, 1])
def test_the_ranks_cut_together_what_one_process_cuts_alone(job, workers):
    whole = training_sampler(job.store, job.fold.training, job.recipe).batch(7)
    for rank in range(2):
        mine = own_samples(3, 2, rank, 2)
        sampler = training_sampler(job.store, job.fold.training, job.recipe, mine)
        if workers:
            cutters = Cutters(sampler, 7, workers)
            images, targets = cutters.batch()
            cutters.close()
        else:
            images, targets = sampler.batch(7)
        np.testing.assert_array_equal(images, whole[0][[*mine]])
        np.testing.assert_array_equal(targets, whole[1][[*mine]])


def test_a_rank_augments_its_samples_as_one_process_would():
    augmentation = Augmentation(AugmentationRecipe(noise_probability=1.0), (8, 8, 8), (1.0, 1.0, 1.0), seed=3)
    images = torch.rand(4, 1, 10, 10, 10, generator=torch.Generator().manual_seed(0))
    targets = (images > 0.5).to(torch.uint8)
    whole = augmentation(images, targets, 5)

    part = augmentation(images[2:], targets[2:], 5, (2, 3))

    assert torch.equal(part[0], whole[0][2:])
    assert torch.equal(part[1], whole[1][2:])
    assert not torch.equal(augmentation(images[2:], targets[2:], 5)[0], whole[0][2:])


def test_a_batch_too_small_to_share_is_refused_with_what_helps():
    with pytest.raises(UsageError, match=r"--devices 4: .* = 2, .* --devices 2 or fewer, .*=4 or more"):
        Devices(4).refuse_small_batch(2)
    Devices(2).refuse_small_batch(3)


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_one_named_device_is_not_shared(device):
    with pytest.raises(UsageError, match=f"{device} is one device"):
        Devices(2).refuse_misfit(device)
    Devices(1).refuse_misfit(device)


def test_no_device_at_all_is_refused():
    with pytest.raises(UsageError, match="--devices 0"):
        Devices(0)
