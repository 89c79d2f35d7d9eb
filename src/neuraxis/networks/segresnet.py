"""SegResNet, as MONAI has it: residual blocks that norm before they convolve, and sums in place of concatenations.

The encoder halves every axis between its stages and doubles its width; the decoder brings each stage up by a
convolution of one voxel and linear interpolation, adds the encoder's, and has one residual block or more.

Paper: Myronenko 2018, 3D MRI brain tumor segmentation using autoencoder regularization, without its autoencoder.
"""

from __future__ import annotations

from monai.networks.nets import SegResNet as Inner

from neuraxis.networks.options import SegResNetOptions
from neuraxis.networks.wrapped import Wrapped


class SegResNet(Wrapped):
    """MONAI's SegResNet in 2D or 3D.

    Args:
        options: width and blocks.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: SegResNetOptions, channels: int, outputs: int) -> None:
        inner = Inner(
            spatial_dims=3 if options.flat_axis is None else 2,
            init_filters=options.first_width,
            in_channels=channels,
            out_channels=outputs,
            norm=("GROUP", {"num_groups": options.groups}),
            blocks_down=options.blocks_down,
            blocks_up=options.blocks_up,
        )
        super().__init__(options, inner)
