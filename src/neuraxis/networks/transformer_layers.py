"""The layers of the networks that attend, as plain numbers, in the order in which they run, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

from neuraxis.networks.layers import Layer, sizes_of
from neuraxis.networks.transformer_options import SegFormer3DMoEOptions, SegFormer3DOptions, Triple
from neuraxis.networks.unet_layers import raised

ONE: Triple = (1, 1, 1)


def segformer3d_layers(options: SegFormer3DOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of SegFormer3D."""
    yield from _encoder(options, patch, channels, _feed_forward)
    sizes = sizes_of(options.strides, patch)
    projections = [
        token_layer(features, options.decoder_width, size, held=options.decoder_width)
        for features, size in zip(options.features, sizes, strict=True)
    ]
    yield from _decoder(options, projections, patch, outputs)


def segformer3d_moe_layers(
    options: SegFormer3DMoEOptions, patch: Triple, channels: int, outputs: int
) -> Iterator[Layer]:
    """Yield the layers of SegFormer3D with experts, all of which compute every token of a prediction."""
    yield from _encoder(options, patch, channels, _expert_feed_forward)
    width, count, sizes = options.decoder_width, options.decoder_experts, sizes_of(options.strides, patch)
    projections = [
        _expert_layer(
            (features, width), count, size, held=2 * width + 3 * count * features, gate=features, biases=width
        )
        for features, size in zip(options.features, sizes, strict=True)
    ]
    mixed = [replace(layer, products=layer.products + count * width * width) for layer in projections]  # biases, once
    yield from _decoder(options, mixed, patch, outputs)


def _encoder(
    options: SegFormer3DOptions, patch: Triple, channels: int, feed_forward: Callable[..., Iterator[Layer]]
) -> Iterator[Layer]:
    sizes, before = sizes_of(options.strides, patch), channels
    for stage, (width, size) in enumerate(zip(options.features, sizes, strict=True)):
        yield Layer(before, width, options.kernels[stage], size, held=3 * width)  # its norm, and the stage's last
        for _ in range(options.depths[stage]):
            yield from attention_layers(width, size, options.reductions[stage])
            yield from feed_forward(options, stage, size)
        yield Layer(0, width, ONE, size, bias=False, held=width)
        before = width


def attention_layers(width: int, size: Triple, reduction: Triple) -> Iterator[Layer]:
    """Yield a norm and queries; the boxes and their norm; keys and values; what was found, mixed."""
    drawn = sizes_of((reduction,), size)[0]
    yield token_layer(width, width, size, held=3 * width, others=2 * width)
    if max(reduction) > 1:
        yield Layer(width, width, reduction, drawn, held=2 * width)
    looks = 2 * prod(size) * prod(drawn) * width
    yield token_layer(width, 2 * width, drawn, held=2 * width)
    yield token_layer(width, width, size, held=3 * width, products=looks)


def _feed_forward(options: SegFormer3DOptions, stage: int, size: Triple) -> Iterator[Layer]:
    """Yield a norm and the widening layer, the depth-wise convolution, the narrowing layer."""
    width = options.features[stage]
    hidden = options.expansion * width
    yield token_layer(width, hidden, size, held=width + hidden, others=2 * width)
    x, y, z = (1 if axis == options.flat_axis else 3 for axis in range(3))
    held = (2 + bool(options.dropout)) * hidden
    yield Layer(hidden, hidden, (x, y, z), size, groups=hidden, norm=False, held=held)
    yield token_layer(hidden, width, size, held=2 * width)


def _expert_feed_forward(options: SegFormer3DMoEOptions, stage: int, size: Triple) -> Iterator[Layer]:
    """Yield a norm and the depth-wise convolution, the gate and the widening layers, the narrowing layers."""
    width, count, chosen = options.features[stage], options.experts[stage], options.chosen[stage]
    hidden = options.expansion * width
    x, y, z = (1 if axis == options.flat_axis else 3 for axis in range(3))
    yield Layer(width, width, (x, y, z), size, groups=width, norm=False, held=3 * width, others=2 * width)
    held = 6 * width + chosen * (4 * width + (4 + bool(options.dropout)) * hidden)  # places that stay empty counted in
    yield _expert_layer((width, hidden), count, size, held=held, gate=width, biases=0)
    yield _expert_layer((hidden, width), count, size, held=(4 * chosen + 1) * width, gate=0, biases=width)


def _expert_layer(widths: tuple[int, int], count: int, size: Triple, held: int, gate: int, biases: int) -> Layer:
    """Return the same linear layer of all experts.

    Args:
        widths: features before and after.
        count: of experts.
        size: of the grid of tokens.
        held: features that stay in memory.
        gate: features that the gate looks at; 0: the layer before has it.
        biases: of each expert, which are weighed and added; 0: they are added as ever.
    """
    products = prod(size) * count * (gate + biases)
    before, after = widths[0], count * widths[1]
    return Layer(before, after, ONE, size, norm=False, held=held, others=gate * count, products=products)


def _decoder(options: SegFormer3DOptions, projections: list[Layer], patch: Triple, outputs: int) -> Iterator[Layer]:
    """Yield each stage's projection times its share of the mixing layer, the mixing layer alone, and the logits."""
    width, first = options.decoder_width, projections[0].size
    flat = options.flat_axis
    laid = sum(layer.size[flat == 0] for layer in projections[1:])
    for stage, layer in enumerate(projections):
        composed = width * layer.after * layer.before
        across = raised(layer.size, first, width, range(1 + (flat == 0), 3)) if stage else 0
        yield replace(layer, products=layer.products + composed + across, others=layer.others + width * width)
    joined = prod(first) * laid * width if len(projections) > 1 else 0
    yield Layer(0, width, ONE, first, bias=False, held=(3 + bool(options.dropout)) * width, products=joined)
    yield token_layer(width, outputs, first, held=outputs, products=raised(first, patch, outputs, range(3)))


def token_layer(before: int, after: int, size: Triple, held: int, others: int = 0, products: int = 0) -> Layer:
    """Return a linear layer on tokens, without a norm."""
    return Layer(before, after, ONE, size, norm=False, held=held, others=others, products=products)
