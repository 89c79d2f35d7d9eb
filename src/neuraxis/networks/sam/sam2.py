"""SAM 2 (Ravi et al. 2024), as transformers has it: its image half, without the memory of a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Sam2Config, Sam2Model

from neuraxis.networks.sam.backbone import Backbone
from neuraxis.networks.sam.cache import Embedding
from neuraxis.networks.sam.promptable import Promptable
from neuraxis.networks.sam.quiet_transformers import load_from

BEFORE_CACHE = ("mask_decoder.conv_s0.", "mask_decoder.conv_s1.")


class Sam2Backbone(Backbone):
    """transformers' SAM 2."""

    def build(self, architecture: dict[str, Any]) -> nn.Module:
        """Return a model of an architecture, its weights random."""
        return Sam2Model(Sam2Config.from_dict({**architecture, "model_type": "sam2"}))

    def load(self, folder: Path) -> nn.Module:
        """Return the model of a folder."""
        return load_from(Sam2Model, folder)

    def encode(self, encoder: nn.Module, pixels: torch.Tensor) -> Embedding:
        """Return three maps of pictures (B, 3, S, S), from fine to coarse; the last is (B, width, G, G)."""
        fine, middle, coarse = encoder(pixels, return_dict=True).fpn_hidden_states
        decoder = self.model.mask_decoder
        empty = self.model.no_memory_embedding.view(1, -1, 1, 1)
        return decoder.conv_s0(fine), decoder.conv_s1(middle), coarse + empty

    def answer(self, embedding: Embedding, prompts: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits (P, L, L) of masks, one for each prompt."""
        masks: torch.Tensor = self.model(image_embeddings=[*embedding], multimask_output=False, **prompts).pred_masks
        return masks[:, 0, 0]

    def is_tuned(self, name: str) -> bool:
        """Tell whether fine-tuning moves a weight: those of the mask decoder that take no part in the embedding."""
        return super().is_tuned(name) and not name.startswith(BEFORE_CACHE)

    @property
    def width(self) -> int:
        """Channels of the embedding."""
        return int(self.model.config.vision_config.fpn_hidden_size)

    @property
    def size(self) -> int:
        """Pixels along each side of the picture."""
        return int(self.model.config.prompt_encoder_config.image_size)


class Sam2(Promptable):
    """SAM 2: a hierarchical encoder, whose finer maps the mask decoder sees as well."""

    backbone_kind = Sam2Backbone
