"""From a scan to its segmentation: prepare, cut windows, run the network, merge, return to the scan's own grid.

Knows no engine: a runtime is reached by its name. Windows are merged in a fixed order, so that a result depends
neither on how many are run at once nor on where the sum is kept.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis._version import __version__
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.prediction import Prediction
from neuraxis.errors import BundleError, ResourceError
from neuraxis.hardware import available_memory_gb
from neuraxis.inference.intake import examine_scan
from neuraxis.inference.runtimes.catalog import RUNTIMES
from neuraxis.inference.runtimes.options import Precision, Runtime, RuntimeOptions
from neuraxis.patches.grid import Shape, pad_to_window, window_starts
from neuraxis.patches.merge import Merger, gaussian_weight, nnunet_weight
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.steps import activate, restore_probability, restore_segmentation
from neuraxis.progress import Progress, Silent, Stage
from neuraxis.volume.volume import Volume

SHARE_OF_MEMORY = 0.4
SMALL = 0.75


@dataclass(frozen=True)
class PredictorOptions:
    """How scans are predicted; what is left at None stands in the model's recipe.

    Attributes:
        runtime: a name of the catalog, or "auto": OpenVINO on processors, torch on a GPU.
        precision: "auto" takes bf16 where the hardware multiplies it.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        threads: processor threads; 0 means one per usable core.
        folds: which folds' networks are averaged; empty means all.
        overlap: share of a window's side that the next one covers again, in [0, 0.9].
        mirror_axes: axes along which windows are also predicted mirrored.
        probabilities: whether probabilities are kept beside the segmentation.
        cache: folder for compiled models; None means the user's own.
    """

    runtime: str = "auto"
    precision: Precision = "auto"
    device: str = "auto"
    threads: int = 0
    folds: tuple[int, ...] = ()
    overlap: float | None = None
    mirror_axes: tuple[int, ...] | None = None
    probabilities: bool = False
    cache: Path | None = None


class Predictor:
    """A bundle, loaded and ready for one scan after another.

    Raises:
        UnknownName: no runtime has that name.
        BundleError: the bundle lacks a fold, or the engine refuses it.
        UsageError: the device is not there.
    """

    def __init__(
        self, bundle: ModelBundle, options: PredictorOptions | None = None, runtimes: Sequence[Runtime] = ()
    ) -> None:
        """Load the networks; `runtimes` takes the place of those that the options name, one for each fold."""
        self.bundle = bundle
        self.options = options = options or PredictorOptions()
        tiling = bundle.recipe.inference
        self._window: Shape = bundle.recipe.patches.shape
        self._overlap = tiling.overlap if options.overlap is None else options.overlap
        self._mirrors = _subsets(tiling.mirror_axes if options.mirror_axes is None else options.mirror_axes)
        self._arithmetic = tiling.arithmetic
        self._weight = (nnunet_weight if self._arithmetic == "nnunet" else gaussian_weight)(self._window)
        self._folds = options.folds or tuple(fold.index for fold in bundle.folds)
        self._runtime_name = _choose_runtime(bundle, options)
        self._runtimes = tuple(runtimes) or tuple(self._load(fold) for fold in self._folds)

    def predict(self, volume: Volume, progress: Progress | None = None) -> Prediction:
        """Segment a scan.

        Args:
            volume: (C, X, Y, Z), its channels in the order of the bundle's.
            progress: shown one unit for each window and network pass.

        Returns:
            The segmentation on the scan's own grid, with warnings where the result may be wrong.

        Raises:
            DataError: the scan is refused (see `examine_scan`).
            ResourceError: memory or disk is lacking.
        """
        warnings = list(examine_scan(volume, self.bundle))
        labels = self.bundle.labels
        prepared = prepare_volume(volume, self.bundle.channels, self.bundle.recipe.preparation)
        warnings += self._small(prepared.way_back.shape)
        logits = self.logits(prepared.image, progress)
        segmentation = restore_segmentation(logits, prepared.way_back, labels, self._arithmetic)
        if not segmentation.any():
            warnings.append("Nothing was found: the segmentation is empty.")
        probability = None
        if self.options.probabilities:
            restored = restore_probability(logits, prepared.way_back, labels, self._arithmetic)
            probability = Volume(restored, volume.grid, volume.stored, volume.name)
        return Prediction(
            Volume(segmentation[None], volume.grid, volume.stored, volume.name),
            labels,
            probability,
            self.provenance(),
            tuple(warnings),
        )

    def logits(self, image: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Predict a prepared image (C, X, Y, Z) of any size: logits (K, X, Y, Z) float32.

        Several folds give the logits of their mean probabilities. With nnU-Net's arithmetic logits are float16, and of
        several folds their mean.
        """
        padded, begin = pad_to_window(image, self._window)
        starts = window_starts(_shape(padded), self._window, self._overlap)
        passes = len(starts) * len(self._mirrors) * len(self._runtimes)
        with (progress or Silent()).stage("predict", passes) as stage:
            if len(self._runtimes) == 1:
                merged = self._merge(self._runtimes[0], padded, starts, stage)
            else:
                merged = self._average(padded, starts, stage)
        box = tuple(slice(first, first + size) for first, size in zip(begin, _shape(image), strict=True))
        return merged[(slice(None), *box)]

    def provenance(self) -> dict[str, Any]:
        """Return what made a prediction: model, versions, engine and tiling, as JSON-able content."""
        first = self._runtimes[0]
        return {
            "model": self.bundle.name,
            "model_hash": self.bundle.hash,
            "model_file": str(self.bundle.path),
            "folds": list(self._folds),
            "runtime": self._runtime_name,
            "precision": first.precision,
            "device": first.device,
            "versions": {
                "neuraxis": __version__,
                "engine": first.version,
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
            "tiling": {
                "window": list(self._window),
                "overlap": self._overlap,
                "mirror_axes": sorted({axis for axes in self._mirrors for axis in axes}),
            },
        }

    def _load(self, fold: int) -> Runtime:
        kind = RUNTIMES.load(self._runtime_name)
        wanted = self.options
        loaded: Runtime = kind(
            self.bundle, RuntimeOptions(fold, wanted.precision, wanted.threads, wanted.device, wanted.cache)
        )
        return loaded

    def _merge(self, runtime: Runtime, image: np.ndarray, starts: Sequence[Shape], stage: Stage) -> np.ndarray:
        shape, outputs = _shape(image), len(self.bundle.labels.outputs)
        merger = Merger(self._zeros((outputs, *shape)), np.zeros(shape, self._dtype), self._weight)
        for chunk in _chunks(starts, runtime.batch_of(math.prod(self._window))):
            windows = np.stack([image[(slice(None), *self._box(start))] for start in chunk])
            for start, logits in zip(chunk, self._run(runtime, windows, stage), strict=True):
                merger.add(start, logits)
        merged: np.ndarray = merger.merged()
        if not math.isfinite(float(merged.sum(dtype=np.float64))):
            raise BundleError(
                f"{self.bundle.path}: the network gave NaN or infinity in {runtime.precision}. Try --precision fp32; "
                "if that does not help, train again."
            )
        return merged

    def _run(self, runtime: Runtime, windows: np.ndarray, stage: Stage) -> np.ndarray:
        """Run windows as they are and along each set of mirrored axes; return the mean of the logits."""
        total: np.ndarray | None = None
        for axes in self._mirrors:
            mirrored = tuple(2 + axis for axis in axes)
            logits = np.flip(runtime.run(np.ascontiguousarray(np.flip(windows, mirrored))), mirrored)
            total = logits if total is None else total + logits
            stage.advance(len(windows))
        if total is None:
            raise ValueError("A prediction needs at least the unmirrored pass.")
        return total if len(self._mirrors) == 1 else total / np.float32(len(self._mirrors))

    def _average(self, image: np.ndarray, starts: Sequence[Shape], stage: Stage) -> np.ndarray:
        total = self._zeros((len(self.bundle.labels.outputs), *_shape(image)))
        of_logits = self._arithmetic == "nnunet"
        for runtime in self._runtimes:
            merged = self._merge(runtime, image, starts, stage)
            total += merged if of_logits else activate(merged, self.bundle.labels)
        total /= len(self._runtimes)
        return total if of_logits else _deactivate(total, self.bundle.labels)

    @property
    def _dtype(self) -> type[np.floating[Any]]:
        return np.float16 if self._arithmetic == "nnunet" else np.float32

    def _zeros(self, shape: tuple[int, ...]) -> np.ndarray:
        return _zeros(shape, self._dtype)

    def _box(self, start: Shape) -> tuple[slice, ...]:
        return tuple(slice(first, first + side) for first, side in zip(start, self._window, strict=True))

    def _small(self, shape: Shape) -> list[str]:
        """Warn of a scan smaller than the window, unless the training scans were about as small."""
        limits = zip(self._window, self._usual_shape(), strict=True)
        if all(size >= min(side, SMALL * usual) for size, (side, usual) in zip(shape, limits, strict=True)):
            return []
        here, window = (" x ".join(map(str, sizes)) for sizes in (shape, self._window))
        return [f"The prepared scan of {here} voxels is smaller than the model's window of {window}: zeros were added."]

    def _usual_shape(self) -> Sequence[float]:
        """Return the median shape of the training scans at the model's spacing; infinite where the card has none."""
        data = self.bundle.card.get("training_data", {})
        shape, spacing = data.get("median_shape"), data.get("median_spacing_mm")
        if not shape or not spacing:
            return (math.inf,) * 3
        wanted = self.bundle.recipe.preparation.spacing_mm
        return [size * there / (here or there) for size, there, here in zip(shape, spacing, wanted, strict=True)]


def _choose_runtime(bundle: ModelBundle, options: PredictorOptions) -> str:
    if options.runtime != "auto":
        return options.runtime
    has_onnx = all(fold.onnx is not None for fold in bundle.folds)
    on_processor = options.device == "cpu" or (options.device == "auto" and not _torch_has_gpu())
    return "openvino" if has_onnx and on_processor else "torch"


def _torch_has_gpu() -> bool:
    """Tell, without importing torch, whether it is installed with CUDA and a driver is there."""
    if not Path("/proc/driver/nvidia/version").exists():
        return False
    found = importlib.util.find_spec("torch")
    places = found.submodule_search_locations if found else None
    return any((Path(place) / "lib" / "libtorch_cuda.so").exists() for place in places or ())


def _subsets(axes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return every set of the axes, the empty one first."""
    every = sorted(set(axes))
    return tuple(itertools.chain.from_iterable(itertools.combinations(every, count) for count in range(len(every) + 1)))


def _chunks(starts: Sequence[Shape], size: int) -> Iterator[Sequence[Shape]]:
    for first in range(0, len(starts), size):
        yield starts[first : first + size]


def _shape(array: np.ndarray) -> Shape:
    return array.shape[-3], array.shape[-2], array.shape[-1]


def _deactivate(probability: np.ndarray, labels: Labels) -> np.ndarray:
    """Return logits (K, ...) that activate to these probabilities."""
    tiny = np.float32(1e-7)
    if labels.activation == "softmax":
        return np.asarray(np.log(np.maximum(probability, tiny)))
    inside = np.clip(probability, tiny, 1 - tiny)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _zeros(shape: tuple[int, ...], dtype: type[np.floating[Any]]) -> np.ndarray:
    """Return zeros: in memory, or on disk where they would take too large a share of it.

    Raises:
        ResourceError: neither has the room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= SHARE_OF_MEMORY * available_memory_gb() * 2**30:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="neuraxis-") as scratch:
        try:
            os.posix_fallocate(scratch.fileno(), 0, size)
        except OSError as error:
            raise ResourceError(
                f"The prediction needs {size / 2**30:.1f} GiB, more than memory and {tempfile.gettempdir()} have. Free "
                "one of them, or crop the scan."
            ) from error
        return np.memmap(scratch, dtype, "w+", shape=shape)
