"""Low-rank updates of an image encoder's attention (LoRA; Hu et al. 2022, ICLR), for a page of code no library.

Queries and values are updated, as in the paper; transformers' encoders compute them, and keys between them, in one
linear layer named `qkv`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

LAYER = "qkv"


class LowRank(nn.Module):
    """Updates for every `qkv` layer of an encoder; they begin at nothing.

    Args:
        encoder: whose layers are found; it is left as it is.
        rank: of each update.
    """

    def __init__(self, encoder: nn.Module, rank: int) -> None:
        super().__init__()
        self.names = [name for name, _ in _layers(encoder)]
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for _, layer in _layers(encoder):
            self.down.append(nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5))
            self.up.append(nn.Parameter(torch.zeros(2, layer.out_features // 3, rank)))

    def change(self, number: int) -> torch.Tensor:
        """Return what is added to the weights of one layer, (3 * width, inputs), nothing to its keys."""
        query, value = (part @ self.down[number] for part in self.up[number])
        return torch.cat([query, torch.zeros_like(query), value])

    @contextmanager
    def at_work(self, encoder: nn.Module) -> Iterator[None]:
        """Add the updates to the encoder's layers while it computes."""
        hooks = []
        for number, (_, layer) in enumerate(_layers(encoder)):

            def add(
                _: nn.Module, seen: tuple[torch.Tensor, ...], out: torch.Tensor, number: int = number
            ) -> torch.Tensor:
                return out + nn.functional.linear(seen[0], self.change(number))

            hooks.append(layer.register_forward_hook(add))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @torch.no_grad()
    def merge_into(self, encoder: nn.Module) -> None:
        """Add the updates to the encoder's weights for good."""
        for number, (_, layer) in enumerate(_layers(encoder)):
            layer.weight += self.change(number).to(layer.weight)


def _layers(encoder: nn.Module) -> list[tuple[str, nn.Linear]]:
    return [
        (name, module)
        for name, module in encoder.named_modules()
        if name.rpartition(".")[2] == LAYER and isinstance(module, nn.Linear)
    ]
