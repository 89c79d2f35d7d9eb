"""The layers of a network whose output can be laid over a scan, found by running it, and what they give.

A layer is a module that runs once and gives one tensor with as many axes as the image has: features first, (B, F, ...),
as convolutions do, or last, (B, ..., F), as the tokens of transformers. Which of the two it is shows when the network
is run on two sizes: the features are the axis that stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neuraxis.errors import UsageError, suggest
from neuraxis.patches.grid import Shape

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """A layer that can be laid over a scan.

    Attributes:
        name: dotted, as torch names it, such as "encoder.4".
        features_last: whether its features are the last axis.
        features: their number.
        step: voxels of the image that one of its positions stands for, along (X, Y, Z).
        weights: parameters in it.
    """

    name: str
    features_last: bool
    features: int
    step: tuple[float, float, float]
    weights: int

    def as_image(self, given: torch.Tensor) -> torch.Tensor:
        """Return what the layer gave as an image (B, F, ...)."""
        return given.movedim(-1, 1) if self.features_last else given


class _Reached(Exception):
    """The layer has run; what comes after it is not needed."""


class Tap:
    """A network that is looked at behind one of its layers.

    Its weights take no gradients from then on, so that memory holds the part behind the layer alone.
    """

    def __init__(self, network: nn.Module, layer: Layer) -> None:
        self.network, self.layer = network.eval().requires_grad_(False), layer
        self._module = network.get_submodule(layer.name)

    def before(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what the layer gives, (B, F, ...), for windows (B, C, X, Y, Z); the rest of the network is not run."""
        kept: list[torch.Tensor] = []

        def stop(module: Any, taken: Any, given: torch.Tensor) -> None:
            kept.append(self.layer.as_image(given))
            raise _Reached

        with torch.no_grad(), _hooked(self._module, stop):
            try:
                self.network(windows)
            except _Reached:
                return kept[0]
        raise RuntimeError(f"The layer {self.layer.name} did not run.")

    def through(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the layer gives as it lies, which takes a gradient, and the logits (B, K, X, Y, Z) behind it."""
        kept: list[torch.Tensor] = []

        def begin(module: Any, taken: Any, given: torch.Tensor) -> torch.Tensor:
            kept.append(given.detach().requires_grad_())
            return kept[-1].clone()  # the next layer may write into what it is given

        with torch.enable_grad(), _hooked(self._module, begin):
            logits = self.network(windows)
        return kept[0], logits


def layers_of(network: nn.Module, channels: int, window: Shape) -> tuple[Layer, ...]:
    """Return the layers of a network, in the order in which torch names them.

    Args:
        network: ours, with a `stride`; one without is run on the window alone, and features are taken to come first but
            for layer norms and linear layers.
        channels: channels of the image.
        window: voxels along (X, Y, Z); 1 where the network is flat.
    """
    stride = getattr(network, "stride", None)
    sizes = [window]
    if stride is not None:
        sizes = [_times(stride, window, factor) for factor in (2, 3)]
    try:
        runs = [_outputs(network, channels, size) for size in sizes]
    except (RuntimeError, ValueError):  # it takes images of one size alone
        sizes = [window]
        runs = [_outputs(network, channels, window)]
    modules = dict(network.named_modules())
    found = (_layer(name, modules[name], [run.get(name, []) for run in runs], sizes[0]) for name in modules if name)
    return tuple(layer for layer in found if layer is not None)


def bottleneck(layers: Sequence[Layer]) -> Layer:
    """Return the layer with the most weights of those on the coarsest grid.

    That is the last stage of the encoder, where a position sees most of the image and a feature means most.
    """
    coarsest = max(math.prod(layer.step) for layer in layers)
    return max((layer for layer in layers if math.prod(layer.step) == coarsest), key=lambda layer: layer.weights)


def layer_named(name: str, layers: Sequence[Layer]) -> Layer:
    """Return the layer of a name; of an empty one the bottleneck.

    Raises:
        UsageError: there is none, or no layer can be laid over a scan.
    """
    if not layers:
        raise UsageError("No layer of this network can be laid over a scan, so there is nothing to explain it by.")
    if not name:
        return bottleneck(layers)
    found = next((layer for layer in layers if layer.name == name), None)
    if found is None:
        near = suggest(name, [layer.name for layer in layers])
        known = near if near.startswith("Did") else f"Known: {', '.join(_outermost(layers))}, and those inside them."
        raise UsageError(f"--layer {name}: no layer of this network that can be laid over a scan is called so. {known}")
    return found


def _outermost(layers: Sequence[Layer]) -> list[str]:
    names = [layer.name for layer in layers]
    return [name for name in names if not any(name.startswith(f"{other}.") for other in names)]


def _times(stride: Sequence[int], window: Shape, factor: int) -> Shape:
    x, y, z = (1 if side == 1 else factor * step for side, step in zip(window, stride, strict=True))
    return x, y, z


def _outputs(network: nn.Module, channels: int, size: Shape) -> dict[str, list[Sizes]]:
    """Run a network on zeros and return the shapes of what each module gives, each time that it runs."""
    found: dict[str, list[Sizes]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: Any, taken: Any, given: Any) -> None:
            found.setdefault(name, []).append(tuple(given.shape) if isinstance(given, torch.Tensor) else ())

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in network.named_modules()]
    try:
        weight = next(network.parameters())
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, *size, device=weight.device, dtype=weight.dtype))
    finally:
        for one in hooks:
            one.remove()
    return found


def _layer(name: str, module: nn.Module, runs: Sequence[list[Sizes]], size: Shape) -> Layer | None:
    """Return a module as a layer, or None where it is none; `size` is that of the first run."""
    long = [axis for axis, side in enumerate(size) if side > 1]
    shape = runs[0][0] if len(runs[0]) == 1 else ()
    axes = [0, 1, 2] if len(shape) == 5 else long  # a flat network may leave its flat axis out
    if len(shape) != 2 + len(axes) or any(len(shapes) != 1 or len(shapes[0]) != len(shape) for shapes in runs):
        return None
    if len(runs) == 1:
        last = isinstance(module, nn.LayerNorm | nn.Linear)
    else:
        changed = [place for place, pair in enumerate(zip(shape, runs[1][0], strict=True)) if pair[0] != pair[1]]
        first = [2 + place for place, axis in enumerate(axes) if axis in long]
        if changed not in (first, [place - 1 for place in first]):
            return None
        last = changed != first
    positions = dict(zip(axes, shape[1:-1] if last else shape[2:], strict=True))
    x, y, z = (size[axis] / positions.get(axis, 1) for axis in range(3))
    weights = sum(weight.numel() for weight in module.parameters())
    return Layer(name, last, shape[-1] if last else shape[1], (x, y, z), weights)


@contextmanager
def _hooked(module: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
