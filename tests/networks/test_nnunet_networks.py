"""Our networks are nnU-Net's, layer for layer and number for number (fixtures made by nnU-Net's own)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from neuraxis.networks.catalog import NETWORKS, OPTIONS
from neuraxis.networks.cost import cost

FIXTURES = Path(__file__).parent / "fixtures"
PLANS = json.loads((FIXTURES / "nnunet_networks.json").read_text("utf-8"))
LEARNT = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.InstanceNorm2d, nn.InstanceNorm3d)
# name -> network, channels, outputs, options, all as in fixtures/make_nnunet_networks.py
THICK = {
    "features": (4, 6, 6),
    "kernels": ((1, 3, 3), (3, 3, 3), (3, 3, 3)),
    "strides": ((1, 1, 1), (2, 2, 2), (1, 2, 2)),
}
PLANE = {
    "features": (4, 6, 6),
    "kernels": ((3, 3, 1),) * 3,
    "strides": ((1, 1, 1), (2, 2, 1), (2, 2, 1)),
    "flat_axis": 2,
}
TINY: dict[str, tuple[str, int, int, dict[str, Any]]] = {
    "plain": ("unet", 2, 3, THICK),
    "residual": ("residual-unet", 2, 3, {**THICK, "blocks": (1, 2, 1)}),
    "residual 2D": ("residual-unet", 1, 2, {**PLANE, "blocks": (1, 2, 1)}),
}


def options_of(plan: dict[str, Any]) -> Any:
    flat = 2 if len(plan["patch"]) == 2 else None
    sizes = {key: [(*size, 1)[:3] for size in plan[key]] for key in ("kernels", "strides")}
    return OPTIONS.load(plan["network"])(features=plan["features"], flat_axis=flat, **sizes)


def layers_in_order(network: nn.Module, image: torch.Tensor) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Return the layers with weights in the order in which they run, each with the size of its output."""
    found: list[tuple[nn.Module, tuple[int, ...]]] = []
    for module in network.modules():
        if isinstance(module, LEARNT):
            module.register_forward_hook(lambda one, _, out: found.append((one, tuple(out.shape[2:]))))
    with torch.no_grad():
        network(image)
    return found


def describe(module: nn.Module, seen: tuple[int, ...]) -> list[Any]:
    name = type(module).__name__
    kind = "up" if "Transpose" in name else "norm" if "Norm" in name else "conv"
    stride = list(module.stride) if kind != "norm" else []
    return [kind, list(module.weight.shape), module.bias is not None, stride, list(seen)]


@cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(FIXTURES / "nnunet_networks.npz") as content:
        return dict(content)


@pytest.mark.parametrize("name", PLANS)
def test_layers_are_nnunets_in_the_order_in_which_they_run(name: str) -> None:
    plan = PLANS[name]
    with torch.device("meta"):  # shapes alone
        network = NETWORKS.load(plan["network"])(options_of(plan), plan["channels"], plan["outputs"]).train()
        found = layers_in_order(network, torch.zeros(1, plan["channels"], *(*plan["patch"], 1)[:3]))

    assert [describe(*layer) for layer in found] == plan["layers"]
    assert sum(weight.numel() for weight in network.parameters()) == plan["parameters"]
    assert len(network.state_dict()) == sum(1 + layer[2] for layer in plan["layers"])


@pytest.mark.parametrize("name", PLANS)
def test_parameters_and_multiply_adds_are_those_of_nnunets_layers(name: str) -> None:
    plan = PLANS[name]
    x, y, z = (*plan["patch"], 1)[:3]

    counted = cost(plan["network"], options_of(plan), (x, y, z), plan["channels"], plan["outputs"])

    assert counted.parameters == plan["parameters"]
    layers = [layer for layer in plan["layers"] if layer[0] != "norm"]
    coarse_heads = [layer for layer in layers if layer[1][0] == plan["outputs"] and layer[4] != plan["patch"]]
    in_prediction = [layer for layer in layers if layer not in coarse_heads]
    assert counted.multiply_adds == sum(multiply_adds(layer) for layer in in_prediction)
    assert len(coarse_heads) == len(plan["strides"]) - 2


def multiply_adds(layer: list[Any]) -> int:
    """Every weight once a voxel of the output; of a transposed convolution once a voxel of the input."""
    kind, weight, _, stride, size = layer
    voxels = int(np.prod(size)) // (int(np.prod(stride)) if kind == "up" else 1)
    return int(np.prod(weight)) * voxels


@pytest.mark.parametrize("name", TINY)
def test_logits_are_nnunets_for_the_same_weights(name: str) -> None:
    kind, channels, outputs, options = TINY[name]
    network = NETWORKS.load(kind)(OPTIONS.load(kind)(**options), channels, outputs).train()
    saved = {key.removeprefix(f"{name}/"): value for key, value in arrays().items() if key.startswith(f"{name}/")}
    image = torch.from_numpy(saved["image"]).reshape(2, channels, *(*saved["image"].shape[2:], 1)[:3])
    weights = [w for layer, _ in layers_in_order(network, image) for w in (layer.weight, layer.bias) if w is not None]
    assert len(weights) == sum(key.startswith("weight") for key in saved) == len(network.state_dict())
    with torch.no_grad():
        for number, weight in enumerate(weights):
            weight.copy_(torch.from_numpy(saved[f"weight {number}"]))
        logits = network(image)

    assert len(logits) == len(options["features"]) - 1
    for number, ours in enumerate(logits):
        theirs = torch.from_numpy(saved[f"logits {number}"])
        torch.testing.assert_close(ours.reshape(theirs.shape), theirs, atol=1e-5, rtol=1e-5)
