"""The layers of the networks of depth-wise convolutions, as plain numbers, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from neuraxis.networks.depthwise_options import EfficientNetUNetOptions, Group, MedNeXtOptions
from neuraxis.networks.layers import Layer, sizes_of
from neuraxis.networks.options import Triple

ONE: Triple = (1, 1, 1)
SQUEEZE = 4


def mednext_layers(options: MedNeXtOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of MedNeXt."""
    step, kernel = _cube(2, options), _cube(options.kernel, options)
    sizes = sizes_of((ONE, *((step,) * options.halvings)), patch)
    blocks, widening = options.blocks, options.widening
    widths = [options.first_width * 2**stage for stage in range(options.halvings + 1)]
    yield Layer(channels, widths[0], ONE, patch, norm=False, held=widths[0])
    for stage, (width, size) in enumerate(zip(widths, sizes, strict=True)):
        for _ in range(blocks[stage]):
            yield from _mednext_block((width, width), kernel, widening[stage], size)
        if stage < options.halvings:
            after, coarse = widths[stage + 1], sizes[stage + 1]
            yield from _mednext_block((width, after), kernel, widening[stage], coarse)
            yield Layer(width, after, ONE, coarse, norm=False, held=2 * after)
    yield _output(widths[-1], outputs, sizes[-1])
    for stage in reversed(range(options.halvings)):
        coarse, width, size = widths[stage + 1], widths[stage], sizes[stage]
        x, y, z = (side - (axis != options.flat_axis) for axis, side in enumerate(size))  # then a voxel is added
        short, taken, wide = (x, y, z), sizes[stage + 1], widening[stage]
        yield Layer(
            coarse, coarse, kernel, short, transposed=True, taken=taken, groups=coarse, norm=True, held=2 * coarse
        )
        yield Layer(coarse, wide * coarse, ONE, short, norm=False, held=2 * wide * coarse)
        yield Layer(wide * coarse, width, ONE, short, norm=False, held=2 * width)
        yield Layer(coarse, width, ONE, short, transposed=True, taken=taken, norm=False, held=3 * width)
        for _ in range(blocks[stage]):
            yield from _mednext_block((width, width), kernel, wide, size)
        yield _output(width, outputs, size, training_only=stage > 0)


def _mednext_block(widths: tuple[int, int], kernel: Triple, widening: int, size: Triple) -> Iterator[Layer]:
    """Yield a depth-wise convolution with its norm, the widening convolution with GELU, the narrowing one."""
    before, after = widths
    inside = widening * before
    yield Layer(before, before, kernel, size, groups=before, held=2 * before)
    yield Layer(before, inside, ONE, size, norm=False, held=2 * inside)
    yield Layer(inside, after, ONE, size, norm=False, held=2 * after)


def _output(width: int, outputs: int, size: Triple, training_only: bool = True) -> Layer:
    return Layer(width, outputs, ONE, size, norm=False, held=outputs, training_only=training_only)


def efficientnet_unet_layers(
    options: EfficientNetUNetOptions, patch: Triple, channels: int, outputs: int
) -> Iterator[Layer]:
    """Yield the layers of the EfficientNet U-Net."""
    sizes, before, levels = sizes_of(options.strides, patch), options.stem_width, range(1, len(options.strides))
    yield Layer(channels, before, _cube(3, options), sizes[1], bias=False, held=3 * before)
    fine = sizes[1]
    for group in options.block_groups:
        for _ in range(group.blocks):
            yield from _inverted_block(before, group, _cube(group.kernel, options), (fine, sizes[group.level]))
            before, fine = group.width, sizes[group.level]
    given = [channels, *(options.given(level) for level in levels)]
    widths = [*options.features[:-1], given[-1]]
    for stage, (width, coarse) in reversed([*enumerate(pairwise(widths))]):
        size, joined = sizes[stage], width + given[stage]
        yield Layer(coarse, width, options.strides[stage + 1], size, transposed=True, norm=False, held=width + joined)
        yield Layer(joined, width, options.kernels[stage], size, held=2 * width)
        yield Layer(width, width, options.kernels[stage], size, held=2 * width)
    yield Layer(widths[0], outputs, ONE, patch, norm=False, held=outputs)


def _inverted_block(before: int, group: Group, kernel: Triple, sizes: tuple[Triple, Triple]) -> Iterator[Layer]:
    """Yield the layers of a block; `sizes` are those of what it takes and of what it gives."""
    inside, (fine, size) = before * group.widening, sizes
    if group.widening > 1:
        yield Layer(before, inside, ONE, fine, bias=False, held=3 * inside)
    yield Layer(inside, inside, kernel, size, groups=inside, bias=False, held=4 * inside)
    squeezed = max(1, before // SQUEEZE)
    yield Layer(inside, squeezed, ONE, ONE, norm=False, held=2 * squeezed)
    yield Layer(squeezed, inside, ONE, ONE, norm=False, held=2 * inside)
    yield Layer(inside, group.width, ONE, size, bias=False, held=3 * group.width)


def _cube(side: int, options: Any) -> Triple:
    x, y, z = (1 if axis == options.flat_axis else side for axis in range(3))
    return x, y, z
