"""Maps of experts are what the gates computed, token by token."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neuraxis.inference.explaining.experts import ExpertMaps, gates_of
from neuraxis.inference.explaining.tiles import Tiles
from neuraxis.networks.catalog import NETWORKS
from neuraxis.networks.transformer_options import SegFormer3DMoEOptions
from neuraxis.patches.merge import gaussian_weight
from neuraxis.progress import Silent

WINDOW = (16, 16, 16)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    options = SegFormer3DMoEOptions(
        features=(8, 16), depths=(2, 1), heads=(1, 2), reductions=((2, 2, 2), (1, 1, 1)),
        kernels=((7, 7, 7), (3, 3, 3)), strides=((4, 4, 4), (2, 2, 2)), experts=(4, 3), chosen=(2, 1),
        decoder_width=8,
    )  # fmt: skip
    made = NETWORKS.load("segformer3d-moe")(options, 1, 2).eval()
    for module in made.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5)  # a fresh gate is nearly undecided
    return made


def tiles(image: np.ndarray, starts: tuple[tuple[int, int, int], ...] = ((0, 0, 0),), batch: int = 1) -> Tiles:
    return Tiles(image, (0, 0, 0), image.shape[1:], starts, WINDOW, gaussian_weight(WINDOW), batch)


def looked(network: nn.Module, cut: Tiles) -> tuple[ExpertMaps, list[np.ndarray]]:
    maps = ExpertMaps(network, cut)
    with Silent().stage("experts", len(cut.starts)) as stage:
        maps.run(stage)
    return maps, [np.concatenate(list(maps.slabs(place)), axis=1) for place in range(len(maps.gates))]


def test_every_gate_has_a_name_and_blocks_of_a_stage_are_told_apart(network) -> None:
    assert [(gate.name, gate.experts, gate.chosen) for gate in gates_of(network)][:3] == [
        ("stage 1, block 1", 4, 2), ("stage 1, block 2", 4, 2), ("stage 2", 3, 1),
    ]  # fmt: skip
    assert [gate.name for gate in gates_of(network)][3:] == ["decoder 1", "decoder 2"]
    assert gates_of(nn.Conv3d(1, 1, 1)) == ()


def test_weights_are_those_of_the_modules_own_gate_and_sum_to_one(network) -> None:
    image = np.random.default_rng(0).normal(size=(1, *WINDOW)).astype(np.float32)
    taken: dict[int, torch.Tensor] = {}
    routers = [module for module in network.modules() if hasattr(module, "gate")]
    hooks = [
        router.register_forward_pre_hook(lambda module, given, at=at: taken.update({at: given[0].clone()}))
        for at, router in enumerate(routers)
    ]
    maps, found = looked(network, tiles(image))
    for hook in hooks:
        hook.remove()

    for at, (router, weights) in enumerate(zip(routers, found, strict=True)):
        probability = (taken[at] @ router.gate.weight.detach().T).softmax(dim=-1)
        best, numbers = probability.topk(router.chosen, dim=-1)
        expected = torch.zeros_like(probability).scatter(1, numbers, best / best.sum(dim=-1, keepdim=True))
        side = round(len(expected) ** (1 / 3))
        tokens = expected.reshape(side, side, side, -1).movedim(-1, 0).numpy()
        block = WINDOW[0] // side
        np.testing.assert_allclose(
            weights, tokens.repeat(block, 1).repeat(block, 2).repeat(block, 3), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
        assert ((weights > 0).sum(axis=0) <= router.chosen).all()
    assert all(sum(shares) == pytest.approx(1, abs=1e-3) for shares in maps.shares.values())


def test_shares_are_counted_over_all_tokens(network) -> None:
    image = np.random.default_rng(1).normal(size=(1, *WINDOW)).astype(np.float32)

    maps, found = looked(network, tiles(image))

    first = found[2].argmax(axis=0)  # one of three experts takes each token
    counted = np.bincount(first.ravel(), minlength=3) / first.size
    np.testing.assert_allclose(maps.shares["stage 2"], counted, atol=1e-4)
    assert counted.max() < 1


def test_each_voxel_shows_the_window_in_whose_middle_it_is_most(network) -> None:
    image = np.random.default_rng(2).normal(size=(1, 24, 16, 16)).astype(np.float32)
    alone = [looked(network, tiles(image[:, first : first + 16]))[1] for first in (0, 8)]

    for batch in (1, 2):
        _, found = looked(network, tiles(image, ((0, 0, 0), (8, 0, 0)), batch))
        for place, weights in enumerate(found):
            expected = np.concatenate([alone[0][place][:, :12], alone[1][place][:, 4:]], axis=1)
            np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-5)


def test_what_was_padded_is_not_shown(network) -> None:
    image = np.random.default_rng(3).normal(size=(1, *WINDOW)).astype(np.float32)
    whole = looked(network, tiles(image))[1]
    padded = Tiles(image, (3, 0, 2), (10, 16, 12), ((0, 0, 0),), WINDOW, gaussian_weight(WINDOW))

    _, found = looked(network, padded)

    for weights, every in zip(found, whole, strict=True):
        assert np.array_equal(weights, every[:, 3:13, :, 2:14])
