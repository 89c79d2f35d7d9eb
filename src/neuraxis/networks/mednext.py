"""MedNeXt, as MONAI has it: a U-Net whose every block is a depth-wise convolution and two of one voxel.

Blocks that halve or double the image are made in the same way, and each stage of the decoder has an output, which deep
supervision trains.

Paper: Roy et al. 2023, MedNeXt: transformer-driven scaling of ConvNets for medical image segmentation, MICCAI,
arXiv:2303.09975.
"""

from __future__ import annotations

import torch
from monai.networks.nets.mednext import MedNeXt as Inner

from neuraxis.networks.depthwise_options import MedNeXtOptions
from neuraxis.networks.wrapped import Wrapped


class MedNeXt(Wrapped):
    """MONAI's MedNeXt in 2D or 3D; in training mode a list of logits, from fine to coarse.

    Args:
        options: width, size and kernel.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: MedNeXtOptions, channels: int, outputs: int) -> None:
        *blocks, deepest = options.blocks
        *widening, inmost = options.widening
        inner = Inner(
            spatial_dims=3 if options.flat_axis is None else 2,
            init_filters=options.first_width,
            in_channels=channels,
            out_channels=outputs,
            encoder_expansion_ratio=widening,
            decoder_expansion_ratio=widening[::-1],
            bottleneck_expansion_ratio=inmost,
            kernel_size=options.kernel,
            deep_supervision=True,
            use_residual_connection=True,
            blocks_down=blocks,
            blocks_bottleneck=deepest,
            blocks_up=blocks[::-1],
        )
        super().__init__(options, inner)

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Return logits (B, K, X, Y, Z), or those of every stage in training mode; then alone they are computed."""
        self.inner.do_ds = self.training
        return super().forward(image)
