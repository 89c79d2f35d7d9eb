"""What a network makes of a scan at its coarsest level, as one row of numbers.

The bottleneck is the output of the convolution with the fewest voxels (of several, with the most channels), after the
normalisation, activation and sum that follow it. Its mean over the voxels of every window, none overlapping more than
it must, describes the scan as the network sees it: two scanners whose rows lie apart look different to this network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import BundleError
from neuraxis.hardware import usable_cores
from neuraxis.inference.runtimes.options import fold_of, short_reason
from neuraxis.inference.runtimes.quiet_openvino import engine
from neuraxis.patches.grid import pad_to_window, window_starts
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.volume.volume import Volume

_CONVOLUTIONS = {"Convolution", "GroupConvolution"}
_IMAGE_RANKS = (4, 5)


class Bottleneck:
    """The network of a bundle's first fold as far as its coarsest level; of a cascade, that of the first stage.

    Attributes:
        bundle: whose network it is.
        features: how many numbers describe a scan.

    Raises:
        BundleError: the bundle has no ONNX file, or no convolution is found in it.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        self.bundle = bundle = bundle.previous or bundle
        model = fold_of(bundle, bundle.folds[0].index).onnx
        if model is None:
            raise BundleError(f"{bundle.path}: has no ONNX file, from which features are taken. Name another bundle.")
        try:
            core = engine()
            network = core.read_model(str(model))
            layer = _coarsest(network)
            if layer is None:
                raise BundleError(f"{bundle.path}: no convolution is found in its network. Name another bundle.")
            network.add_outputs(layer.output(0))
            settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": usable_cores()}
            compiled = core.compile_model(network, "CPU", {**settings, "ENABLE_CPU_PINNING": False})
        except RuntimeError as error:
            raise BundleError(f"{model}: OpenVINO cannot compile it ({short_reason(error)}).") from error
        self.features = _sides(layer)[1]
        self._request = compiled.create_infer_request()

    def describe(self, volume: Volume) -> np.ndarray:
        """Return the features of a scan (C, X, Y, Z), its channels in the order of the bundle's: (features,) float64.

        Windows without any contrast (nothing but background) are passed over, unless there are no others.

        Raises:
            BundleError: the network gives NaN or infinity.
        """
        recipe = self.bundle.recipe
        prepared = prepare_volume(volume, self.bundle.channels, recipe.preparation)
        image, _ = pad_to_window(prepared.image, recipe.patches.shape, recipe.inference.padding)
        x, y, z = image.shape[1:]
        windows = [
            image[
                (
                    slice(None),
                    *(slice(first, first + side) for first, side in zip(start, recipe.patches.shape, strict=True)),
                )
            ]
            for start in window_starts((x, y, z), recipe.patches.shape, 0.0)
        ]
        seen = [window for window in windows if any(channel.min() < channel.max() for channel in window)] or windows
        total = np.zeros(self.features)
        for window in seen:
            result = self._request.infer([np.ascontiguousarray(window[None], np.float32)])
            deep = np.asarray(result[len(result) - 1][0], dtype=np.float64)
            total += deep.reshape(self.features, -1).mean(axis=1)
        found: np.ndarray = total / len(seen)
        if not np.isfinite(found).all():
            raise BundleError(f"{self.bundle.path}: the network gave NaN or infinity. Name another bundle.")
        return found


def _coarsest(network: Any) -> Any | None:
    """Return the last layer of the level with the fewest voxels that any convolution gives."""
    layers = [layer for layer in network.get_ordered_ops() if _is_image(layer)]
    given = [_sides(layer) for layer in layers if layer.get_type_name() in _CONVOLUTIONS]
    if not given:
        return None
    wanted = min(given, key=lambda sides: (math.prod(sides[2:]), -sides[1]))
    return [layer for layer in layers if _sides(layer) == wanted][-1]


def _is_image(layer: Any) -> bool:
    """Tell whether a layer gives images (B, C, ...) of known size for any number B of them."""
    if layer.get_output_size() != 1 or layer.get_type_name() in ("Parameter", "Result", "Constant"):
        return False
    shape = layer.get_output_partial_shape(0)
    if shape.rank.is_dynamic or shape.rank.get_length() not in _IMAGE_RANKS:
        return False
    return shape[0].is_dynamic and all(side.is_static for side in list(shape)[1:])


def _sides(layer: Any) -> tuple[int, ...]:
    """Return a layer's sides (B, C, ...), 0 for the number of images."""
    return (0, *(side.get_length() for side in list(layer.get_output_partial_shape(0))[1:]))
