"""Norms of large maps are summed in blocks where the network computes in float32."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.inference.runtimes.moments import sum_in_blocks
from neuraxis.inference.runtimes.quiet_openvino import engine, openvino

EPS = 1e-5


def network_of(shape: tuple[int, ...], axes: list[int] | None = None):
    """A convolution of 16 channels, which makes OpenVINO keep maps as it does in networks, a norm, a rectifier."""
    ops, sides = openvino.opset13, len(shape) - 2
    image = ops.parameter(shape, np.float32)
    kernel = ops.constant(np.eye(16, dtype=np.float32).reshape(16, 16, *[1] * sides))
    convolution = ops.convolution(image, kernel, [1] * sides, [0] * sides, [0] * sides, [1] * sides)
    norm = ops.mvn(convolution, ops.constant(np.array(axes or range(2, 2 + sides))), True, EPS, "inside_sqrt")
    return openvino.Model([ops.relu(norm)], [image])


def run(network, image: np.ndarray) -> np.ndarray:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return engine().compile_model(network, "CPU", settings).create_infer_request().infer([image])[0].copy()


def exact(image: np.ndarray) -> np.ndarray:
    wide, axes = image.astype(np.float64), tuple(range(2, image.ndim))
    centred = wide - wide.mean(axis=axes, keepdims=True)
    return np.maximum(centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + EPS), 0)


def image_of(shape: tuple[int, ...]) -> np.ndarray:
    image = np.random.default_rng(0).normal(3, 1, shape).astype(np.float32)
    return image * np.linspace(0.1, 3, shape[2], dtype=np.float32).reshape(-1, *[1] * (len(shape) - 3))


def kinds_of(network) -> list[str]:
    return [layer.get_type_name() for layer in network.get_ordered_ops()]


@pytest.mark.parametrize("shape", [(1, 16, 96, 96, 64), (2, 16, 33, 40, 28), (1, 16, 320, 384)])
def test_a_norm_in_blocks_is_right_to_float32(shape):
    network, image = network_of(shape), image_of(shape)
    sum_in_blocks(engine(), network)
    assert "MVN" not in kinds_of(network)
    assert np.abs(run(network, image) - exact(image)).max() < 2e-5


def test_blocks_are_much_closer_than_a_single_sum():
    shape = (1, 16, 96, 96, 64)
    plain, blocks, image = network_of(shape), network_of(shape), image_of(shape)
    sum_in_blocks(engine(), blocks)
    right = exact(image)
    assert np.abs(run(blocks, image) - right).mean() < np.abs(run(plain, image) - right).mean() / 5


def test_a_flat_map_comes_out_as_zeros():
    shape = (1, 16, 32, 32, 32)
    network = network_of(shape)
    sum_in_blocks(engine(), network)
    assert np.abs(run(network, np.full(shape, 0.1, np.float32))).max() < 1e-3


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        pytest.param((1, 16, 16, 16, 16), None, id="small"),
        pytest.param((1, 16, 37, 29, 31), None, id="prime sides"),
        pytest.param((1, 16, 32, 32, 32), [3, 4], id="not all sides"),
        pytest.param((1, 16, -1, 32, 32), None, id="an open side"),
    ],
)
def test_other_norms_stay(shape, axes):
    network = network_of(shape, axes)
    sum_in_blocks(engine(), network)
    assert "MVN" in kinds_of(network)
