"""The layers of the networks with shifted windows, as plain numbers, in the order in which they run, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod

from neuraxis.networks.layers import Layer, sizes_of
from neuraxis.networks.options import Triple
from neuraxis.networks.swin_options import SwinUNetOptions, SwinUNETROptions, windows_of
from neuraxis.networks.transformer_layers import token_layer
from neuraxis.networks.vit_layers import residual_block

ONE: Triple = (1, 1, 1)
NORM = 2  # numbers of a layer norm for each feature


def swin_unetr_layers(options: SwinUNETROptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of Swin UNETR."""
    widths, kernels, strides = options.features, options.kernels, options.strides
    sizes = sizes_of(strides, patch)
    yield Layer(channels, widths[1], strides[1], sizes[1], norm=False, held=2 * widths[1])
    for stage, (heads, depth) in enumerate(zip(options.heads, options.depths, strict=True), start=1):
        yield from _blocks(options, (widths[stage], heads, depth), sizes[stage])
        yield _merging(widths[stage : stage + 2], strides[stage + 1], sizes[stage + 1])
    yield from residual_block((channels, widths[0]), kernels[0], patch)
    for stage, width in enumerate(widths[1:], start=1):
        if stage != len(widths) - 2:
            yield from residual_block((width, width), kernels[stage], sizes[stage])
    for stage, (fine, coarse) in reversed([*enumerate(pairwise(widths))]):
        raising, size = strides[stage + 1], sizes[stage]
        yield Layer(coarse, fine, raising, size, transposed=True, bias=False, norm=False, held=3 * fine)
        yield from residual_block((2 * fine, fine), kernels[stage], size)
    yield Layer(widths[0], outputs, ONE, patch, norm=False, held=outputs)


def swin_unet_layers(options: SwinUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of Swin-Unet."""
    widths, strides = options.features, options.strides
    sizes = sizes_of(strides, patch)
    stages = [*zip(widths, options.heads, options.depths, strict=True)]
    yield Layer(channels, widths[0], strides[0], sizes[0], held=2 * widths[0])
    for stage, size in enumerate(sizes):
        yield from _blocks(options, stages[stage], size)
        if stage < len(sizes) - 1:
            yield _merging(widths[stage : stage + 2], strides[stage + 1], sizes[stage + 1])
    yield Layer(0, widths[-1], ONE, sizes[-1], bias=False, held=widths[-1])
    for stage, (fine, coarse) in reversed([*enumerate(pairwise(widths))]):
        yield _expanding((coarse, fine), strides[stage + 1], sizes[stage + 1])
        yield token_layer(2 * fine, fine, sizes[stage], held=3 * fine)
        yield from _blocks(options, stages[stage], sizes[stage])
    yield Layer(0, widths[0], ONE, sizes[0], bias=False, held=widths[0])
    yield _expanding((widths[0], widths[0]), strides[0], sizes[0])
    yield Layer(widths[0], outputs, ONE, patch, bias=False, norm=False, held=outputs)


def _blocks(options: SwinUNETROptions | SwinUNetOptions, stage: tuple[int, int, int], size: Triple) -> Iterator[Layer]:
    """Yield blocks of attention in windows, which hold a score for each pair of tokens and each head."""
    width, heads, depth = stage
    hidden, flat = options.expansion * width, options.flat_axis
    x, y, z = (1 if axis == flat else side for axis, side in enumerate(options.window))
    distances = heads * (2 * x - 1) * (2 * y - 1) * (2 * z - 1)
    for number in range(depth):
        cut = windows_of(size, (x, y, z), shifted=number % 2 == 1)
        a, b, c = (side + before + after for side, (_, before, after) in zip(size, cut, strict=True))
        filled, seen = (a, b, c), prod(step for step, _, _ in cut)
        looks, others = 2 * prod(filled) * seen * width, distances + NORM * width
        scores = (2 + (filled != size)) * heads * seen
        yield token_layer(width, 3 * width, filled, held=6 * width + scores, others=others, products=looks)
        yield token_layer(width, width, filled, held=3 * width)
        yield token_layer(width, hidden, size, held=width + hidden, others=NORM * width)
        yield token_layer(hidden, width, size, held=hidden + 2 * width)


def _merging(widths: tuple[int, ...], stride: Triple, size: Triple) -> Layer:
    before, after = widths
    inside = before * prod(stride)
    held, others = 2 * inside + 2 * after, NORM * inside
    return Layer(inside, after, ONE, size, bias=False, norm=False, held=held, others=others)


def _expanding(widths: tuple[int, int], stride: Triple, size: Triple) -> Layer:
    before, after = widths
    inside = after * prod(stride)
    return Layer(before, inside, ONE, size, bias=False, norm=False, held=3 * inside, others=NORM * after)
