"""SAM and MedSAM (Kirillov et al. 2023, ICCV; Ma et al. 2024, Nature Communications 15:654), from transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import SamConfig, SamModel

from neuraxis.networks.sam.backbone import Backbone
from neuraxis.networks.sam.cache import Embedding
from neuraxis.networks.sam.promptable import Promptable
from neuraxis.networks.sam.quiet_transformers import load_from


class SamBackbone(Backbone):
    """transformers' SAM."""

    def build(self, architecture: dict[str, Any]) -> nn.Module:
        """Return a model of an architecture, its weights random."""
        return SamModel(SamConfig.from_dict(architecture))

    def load(self, folder: Path) -> nn.Module:
        """Return the model of a folder."""
        return load_from(SamModel, folder)

    def encode(self, encoder: nn.Module, pixels: torch.Tensor) -> Embedding:
        """Return the embedding (B, width, G, G) of pictures (B, 3, S, S)."""
        return (encoder(pixels)[0],)

    def answer(self, embedding: Embedding, prompts: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits (P, L, L) of masks, one for each prompt."""
        masks: torch.Tensor = self.model(image_embeddings=embedding[0], multimask_output=False, **prompts).pred_masks
        return masks[:, 0, 0]

    @property
    def width(self) -> int:
        """Channels of the embedding."""
        return int(self.model.config.vision_config.output_channels)

    @property
    def size(self) -> int:
        """Pixels along each side of the picture."""
        return int(self.model.config.vision_config.image_size)


class Sam(Promptable):
    """SAM: a vision transformer as image encoder, and a light mask decoder."""

    backbone_kind = SamBackbone
