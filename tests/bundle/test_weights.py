"""Weights: read whole and finite, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from neuraxis.bundle.weights import check_weights, read_weights, tensor_places
from neuraxis.errors import BundleError

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([-1.5], np.float32)}


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "w.safetensors")
    read = read_weights(tmp_path / "w.safetensors")
    assert set(read) == {"a", "b"}
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == np.float32


def test_places_are_where_the_bytes_of_each_tensor_lie(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path, metadata={"made": "here"})
    content = path.read_bytes()
    places = tensor_places(path)
    assert set(places) == {"a", "b"}
    assert {name: content[start : start + length] for name, (start, length) in places.items()} == {
        name: array.tobytes() for name, array in TENSORS.items()
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64])
def test_another_type_of_number_is_refused(tmp_path: Path, dtype: type) -> None:
    save_file({"w": np.ones(2, dtype)}, tmp_path / "fold-0.safetensors")
    with pytest.raises(BundleError, match=r"fold-0\.safetensors: tensor 'w' is .*needed is F32"):
        read_weights(tmp_path / "fold-0.safetensors")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_found(tmp_path: Path, bad: float) -> None:
    array = np.zeros(1000, np.float32)
    array[777] = bad
    save_file({"fine": np.ones(3, np.float32), "w": array}, tmp_path / "f.safetensors")
    for read in (read_weights, check_weights):
        with pytest.raises(BundleError, match="'w' holds NaN or infinity"):
            read(tmp_path / "f.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"12345678", save(TENSORS)[:-1], save(TENSORS) + b"x", b"\xff" * 64, save({})]
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=r"f\.safetensors"):
        read_weights(tmp_path / "f.safetensors")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such weights file"):
        read_weights(tmp_path / "f.safetensors")
