"""The vision transformer that UNETR and TransUNet have in common: every token looks at all others, block after block.

Tokens learn where they are: a vector for each place of a grid, which is interpolated to any other grid of tokens.

Paper: Dosovitskiy et al. 2021, An image is worth 16 x 16 words, ICLR.
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.tokens import Attention, Block, FeedForward, initialise, interpolate, sides_of

Sizes = tuple[int, ...]


class VisionTransformer(nn.Module):
    """Blocks of attention and a feed-forward layer.

    Args:
        width: features of a token.
        heads: of the attention.
        depth: blocks.
        hidden: features inside the feed-forward layers.
        places: of the grid whose vectors are learned.
    """

    def __init__(self, width: int, heads: int, depth: int, hidden: int, places: Sizes) -> None:
        super().__init__()
        self.places = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, *places, width), std=0.02))
        self.blocks = nn.ModuleList(
            Block(width, Attention(width, heads, (1,) * len(places)), FeedForward(width, hidden)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Return what each block makes of tokens (B, ..., F); the last one normed."""
        tokens = tokens + interpolate(self.places, tuple(sides_of(tokens)[:-1]), first=1)
        states = []
        for block in self.blocks:
            tokens = block(tokens)
            states.append(tokens)
        return [*states[:-1], self.norm(tokens)]
