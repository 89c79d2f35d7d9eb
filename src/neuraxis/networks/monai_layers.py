"""The layers of the networks that are MONAI's, as plain numbers, in the order in which they run, without torch."""

from __future__ import annotations

from collections.abc import Iterator

from neuraxis.networks.layers import Layer, sizes_of
from neuraxis.networks.options import MonaiUNetOptions, SegResNetOptions, Triple

PRELU = 1  # numbers that it learns


def segresnet_layers(options: SegResNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of SegResNet."""
    x, y, z = (1 if axis == options.flat_axis else 2 for axis in range(3))
    stages = len(options.blocks_down)
    sizes = sizes_of(((1, 1, 1), *(((x, y, z),) * (stages - 1))), patch)
    kernel = _three(options.flat_axis)
    yield Layer(channels, options.first_width, kernel, sizes[0], bias=False, norm=False, held=options.first_width)
    for stage, blocks in enumerate(options.blocks_down):
        width = options.first_width * 2**stage
        if stage:
            yield Layer(width // 2, width, kernel, sizes[stage], bias=False, norm=False, held=width)
        yield from _blocks(width, blocks, kernel, sizes[stage])
    for place, blocks in enumerate(options.blocks_up):
        stage = stages - 2 - place
        width = options.first_width * 2**stage
        yield Layer(2 * width, width, (1, 1, 1), sizes[stage + 1], bias=False, norm=False, held=width)
        yield from _blocks(width, blocks, kernel, sizes[stage], more=2 * width)
    width = options.first_width
    held = 2 * width + outputs
    yield Layer(width, outputs, (1, 1, 1), sizes[0], norm=False, held=held, others=2 * width)


def _blocks(width: int, count: int, kernel: Triple, size: Triple, more: int = 0) -> Iterator[Layer]:
    """Yield residual blocks: twice group norm, ReLU, convolution; `more` channels lie before the first."""
    for number in range(2 * count):
        held = 3 * width + (more if not number else 0)
        yield Layer(width, width, kernel, size, bias=False, norm=False, held=held, others=2 * width)


def monai_unet_layers(options: MonaiUNetOptions, patch: Triple, channels: int, outputs: int) -> Iterator[Layer]:
    """Yield the layers of MONAI's U-Net."""
    widths, strides, before = options.features, options.strides[1:], channels
    sizes = sizes_of(strides, patch)
    sizes.append(sizes[-1])
    for width, size, stride in zip(widths, sizes, (*strides, (1, 1, 1)), strict=True):
        yield from _unit(options, before, width, (size, stride))
        before = width
    kernel, batch = options.kernels[0], options.norm == "batch"
    for stage in reversed(range(len(strides))):
        after, size = widths[stage - 1] if stage else outputs, sizes[stage - 1] if stage else patch
        joined, top = widths[stage] + before, stage == 0
        last = top and options.residual_units == 0
        yield Layer(
            joined,
            after,
            kernel,
            size,
            transposed=True,
            taken=sizes[stage],
            norm=batch and not last,
            held=joined + 3 * after,
            others=0 if last else PRELU,
        )
        if options.residual_units:
            yield Layer(after, after, kernel, size, norm=batch and not top, held=3 * after, others=0 if top else PRELU)
        before = after


def _unit(options: MonaiUNetOptions, before: int, width: int, place: tuple[Triple, Triple]) -> Iterator[Layer]:
    """Yield a residual unit, or one convolution; `place` is the size of what it gives, and its stride."""
    size, stride = place
    kernel, batch = options.kernels[0], options.norm == "batch"
    if options.residual_units and (max(stride) > 1 or before != width):
        across = kernel if max(stride) > 1 else (1, 1, 1)
        yield Layer(before, width, across, size, norm=False, held=width)
    inner = before
    for _ in range(max(1, options.residual_units)):
        yield Layer(inner, width, kernel, size, norm=batch, held=3 * width, others=PRELU)
        inner = width


def _three(flat_axis: int | None) -> Triple:
    x, y, z = (1 if axis == flat_axis else 3 for axis in range(3))
    return x, y, z
