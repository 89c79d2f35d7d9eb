"""The default runtime: its precision, its errors, and its cache of compiled networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import BundleError, UsageError
from neuraxis.hardware import processor_has_bf16
from neuraxis.inference.runtimes import openvino as engine
from neuraxis.inference.runtimes import options as runtime_options
from neuraxis.inference.runtimes.openvino import OpenVinoRuntime
from neuraxis.inference.runtimes.options import RuntimeOptions

WINDOWS = np.random.default_rng(0).normal(size=(3, 2, 16, 16, 8)).astype(np.float32)


def options(cache: Path, **changes: object) -> RuntimeOptions:
    return RuntimeOptions(precision="fp32", threads=1, cache=cache, **changes)


def test_any_number_of_windows_gives_the_logits_of_each(bundle, tmp_path):
    runtime = OpenVinoRuntime(bundle, options(tmp_path))
    together = runtime.run(WINDOWS)
    assert together.shape == (3, 3, 16, 16, 8)
    assert together.dtype == np.float32
    for window, logits in zip(WINDOWS, together, strict=True):
        np.testing.assert_allclose(runtime.run(window[None])[0], logits, atol=1e-5)


def test_a_result_stays_as_it_is_when_the_runtime_runs_again(bundle, tmp_path):
    runtime = OpenVinoRuntime(bundle, options(tmp_path))
    first = runtime.run(WINDOWS[:1])
    before = first.copy()
    runtime.run(WINDOWS[1:2])
    np.testing.assert_array_equal(first, before)


def test_windows_that_are_views_are_run_as_they_look(bundle, tmp_path):
    runtime = OpenVinoRuntime(bundle, options(tmp_path))
    mirrored = WINDOWS[:1, :, ::-1]
    np.testing.assert_array_equal(runtime.run(mirrored), runtime.run(mirrored.copy()))


def test_each_fold_has_its_own_weights(bundle, tmp_path):
    first = OpenVinoRuntime(bundle, options(tmp_path, fold=0)).run(WINDOWS[:1])
    second = OpenVinoRuntime(bundle, options(tmp_path, fold=1)).run(WINDOWS[:1])
    assert np.abs(first - second).max() > 0.01


def test_a_compiled_network_is_kept_and_gives_the_same_again(bundle, tmp_path):
    first = OpenVinoRuntime(bundle, options(tmp_path)).run(WINDOWS)
    (kept,) = (tmp_path / "openvino").iterdir()
    written = kept.stat().st_ino
    np.testing.assert_array_equal(OpenVinoRuntime(bundle, options(tmp_path)).run(WINDOWS), first)
    assert kept.stat().st_ino == written


def test_a_kept_network_that_is_damaged_inside_is_compiled_again(bundle, tmp_path):
    first = OpenVinoRuntime(bundle, options(tmp_path)).run(WINDOWS)
    (kept,) = (tmp_path / "openvino").iterdir()
    content = bytearray(kept.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    kept.write_bytes(content)
    np.testing.assert_array_equal(OpenVinoRuntime(bundle, options(tmp_path)).run(WINDOWS), first)
    assert kept.read_bytes() != bytes(content)


def test_a_changed_model_is_not_taken_from_the_cache(bundle, tmp_path):
    OpenVinoRuntime(bundle, options(tmp_path))
    OpenVinoRuntime(replace(bundle, hash="another"), options(tmp_path))
    OpenVinoRuntime(bundle, replace(options(tmp_path), precision="bf16"))
    assert len(list((tmp_path / "openvino").iterdir())) == 3


def test_a_cache_that_cannot_be_written_is_done_without(bundle, tmp_path):
    (tmp_path / "openvino").write_text("a file where the folder should be")
    assert OpenVinoRuntime(bundle, options(tmp_path)).run(WINDOWS).shape == (3, 3, 16, 16, 8)


def test_the_precision_that_is_told_is_the_one_computed_in(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_options, "TINY", 0)
    exact = OpenVinoRuntime(bundle, options(tmp_path))
    auto = OpenVinoRuntime(bundle, RuntimeOptions(threads=1, cache=tmp_path))
    assert exact.precision == "fp32"
    assert auto.precision == ("bf16" if processor_has_bf16() else "fp32")
    assert np.array_equal(exact.run(WINDOWS), auto.run(WINDOWS)) == (auto.precision == "fp32")


def test_tiny_windows_compute_in_float32_unless_bf16_is_asked_for(bundle, tmp_path):
    auto, half = (RuntimeOptions(precision=kind, threads=1, cache=tmp_path) for kind in ("auto", "bf16"))
    assert OpenVinoRuntime(bundle, auto).precision == "fp32"
    assert OpenVinoRuntime(bundle, half).precision == ("bf16" if processor_has_bf16() else "fp32")


def test_int8_runs_the_quantised_network_and_is_kept_apart_from_the_other(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "processor_has_int8", lambda: True)
    monkeypatch.setattr(runtime_options, "TINY", 0)
    first, second = bundle.folds
    stand_in = tmp_path / "fold-0.int8.onnx"
    stand_in.write_bytes(second.onnx.read_bytes())
    (tmp_path / second.weights.name).write_bytes(second.weights.read_bytes())
    quantised = replace(bundle, folds=(replace(first, int8=stand_in), second))
    wanted = RuntimeOptions(precision="int8", threads=1, cache=tmp_path)
    plain = OpenVinoRuntime(quantised, replace(wanted, precision="auto"))
    runtime = OpenVinoRuntime(quantised, wanted)
    with monkeypatch.context() as changed:  # an int8 network computes the rest in bf16 throughout
        changed.setattr(engine, "keep_end_in_float32", lambda core, network: None)
        expected = OpenVinoRuntime(quantised, replace(wanted, precision="auto", fold=1, cache=tmp_path / "other")).run(
            WINDOWS
        )
    assert (plain.precision, runtime.precision) == ("bf16" if processor_has_bf16() else "fp32", "int8")
    np.testing.assert_array_equal(runtime.run(WINDOWS), expected)
    assert np.abs(plain.run(WINDOWS) - expected).max() > 0.01
    np.testing.assert_array_equal(OpenVinoRuntime(quantised, wanted).run(WINDOWS), expected)


def test_int8_without_a_quantised_network_is_refused_with_what_to_type(bundle, tmp_path):
    with pytest.raises(BundleError, match=rf"fold 0 was not quantised.*neuraxis bundle quantise {bundle.path} --data"):
        OpenVinoRuntime(bundle, replace(options(tmp_path), precision="int8"))


def test_int8_is_refused_on_a_processor_whose_sums_overflow(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "processor_has_int8", lambda: False)
    quantised = replace(bundle, folds=(replace(bundle.folds[0], int8=bundle.folds[0].onnx),))
    with pytest.raises(UsageError, match=r"--precision int8: this processor has no VNNI instructions.*Leave it out"):
        OpenVinoRuntime(quantised, replace(options(tmp_path), precision="int8"))


def test_a_gpu_is_refused_with_the_runtime_that_has_one(bundle, tmp_path):
    with pytest.raises(UsageError, match="'openvino' computes on the processor, not on 'cuda'"):
        OpenVinoRuntime(bundle, options(tmp_path, device="cuda"))


def test_a_fold_that_is_not_there_is_refused(bundle, tmp_path):
    with pytest.raises(BundleError, match=r"has no fold 7. It has: 0, 1."):
        OpenVinoRuntime(bundle, options(tmp_path, fold=7))


def test_a_bundle_without_onnx_is_refused_with_the_way_out(bundle, tmp_path):
    bare = replace(bundle, folds=(replace(bundle.folds[0], onnx=None),))
    with pytest.raises(BundleError, match=r"fold 0 has no ONNX file. Segment with --runtime torch"):
        OpenVinoRuntime(bare, options(tmp_path))


def test_a_graph_that_openvino_cannot_read_is_refused_in_one_line(bundle, tmp_path):
    broken = tmp_path / "fold-0.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(BundleError, match="OpenVINO cannot compile it") as refused:
        OpenVinoRuntime(replace(bundle, folds=(replace(bundle.folds[0], onnx=broken),)), options(tmp_path))
    assert "\n" not in str(refused.value)
