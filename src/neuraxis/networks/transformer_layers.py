"""The layers of the networks that attend, as plain numbers, in the order in which they run, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from neuraxis.networks.layers import Layer, sizes_of
from neuraxis.networks.transformer_options import SegFormer3DOptions, Triple

ONE: Triple = (1, 1, 1)


def segformer3d_layers(options: SegFormer3DOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of SegFormer3D."""
    sizes, before = sizes_of(options.strides, patch), channels
    for stage, (width, size) in enumerate(zip(options.features, sizes, strict=True)):
        yield Layer(before, width, options.kernels[stage], size, held=3 * width)  # its norm, and the stage's last
        for _ in range(options.depths[stage]):
            yield from _attention(width, size, options.reductions[stage])
            yield from _feed_forward(options, width, size)
        yield Layer(0, width, ONE, size, bias=False, held=width)
        before = width
    yield from _decoder(options, sizes, patch, outputs)


def _attention(width: int, size: Triple, reduction: Triple) -> Iterator[Layer]:
    """Yield a norm and queries; the boxes and their norm; keys and values; what was found, mixed."""
    drawn = sizes_of((reduction,), size)[0]
    yield token_layer(width, width, size, held=3 * width, others=2 * width)
    if max(reduction) > 1:
        yield Layer(width, width, reduction, drawn, held=2 * width)
    looks = 2 * prod(size) * prod(drawn) * width
    yield token_layer(width, 2 * width, drawn, held=2 * width)
    yield token_layer(width, width, size, held=3 * width, products=looks)


def _feed_forward(options: SegFormer3DOptions, width: int, size: Triple) -> Iterator[Layer]:
    """Yield a norm and the widening layer, the depth-wise convolution, the narrowing layer."""
    hidden = options.expansion * width
    yield token_layer(width, hidden, size, held=width + hidden, others=2 * width)
    x, y, z = (1 if axis == options.flat_axis else 3 for axis in range(3))
    held = (2 + bool(options.dropout)) * hidden
    yield Layer(hidden, hidden, (x, y, z), size, groups=hidden, norm=False, held=held)
    yield token_layer(hidden, width, size, held=2 * width)


def _decoder(options: SegFormer3DOptions, sizes: list[Triple], patch: Triple, outputs: int) -> Iterator[Layer]:
    """Yield each stage's projection times its share of the mixing layer, the mixing layer alone, and the logits."""
    width, first = options.decoder_width, sizes[0]
    flat = options.flat_axis
    laid = sum(size[flat == 0] for size in sizes[1:])
    for stage, (features, size) in enumerate(zip(options.features, sizes, strict=True)):
        composed = width * width * features
        across = _raised(size, first, width, range(1 + (flat == 0), 3)) if stage else 0
        yield token_layer(features, width, size, held=width, products=composed + across, others=width * width)
    joined = prod(first) * laid * width if len(sizes) > 1 else 0
    yield Layer(0, width, ONE, first, bias=False, held=(3 + bool(options.dropout)) * width, products=joined)
    yield token_layer(width, outputs, first, held=outputs, products=_raised(first, patch, outputs, range(3)))


def _raised(size: Triple, wanted: Triple, width: int, axes: range) -> int:
    """Return the multiply-adds of interpolating along axes, the last one first."""
    sides, count = list(size), 0
    for axis in reversed(axes):
        before, sides[axis] = sides[axis], wanted[axis]
        count += prod(sides) * before * width if before != wanted[axis] else 0
    return count


def token_layer(before: int, after: int, size: Triple, held: int, others: int = 0, products: int = 0) -> Layer:
    """Return a linear layer on tokens, without a norm."""
    return Layer(before, after, ONE, size, norm=False, held=held, others=others, products=products)
