"""The same numbers each time: what is done about operations that do not promise them.

On a processor a training repeats bit for bit by default. One kernel of oneDNN does not: where a bfloat16 convolution in
channels-last memory has a kernel longer than the map along some axis, its gradient takes in memory beyond the map. Such
convolutions, which cost next to nothing, are computed in float32. On a GPU some operations add in changing order; with
`--deterministic` they are refused by name.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from neuraxis.errors import UsageError

_WORDS = re.compile(r"(\S+) does not have a deterministic implementation")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


class SteadyConv2d(nn.Conv2d):
    """Convolution that repeats bit for bit on maps smaller than its kernel, too."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convolve, small maps in float32."""
        return _in_float32(super().forward, image) if _is_unsteady(image, self) else super().forward(image)


class SteadyConv3d(nn.Conv3d):
    """Convolution that repeats bit for bit on maps smaller than its kernel, too."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convolve, small maps in float32."""
        return _in_float32(super().forward, image) if _is_unsteady(image, self) else super().forward(image)


def steady(network: nn.Module) -> None:
    """Have every plain convolution of a network repeat bit for bit; its weights and their names stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = SteadyConv2d
        elif type(module) is nn.Conv3d:
            module.__class__ = SteadyConv3d


@contextmanager
def deterministic(device: str, probe: Callable[[], None]) -> Iterator[None]:
    """Allow operations alone that give the same numbers each time; on a processor all do.

    Args:
        device: on which is trained, "cpu" or another.
        probe: does a step that is thrown away.

    Raises:
        UsageError: some operations of a step, which are named, have no kernel that does.
    """
    if device == "cpu":
        yield
        return
    refuse_changing(changing_operations(probe), device)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        refuse_changing(_WORDS.findall(str(error)), device)
        if _WORKSPACE in str(error):
            raise UsageError(f"deterministic: set {_WORKSPACE}=:4096:8 in the environment of Python first.") from error
        raise
    finally:
        torch.use_deterministic_algorithms(False)


def changing_operations(work: Callable[[], None]) -> list[str]:
    """Do some work and return the names of its operations that may give other numbers the next time."""
    before = torch.get_deterministic_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            work()
        finally:
            torch.set_deterministic_debug_mode(before)
    return sorted({name for warning in caught for name in _WORDS.findall(str(warning.message))})


def refuse_changing(names: list[str], device: str) -> None:
    """Refuse operations without a deterministic kernel, if there are any.

    Raises:
        UsageError: with their names.
    """
    if names:
        raise UsageError(
            f"--deterministic: {', '.join(names)} on {device} {'has' if len(names) == 1 else 'have'} no deterministic "
            "kernel. Choose a network, loss and augmentation without, train with --device cpu, or leave it out."
        )


def _is_unsteady(image: torch.Tensor, convolution: nn.Conv2d | nn.Conv3d) -> bool:
    return (
        image.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and any(
            side <= apart * (kernel - 1)
            for side, kernel, apart in zip(image.shape[2:], convolution.kernel_size, convolution.dilation, strict=True)
        )
    )


def _in_float32(convolve: Callable[[torch.Tensor], torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", enabled=False):
        return convolve(image.float())
