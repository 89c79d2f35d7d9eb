"""The U-Net of MONAI: residual units, strided convolutions in place of pooling, the first stage halved already.

Its weights are those that MONAI's own models come with. The way up transposes convolutions of the full kernel, so that
no voxel of the image itself meets the last stage but through them.

Paper: Kerfoot et al. 2018, Left-ventricle quantification using residual U-Net, STACOM.
"""

from __future__ import annotations

from monai.networks.nets import UNet as Inner

from neuraxis.networks.blocks import without_axis
from neuraxis.networks.options import MonaiUNetOptions
from neuraxis.networks.wrapped import Wrapped


class MonaiUNet(Wrapped):
    """MONAI's U-Net in 2D or 3D.

    Args:
        options: stages, units and norm.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def __init__(self, options: MonaiUNetOptions, channels: int, outputs: int) -> None:
        kernel = without_axis(options.kernels[0], options.flat_axis)
        inner = Inner(
            spatial_dims=len(kernel),
            in_channels=channels,
            out_channels=outputs,
            channels=options.features,
            strides=[without_axis(stride, options.flat_axis) for stride in options.strides[1:]],
            kernel_size=kernel,
            up_kernel_size=kernel,
            num_res_units=options.residual_units,
            norm=options.norm,
        )
        super().__init__(options, inner)
