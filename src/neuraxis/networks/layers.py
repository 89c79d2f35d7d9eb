"""The layers of each network as plain numbers, in the order in which they run, without torch.

What `cost` counts from. A test holds them against the networks themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from neuraxis.networks.options import ClassicUNetOptions, ResidualUNetOptions, Triple, UNetOptions


@dataclass(frozen=True)
class Layer:
    """A convolution, or a linear layer of each voxel, with what follows it.

    Attributes:
        before: channels it takes.
        after: channels it gives.
        kernel: its size along (X, Y, Z); a transposed convolution has a stride of that size.
        size: voxels of its output along (X, Y, Z).
        transposed: whether it is a transposed convolution.
        taken: voxels of its input, of a transposed convolution whose stride is not its kernel's size.
        bias: whether it has one.
        norm: whether an instance norm with weight and bias follows.
        held: channels of that size that stay in memory from here until the backward pass: what it gives, what norm and
            activation make of it, what pooling or concatenation put beside.
        indices: channels of that size of whole numbers that stay likewise.
        training_only: whether a prediction leaves it out.
        others: numbers that training finds beside the convolution and an instance norm after it.
        groups: into which a convolution deals its channels; as many as there are where it is depth-wise.
        products: multiply-adds beside it in which no number of its own takes part, such as those of attention.
    """

    before: int
    after: int
    kernel: Triple
    size: Triple
    transposed: bool = False
    taken: Triple | None = None
    bias: bool = True
    norm: bool = True
    held: int = 0
    indices: int = 0
    training_only: bool = False
    others: int = 0
    groups: int = 1
    products: int = 0

    @property
    def parameters(self) -> int:
        """Numbers that training finds."""
        taps = prod(self.kernel) * self.before // self.groups
        return self.after * (taps + self.bias + 2 * self.norm) + self.others

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition, for one sample; biases, norms and activations left out."""
        taps = 1 if self.transposed and self.taken is None else prod(self.kernel)
        own = taps * self.before * self.after // self.groups * prod(self.taken or self.size)
        return own + self.products


def unet_layers(options: UNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of the plain U-Net."""
    sizes, before = sizes_of(options.strides, patch), channels
    for width, kernel, size in zip(options.features, options.kernels, sizes, strict=True):
        for _ in range(options.convolutions):
            yield Layer(before, width, kernel, size, held=2 * width)
            before = width
    yield from _decoder(options, sizes, outputs, options.convolutions)


def residual_unet_layers(options: ResidualUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of the residual-encoder U-Net."""
    sizes, before = sizes_of(options.strides, patch), options.features[0]
    yield Layer(channels, before, options.kernels[0], sizes[0], held=2 * before)
    for stage, (width, kernel, size) in enumerate(zip(options.features, options.kernels, sizes, strict=True)):
        for _ in range(options.blocks[stage]):
            if before != width:
                yield Layer(before, width, (1, 1, 1), size, bias=False, held=before + width)
            yield Layer(before, width, kernel, size, held=2 * width)
            yield Layer(width, width, kernel, size, held=2 * width)
            before = width
    yield from _decoder(options, sizes, outputs, options.convolutions)


def classic_unet_layers(options: ClassicUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of the classic U-Net."""
    norm, late, widths = options.norm != "none", options.widens_late, options.features
    sizes, before, copies = sizes_of(options.strides, patch), channels, 1 + norm
    for stage, (width, kernel, size) in enumerate(zip(widths, options.kernels, sizes, strict=True)):
        first = width if not late else before if stage else width // 2
        pooled = before if stage else 0
        yield Layer(before, first, kernel, size, norm=norm, held=copies * first + pooled, indices=pooled)
        yield Layer(first, width, kernel, size, norm=norm, held=copies * width)
        before = width
    for stage in reversed(range(len(widths) - 1)):
        fine, coarse, kernel, size = widths[stage], widths[stage + 1], options.kernels[stage], sizes[stage]
        raised = coarse if late else fine
        stride, held = options.strides[stage + 1], raised + fine
        yield Layer(coarse, raised, stride, size, transposed=True, bias=False, norm=False, held=held)
        yield Layer(raised + fine, fine, kernel, size, norm=norm, held=copies * fine)
        yield Layer(fine, fine, kernel, size, norm=norm, held=copies * fine)
    yield Layer(widths[0], outputs, (1, 1, 1), sizes[0], norm=False, held=outputs)


def _decoder(
    options: UNetOptions | ResidualUNetOptions, sizes: list[Triple], outputs: int, convolutions: int
) -> Iterator[Layer]:
    for stage in reversed(range(len(sizes) - 1)):
        fine, coarse, size = options.features[stage], options.features[stage + 1], sizes[stage]
        yield Layer(coarse, fine, options.strides[stage + 1], size, transposed=True, norm=False, held=2 * fine)
        for position in range(convolutions):
            before = fine if position else 2 * fine
            yield Layer(before, fine, options.kernels[stage], size, held=2 * fine)
        yield Layer(fine, outputs, (1, 1, 1), size, norm=False, held=outputs, training_only=stage > 0)


def sizes_of(strides: tuple[Triple, ...], patch: Triple) -> list[Triple]:
    """Return the voxels of each stage along (X, Y, Z), a remainder counted whole.

    Args:
        strides: of each stage, from fine to coarse.
        patch: voxels of the image.
    """
    sizes, size = [], patch
    for stride in strides:
        x, y, z = (-(-edge // factor) for edge, factor in zip(size, stride, strict=True))
        size = (x, y, z)
        sizes.append(size)
    return sizes
