"""ONNX Runtime: its precision, its devices and its errors. What it computes is compared in tests/every."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from neuraxis.errors import BundleError, MissingExtra, ResourceError, UsageError
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.inference.runtimes import onnx as engine
from neuraxis.inference.runtimes.catalog import RUNTIMES
from neuraxis.inference.runtimes.onnx import CPU, CUDA, OnnxRuntime
from neuraxis.inference.runtimes.options import GPU_VOXELS, RuntimeOptions

WINDOWS = np.random.default_rng(0).normal(size=(3, 2, 16, 16, 8)).astype(np.float32)
ONE_THREAD = RuntimeOptions(threads=1)


def test_any_number_of_windows_gives_the_logits_of_each(bundle):
    runtime = OnnxRuntime(bundle, ONE_THREAD)
    together = runtime.run(WINDOWS)
    assert together.shape == (3, 3, 16, 16, 8)
    assert together.dtype == np.float32
    for window, logits in zip(WINDOWS, together, strict=True):
        np.testing.assert_allclose(runtime.run(window[None])[0], logits, atol=1e-5)


def test_windows_that_are_views_are_run_as_they_look(bundle):
    runtime = OnnxRuntime(bundle, ONE_THREAD)
    mirrored = WINDOWS[:1, :, ::-1]
    np.testing.assert_array_equal(runtime.run(mirrored), runtime.run(mirrored.copy()))


def test_each_fold_has_its_own_weights(bundle):
    first, second = (OnnxRuntime(bundle, replace(ONE_THREAD, fold=fold)).run(WINDOWS[:1]) for fold in (0, 1))
    assert np.abs(first - second).max() > 0.01


def test_auto_is_fp32_on_the_processor_and_says_so(bundle):
    runtime = OnnxRuntime(bundle, replace(ONE_THREAD, device="cpu"))
    assert (runtime.precision, runtime.device, runtime.batch_of(10)) == ("fp32", "cpu", 1)
    assert runtime.version.startswith("onnxruntime 1.")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_another_precision_is_refused_with_the_runtime_that_has_it(bundle, precision):
    with pytest.raises(UsageError, match=rf"fp32 alone\. Leave --precision {precision} out.*--runtime openvino"):
        OnnxRuntime(bundle, replace(ONE_THREAD, precision=precision))


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_the_package_does_not_serve_is_refused(bundle, device, monkeypatch):
    monkeypatch.setattr(engine.onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(UsageError, match=f"--device {device}: .* the processor alone"):
        OnnxRuntime(bundle, replace(ONE_THREAD, device=device))


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_is_named_but_does_not_start_is_refused_and_auto_falls_back(bundle, monkeypatch):
    monkeypatch.setattr(engine.onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    with pytest.raises(UsageError, match="--device cuda: ONNX Runtime could not start it"):
        OnnxRuntime(bundle, replace(ONE_THREAD, device="cuda"))
    assert OnnxRuntime(bundle, replace(ONE_THREAD, device="auto")).device == "cpu"


def test_a_gpu_gets_its_number_exact_arithmetic_and_many_windows_at_once(bundle, monkeypatch):
    asked = []

    class Session:
        def __init__(self, path, settings, providers):
            asked.extend(providers)

        def get_providers(self):
            return [CUDA, CPU]

    monkeypatch.setattr(engine.onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(engine.onnxruntime, "InferenceSession", Session)
    runtime = OnnxRuntime(bundle, replace(ONE_THREAD, device="cuda:1"))
    assert asked == [(CUDA, {"device_id": 1, "use_tf32": 0}), CPU]
    assert (runtime.device, runtime.batch_of(GPU_VOXELS // 4)) == ("cuda", 4)


def test_lack_of_memory_is_told_and_other_faults_keep_their_traceback(bundle, monkeypatch):
    runtime = OnnxRuntime(bundle, ONE_THREAD)

    class Broken:
        text = "Failed to allocate memory for requested buffer of size 99"

        def run(self, *_):
            raise RuntimeError(self.text)

    monkeypatch.setattr(runtime, "_session", Broken())
    with pytest.raises(ResourceError, match="Memory ran out on cpu"):
        runtime.run(WINDOWS)
    Broken.text = "another"
    with pytest.raises(RuntimeError, match="another"):
        runtime.run(WINDOWS)


def test_a_bundle_without_onnx_is_refused_with_the_way_out(bundle):
    bare = replace(bundle, folds=(replace(bundle.folds[0], onnx=None),))
    with pytest.raises(BundleError, match=r"fold 0 has no ONNX file. Segment with --runtime torch"):
        OnnxRuntime(bare, ONE_THREAD)


def test_a_graph_that_cannot_be_read_is_refused_in_one_line(bundle, tmp_path):
    broken = tmp_path / "fold-0.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(BundleError, match="ONNX Runtime cannot load it") as refused:
        OnnxRuntime(replace(bundle, folds=(replace(bundle.folds[0], onnx=broken),)), ONE_THREAD)
    assert "\n" not in str(refused.value)


def test_a_predictor_reaches_it_by_its_name(bundle):
    image = np.random.default_rng(1).normal(size=(2, 20, 16, 8)).astype(np.float32)
    exact = PredictorOptions(precision="fp32", device="cpu", threads=1, folds=(0,), overlap=0.5)
    ours = Predictor(bundle, replace(exact, runtime="onnx"))
    np.testing.assert_allclose(
        ours.logits(image), Predictor(bundle, replace(exact, runtime="torch")).logits(image), atol=1e-3
    )
    assert ours.provenance()["runtime"] == "onnx"


def test_a_missing_package_is_told_with_the_line_to_type(monkeypatch):
    for module in ("onnx", "quiet_onnx"):
        monkeypatch.delitem(sys.modules, f"neuraxis.inference.runtimes.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[onnx\]'"):
        RUNTIMES.load("onnx")
