"""The network in torch: on GPUs, on Apple silicon, and as the reference for other runtimes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import BundleError, ResourceError, UsageError
from neuraxis.hardware import processor_has_bf16, usable_cores
from neuraxis.inference.runtimes.options import GPU_VOXELS, RuntimeOptions, fold_of, short_reason, takes_half
from neuraxis.networks.catalog import NETWORKS, PROMPTED


class TorchRuntime:
    """One fold's network, built from the recipe and filled with the bundle's weights.

    Raises:
        UsageError: int8 is asked for, or the device is not there.
        BundleError: the weights do not fit the network.
    """

    def __init__(self, bundle: ModelBundle, options: RuntimeOptions) -> None:
        if options.precision == "int8":
            text = "The runtime 'torch' does not compute in int8."
            raise UsageError(f"{text} Choose --runtime openvino, or leave --precision int8 out.")
        self._device = device_of(options.device)
        if self._device.type == "cpu":
            torch.set_num_threads(options.threads or usable_cores())
        half = takes_half(bundle, options.precision, _has_bf16(self._device))
        self.precision = "bf16" if half else "fp32"
        self.device = _describe(self._device)
        self.version = f"torch {torch.__version__}"
        network = network_of(bundle, options.fold)
        # tensor cores multiply half precision fastest where a voxel's channels lie together
        quick = half and self._device.type == "cuda" and bundle.recipe.network.name not in PROMPTED
        self._layout = torch.channels_last_3d if quick else torch.contiguous_format
        self._network = network.eval().to(self._device, memory_format=self._layout)

    def run(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (B, C, x, y, z) float32 into logits (B, K, x, y, z) float32."""
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, self.precision == "bf16"):
                batch = torch.from_numpy(np.ascontiguousarray(windows, np.float32))
                batch = batch.to(self._device, memory_format=self._layout)
                logits: np.ndarray = self._network(batch).float().cpu().numpy()
        except torch.cuda.OutOfMemoryError as error:
            raise ResourceError(f"Memory ran out on {self.device}. Free it, or segment with --device cpu.") from error
        return logits

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of a network that is told where to look (see `Promptable`).

        Raises:
            ResourceError: the device's memory does not suffice.
        """
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, self.precision == "bf16"):
                return getattr(self._network, method)(*arguments)
        except torch.cuda.OutOfMemoryError as error:
            raise ResourceError(f"Memory ran out on {self.device}. Free it, or segment with --device cpu.") from error

    def batch_of(self, voxels: int) -> int:
        """Return 1 on a processor, and on a GPU as many windows as make about 4 million voxels."""
        return 1 if self._device.type == "cpu" else max(1, GPU_VOXELS // voxels)


def network_of(bundle: ModelBundle, fold: int) -> nn.Module:
    """Build one fold's network from the recipe and fill it with the bundle's weights.

    Raises:
        BundleError: the bundle has no such fold, or its weights do not fit the network.
    """
    recipe, files = bundle.recipe.network, fold_of(bundle, fold)
    network: nn.Module = NETWORKS.load(recipe.name)(
        recipe.typed_options(), len(bundle.inputs), len(bundle.labels.outputs)
    )
    try:
        network.load_state_dict(load_file(files.weights))
    except (RuntimeError, OSError) as error:
        reason = f"does not fit the network '{recipe.name}' ({short_reason(error)})"
        raise BundleError(f"{files.weights}: {reason}. Fetch the bundle again.") from error
    return network


def device_of(name: str) -> torch.device:
    """Return the device that a name means; "auto" takes a GPU where there is one.

    Raises:
        UsageError: it is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"--device {name}: is not there ({short_reason(error)}). Use --device cpu or auto.") from error
    return device


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and processor_has_bf16()


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
