"""SegFormer3D with experts in its feed-forward layers and in the projections of its decoder.

A mixture of experts makes a network wider than each token's share of it: every token goes to half of the experts of a
stage. What differs from the design of the MSLesSeg project, and why, stands in the manual.

Papers: Perera et al. 2024 (SegFormer3D); Shazeer et al. 2017, outrageously large neural networks; Fedus et al. 2022,
switch transformers; Zoph et al. 2022, ST-MoE.
"""

from __future__ import annotations

import torch
from torch import nn

from neuraxis.networks.experts import ExpertFeedForward, ExpertProjection, Router, own_loss
from neuraxis.networks.segformer3d import Decoder, SegFormer3D
from neuraxis.networks.transformer_options import SegFormer3DMoEOptions


class SegFormer3DMoE(SegFormer3D):
    """SegFormer3D with experts, in 3D or 2D.

    Args:
        options: stages, widths, heads and experts.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: SegFormer3DMoEOptions, channels: int, outputs: int) -> None:
        super().__init__(options, channels, outputs)

    def feed_forward(self, stage: int, width: int) -> list[nn.Module]:
        """Return the feed-forward layer of each block of a stage, each with experts of its own."""
        options, dimensions = self.options, 3 if self.options.flat_axis is None else 2
        experts, chosen = options.experts[stage], options.chosen[stage]
        return [
            ExpertFeedForward(
                width,
                options.expansion * width,
                Router(width, experts, chosen, f"stage {stage + 1}"),
                dimensions,
                options.dropout,
            )
            for _ in range(options.depths[stage])
        ]

    def make_decoder(self, outputs: int) -> Decoder:
        """Return the decoder, its projections with experts."""
        options = self.options
        projections = [
            ExpertProjection(
                width,
                options.decoder_width,
                Router(width, options.decoder_experts, options.decoder_chosen, f"decoder {stage + 1}"),
            )
            for stage, width in enumerate(options.features)
        ]
        return Decoder(projections, options.decoder_width, outputs, options.dropout)

    def own_loss(self) -> torch.Tensor | None:
        """Return what the routers add to the loss for the last forward pass in training; afterwards nothing."""
        return own_loss(self, self.options.balance_weight, self.options.router_weight)
