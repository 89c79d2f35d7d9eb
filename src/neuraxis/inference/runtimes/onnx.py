"""The network in ONNX Runtime: a second engine on processors, and on NVIDIA's GPUs without torch.

It computes in float32. Threads sleep between two windows instead of waiting in a loop, which took a fifth more of the
processors' time (2 threads, hippocampus network). TensorFloat-32 is switched off on GPUs, so that "fp32" is what it
says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.network_file import INPUT, OUTPUT
from neuraxis.errors import BundleError, ResourceError, UsageError
from neuraxis.hardware import usable_cores
from neuraxis.inference.runtimes.options import GPU_VOXELS, RuntimeOptions, fold_of, short_reason
from neuraxis.inference.runtimes.quiet_onnx import onnxruntime

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxRuntime:
    """One fold's network, loaded from the bundle's ONNX file, which reads its weights from the safetensors file.

    `precision`, `device` and `version` are as in `Runtime`.

    Raises:
        UsageError: bf16 or int8 is asked for, or a device that ONNX Runtime does not serve here.
        BundleError: the bundle has no ONNX file for the fold, or ONNX Runtime cannot read it.
    """

    def __init__(self, bundle: ModelBundle, options: RuntimeOptions) -> None:
        if options.precision in ("bf16", "int8"):
            text = "The runtime 'onnx' computes in fp32 alone."
            raise UsageError(f"{text} Leave --precision {options.precision} out, or choose --runtime openvino.")
        fold = fold_of(bundle, options.fold)
        if fold.onnx is None:
            raise BundleError(f"{bundle.path}: fold {fold.index} has no ONNX file. Segment with --runtime torch.")
        self._session = _load(fold.onnx, _providers(options.device), options.threads or usable_cores())
        self._on_gpu = CUDA in self._session.get_providers()
        if options.device.startswith("cuda") and not self._on_gpu:
            text = f"--device {options.device}: ONNX Runtime could not start it (CUDA or cuDNN is missing or too old)."
            raise UsageError(f"{text} Use --device cpu, or --runtime torch.")
        self.precision = "fp32"
        self.device = "cuda" if self._on_gpu else "cpu"
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def run(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (B, C, x, y, z) float32 into logits (B, K, x, y, z) float32."""
        try:
            (logits,) = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(windows, np.float32)})
        except Exception as error:  # the package names no common parent for what it raises
            if "alloc" in str(error).lower():
                text = f"Memory ran out on {self.device} in the network."
                raise ResourceError(f"{text} Close other programs or use a larger machine.") from error
            raise
        return np.asarray(logits)

    def batch_of(self, voxels: int) -> int:
        """Return 1 on a processor, and on a GPU as many windows as make about 4 million voxels."""
        return max(1, GPU_VOXELS // voxels) if self._on_gpu else 1


def _providers(device: str) -> list[Any]:
    """Return ONNX Runtime's names for a device, the preferred one first."""
    has_cuda = CUDA in onnxruntime.get_available_providers()
    kind, _, number = device.partition(":")
    if kind == "cpu" or (kind == "auto" and not has_cuda):
        return [CPU]
    if kind not in ("auto", "cuda") or not has_cuda:
        text = f"--device {device}: this installation of ONNX Runtime serves the processor alone."
        raise UsageError(f"{text} Use --device cpu, or --runtime torch.")
    return [(CUDA, {"device_id": int(number or 0), "use_tf32": 0}), CPU]


def _load(model: Path, providers: list[Any], threads: int) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(model), settings, providers=providers)
    except Exception as error:  # the package names no common parent for what it raises
        reason = short_reason(error)
        raise BundleError(f"{model}: ONNX Runtime cannot load it ({reason}). Try --runtime torch.") from error
