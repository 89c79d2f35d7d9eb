"""transformers' model behind a promptable network: its image encoder, and how its mask decoder is asked.

In training the image encoder is frozen and stands aside: neither checkpoints nor the running mean hold it, and what it
says of a slice is computed once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neuraxis.errors import BundleError, RecipeError
from neuraxis.networks.sam.base import find_base
from neuraxis.networks.sam.cache import Embedding, EmbeddingCache, rounded
from neuraxis.networks.sam.canvas import Canvas
from neuraxis.networks.sam.lora import LowRank
from neuraxis.networks.sam.options import SamOptions

ENCODER = "vision_encoder"


class Backbone(nn.Module):
    """A model of transformers, whole after it is built, and without its encoder in training.

    Args:
        options: of the network, with the architecture.

    Raises:
        RecipeError: there is no such architecture.
    """

    def __init__(self, options: SamOptions) -> None:
        super().__init__()
        self.options = options
        try:
            self.model = self.build(options.architecture)
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, AssertionError) as error:
            raise RecipeError(f"network.options.architecture cannot be built: {_first_line(error)}") from error
        self.updates: LowRank | None = None
        self._aside: _Aside | None = None

    def build(self, architecture: dict[str, Any]) -> nn.Module:
        """Return a model of an architecture, its weights random."""
        raise NotImplementedError

    def load(self, folder: Path) -> nn.Module:
        """Return the model of a folder."""
        raise NotImplementedError

    def encode(self, encoder: nn.Module, pixels: torch.Tensor) -> Embedding:
        """Return what the image encoder says of pictures (B, 3, S, S); the last tensor is (B, width, G, G)."""
        raise NotImplementedError

    def answer(self, embedding: Embedding, prompts: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits (P, L, L) of masks, one for each prompt."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Channels of the embedding."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Pixels along each side of the picture."""
        raise NotImplementedError

    def is_tuned(self, name: str) -> bool:
        """Tell whether fine-tuning moves a weight of the model: those of the mask decoder."""
        return name.startswith("mask_decoder.")

    def begin_with_base(self) -> None:
        """Take the weights of the base, set the image encoder aside and freeze what is not fine-tuned.

        Raises:
            BundleError: the base is not there, or is not the one that was planned with.
        """
        options = self.options
        base = find_base(options.base, options.kinds)
        if options.base_hash and base.hash != options.base_hash:
            raise BundleError(
                f"{options.base}: its weights are not those that this was planned with (SHA-256 {base.hash[:12]} "
                f"against {options.base_hash[:12]}). Bring those back, or begin a new run."
            )
        try:
            self.model = self.load(base.folder)
        except Exception as error:  # transformers raises what its parts raise
            raise BundleError(f"{options.base}: cannot be loaded ({_first_line(error)}). Fetch it again.") from error
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(self.is_tuned(name))
        encoder = self.model._modules.pop(ENCODER)
        self._aside = _Aside(encoder.eval().requires_grad_(False))
        if options.lora_rank:
            self.updates = LowRank(encoder, options.lora_rank)

    def keep_embeddings(self, folder: Path) -> None:
        """Keep embeddings in a folder, within the recipe's size; with low-rank updates they change and none is kept."""
        if self._aside is not None and self.updates is None and self.options.cache_gb:
            about = f"{self.options.base_hash} {self.options.kinds[0]}"
            self._aside.cache = EmbeddingCache(folder, int(self.options.cache_gb * 2**30), about)

    def make_whole(self) -> None:
        """Take an encoder that stands aside back, as a copy, with low-rank updates merged."""
        if self._aside is not None:
            encoder = copy.deepcopy(self._aside.encoder).cpu()
            if self.updates is not None:
                self.updates.merge_into(encoder)
            self.model._modules[ENCODER] = encoder
        self.updates = self._aside = None

    def embed(self, slices: torch.Tensor) -> Embedding:
        """Return the embedding of slices (B, C, A, B), in training kept or from what was kept.

        Without updates each slice is seen alone and rounded to half precision, so that its embedding depends neither
        on its company nor on whether it was kept.
        """
        canvas = Canvas((slices.shape[2], slices.shape[3]), self.size)
        pixels = canvas.pixels(slices, self.options.pixels == "imagenet")
        if self.updates is not None and self._aside is not None:
            with self.updates.at_work(self._aside.encoder):
                return self.encode(self._aside.encoder, pixels)
        with torch.no_grad():
            single = [self._embed_one(one) for one in pixels.split(1)]
        return tuple(
            torch.cat([*map(torch.Tensor.float, each)]).to(slices.device) for each in zip(*single, strict=True)
        )

    def _embed_one(self, pixels: torch.Tensor) -> Embedding:
        encoder = self._aside.encoder if self._aside is not None else self.model.vision_encoder
        cache = self._aside.cache if self._aside is not None else None
        if cache is None:
            return rounded(self.encode(encoder, pixels))
        return cache.get(pixels[0], lambda: self.encode(encoder, pixels))

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Backbone:
        super()._apply(fn, recurse)
        if self._aside is not None:
            self._aside.encoder._apply(fn)
        return self


class _Aside:
    """An encoder that is no part of a network's state, and what it said; copies of the network share both."""

    def __init__(self, encoder: nn.Module) -> None:
        self.encoder = encoder
        self.cache: EmbeddingCache | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Aside:
        return self


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__
