"""Mixtures of experts: each token is sent to some of several layers, which a gate chooses.

A gate gives each token a probability for each expert (Shazeer et al. 2017); the `chosen` most probable ones compute,
and their probabilities, brought to a sum of 1, weigh what they give. Two losses keep the gate in order: one is least
when all experts get as many tokens (Fedus et al. 2022), one keeps its logits small (Zoph et al. 2022).

While a network is exported every expert computes every token, with weight 0 where it was not chosen: the same result
within rounding, in two large products that every engine runs well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.networks.tokens import depthwise, sides_of, to_image, to_tokens


@dataclass(frozen=True, eq=False)
class Routes:
    """Where tokens go: N tokens, of which each goes to k of E experts.

    Attributes:
        experts: (N, k) their numbers.
        weights: (N, k) float32, summing to 1.
        count: E.
    """

    experts: torch.Tensor
    weights: torch.Tensor
    count: int

    def dense(self) -> torch.Tensor:
        """Return the weight of every expert (N, E), 0 where it was not chosen."""
        numbers = torch.arange(self.count, device=self.experts.device)
        return ((self.experts[..., None] == numbers) * self.weights[..., None]).sum(dim=1)


class Router(nn.Module):
    """A gate without a bias.

    Args:
        width: features of a token.
        experts: how many there are.
        chosen: how many of them each token goes to.
        place: what the experts are part of, in words.

    Attributes:
        losses: balance and squared logits of the last forward pass in training, until they are read.
    """

    def __init__(self, width: int, experts: int, chosen: int, place: str) -> None:
        super().__init__()
        self.experts, self.chosen, self.place = experts, chosen, place
        self.gate = nn.Linear(width, experts, bias=False)
        self.losses: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, tokens: torch.Tensor) -> Routes:
        """Choose for tokens (N, F); in float32, since a rounded probability may choose another expert."""
        with torch.autocast(tokens.device.type, enabled=False):
            logits = self.gate(tokens.float())  # (N, E)
            probability = logits.softmax(dim=-1)
            best, numbers = probability.topk(self.chosen, dim=-1)  # (N, k)
            if self.training:
                self.losses = self._balance(probability, numbers), logits.logsumexp(dim=-1).square().mean()
            return Routes(numbers, best / best.sum(dim=-1, keepdim=True), self.experts)

    def _balance(self, probability: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return E times the sum of each expert's share of choices and mean probability: 1 where all are alike."""
        shares = numbers.flatten().bincount(minlength=self.experts) / numbers.numel()
        return self.experts * (shares * probability.mean(dim=0)).sum()


class ExpertFeedForward(nn.Module):
    """A depth-wise convolution that all share, then experts of two linear layers with GELU between.

    The convolution comes before tokens part: neighbours of a token in the image would be missing among those that go to
    the same expert.

    Args:
        width: features of a token.
        hidden: features inside an expert.
        router: chooses.
        dimensions: 2 or 3.
        dropout: share of an expert's features that training leaves out.
    """

    def __init__(self, width: int, hidden: int, router: Router, dimensions: int, dropout: float) -> None:
        super().__init__()
        self.router, self.depthwise, self.dropout = router, depthwise(width, dimensions), nn.Dropout(dropout)
        self.widen, self.widen_bias = drawn(router.experts, hidden, width), zeros(router.experts, hidden)
        self.narrow, self.narrow_bias = drawn(router.experts, width, hidden), zeros(router.experts, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens (B, ..., F)."""
        seen = tokens + to_tokens(self.depthwise(to_image(tokens)))
        flat = seen.reshape(-1, tokens.shape[-1])  # (N, F)
        routes = self.router(flat)
        found = self._all(flat, routes.dense()) if computes_all() else self._chosen(flat, routes)
        return found.reshape(-1, *sides_of(tokens))

    def _chosen(self, tokens: torch.Tensor, routes: Routes) -> torch.Tensor:
        """Lay each expert's tokens side by side, as many places for each as the busiest needs, and compute at once."""
        places, length = _places(routes)  # (N k)
        taken = tokens[:, None].expand(-1, routes.experts.shape[1], -1).flatten(0, 1)  # (N k, F)
        laid = taken.new_zeros(routes.count * length, tokens.shape[-1]).index_copy(0, places, taken)
        laid = laid.unflatten(0, (routes.count, length))  # (E, L, F)
        hidden = F.gelu(torch.baddbmm(self.widen_bias[:, None], laid, self.widen.transpose(1, 2)))  # (E, L, H)
        given = torch.baddbmm(self.narrow_bias[:, None], self.dropout(hidden), self.narrow.transpose(1, 2))
        found = given.flatten(0, 1).index_select(0, places).unflatten(0, routes.experts.shape)  # (N, k, F)
        return (found * routes.weights[..., None]).sum(dim=1)

    def _all(self, tokens: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Compute every token by every expert, weights (N, E) of which most may be 0."""
        experts, hidden, width = (int(side) for side in self.widen.shape)
        inside = F.gelu(F.linear(tokens, self.widen.reshape(-1, width), self.widen_bias.reshape(-1)))
        weighed = inside.reshape(-1, experts, hidden) * weights[..., None]  # (N, E, H)
        joined = self.narrow.permute(1, 0, 2).reshape(width, experts * hidden)
        return F.linear(weighed.reshape(-1, experts * hidden), joined) + weights @ self.narrow_bias


class ExpertProjection(nn.Module):
    """Linear experts: since they are linear, tokens weighed by expert go through all of them in one product."""

    def __init__(self, before: int, after: int, router: Router) -> None:
        super().__init__()
        self.router = router
        self.weight, self.bias = drawn(router.experts, after, before), zeros(router.experts, after)

    def forward(self, tokens: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
        """Project tokens (B, ..., F) and mix them by a matrix (D, after): (B, ..., D)."""
        flat = tokens.reshape(-1, tokens.shape[-1])
        weights = self.router(flat).dense()  # (N, E)
        weighed = (weights[..., None] * flat[:, None]).flatten(1)  # (N, E F)
        joined = torch.matmul(mix, self.weight).permute(1, 0, 2).flatten(1)  # (D, E F)
        found = F.linear(weighed, joined) + weights @ (self.bias @ mix.t())
        return found.reshape(-1, *sides_of(tokens)[:-1], int(mix.shape[0]))


def computes_all() -> bool:
    """Tell whether every expert computes every token: while a network is traced, which must not depend on its input."""
    return torch.jit.is_tracing()


def drawn(*shape: int) -> nn.Parameter:
    """Return weights as those of linear layers are drawn."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def zeros(*shape: int) -> nn.Parameter:
    """Return biases."""
    return nn.Parameter(torch.zeros(shape))


def own_loss(network: nn.Module, balance: float, logits: float) -> torch.Tensor | None:
    """Return the mean of the routers' losses of the last forward pass by their weights, and forget them."""
    routers = [module for module in network.modules() if isinstance(module, Router)]
    losses = [router.losses for router in routers if router.losses is not None]
    for router in routers:
        router.losses = None
    if not losses:
        return None
    uneven, large = (torch.stack(each).mean() for each in zip(*losses, strict=True))
    return balance * uneven + logits * large


@contextmanager
def counted_use(network: nn.Module) -> Iterator[dict[str, float]]:
    """Count which experts tokens go to, while the block lasts; at its end "experts/PLACE/NUMBER" -> share, in [0, 1].

    The shares of a place add up to 1. A network without experts leaves it empty.
    """
    counts: dict[str, torch.Tensor] = {}

    def count(router: Any, taken: Any, routes: Routes) -> None:
        found = routes.experts.flatten().bincount(minlength=routes.count)
        counts[router.place] = counts[router.place] + found if router.place in counts else found

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, Router)]
    shares: dict[str, float] = {}
    try:
        yield shares
    finally:
        for hook in hooks:
            hook.remove()
    for place, found in counts.items():
        for number, share in enumerate((found / found.sum()).tolist(), start=1):
            shares[f"experts/{place}/{number}"] = round(share, 4)


def _places(routes: Routes) -> tuple[torch.Tensor, int]:
    """Return the place (N k) of each choice where experts' tokens lie side by side, and how many places each has."""
    chosen = routes.experts.flatten()
    counts = chosen.bincount(minlength=routes.count)
    length, order = int(counts.max()), chosen.argsort(stable=True)
    firsts = counts.cumsum(0) - counts
    within = torch.arange(len(order), device=order.device) - firsts[chosen[order]]
    places = torch.empty_like(order)
    places[order] = chosen[order] * length + within
    return places, length
