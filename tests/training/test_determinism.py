"""The same numbers each time, and words where a device cannot promise them."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from neuraxis.errors import UsageError
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.recipe.recipe import NetworkRecipe
from neuraxis.training.determinism import SteadyConv3d, changing_operations, deterministic, steady
from neuraxis.training.train import train


def put():
    torch.zeros(4).put_(torch.tensor([0]), torch.tensor([1.0]))


def add():
    torch.zeros(4).add_(1)


def fill_memory(value):
    """Leave numbers in memory that is free again, for whoever reads what is not theirs."""
    for size in (64, 512, 4096, 32768, 100000):
        torch.full((size,), value)


@pytest.mark.parametrize("sides", [(2, 4, 4), (2, 2, 2), (4, 4, 1), (4, 4, 4)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_over_its_map_has_the_same_gradient_whatever_lies_in_memory(sides, stride):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(8, 8, 3, stride, padding=1)).to(memory_format=torch.channels_last_3d)
    steady(network)
    given, found = torch.randn(2, 8, *sides), set()
    for value in (float("nan"), 0.0, 1e9, float("nan")):
        network.zero_grad()
        fill_memory(value)
        image = given.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            output = network(image)
        output.float().square().sum().backward()
        values = (output.detach(), image.grad, network[0].weight.grad)
        found.add(tuple(float(each.double().sum()) for each in values))

    assert len(found) == 1
    assert torch.isfinite(torch.tensor([*found])).all()


def test_a_steady_network_gives_the_plain_one_s_numbers_and_keeps_its_weights_names():
    plain = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 2, 1))
    changed = copy.deepcopy(plain)
    steady(changed)
    image = torch.randn(1, 1, 4, 4, 4)

    assert isinstance(copy.deepcopy(changed)[0], SteadyConv3d)
    assert changed.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(changed(image), plain(image))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(changed(image), plain(image))  # no side is smaller than the kernel


def test_two_trainings_of_a_network_whose_coarsest_map_has_two_voxels_are_equal(toy_dataset, toy_settings, tmp_path):
    settings = (*toy_settings, "training.steps=6", "training.precision=bf16")
    prepare_datasets([toy_dataset], "auto", settings, tmp_path / "store")
    plain = job_of_store(tmp_path / "store", tmp_path, 0, "cpu")
    options = {"features": [4, 8, 8, 8], "strides": [[1, 1, 1], *[[2, 2, 2]] * 3], "kernels": [[3, 3, 3]] * 4}
    network = NetworkRecipe(name="unet", options=options)
    found = []
    for name, value in (("a", 0.0), ("b", float("nan"))):
        fill_memory(value)
        recipe = plain.recipe.model_copy(update={"network": network})
        task = train(dataclasses.replace(plain, recipe=recipe, folder=tmp_path / name))
        found.append(torch.cat([each.flatten() for each in task.network.state_dict().values()]))

    assert torch.isfinite(found[0]).all()
    assert torch.equal(*found)


def test_operations_that_may_change_are_named():
    assert changing_operations(add) == []
    assert changing_operations(put) == ["put_"]
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_a_device_cannot_repeat_is_refused_by_its_name():
    said = "put_ on cuda has no deterministic kernel"
    with pytest.raises(UsageError, match=said), deterministic("cuda", put):
        raise AssertionError("nothing may be trained")


def train_with(operation):
    with deterministic("cuda", add):
        assert torch.are_deterministic_algorithms_enabled()
        operation()


def test_an_operation_that_comes_late_is_refused_by_its_name_too():
    with pytest.raises(UsageError, match="put_ on cuda has no deterministic kernel"):
        train_with(put)
    assert not torch.are_deterministic_algorithms_enabled()
    train_with(add)


def test_on_a_processor_nothing_is_refused():
    with deterministic("cpu", lambda: pytest.fail("nothing is tried")):
        put()


@pytest.mark.gpu
def test_two_deterministic_trainings_on_a_gpu_are_equal(toy_dataset, toy_settings, tmp_path):
    prepare_datasets([toy_dataset], "auto", (*toy_settings, "training.steps=12"), tmp_path / "store")
    plain = job_of_store(tmp_path / "store", tmp_path, 0, "cuda")
    one, other = (
        train(dataclasses.replace(plain, folder=tmp_path / name, deterministic=True)).network.state_dict()
        for name in "ab"
    )

    assert all(torch.equal(value, other[name]) for name, value in one.items())
