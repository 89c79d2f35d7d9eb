"""What a network costs, counted from its layers without torch: parameters, multiply-adds, memory of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from neuraxis.errors import UnknownName
from neuraxis.networks.catalog import LAYERS, OPTIONS
from neuraxis.networks.layers import Layer
from neuraxis.networks.topology import plan_topology

Triple = tuple[int, int, int]
EXAMPLE_PATCH: Triple = (128, 128, 128)
# of a prediction of the example in bfloat16 on OpenVINO, one thread of an AMD EPYC (benchmarks/networks.py)
CPU_SECONDS: Mapping[str, float] = {
    "attention-unet": 4.7,
    "classic-unet": 4.6,
    "deeplab": 5.5,
    "efficientnet-unet": 0.82,
    "flexible-unet": 4.5,
    "mednext": 5.8,
    "monai-unet": 0.91,
    "multires-unet": 9.5,
    "residual-unet": 7.0,
    "segformer3d": 0.18,
    "segformer3d-moe": 0.29,
    "segresnet": 6.0,
    "swin-unet": 4.1,
    "swin-unetr": 10,
    "transunet": 8.0,
    "unet": 4.6,
    "unet3plus": 40,
    "unetr": 2.1,
}
PROGRAM_GB, SCATTERED = 0.55, 1.2


@dataclass(frozen=True)
class Cost:
    """What one sample of a patch costs.

    Attributes:
        parameters: numbers that training finds.
        multiply_adds: of the convolutions, linear layers and attention of a prediction; FLOPs are twice as many.
    """

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class TrainingStep:
    """What goes through a network in a step of training.

    Attributes:
        patch: voxels along (X, Y, Z).
        batch: patches.
        channels: of the image.
        outputs: of the network.
        half: whether convolutions compute in bfloat16.
    """

    patch: Triple
    batch: int
    channels: int
    outputs: int
    half: bool = False


def cost(name: str, options: Any, patch: Triple, channels: int, outputs: int) -> Cost:
    """Count what a network costs for one sample.

    Args:
        name: of the network in the catalog.
        options: of the network's own type.
        patch: voxels along (X, Y, Z); what is no multiple of the network's stride is counted as if padded to it.
        channels: of the image.
        outputs: of the network.

    Returns:
        The counts; zeros for a network of another package that does not say what its layers are.
    """
    layers = _layers(name, options, patch, channels, outputs)
    return Cost(
        sum(layer.parameters for layer in layers),
        sum(layer.multiply_adds for layer in layers if not layer.training_only),
    )


def example_cost(name: str) -> Cost:
    """Count what a network costs as it is planned for `EXAMPLE_PATCH` at 1 mm: width 32 to 320, 1 channel, 2 outputs.

    >>> round(example_cost("unet").parameters / 1e6, 1)
    31.2
    """
    if name not in LAYERS.names():
        return Cost(0, 0)
    return cost(name, example_options(name), EXAMPLE_PATCH, 1, 2)


def example_options(name: str) -> Any:
    """Return a network's options as it is planned for `EXAMPLE_PATCH` at 1 mm; its own defaults where it is not."""
    kind = OPTIONS.load(name)
    topology = plan_topology(EXAMPLE_PATCH, (1.0, 1.0, 1.0))
    return kind.planned(topology, 32, 320) if hasattr(kind, "planned") else kind()


def example_in_words(name: str) -> str:
    """Return stride, parameters, FLOPs and time of the example; nothing where a network does not say its layers."""
    counted = example_cost(name)
    if not counted.parameters:
        return ""
    of_options = getattr(example_options(name), "stride", (1, 1, 1))
    sides, stride = ("x".join(map(str, each)) for each in (EXAMPLE_PATCH, of_options))
    time = f"{2e-12 * counted.multiply_adds:.2g} TFLOPs"
    time += f", {CPU_SECONDS[name]:g} CPU seconds" if name in CPU_SECONDS else ""
    return f"; stride {stride}, {counted.parameters / 1e6:.1f} M parameters, {time} at {sides}"


def training_memory_gb(name: str, options: Any, patch: Triple, batch: int, channels: int, outputs: int) -> float:
    """Estimate the peak of a training step in float32, the program itself included, in GiB (see `step_memory_gb`)."""
    return step_memory_gb(name, options, TrainingStep(patch, batch, channels, outputs))


def step_memory_gb(name: str, options: Any, step: TrainingStep) -> float:
    """Estimate the peak memory of a training process, in GiB.

    Counted are the weights with gradient, two moments and the running mean; what each layer holds until the backward
    pass; what the widest layer passes on in it; the loss; and the program itself. The C library gives memory back in
    pieces that do not fit the next step, which `SCATTERED` stands for. `benchmarks/memory.py` compares with real peaks.
    """
    layers = _layers(name, options, step.patch, step.channels, step.outputs)
    width = 2 if step.half else 4
    weights = sum(layer.parameters for layer in layers) * (20 + 2 * step.half)
    held = sum(prod(layer.size) * (layer.held * width + layer.indices * 8) for layer in layers)
    passing = max((prod(layer.size) * (2 * layer.after + layer.before) * width for layer in layers), default=0)
    loss = 4 * prod(step.patch) * (5 * step.outputs + 4 * step.channels)
    return PROGRAM_GB + SCATTERED * (weights + step.batch * (held + passing + loss)) / 2**30


def _layers(name: str, options: Any, patch: Triple, channels: int, outputs: int) -> tuple[Layer, ...]:
    try:
        layers = LAYERS.load(name)
    except UnknownName:
        return ()
    stride = getattr(options, "stride", (1, 1, 1))
    x, y, z = (-(-size // factor) * factor for size, factor in zip(patch, stride, strict=True))
    return tuple(layers(options, (x, y, z), channels, outputs))
