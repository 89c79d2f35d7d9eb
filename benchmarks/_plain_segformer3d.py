"""SegFormer3D as one writes it down from the papers: the plain form beside which ours is timed.

Convolutions are `nn.Conv3d` on channels-first images, tokens are (B, N, F) in between, attention is torch's fused one,
and the decoder interpolates all stages to the first one's grid, concatenates and mixes them. Weights have our names.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

Size = tuple[int, int, int]
FEATURES, HEADS, REDUCTIONS = (32, 64, 160, 256), (1, 2, 5, 8), (4, 2, 1, 1)
KERNELS, STRIDES, DEPTH, EXPANSION, DECODER = (7, 3, 3, 3), (4, 2, 2, 2), 2, 4, 256


def tokens_of(image: torch.Tensor) -> torch.Tensor:
    return image.flatten(2).transpose(1, 2)  # (B, N, F)


def image_of(tokens: torch.Tensor, size: Size) -> torch.Tensor:
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *size)  # (B, F, X, Y, Z)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.query, self.key_value, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        if reduction > 1:
            self.reduce, self.norm = nn.Conv3d(width, width, reduction, reduction), nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor, size: Size) -> torch.Tensor:
        batch, count, width = tokens.shape
        seen = tokens if self.reduction == 1 else self.norm(tokens_of(self.reduce(image_of(tokens, size))))
        query = self.query(tokens).reshape(batch, count, self.heads, -1).transpose(1, 2)
        key, value = self.key_value(seen).reshape(batch, -1, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value)
        return self.out(found.transpose(1, 2).reshape(batch, count, width))


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = EXPANSION * width
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.depthwise = nn.Conv3d(hidden, hidden, 3, padding=1, groups=hidden)

    def forward(self, tokens: torch.Tensor, size: Size) -> torch.Tensor:
        return self.narrow(F.gelu(tokens_of(self.depthwise(image_of(self.widen(tokens), size)))))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), Attention(width, heads, reduction)
        self.feed_norm, self.feed_forward = nn.LayerNorm(width), FeedForward(width)

    def forward(self, tokens: torch.Tensor, size: Size) -> torch.Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens), size)
        return tokens + self.feed_forward(self.feed_norm(tokens), size)


class Stage(nn.Module):
    def __init__(self, stage: int, before: int) -> None:
        super().__init__()
        width, kernel = FEATURES[stage], KERNELS[stage]
        self.embed = nn.Conv3d(before, width, kernel, STRIDES[stage], kernel // 2)
        self.norm, self.last_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, HEADS[stage], REDUCTIONS[stage]) for _ in range(DEPTH))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = self.embed(image)
        size, tokens = image.shape[2:], self.norm(tokens_of(image))
        for block in self.blocks:
            tokens = block(tokens, size)
        return image_of(self.last_norm(tokens), size)


class Decoder(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(width, DECODER) for width in FEATURES)
        self.mix = nn.Linear(len(FEATURES) * DECODER, DECODER, bias=False)
        self.norm, self.predict = nn.LayerNorm(DECODER), nn.Linear(DECODER, outputs)

    def forward(self, maps: list[torch.Tensor], size: Size) -> torch.Tensor:
        first = maps[0].shape[2:]
        same = [
            F.interpolate(image_of(project(tokens_of(image)), image.shape[2:]), first, mode="trilinear")
            for image, project in zip(maps, self.projections, strict=True)
        ]
        tokens = F.relu(self.norm(self.mix(tokens_of(torch.cat(same, dim=1)))))
        return F.interpolate(image_of(self.predict(tokens), first), size, mode="trilinear")


class PlainSegFormer3D(nn.Module):
    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        befores = (channels, *FEATURES[:-1])
        self.stages = nn.ModuleList(Stage(stage, before) for stage, before in enumerate(befores))
        self.decoder = Decoder(outputs)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        maps, x = [], image
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return self.decoder(maps, image.shape[2:])
