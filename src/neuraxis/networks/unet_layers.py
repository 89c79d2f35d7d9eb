"""The layers of the less plain U-Nets, as plain numbers, in the order in which they run, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import prod

from neuraxis.networks.layers import Layer, classic_unet_layers, sizes_of, unet_layers
from neuraxis.networks.options import (
    AttentionUNetOptions,
    DeepLabOptions,
    FlexibleUNetOptions,
    MultiResUNetOptions,
    Triple,
    UNet3PlusOptions,
)

ONE: Triple = (1, 1, 1)


def flexible_unet_layers(options: FlexibleUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of the flexible U-Net."""
    for layer in classic_unet_layers(options, patch, channels, outputs):
        dropped = options.dropout > 0 and not layer.transposed and layer.size != patch
        yield replace(layer, held=layer.held + layer.after) if dropped else layer


def attention_unet_layers(options: AttentionUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of the attention U-Net: those of the plain one, and a gate after each transposed convolution."""
    for layer in unet_layers(options, patch, channels, outputs):
        yield layer
        if layer.transposed:
            width, inner = layer.after, max(1, layer.after // 2)
            yield Layer(width, inner, ONE, layer.size, norm=False, held=inner)
            yield Layer(width, inner, ONE, layer.size, bias=False, norm=False, held=2 * inner)
            yield Layer(inner, 1, ONE, layer.size, norm=False, held=2 + width)


def multires_unet_layers(options: MultiResUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of MultiResUNet."""
    sizes, widths, before = sizes_of(options.strides, patch), options.features, channels
    for stage, size in enumerate(sizes):
        yield from _multires_block(options, stage, before, size)
        before = sum(options.shares(stage))
    for stage in reversed(range(len(widths) - 1)):
        size, width, kernel = sizes[stage], widths[stage], options.kernels[stage]
        raised = options.strides[stage + 1]
        yield Layer(sum(options.shares(stage + 1)), width, raised, size, transposed=True, norm=False, held=3 * width)
        steps = [sum(options.shares(stage)), *(width,) * (len(widths) - 1 - stage)]
        for taken, given in pairwise(steps):
            yield Layer(taken, given, kernel, size, held=2 * given)
            yield Layer(taken, given, ONE, size, norm=False, held=given)
        yield from _multires_block(options, stage, 2 * width, size)
    yield Layer(sum(options.shares(0)), outputs, ONE, patch, norm=False, held=outputs)


def _multires_block(options: MultiResUNetOptions, stage: int, before: int, size: Triple) -> Iterator[Layer]:
    """Yield the three convolutions, and the shortcut with the block's own norm."""
    shares, given, pooled = options.shares(stage), sum(options.shares(stage)), before if stage else 0
    for taken, after in pairwise((before, *shares)):
        yield Layer(taken, after, options.kernels[stage], size, held=2 * after + pooled, indices=pooled)
        pooled = 0
    yield Layer(before, given, ONE, size, held=4 * given, others=2 * given)


def unet3plus_layers(options: UNet3PlusOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of U-Net 3+."""
    sizes, widths, before = sizes_of(options.strides, patch), options.features, channels
    for stage, (width, size) in enumerate(zip(widths, sizes, strict=True)):
        pooled = before if stage else 0
        yield Layer(before, width, options.kernels[stage], size, held=2 * width + pooled, indices=pooled)
        yield Layer(width, width, options.kernels[stage], size, held=2 * width)
        before = width
    skip, joined = options.skip_width, options.skip_width * len(widths)
    for stage in reversed(range(len(widths) - 1)):
        size, kernel = sizes[stage], options.kernels[stage]
        for source in range(len(widths)):
            taken = widths[source] if source <= stage or source == len(widths) - 1 else joined
            brought = taken * (source != stage)
            products = raised(sizes[source], size, taken, range(3)) if source > stage else 0
            indices = taken * (source < stage)
            yield Layer(taken, skip, kernel, size, held=3 * skip + brought, indices=indices, products=products)
        yield Layer(joined, joined, kernel, size, held=2 * joined)
        yield Layer(joined, outputs, ONE, size, norm=False, held=outputs, training_only=stage > 0)


def deeplab_layers(options: DeepLabOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of DeepLabV3+."""
    sizes, before = sizes_of(options.strides, patch), options.features[0]
    yield Layer(channels, before, options.kernels[0], patch, held=2 * before)
    for width, kernel, size in zip(options.features, options.kernels, sizes, strict=True):
        for _ in range(options.blocks):
            if before != width:
                yield Layer(before, width, ONE, size, bias=False, held=before + width)
            yield Layer(before, width, kernel, size, held=2 * width)
            yield Layer(width, width, kernel, size, held=2 * width)
            before = width
    width, last, place = options.width, sizes[-1], options.fine_stage
    for kernel in (ONE, *(options.kernels[-1],) * len(options.rates)):
        yield Layer(before, width, kernel, last, held=3 * width)
    yield Layer(before, width, ONE, ONE, norm=False, held=width)
    yield Layer((len(options.rates) + 2) * width, width, ONE, last, held=3 * width)
    fine, size = options.fine_width, sizes[place]
    yield Layer(options.features[place], fine, ONE, size, held=2 * fine)
    joined = raised(last, size, width, range(3))
    yield Layer(width + fine, width, options.kernels[place], size, held=4 * width + fine, products=joined)
    yield Layer(width, width, options.kernels[place], size, held=2 * width)
    products = raised(size, patch, outputs, range(3))
    yield Layer(width, outputs, ONE, size, norm=False, held=outputs, products=products)


def raised(size: Triple, wanted: Triple, width: int, axes: range) -> int:
    """Return the multiply-adds of interpolating by matrices along axes, the last one first."""
    sides, count = list(size), 0
    for axis in reversed(axes):
        before, sides[axis] = sides[axis], wanted[axis]
        count += prod(sides) * before * width if before != wanted[axis] else 0
    return count
