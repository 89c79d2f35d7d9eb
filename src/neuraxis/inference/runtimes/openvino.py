"""The network on processors, compiled by OpenVINO from the bundle's ONNX file.

The choices below were measured on 2 cores: one stream over all cores is as fast as several with a window each and
takes the memory of one; threads are not pinned, since two pinned ones may share a core with another program and take
twice the time; one window at a time, of a batch left open in the graph, starts as fast as a fixed batch and runs as
fast. OpenVINO's own cache of compiled models is not used: it runs a file that is damaged inside, and does not see
that weights in another file than the graph have changed.

In int8 the layers that are not quantised compute in bf16 where the processor has it, else in fp32.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.errors import BundleError, ResourceError, UsageError
from neuraxis.files import cache_folder
from neuraxis.hardware import processor_has_bf16, processor_has_int8, usable_cores
from neuraxis.inference.runtimes import compiled
from neuraxis.inference.runtimes.moments import sum_in_blocks
from neuraxis.inference.runtimes.options import RuntimeOptions, fold_of, short_reason, takes_half
from neuraxis.inference.runtimes.quiet_openvino import engine, openvino
from neuraxis.inference.runtimes.sensitive import keep_end_in_float32

log = logging.getLogger(__name__)


class OpenVinoRuntime:
    """One fold's network, compiled; the compiled form is kept in the cache folder.

    `precision`, `device` and `version` are as in `Runtime`.

    Raises:
        UsageError: a device is asked for that OpenVINO does not serve here, or int8 of a processor that has none.
        BundleError: the bundle has no ONNX file of that precision for the fold, or OpenVINO cannot read it.
    """

    def __init__(self, bundle: ModelBundle, options: RuntimeOptions) -> None:
        if options.device not in ("auto", "cpu"):
            text = f"The runtime 'openvino' computes on the processor, not on '{options.device}'."
            raise UsageError(f"{text} Choose --runtime torch.")
        fold = fold_of(bundle, options.fold)
        quantised = options.precision == "int8"
        model = _quantised(bundle, fold) if quantised else fold.onnx
        if model is None:
            raise BundleError(f"{bundle.path}: fold {fold.index} has no ONNX file. Segment with --runtime torch.")
        has_bf16 = processor_has_bf16()
        half = has_bf16 if quantised else takes_half(bundle, options.precision, has_bf16)
        self.device = "cpu"
        self.version = f"openvino {openvino.__version__.split('-')[0]}"
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": options.threads or usable_cores(),
            "ENABLE_CPU_PINNING": False,
        }
        core = engine()
        change = None if quantised else keep_end_in_float32 if half else sum_in_blocks
        name = _key(core, f"{bundle.hash}|{model.name}|{change and change.__name__}", settings)
        place = (options.cache or cache_folder()) / "openvino" / f"{name}{compiled.SUFFIX}"
        self._blob = compiled.load(place)  # the network reads its weights from it as long as it lives
        network = None if self._blob is None else _restore(core, self._blob, settings)
        if network is None:
            network = _compile(core, model, settings, change)
            exported = network.export_model()
            compiled.keep(place, exported if isinstance(exported, bytes) else exported.getvalue())
        runs_half = network.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
        self.precision = "int8" if quantised else "bf16" if runs_half else "fp32"
        self._request = network.create_infer_request()

    def run(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (B, C, x, y, z) float32 into logits (B, K, x, y, z) float32."""
        try:
            result = self._request.infer([np.ascontiguousarray(windows, np.float32)], share_inputs=True)
        except RuntimeError as error:
            if "alloc" in str(error).lower():
                text = "Memory ran out in the network. Close other programs or use a larger machine."
                raise ResourceError(text) from error
            raise
        logits: np.ndarray = result[0]
        return logits

    def batch_of(self, voxels: int) -> int:
        """Return 1: a processor is filled by one window."""
        return 1


def _quantised(bundle: ModelBundle, fold: FoldFiles) -> Path:
    """Return the int8 network of a fold."""
    if fold.int8 is None:
        text = f"{bundle.path}: fold {fold.index} was not quantised, so it cannot be run in int8."
        raise BundleError(f"{text} Quantise it: neuraxis bundle quantise {bundle.path} --data DATASET")
    if not processor_has_int8():
        text = "--precision int8: this processor has no VNNI instructions, without which sums of int8 overflow."
        raise UsageError(f"{text} Leave it out.")
    return fold.int8


def _key(core: Any, network: str, settings: dict[str, Any]) -> str:
    """Return a hash of all that a compiled network depends on: itself, the settings, OpenVINO, the processor."""
    processor = [core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    content = json.dumps([network, settings, openvino.__version__, processor], default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _restore(core: Any, blob: np.ndarray, settings: dict[str, Any]) -> Any | None:
    try:
        return core.import_model(openvino.Tensor(blob), "CPU", settings)
    except (RuntimeError, TypeError) as error:
        log.info("The kept network cannot be used and is compiled again: %s", short_reason(error))
        return None


def _compile(core: Any, model: Path, settings: dict[str, Any], change: Callable[[Any, Any], None] | None) -> Any:
    try:
        network = core.read_model(str(model))
        if change is not None:
            change(core, network)
        return core.compile_model(network, "CPU", settings)
    except RuntimeError as error:
        reason = short_reason(error)
        raise BundleError(f"{model}: OpenVINO cannot compile it ({reason}). Try --runtime torch.") from error
