"""The layers of the networks with a vision transformer, as plain numbers, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

from neuraxis.networks.layers import Layer, residual_unet_layers, sizes_of
from neuraxis.networks.options import Triple
from neuraxis.networks.transformer_layers import attention_layers, token_layer
from neuraxis.networks.unet_layers import raised
from neuraxis.networks.vit_options import TransUNetOptions, UNETROptions

ONE: Triple = (1, 1, 1)


def unetr_layers(options: UNETROptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of UNETR."""
    *widths, tokens = options.features
    sizes, kernels = sizes_of(options.strides, patch), options.kernels
    yield Layer(channels, tokens, options.stride, sizes[-1], norm=False, held=2 * tokens)
    yield from transformer_layers(options, tokens, sizes[-1])
    yield from residual_block((channels, widths[0]), kernels[0], sizes[0])
    for stage, width in enumerate(widths[1:], start=1):
        yield _raising(tokens, width, options.strides[-1], sizes[len(widths) - 1])
        for finer in reversed(range(stage, len(widths) - 1)):
            yield _raising(width, width, options.strides[finer + 1], sizes[finer])
            yield from residual_block((width, width), kernels[finer], sizes[finer])
    for stage, (fine, coarse) in reversed([*enumerate(pairwise(options.features))]):
        yield _raising(coarse, fine, options.strides[stage + 1], sizes[stage], more=2 * fine)
        yield from residual_block((2 * fine, fine), kernels[stage], sizes[stage])
    yield Layer(widths[0], outputs, ONE, patch, norm=False, held=outputs)


def transunet_layers(options: TransUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of TransUNet: those of the residual-encoder U-Net, and the transformer before its decoder."""
    layers, width, tokens = [*residual_unet_layers(options, patch, channels, outputs)], options.features[-1], 0
    tokens, coarsest = options.token_width, sizes_of(options.strides, patch)[-1]
    encoder = next(place for place, layer in enumerate(layers) if layer.transposed)
    yield from layers[:encoder]
    yield token_layer(width, tokens, coarsest, held=2 * tokens)
    yield from transformer_layers(options, tokens, coarsest)
    yield Layer(tokens, width, options.kernels[-1], coarsest, held=2 * width)
    yield from layers[encoder:]


def transformer_layers(options: UNETROptions | TransUNetOptions, width: int, size: Triple) -> Iterator[Layer]:
    """Yield the layers of a vision transformer, its learned places first."""
    x, y, z = (1 if axis == options.flat_axis else count for axis, count in enumerate(options.places))
    learned, interpolated = prod((x, y, z)) * width, raised((x, y, z), size, width, range(3))
    yield Layer(0, width, ONE, size, bias=False, norm=False, held=width, others=learned, products=interpolated)
    hidden = options.expansion * width
    for _ in range(options.depth):
        yield from attention_layers(width, size, ONE)
        yield token_layer(width, hidden, size, held=width + hidden, others=2 * width)
        yield token_layer(hidden, width, size, held=hidden + 2 * width)
    yield Layer(0, width, ONE, size, bias=False, held=width)


def residual_block(widths: tuple[int, int], kernel: Triple, size: Triple) -> Iterator[Layer]:
    """Yield two convolutions beside a shortcut that has one of its own where the block widens."""
    before, width = widths
    if before != width:
        yield Layer(before, width, ONE, size, bias=False, held=2 * width)
    yield Layer(before, width, kernel, size, held=2 * width)
    yield Layer(width, width, kernel, size, held=2 * width)


def _raising(before: int, after: int, stride: Triple, size: Triple, more: int = 0) -> Layer:
    """Return a transposed convolution whose kernel is as large as its stride; `more` is held beside."""
    return Layer(before, after, stride, size, transposed=True, bias=False, norm=False, held=after + more)
