"""The ONNX files stand alone, and `model.json` is enough to write a program around them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations, product
from math import ceil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import onnx
import pytest
from scipy import ndimage, signal, special

import neuraxis as nx
from neuraxis.bundle.exports import onnx as exports
from neuraxis.bundle.exports.onnx import export_onnx
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError
from neuraxis.inference.runtimes.quiet_onnx import onnxruntime

CT = {"CT": {"low": -0.5, "high": 2000.0, "mean": 700.0, "std": 300.0}}


def run(network: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"image": image})[0])


def test_each_file_runs_alone_and_gives_what_the_bundle_gives(tmp_path: Path, write_model: Callable[..., Path]) -> None:
    bundle = nx.open_bundle(write_model(tmp_path / "toy.nxb", folds=2))
    place = export_onnx(bundle, tmp_path / "out")
    assert sorted(path.name for path in place.iterdir()) == ["fold-0.onnx", "fold-1.onnx", "model.json"]
    image = np.random.default_rng(0).normal(size=(2, 1, 16, 16, 20)).astype(np.float32)
    for fold in bundle.folds:
        alone = tmp_path / f"alone-{fold.index}" / "x.onnx"
        alone.parent.mkdir()
        shutil.copy(place / f"fold-{fold.index}.onnx", alone)
        assert fold.onnx is not None
        np.testing.assert_array_equal(run(alone, image), run(fold.onnx, image))
    assert not np.allclose(run(place / "fold-0.onnx", image), run(place / "fold-1.onnx", image))


def test_weights_too_large_for_one_file_lie_beside_it(
    tmp_path: Path, write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = nx.open_bundle(write_model(tmp_path / "toy.nxb"))
    whole = export_onnx(bundle, tmp_path / "whole")
    monkeypatch.setattr(exports, "LARGEST", 100)
    parted = export_onnx(bundle, tmp_path / "parted")
    assert sorted(path.name for path in parted.iterdir()) == ["fold-0.onnx", "fold-0.onnx.data", "model.json"]
    told = json.loads((parted / "model.json").read_text())["networks"][0]
    assert set(told["sha256"]) == {"fold-0.onnx", "fold-0.onnx.data"}
    shutil.move(parted, tmp_path / "elsewhere")
    image = np.random.default_rng(0).normal(size=(1, 1, 16, 16, 20)).astype(np.float32)
    np.testing.assert_array_equal(run(tmp_path / "elsewhere" / "fold-0.onnx", image), run(whole / "fold-0.onnx", image))


def test_no_file_refers_to_another_or_tells_of_our_code(tmp_path: Path, schema_1: Path) -> None:
    place = export_onnx(nx.open_bundle(schema_1), tmp_path / "out")
    graph = onnx.load(place / "fold-0.onnx", load_external_data=False).graph
    assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in graph.initializer)
    assert b"neuraxis" not in (place / "fold-0.onnx").read_bytes()
    assert "neuraxis." not in (place / "model.json").read_text()


def test_a_fold_without_a_network_is_refused_in_one_line(tmp_path: Path, schema_1: Path) -> None:
    bundle = nx.open_bundle(schema_1)
    bare = replace(bundle, folds=(replace(bundle.folds[0], onnx=None),))
    with pytest.raises(BundleError, match=r"fold 0 has no ONNX file, only weights\. Export it with --to monai"):
        export_onnx(bare, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


class Stranger:
    """A program that knows numpy, scipy, ONNX Runtime and `model.json`, and nothing of neuraxis."""

    def __init__(self, folder: Path) -> None:
        self.about = json.loads((folder / "model.json").read_text())
        self.preparation, self.tiling = self.about["preparation"], self.about["tiling"]
        self.networks = [folder / entry["network"] for entry in self.about["networks"]]

    def segment(self, path: Path) -> np.ndarray:
        """Return the label map on the scan's canonical axes."""
        scan = nib.as_closest_canonical(nib.load(path))
        image = np.asarray(scan.dataobj, np.float32)
        box = self.box(image)
        kept = self.normalise(image[box])
        finer = np.linalg.norm(scan.affine[:3, :3], axis=0) / self.preparation["spacing_mm"]
        prepared = resize(kept, np.maximum(1, np.round(finer * kept.shape)), self.preparation["image_order"])
        probability = np.mean([self.activate(self.logits(network, prepared)) for network in self.networks], axis=0)
        labels = np.zeros(image.shape, np.int16)
        labels[box] = self.label(probability, kept.shape)
        return labels

    def box(self, image: np.ndarray) -> tuple[slice, ...]:
        if self.preparation["crop"] == "none":
            return (slice(None),) * 3
        found = np.argwhere(image != 0)
        return boxes(found.min(axis=0), 1 + np.ptp(found, axis=0))

    def normalise(self, image: np.ndarray) -> np.ndarray:
        name = self.about["channels"][0]["name"]
        if self.preparation["normalisation"][name] == "ct":
            known = self.preparation["intensity"][name]
            return (np.clip(image, known["low"], known["high"]) - known["mean"]) / known["std"]
        return (image - image.mean(dtype=float)) / image.std(dtype=float)

    def logits(self, network: Path, image: np.ndarray) -> np.ndarray:
        window = np.array(self.tiling["window"])
        lacking = np.maximum(0, window - image.shape)
        padded = np.pad(image, np.stack([lacking // 2, lacking - lacking // 2], axis=1))
        total, summed, weight = 0.0, 0.0, self.weight(window)
        session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
        for start in product(*(self.starts(padded.shape[axis], window[axis]) for axis in range(3))):
            outside = [(a, n - a - w) for a, n, w in np.stack([start, padded.shape, window], axis=1)]
            found = self.mirrored(session, padded[boxes(start, window)].astype(np.float32))
            total = total + np.pad(found * weight, [(0, 0), *outside])
            summed = summed + np.pad(weight, outside)
        return np.asarray(total / summed)[(slice(None), *boxes(lacking // 2, image.shape))]

    def mirrored(self, session: Any, window: np.ndarray) -> np.ndarray:
        axes = self.tiling["mirror_axes"]
        sets = chain.from_iterable(combinations(axes, count) for count in range(len(axes) + 1))
        found = []
        for some in sets:
            (logits,) = session.run(["logits"], {"image": np.flip(window, some)[None, None].copy()})
            found.append(np.flip(logits[0], [1 + axis for axis in some]))
        return np.mean(found, axis=0)

    def starts(self, size: int, window: int) -> list[int]:
        steps = ceil((size - window) / max(1, window * (1 - self.tiling["overlap"])))
        return [round(place * (size - window) / steps) for place in range(steps + 1)] if steps else [0]

    def weight(self, window: np.ndarray) -> np.ndarray:
        told = self.tiling["weight"]
        x, y, z = (signal.windows.gaussian(side, told["sd_as_share_of_side"] * side) for side in window)
        whole = x[:, None, None] * y[:, None] * z
        return np.maximum(whole / whole.max(), told["least"])

    def activate(self, logits: np.ndarray) -> np.ndarray:
        softmax = self.about["output"]["activation"] == "softmax"
        return special.softmax(logits, axis=0) if softmax else special.expit(logits)

    def label(self, probability: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        labels = self.about["labels"]
        if not labels["regions"]:
            numbers = np.array([labels["names"][name] for name in self.about["output"]["outputs"]])
            return numbers[np.argmax([resize(one, shape, 1) for one in probability], axis=0)]
        painted = np.zeros(shape, np.int16)
        for place, number in enumerate(labels["paint"]):
            painted[resize(special.logit(probability[place]), shape, 1) > 0] = number
        return painted


def resize(image: np.ndarray, shape: Any, order: int) -> np.ndarray:
    factor = np.asarray(shape) / image.shape
    return ndimage.zoom(np.asarray(image, float), factor, order=order, mode="nearest", grid_mode=True)


def boxes(start: Any, shape: Any) -> tuple[slice, ...]:
    return tuple(slice(int(start[axis]), int(start[axis] + shape[axis])) for axis in range(3))


REGIONS = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2))
CASES = [
    pytest.param({"folds": 2, "preparation": {"crop": "nonzero"}, "patches": {"shape": [8, 8, 12]}}, id="plain"),
    pytest.param(
        {
            "labels": REGIONS,
            "channels": ("CT",),
            "preparation": {"normalisation": {"CT": "ct"}, "intensity": CT, "image_order": 1},
            "inference": {"mirror_axes": [0, 2]},
        },
        id="regions, mirrored",
    ),
]


@pytest.mark.parametrize("wanted", CASES)
def test_a_program_that_knows_model_json_alone_segments_as_we_do(
    wanted: dict[str, Any], tmp_path: Path, write_model: Callable[..., Path], write_scan: Callable[..., Path]
) -> None:
    bundle = nx.open_bundle(write_model(tmp_path / "toy.nxb", **wanted))
    scan = write_scan(tmp_path / "scan.nii.gz")
    found = Stranger(export_onnx(bundle, tmp_path / "out")).segment(scan)
    ours = nx.segment(scan, bundle, runtime="onnx").segmentation.array[0]
    assert len(np.unique(ours)) == 3
    assert (found != ours).mean() < 1e-3
