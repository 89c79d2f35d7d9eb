"""Which experts of a mixture took which part of a scan: what each gate weighed, laid over the image.

A token stands for a box of voxels. Where windows overlap, each voxel shows the window in whose middle it is most, so
that every weight in a map is one that the network computed. Shares of the tokens are counted as training counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from neuraxis.inference.explaining.tiles import Tiles
from neuraxis.networks.experts import Router, Routes, counted_use
from neuraxis.patches.grid import Shape
from neuraxis.progress import Stage

Span = tuple[int, int]


@dataclass(frozen=True)
class Gate:
    """One gate of a network.

    Attributes:
        name: where it is, in words, such as "stage 1, block 2".
        place: the same without the block, as training counts it.
        experts: how many it chooses among.
        chosen: how many take each token.
    """

    name: str
    place: str
    experts: int
    chosen: int


class ExpertMaps:
    """Looks at the gates of one network on one prepared image.

    Args:
        network: with experts.
        tiles: the prepared image.

    Attributes:
        gates: in the order in which they run.
        shares: place to the share of all tokens that each expert of it takes, summing to 1; after `run`.
    """

    def __init__(self, network: nn.Module, tiles: Tiles) -> None:
        self._network, self._tiles = network.eval(), tiles
        self.gates = gates_of(network)
        self.shares: dict[str, list[float]] = {}
        self._own = [_own_spans(tiles, axis) for axis in range(3)]
        self._sides: list[Shape] = []
        self._kept: list[dict[Shape, np.ndarray]] = [{} for _ in self.gates]

    def run(self, stage: Stage) -> None:
        """Run every window through the network; the stage is advanced once for each."""
        device = next(self._network.parameters()).device
        with torch.no_grad(), counted_use(self._network) as use:
            for starts in self._tiles.chunks():
                with ExitStack() as hooks:
                    seen = [_Seen(holder, hooks) for holder in _holders(self._network)]
                    self._network(torch.from_numpy(self._tiles.cut(starts)).to(device))
                self._keep(starts, [one.weights(self._tiles.window) for one in seen])
                stage.advance(len(starts))
        for gate in self.gates:
            self.shares[gate.place] = [use[f"experts/{gate.place}/{number}"] for number in range(1, gate.experts + 1)]

    def slabs(self, place: int) -> Iterator[np.ndarray]:
        """Yield the weights that a gate gave its experts, in slabs (E, n, Y, Z) along X; they sum to 1.

        Args:
            place: of the gate among `gates`.
        """
        inside = [slice(first, first + size) for first, size in zip(self._tiles.begin, self._tiles.shape, strict=True)]
        along_x, along_y, along_z = self._own
        for x, (low, high) in along_x.items():
            slab = np.empty((self.gates[place].experts, high - low, *self._tiles.image.shape[2:]), np.float32)
            for y, rows in along_y.items():
                for z, columns in along_z.items():
                    slab[:, :, slice(*rows), slice(*columns)] = self._spread(place, (x, y, z))
            own = slice(max(0, inside[0].start - low), max(0, min(high, inside[0].stop) - low))
            if own.stop > own.start:
                yield slab[(slice(None), own, *inside[1:])]

    def _keep(self, starts: Sequence[Shape], seen: Sequence[np.ndarray]) -> None:
        """Keep of each gate's weights (B, E, x, y, z) the tokens of the voxels that show these windows."""
        self._sides = [(one.shape[2], one.shape[3], one.shape[4]) for one in seen]
        for place, (kept, weights) in enumerate(zip(self._kept, seen, strict=True)):
            for start, one in zip(starts, weights, strict=True):
                parts = (slice(tokens[0], tokens[-1] + 1) for tokens in self._tokens(place, start))
                kept[start] = one[(slice(None), *parts)].copy()

    def _spread(self, place: int, start: Shape) -> np.ndarray:
        """Give each voxel that shows a window the weights of its token, (E, x, y, z)."""
        spread = self._kept[place][start]
        for axis, tokens in enumerate(self._tokens(place, start), start=1):
            spread = np.take(spread, tokens - tokens[0], axis)
        return spread

    def _tokens(self, place: int, start: Shape) -> list[np.ndarray]:
        """Return along each axis the token of each voxel that shows a window."""
        axes = zip(self._own, start, self._sides[place], self._tiles.window, strict=True)
        return [(np.arange(*spans[first]) - first) * count // side for spans, first, count, side in axes]


class _Seen:
    """What one gate did with one batch of windows."""

    def __init__(self, holder: nn.Module, hooks: ExitStack) -> None:
        self._sides: tuple[int, ...] = ()
        self._routes: Routes | None = None
        hooks.callback(holder.register_forward_pre_hook(self._note_sides).remove)
        hooks.callback(holder.get_submodule("router").register_forward_hook(self._note_routes).remove)

    def weights(self, window: Shape) -> np.ndarray:
        """Return every expert's weight for each token, (B, E, x, y, z) float32."""
        if self._routes is None:
            raise RuntimeError("A gate did not run.")
        dense = self._routes.dense().reshape(*self._sides, self._routes.count).movedim(-1, 1)
        if dense.ndim == 4:
            dense = dense.unsqueeze(2 + window.index(1))
        found: np.ndarray = dense.float().cpu().numpy()
        return found

    def _note_sides(self, holder: Any, taken: tuple[Any, ...]) -> None:
        self._sides = tuple(taken[0].shape[:-1])

    def _note_routes(self, router: Any, taken: Any, routes: Routes) -> None:
        self._routes = routes


def gates_of(network: nn.Module) -> tuple[Gate, ...]:
    """Return the gates of a network; none where it has no experts."""
    routers = [holder.get_submodule("router") for holder in _holders(network)]
    places = [router.place for router in routers]
    found = []
    for at, router in enumerate(routers):
        block = f", block {places[: at + 1].count(router.place)}" if places.count(router.place) > 1 else ""
        found.append(Gate(f"{router.place}{block}", router.place, router.experts, router.chosen))
    return tuple(found)


def _holders(network: nn.Module) -> list[Any]:
    """Return the modules that have a gate of their own, whose first input is tokens (B, ..., F)."""
    return [module for module in network.modules() if isinstance(getattr(module, "router", None), Router)]


def _own_spans(tiles: Tiles, axis: int) -> dict[int, Span]:
    """Return the voxels along an axis that show each window: those whose nearest middle of a window is its own."""
    side, starts = tiles.window[axis], sorted({start[axis] for start in tiles.starts})
    edges = [0]
    for before, after in pairwise(starts):
        edges.append((before + after + side) // 2)
    edges.append(tiles.image.shape[1 + axis])
    return dict(zip(starts, pairwise(edges), strict=True))
