"""Which tensors of one network another one can begin with, matched by name and shape.

A network is told apart into three: tensors that depend on the image's channels, tensors that depend on the outputs,
and the rest. Channels are mapped by their names, outputs by the names of the labels; a kernel of another size is
brought to the new one around its middle (Carreira and Zisserman 2017, CVPR, inflate 2D kernels so, doi:10.1109/
CVPR.2017.502). What has no counterpart stays as it was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

State = Mapping[str, torch.Tensor]
How = Literal["loaded", "adapted", "fresh"]


@dataclass(frozen=True)
class Renamed:
    """Channels and outputs of a new network, to their names in the one that learned."""

    channels: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ends:
    """What goes into a network and what comes out.

    Attributes:
        channels: names of the image's channels.
        outputs: names of the outputs.
        renamed: of a new network, those of its channels and outputs that have another name in the one that learned.
    """

    channels: tuple[str, ...]
    outputs: tuple[str, ...]
    renamed: Renamed = Renamed()

    @property
    def wanted_channels(self) -> tuple[str, ...]:
        """What each channel is called in the network that learned."""
        return tuple(self.renamed.channels.get(name, name) for name in self.channels)

    @property
    def wanted_outputs(self) -> tuple[str, ...]:
        """What each output is called in the network that learned."""
        return tuple(self.renamed.outputs.get(name, name) for name in self.outputs)


@dataclass(frozen=True)
class Match:
    """What became of one tensor of the new network.

    Attributes:
        tensor: its name.
        shape: its shape.
        how: "loaded" as it was, "adapted" in parts or in size, or "fresh" as it was drawn.
        why: in words; empty where it was loaded and bears the same names.
    """

    tensor: str
    shape: tuple[int, ...]
    how: How
    why: str = ""


@dataclass(frozen=True)
class EndTensors:
    """Which axis of which tensors follows the channels, and which the outputs."""

    channels: Mapping[str, int]
    outputs: Mapping[str, int]


def end_tensors(build: Callable[[int, int], nn.Module], channels: int, outputs: int) -> EndTensors:
    """Find the tensors that depend on the channels or on the outputs, by building the network with one more of each.

    Args:
        build: makes the network of so many channels and outputs; it is called without memory for weights.
        channels: of the image.
        outputs: of the network.
    """
    with torch.device("meta"):
        here, wider, longer = (
            {name: tuple(tensor.shape) for name, tensor in build(*ends).state_dict().items()}
            for ends in ((channels, outputs), (channels + 1, outputs), (channels, outputs + 1))
        )
    return EndTensors(_changed(here, wider), _changed(here, longer))


def _changed(here: Mapping[str, tuple[int, ...]], there: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the first axis that differs, of the tensors in which one does."""
    return {
        name: next(axis for axis, (a, b) in enumerate(zip(shape, there[name], strict=True)) if a != b)
        for name, shape in here.items()
        if name in there and there[name] != shape
    }


def match_state(source: State, target: State, ends: tuple[Ends, Ends], places: EndTensors) -> tuple[State, list[Match]]:
    """Bring the weights of one network to another.

    Args:
        source: state of the network that learned.
        target: state of the new one, as it was drawn; it is not changed.
        ends: channels and outputs of the first and of the second.
        places: of the new network, see `end_tensors`.

    Returns:
        The new network's state, and what became of each of its tensors.
    """
    state, matches = {}, []
    for name, drawn in target.items():
        value, how, why = _match(name, source.get(name), drawn, ends, places)
        state[name] = value
        matches.append(Match(name, tuple(drawn.shape), how, why))
    return state, matches


def _match(
    name: str, found: torch.Tensor | None, drawn: torch.Tensor, ends: tuple[Ends, Ends], places: EndTensors
) -> tuple[torch.Tensor, How, str]:
    if found is None:
        return drawn, "fresh", "the other network has none of this name"
    if found.ndim != drawn.ndim and not (found.ndim == 4 and drawn.ndim == 5):
        return drawn, "fresh", f"the other's has {found.ndim} axes"
    old, new = ends
    reasons: list[str] = []
    if found.ndim < drawn.ndim:
        found = found.unsqueeze(_flat_axis(found, drawn))
    if name in places.channels and not old.channels == new.channels == new.wanted_channels:
        found = _by_channel(found, places.channels[name], old.channels, new.wanted_channels)
        pairs = [*zip(new.channels, new.wanted_channels, strict=True)]
        reasons.append(_words("channel", pairs, old.channels, "the mean of all"))
    if name in places.outputs and not old.outputs == new.outputs == new.wanted_outputs:
        if not set(new.wanted_outputs) & set(old.outputs):
            return drawn, "fresh", "no output bears a name of the other's"
        found = _by_output(found, drawn, places.outputs[name], old.outputs, new.wanted_outputs)
        pairs = [*zip(new.outputs, new.wanted_outputs, strict=True)]
        reasons.append(_words("output", pairs, old.outputs, "as drawn"))
    if found.shape[:2] != drawn.shape[:2] or found.ndim < 3:
        if found.shape != drawn.shape:
            return drawn, "fresh", f"the other's is {' x '.join(map(str, found.shape))}"
    elif found.shape != drawn.shape:
        reasons.append(f"kernel from {_size(found)} to {_size(drawn)}")
        found = _resize_kernel(found, tuple(drawn.shape[2:]))
    return found.to(drawn).clone(), "adapted" if reasons else "loaded", "; ".join(reasons)


def _flat_axis(found: torch.Tensor, drawn: torch.Tensor) -> int:
    """Return the axis of a 3D kernel that a 2D one lacks: the one that leaves the sizes nearest; the last of equals."""
    sides = tuple(found.shape[2:])

    def distance(axis: int) -> int:
        return sum(abs(a - b) for a, b in zip(sides, drawn.shape[2 : 2 + axis] + drawn.shape[3 + axis :], strict=True))

    return 2 + min((2, 1, 0), key=distance)


def _by_channel(found: torch.Tensor, axis: int, old: Sequence[str], new: Sequence[str]) -> torch.Tensor:
    """Take each channel's weights by its name; one that the other did not have gets the mean of all that it had."""
    places = {name.casefold(): place for place, name in enumerate(old)}
    mean = found.mean(dim=axis)
    parts = [found.select(axis, places[name.casefold()]) if name.casefold() in places else mean for name in new]
    return torch.stack(parts, dim=axis)


def _by_output(
    found: torch.Tensor, drawn: torch.Tensor, axis: int, old: Sequence[str], new: Sequence[str]
) -> torch.Tensor:
    """Take each output's weights by its name; one that the other did not have stays as it was drawn."""
    if found.select(axis, 0).shape != drawn.select(axis, 0).shape:
        return found
    places = {name: place for place, name in enumerate(old)}
    parts = [
        found.select(axis, places[name]) if name in places else drawn.select(axis, place)
        for place, name in enumerate(new)
    ]
    return torch.stack([part.to(drawn) for part in parts], dim=axis)


def _resize_kernel(kernel: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    """Bring a kernel (O, I, ...) to other sides: a longer axis gets zeros at both ends, a shorter one is summed in.

    So the answer to an image that is constant along the axis stays what it was.
    """
    for axis, side in enumerate(sides, start=2):
        here = kernel.shape[axis]
        if side > here:
            before = (side - here) // 2
            padding = [0, 0] * (kernel.ndim - 1 - axis) + [before, side - here - before]
            kernel = nn.functional.pad(kernel, padding)
        elif side < here:
            first = (here - side) // 2
            kept = kernel.narrow(axis, first, side).clone()
            ends = kernel.sum(dim=axis, keepdim=True) - kept.sum(dim=axis, keepdim=True)
            kernel = kept + ends / side
    return kernel


def _words(kind: str, pairs: Sequence[tuple[str, str]], old: Sequence[str], otherwise: str) -> str:
    """Say what each new one begins with; a pair is its name, and the name it has in the other network."""
    same = {name.casefold() for name in old}
    found = [name for name, wanted in pairs if name == wanted and wanted.casefold() in same]
    told = [f"{name} as '{wanted}'" for name, wanted in pairs if name != wanted]
    others = [name for name, wanted in pairs if name == wanted and wanted.casefold() not in same]
    words = [f"{', '.join(found)} by name"] if found else []
    words += [*told, *([f"{', '.join(others)} {otherwise}"] if others else [])]
    return f"{kind}s {', '.join(words)}"


def _size(kernel: torch.Tensor) -> str:
    return "x".join(map(str, kernel.shape[2:]))
