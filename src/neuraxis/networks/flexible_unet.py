"""The flexible U-Net: the classic one with a kernel, a dropout and a dilation of each stage's own.

In 2D it is planned as published work on lesions in slices has it: kernels of 9, 7, 5 and then 3 pixels, and dropout
that grows by the same share from stage to stage. Up to eight stages, of any width.
"""

from __future__ import annotations

from torch import nn

from neuraxis.networks.classic_unet import ClassicUNet

Sizes = tuple[int, ...]


class FlexibleUNet(ClassicUNet):
    """Flexible U-Net in 2D or 3D; in training mode its list of logits holds the finest alone.

    Args:
        options: stages, kernels, pooling, norm, dropout and dilation.
        channels: channels of the image.
        outputs: number of outputs, one logit each.
    """

    def pair(self, widths: tuple[int, int, int], kernel: Sizes, stage: int) -> list[nn.Module]:
        """Return two convolutions from, over and to these widths, each with its norm and ReLU, then dropout."""
        layers, apart = super().pair(widths, kernel, stage), self.options.dilation
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Conv3d) and max(kernel) > 1:
                layer.dilation = (apart,) * len(kernel)
                layer.padding = tuple(apart * (size // 2) for size in kernel)
        share = self.options.dropout * stage
        return [*layers, nn.Dropout(share)] if share else layers
