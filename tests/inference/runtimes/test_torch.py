"""The reference runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from neuraxis.errors import BundleError, UsageError
from neuraxis.inference.runtimes.options import RuntimeOptions
from neuraxis.inference.runtimes.torch import TorchRuntime
from neuraxis.networks.catalog import NETWORKS

WINDOWS = np.random.default_rng(0).normal(size=(2, 2, 16, 16, 8)).astype(np.float32)
CPU = RuntimeOptions(precision="fp32", threads=1, device="cpu")


def test_it_runs_the_network_with_the_bundles_weights(bundle):
    network = NETWORKS.load("unet")(bundle.recipe.network.typed_options(), 2, 3).eval()
    network.load_state_dict(load_file(bundle.folds[1].weights))
    with torch.no_grad():
        expected = network(torch.from_numpy(WINDOWS)).numpy()
    runtime = TorchRuntime(bundle, replace(CPU, fold=1))
    np.testing.assert_array_equal(runtime.run(WINDOWS), expected)
    assert (runtime.precision, runtime.device) == ("fp32", "cpu")
    assert runtime.version == f"torch {torch.__version__}"


def test_half_precision_is_near_but_not_equal(bundle):
    exact, half = (
        TorchRuntime(bundle, CPU).run(WINDOWS),
        TorchRuntime(bundle, replace(CPU, precision="bf16")).run(WINDOWS),
    )
    assert half.dtype == np.float32
    assert 0 < np.abs(exact - half).max() < 0.1


def test_int8_is_refused_with_the_runtime_that_has_it(bundle):
    with pytest.raises(UsageError, match=r"'torch' does not compute in int8\. Choose --runtime openvino"):
        TorchRuntime(bundle, replace(CPU, precision="int8"))


def test_a_device_that_is_not_there_is_refused(bundle):
    if torch.cuda.is_available():
        with pytest.raises(UsageError, match="--device cuda:99: is not there"):
            TorchRuntime(bundle, replace(CPU, device="cuda:99"))
    else:
        with pytest.raises(UsageError, match="--device cuda: is not there"):
            TorchRuntime(bundle, replace(CPU, device="cuda"))


def test_a_misspelt_device_is_refused(bundle):
    with pytest.raises(UsageError, match="--device gpu: is not there"):
        TorchRuntime(bundle, replace(CPU, device="gpu"))


def test_weights_that_do_not_fit_the_network_are_refused(bundle):
    with pytest.raises(BundleError, match="does not fit the network 'unet'"):
        TorchRuntime(replace(bundle, channels=("FLAIR",)), CPU)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "apart"), [("fp32", 1e-2), ("bf16", 0.1)])
def test_a_gpu_gives_what_the_processor_gives(bundle, precision, apart):
    on_gpu = TorchRuntime(bundle, replace(CPU, precision=precision, device="cuda"))
    np.testing.assert_allclose(on_gpu.run(WINDOWS), TorchRuntime(bundle, CPU).run(WINDOWS), atol=apart)
    assert on_gpu.batch_of(16 * 16 * 8) > 1
