"""Layers are found by running a network, features first or last."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from neuraxis.errors import UsageError
from neuraxis.inference.explaining.layers import Tap, bottleneck, layer_named, layers_of
from neuraxis.networks.catalog import NETWORKS, OPTIONS, PROMPTED
from neuraxis.networks.topology import plan_topology

PATCHES = {"3D": (32, 32, 16), "2D": (64, 32, 1), "2D across X": (1, 32, 64)}


def build(name: str, patch: tuple[int, int, int]) -> nn.Module:
    torch.manual_seed(0)
    kind: Any = OPTIONS.load(name)
    flat = patch.index(1) if 1 in patch else None
    options = (
        kind.planned(plan_topology(patch, (1.0, 1.0, 1.0), max_stages=3), 4, 8, flat)
        if hasattr(kind, "planned")
        else kind()
    )
    return NETWORKS.load(name)(options, 2, 3).eval()


@pytest.mark.parametrize("name", sorted({*NETWORKS.names()} - {*PROMPTED}))
@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_every_network_has_a_bottleneck_whose_features_take_gradients(name, patch) -> None:
    network = build(name, patch)
    found = bottleneck(layers_of(network, 2, patch))
    tap, windows = Tap(network, found), torch.randn(2, 2, *patch)

    before = tap.before(windows)
    given, logits = tap.through(windows)
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), given)

    assert logits.shape == (2, 3, *patch)
    assert before.shape[:2] == (2, found.features)
    torch.testing.assert_close(found.as_image(given.detach()), before, rtol=1e-4, atol=1e-5)
    assert slope.abs().sum() > 0
    positions = iter(before.shape[2:])
    assert all(side / next(positions) == step for side, step in zip(patch, found.step, strict=True) if side > 1)
    assert max(found.step) >= 2


def test_tokens_have_their_features_last_even_where_every_axis_is_as_long() -> None:
    network = NETWORKS.load("segformer3d")(
        OPTIONS.load("segformer3d")(features=(8, 8, 8, 8), heads=(1, 1, 1, 1)), 1, 2
    ).eval()
    found = {layer.name: layer for layer in layers_of(network, 1, (32, 32, 32))}

    assert found["stages.0"].features_last
    assert not found["stages.0.embed"].features_last
    assert found["stages.0"].step == found["stages.0.embed"].step == (4.0, 4.0, 4.0)


def test_a_layer_that_the_next_one_writes_into_is_kept_as_it_was() -> None:
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv3d(4, 2, 1)).eval()
    network.stride = (1, 1, 1)
    tap = Tap(network, layer_named("0", layers_of(network, 1, (4, 4, 4))))
    windows = torch.randn(1, 1, 4, 4, 4)

    given, _ = tap.through(windows)

    assert float(given.detach().min()) < 0


def test_a_network_of_one_size_is_asked_for_that_size_alone() -> None:
    class Fixed(nn.Module):
        stride = (2, 2, 2)

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv3d(1, 4, 2, 2), nn.LayerNorm(4)
            self.place = nn.Parameter(torch.zeros(1, 4, 4, 4, 4))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen = self.conv(image) + self.place
            return self.norm(seen.movedim(1, -1)).movedim(-1, 1).repeat_interleave(2, 2)

    found = {layer.name: layer for layer in layers_of(Fixed(), 1, (8, 8, 8))}

    assert set(found) == {"conv", "norm"}
    assert found["norm"].features_last
    assert found["conv"].step == (2.0, 2.0, 2.0)


def test_a_misspelt_layer_is_refused_in_one_line() -> None:
    layers = layers_of(build("unet", (32, 32, 16)), 2, (32, 32, 16))

    with pytest.raises(UsageError, match=r"--layer encoder.9: .* Did you mean") as wrong:
        layer_named("encoder.9", layers)
    with pytest.raises(UsageError, match=r"Known: .*encoder\.0"):
        layer_named("?", layers)
    with pytest.raises(UsageError, match="nothing to explain"):
        layer_named("", ())
    assert "\n" not in str(wrong.value)
