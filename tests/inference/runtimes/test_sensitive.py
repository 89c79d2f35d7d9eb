"""The end of a small network keeps float32 in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.hardware import processor_has_bf16
from neuraxis.inference.runtimes import sensitive
from neuraxis.inference.runtimes.openvino import OpenVinoRuntime
from neuraxis.inference.runtimes.options import RuntimeOptions

WINDOWS = np.random.default_rng(0).normal(size=(3, 2, 16, 16, 8)).astype(np.float32)


def logits(bundle, cache, precision: str) -> np.ndarray:
    return OpenVinoRuntime(bundle, RuntimeOptions(precision=precision, threads=1, cache=cache)).run(WINDOWS)


@pytest.mark.skipif(not processor_has_bf16(), reason="this processor multiplies no bfloat16")
def test_logits_come_closer_to_those_of_float32_where_windows_are_small(bundle, tmp_path, monkeypatch):
    exact, kept = logits(bundle, tmp_path / "exact", "fp32"), logits(bundle, tmp_path / "small", "bf16")
    monkeypatch.setattr(sensitive, "SMALL_MB", 0)
    rounded = logits(bundle, tmp_path / "large", "bf16")
    assert np.abs(kept - exact).mean() < np.abs(rounded - exact).mean()


def test_an_openvino_that_does_not_know_the_wish_gets_the_network_as_it_is(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(sensitive, "_KEY", "unknown")
    assert np.isfinite(logits(bundle, tmp_path, "bf16")).all()
