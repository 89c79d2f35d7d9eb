"""Every network of the catalog, in 2D and in 3D: a new one is tested by its name alone."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from neuraxis.networks import experts
from neuraxis.networks.catalog import LAYERS, NETWORKS, OPTIONS, PROMPTED
from neuraxis.networks.cost import cost
from neuraxis.networks.topology import plan_topology
from neuraxis.recipe.candidates import BASE_FEATURES, MOST_FEATURES, PLANNED
from neuraxis.recipe.wishes import resolve

CHANNELS, OUTPUTS = 2, 3
PATCHES = {"3D": (16, 16, 8), "2D": (32, 16, 1), "2D across X": (1, 16, 32)}

every_network = pytest.mark.parametrize("name", [name for name in NETWORKS.names() if name not in PROMPTED])
every_patch = pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)


def planned(name: str, patch: tuple[int, int, int]) -> Any:
    """Return small options of a network, of three stages, as a planner would ask for them; else its own defaults."""
    kind, flat = OPTIONS.load(name), patch.index(1) if 1 in patch else None
    if not hasattr(kind, "planned"):
        return kind()
    return kind.planned(plan_topology(patch, (1.0, 1.0, 1.0), max_stages=3), 4, 8, flat)


def build(name: str, patch: tuple[int, int, int]) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS.load(name)(planned(name, patch), CHANNELS, OUTPUTS)


def image(patch: tuple[int, int, int]) -> torch.Tensor:
    return torch.randn(2, CHANNELS, *patch, generator=torch.Generator().manual_seed(0))


def test_every_network_has_options_and_layers_of_its_name() -> None:
    assert set(NETWORKS.entries) == set(OPTIONS.entries) == {*LAYERS.entries, *PROMPTED}


@every_network
@every_patch
def test_training_gives_logits_from_fine_to_coarse_and_every_weight_a_gradient(name, patch) -> None:
    network = build(name, patch).train()

    result = network(image(patch))
    logits = result if isinstance(result, list) else [result]
    sum((scale**2).sum() for scale in logits).backward()

    assert tuple(logits[0].shape) == (2, OUTPUTS, *patch)
    sizes = [math.prod(scale.shape[2:]) for scale in logits]
    assert sizes == sorted(set(sizes), reverse=True)
    assert all(scale.shape[:2] == (2, OUTPUTS) and scale.ndim == 5 for scale in logits)
    silent = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert not silent


@every_network
@every_patch
def test_a_prediction_is_one_tensor_and_each_sample_is_its_own(name, patch) -> None:
    network = build(name, patch).eval()
    windows = image(patch)

    with torch.no_grad():
        together = network(windows)
        alone = network(windows[1:])

    assert tuple(together.shape) == (2, OUTPUTS, *patch)
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


@every_network
@every_patch
def test_the_stride_is_stated_and_what_is_no_multiple_is_answered_with_the_size_to_pad_to(name, patch) -> None:
    stride = getattr(planned(name, patch), "stride", (1, 1, 1))
    assert all(size % factor == 0 for size, factor in zip(patch, stride, strict=True))
    for halved in (axis for axis in range(3) if stride[axis] > 1):
        odd = tuple(size + (axis == halved) for axis, size in enumerate(patch))
        fit = tuple(size + stride[axis] * (axis == halved) for axis, size in enumerate(patch))
        with pytest.raises(ValueError, match=re.escape(f"Pad the image to {fit}")):
            build(name, patch)(torch.zeros(1, CHANNELS, *odd))


@every_network
@every_patch
def test_a_recipe_holds_the_options_and_gives_them_back(name, patch) -> None:
    options = planned(name, patch)

    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T1": "zscore", "T2": "zscore"}},
            "patches": {"shape": list(patch)},
            "network": {"name": name, "options": options.model_dump(mode="json")},
        }
    )

    assert recipe.network.typed_options() == options


@every_network
@pytest.mark.parametrize("patch", [(128, 128, 128), (40, 56, 40), (128, 128, 24), (256, 192, 1)])
def test_a_plan_keeps_all_that_a_network_decides_for_a_patch(name, patch) -> None:
    kind, spacing = OPTIONS.load(name), (1.0, 1.0, 4.0 if patch[2] == 24 else 1.0)
    options = kind.planned(plan_topology(patch, spacing), BASE_FEATURES, MOST_FEATURES, 2 if patch[2] == 1 else None)

    kept = {key: getattr(options, key) for key in PLANNED if hasattr(options, key)}

    assert kind(**kept) == options
    assert all(size >= factor for size, factor in zip(patch, options.stride, strict=True))


@every_network
@every_patch
def test_costs_counted_without_torch_are_those_of_the_network(name, patch, monkeypatch) -> None:
    """Of experts, those of the exported network count, which all compute."""
    monkeypatch.setattr(experts, "computes_all", lambda: True)
    network = build(name, patch).eval().requires_grad_(False)

    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as found,
    ):  # of fused attention it knows nothing
        network(image(patch)[:1])
    counted = cost(name, planned(name, patch), patch, CHANNELS, OUTPUTS)

    assert counted.parameters == sum(weight.numel() for weight in network.parameters())
    assert 2 * counted.multiply_adds == found.get_total_flops()
