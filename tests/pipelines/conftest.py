"""Models that need no training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.pipelines.segment import SegmentOptions
from neuraxis.recipe.wishes import resolve


@pytest.fixture(scope="session")
def threshold(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelBundle]:
    """Makes a model that finds what is above 5, or each name's value, in the first channel: real ONNX, no training."""
    import onnx
    from onnx import TensorProto, helper

    def make(channels: tuple[str, ...] = ("MRI",), **above: float) -> ModelBundle:
        above = above or {"bright": 5.0}
        folder, count = tmp_path_factory.mktemp("threshold"), 1 + len(above)
        weight = np.zeros((count, len(channels), 1, 1, 1), np.float32)
        weight[:, 0, 0, 0, 0] = np.arange(count)
        bias = -np.cumsum([0.0, *above.values()]).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])],
            "threshold",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", len(channels), 8, 8, 8])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", count, 8, 8, 8])],
            [
                onnx.numpy_helper.from_array(weight, "weight"),
                onnx.numpy_helper.from_array(bias, "bias"),
            ],
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder / "fold-0.onnx")
        recipe = resolve(
            {
                "preparation": {"spacing_mm": [1, 1, 1], "normalisation": dict.fromkeys(channels, "none")},
                "patches": {"shape": [8, 8, 8]},
                "network": {
                    "options": {"features": [2, 2], "kernels": [[1, 1, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]},
                },
            }
        )
        return ModelBundle(
            path=folder / "threshold.nxb",
            folder=folder,
            name="threshold",
            recipe=recipe,
            labels=Labels(names={"background": 0, **{name: place for place, name in enumerate(above, 1)}}),
            channels=channels,
            modality=dict.fromkeys(channels, "MRI"),
            card={},
            folds=(FoldFiles(0, folder / "fold-0.safetensors", folder / "fold-0.onnx"),),
            hash="feed"
            + "".join(f"{value:02.0f}" for value in above.values() if len(above) > 1),  # names cached networks
        )

    return make


@pytest.fixture(scope="session")
def model(threshold: Callable[..., ModelBundle]) -> ModelBundle:
    return threshold()


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., SegmentOptions]:
    def make(**changes: object) -> SegmentOptions:
        return SegmentOptions(precision="fp32", threads=1, cache=tmp_path / "cache", **changes)

    return make
