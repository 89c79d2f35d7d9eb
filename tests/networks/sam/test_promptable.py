"""SAM and SAM 2 with tiny random weights: what they see, answer, learn, and what a bundle gets of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from neuraxis.errors import BundleError, RecipeError
from neuraxis.networks.catalog import NETWORKS, OPTIONS
from neuraxis.networks.sam.promptable import take_out
from neuraxis.networks.sam.prompts import Prompt

SHAPE = (24, 32)


def discs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices (4, 1, 24, 32, 1) with two equal squares, and targets (4, 1, 24, 32, 1) with output 1 on both."""
    draws = np.random.default_rng(seed)
    images, targets = np.zeros((4, 1, *SHAPE, 1), np.float32), np.zeros((4, 1, *SHAPE, 1), np.uint8)
    for image, target in zip(images, targets, strict=True):
        for left in (0, 16):
            a, b = draws.integers(2, 14), left + draws.integers(2, 6)
            image[0, a : a + 8, b : b + 8] = 1
            target[0, a : a + 8, b : b + 8] = 1
    return torch.from_numpy(images), torch.from_numpy(targets)


def test_training_moves_the_mask_decoder_and_the_coarse_head_alone(network) -> None:
    made = network().train()
    logits, _ = made.learn(*discs())
    (logits.square().mean() + made.own_loss()).backward()

    moved = {name for name, weight in made.named_parameters() if weight.grad is not None}
    assert moved
    assert all(name.startswith(("backbone.model.mask_decoder.", "head.")) for name in moved)
    assert not [name for name in made.state_dict() if "vision_encoder" in name]


def test_a_prediction_has_the_background_first_and_the_shape_of_the_window(network) -> None:
    images, _ = discs()
    made = network(outputs=3).eval()
    with torch.no_grad():
        logits = made(images)
    assert tuple(logits.shape) == (4, 3, *SHAPE, 1)
    assert not logits[:, 0].any()
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_can_be_the_one_across_slices(network, axis) -> None:
    images, targets = (torch.moveaxis(each, 4, 2 + axis) for each in discs())
    made, other = network(flat_axis=axis), network(flat_axis=2)
    torch.manual_seed(1)
    across, _ = made.learn(images, targets)
    torch.manual_seed(1)
    usual, _ = other.learn(*discs())
    torch.testing.assert_close(torch.moveaxis(across, 2 + axis, 4), usual)


def test_regions_have_no_background(network) -> None:
    images, targets = discs()
    logits, wanted = network(outputs=1, background=False).learn(images, targets)
    assert tuple(logits.shape) == (4, 1, *SHAPE, 1)
    assert tuple(wanted.shape) == tuple(targets.shape)


def test_a_structure_that_is_not_in_a_slice_is_asked_for_all_the_same(network) -> None:
    images, targets = discs()
    logits, _ = network(outputs=3).learn(images, targets)
    assert (logits[:, 2] > -9).all(), "output 2 is in no slice, and has an answer in each"


def test_what_nobody_asked_for_is_not_wanted(network) -> None:
    images, targets = discs()
    _, wanted = network(most_prompts=1).learn(images, targets)
    assert (targets == 1).flatten(1).sum(1).tolist() == [128] * 4
    assert (wanted == 1).flatten(1).sum(1).tolist() == [64] * 4


def test_taking_out_leaves_what_else_is_there() -> None:
    voxels = torch.tensor([[True, False]])
    plain, regions, soft = (
        torch.tensor([[[2, 2]]]),
        torch.tensor([[[1, 1]], [[1, 1]]]),
        torch.tensor([[[0.2]], [[0.8]]]),
    )
    take_out(plain, 2, voxels)
    take_out(regions, 1, voxels)
    take_out(soft, 1, voxels[:, :1])
    assert plain.tolist() == [[[0, 2]]]
    assert regions.tolist() == [[[1, 1]], [[0, 1]]]
    assert soft.tolist() == [[[1.0]], [[0.0]]]


def test_the_same_seed_draws_the_same_prompts(network) -> None:
    made, losses = network().eval(), []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        losses.append(made.learn(*discs())[0].sum().item())
    assert losses[0] == losses[1] != losses[2]


def test_after_some_steps_the_answer_is_where_the_prompt_is(network, tmp_path) -> None:
    """Two equal squares, of which a box asks for one."""
    made = network(points=0.0, most_prompts=1).train()
    made.keep_embeddings(tmp_path)
    weights = [weight for weight in made.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, 3e-3)
    for step in range(280):
        torch.manual_seed(step)
        images, targets = discs(step % 40)
        logits, wanted = made.learn(images, targets)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 1], wanted[:, 0].float())
        optimizer.zero_grad()
        (loss + made.own_loss()).backward()
        optimizer.step()
    image = np.zeros((1, *SHAPE), np.float32)
    image[0, 8:16, 4:12] = image[0, 8:16, 20:28] = 1
    made.eval()
    with torch.no_grad():
        seen = made.see(image)
        left, right = made.answer_to(seen, [Prompt((6, 2, 18, 14)), Prompt((6, 18, 18, 30))], SHAPE)
    assert left[8:16, 4:12].mean() > left[8:16, 20:28].mean() + 0.5
    assert right[8:16, 20:28].mean() > right[8:16, 4:12].mean() + 0.5


@pytest.mark.parametrize("rank", [0, 2])
def test_what_is_shipped_answers_as_what_was_trained_and_needs_no_base(network, base, rank) -> None:
    made = network(lora_rank=rank).eval()
    if rank:
        for part in made.backbone.updates.up:
            torch.nn.init.normal_(part, std=0.05)
    images, _ = discs()
    image, prompts = images[0, ..., 0].numpy(), [Prompt((2, 2, 12, 14)), Prompt(points=((5.0, 5.0, True),))]

    state = made.shipped().state_dict()
    name, _ = base
    options = made.options.model_copy(update={"base": "/gone"})
    loaded = NETWORKS.load(name)(options, 1, 2).eval()
    loaded.load_state_dict(state)

    with torch.no_grad():
        trained, shipped = (each.answer_to(each.see(image), prompts, SHAPE) for each in (made, loaded))
        frozen = network().eval()
        without = frozen.answer_to(frozen.see(image), prompts, SHAPE)
    np.testing.assert_allclose(shipped, trained, atol=1e-4)
    if rank:
        assert np.abs(without - trained).max() > 1e-3
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_low_rank_updates_learn_while_the_encoder_stands_still(network) -> None:
    made = network(lora_rank=2).train()
    encoder = made.backbone._aside.encoder
    before = copy.deepcopy(encoder.state_dict())
    weights = [weight for weight in made.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, 0.1)
    for _ in range(2):
        logits, _ = made.learn(*discs())
        logits.square().mean().backward()
        optimizer.step()
    assert any(part.abs().max() > 0 for part in made.backbone.updates.up)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_a_kept_embedding_gives_the_numbers_of_one_that_was_just_computed(network, tmp_path) -> None:
    fresh, kept = network().eval(), network().eval()
    kept.keep_embeddings(tmp_path / "embeddings")
    images, _ = discs()
    with torch.no_grad():
        first = kept(images)
        assert len(list((tmp_path / "embeddings").iterdir())) == 4
        second, other = kept(images), fresh(images)
    assert torch.equal(first, second)
    assert torch.equal(first, other)
    assert kept.backbone._aside.cache.found == 4


def test_copies_share_the_encoder_and_what_it_said(network, tmp_path) -> None:
    made = network()
    twin = copy.deepcopy(made)
    made.keep_embeddings(tmp_path)
    assert twin.backbone._aside is made.backbone._aside


def test_low_rank_updates_keep_no_embeddings(network, tmp_path) -> None:
    made = network(lora_rank=1)
    made.keep_embeddings(tmp_path / "embeddings")
    assert not (tmp_path / "embeddings").exists()


def test_four_channels_are_refused(network) -> None:
    with pytest.raises(RecipeError, match="at most 3 channels, but the image has 4"):
        network(channels=4)


@pytest.mark.parametrize("channels", [2, 3])
def test_two_and_three_channels_are_seen(network, channels) -> None:
    made = network(channels=channels).eval()
    with torch.no_grad():
        assert torch.isfinite(made(torch.rand(1, channels, *SHAPE, 1))).all()


def test_other_weights_than_planned_are_refused(network) -> None:
    with pytest.raises(BundleError, match="not those that this was planned with"):
        network(base_hash="0" * 64)


def test_a_network_without_architecture_is_refused(base) -> None:
    name, _ = base
    with pytest.raises(RecipeError, match="plan with the data first"):
        NETWORKS.load(name)(OPTIONS.load(name)(), 1, 2)
