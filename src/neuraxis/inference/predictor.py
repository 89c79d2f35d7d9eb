"""From a scan to its segmentation: prepare, predict window by window, return to the scan's own grid.

Knows no engine: a runtime is reached by its name.
"""

from __future__ import annotations

import importlib.util
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis._version import __version__
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.prediction import Prediction
from neuraxis.errors import UsageError
from neuraxis.inference.cascade import FirstStage
from neuraxis.inference.ensemble import average
from neuraxis.inference.intake import examine_scan
from neuraxis.inference.postprocessing import postprocess
from neuraxis.inference.prompted.hints import ORACLE, Hints, Laid
from neuraxis.inference.prompted.prompting import Prompting, asking, is_prompted
from neuraxis.inference.runtimes.catalog import RUNTIMES
from neuraxis.inference.runtimes.options import Precision, Runtime, RuntimeOptions
from neuraxis.inference.tiling import Tiling, zeros
from neuraxis.inference.vertebrae.naming import name_in_order
from neuraxis.patches.grid import Shape
from neuraxis.preparation.missing import with_missing
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.space.gather import reference_of
from neuraxis.preparation.steps import Restored, restore
from neuraxis.progress import Progress
from neuraxis.volume.volume import Volume

SMALL = 0.75


@dataclass(frozen=True)
class PredictorOptions:
    """How scans are predicted; what is left at None stands in the model's recipe.

    Attributes:
        runtime: a name of the catalog, or "auto": OpenVINO on processors, torch on a GPU.
        precision: "auto" takes bf16 where the hardware multiplies it and windows are not tiny; "int8" needs a bundle
            that was quantised.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        threads: processor threads; 0 means one per usable core.
        folds: which folds' networks are averaged, of each model of an ensemble; empty means all. The first stage of a
            cascade always takes all.
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


@dataclass(frozen=True, eq=False)
class Ready:
    """A scan that was examined and prepared.

    Attributes:
        scan: its grid, its file and name, without values; for a cascade with them.
        prepared: what the networks see; of a cascade, those of its first stage.
        warnings: where the result may be wrong, in words.
        missing: channels of the model that the scan does not have.
        others: what the further models of an ensemble see.
        hints: where the prompts come from, of a network that is told where to look.
    """

    scan: Volume
    prepared: Prepared
    warnings: tuple[str, ...]
    missing: tuple[str, ...] = ()
    others: tuple[Prepared, ...] = ()
    hints: Laid | None = None


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
        self._tiling = Tiling.of(bundle, options.overlap, options.mirror_axes)
        self._prompting = Prompting.of(bundle) if is_prompted(bundle) else None
        self._first: FirstStage | None = None
        if bundle.previous is not None:
            alone = Predictor(bundle.previous, replace(options, folds=(), probabilities=False))
            self._first = FirstStage(alone, bundle)
        self._others = tuple(Predictor(other, replace(options, probabilities=True)) for other in bundle.members)
        self._folds = options.folds or tuple(fold.index for fold in bundle.folds)
        self._runtime_name = _choose_runtime(bundle, options)
        self._runtimes = tuple(runtimes) or tuple(self._load(fold) for fold in self._folds)

    def prepare(self, volume: Volume, channels: tuple[str, ...] = (), hints: Hints | None = None) -> Ready:
        """Examine and prepare a scan; another thread may do so while this one predicts.

        Args:
            volume: (C, X, Y, Z), its channels in the order of the bundle's, on one grid or apart.
            channels: those that it has, where the model learned to do without the others; left out, all.
            hints: where prompts come from, for a network that is told where to look; left out, as its recipe says.

        Raises:
            DataError: the scan is refused (see `examine_scan`).
            UsageError: a prompt lies outside of it, or the model takes none.
        """
        if hints is not None and self._prompting is None:
            raise UsageError(f"{self.bundle.path}: is not told where to look. Leave --prompts, --box and --point out.")
        warnings, every = examine_scan(volume, self.bundle, channels), self.bundle.channels
        if self._first is not None:
            prepared = self._first.prepare(volume)
            return Ready(volume, prepared, (*warnings, *prepared.warnings))
        prepared = prepare_volume(volume, channels or every, self.bundle.recipe.preparation)
        missing = tuple(name for name in every if channels and name not in channels)
        if missing:
            whole = with_missing(prepared.image, channels, every, self.bundle.recipe.missing.fill)
            prepared = replace(prepared, image=whole)
        native = reference_of(volume, channels or every, self.bundle.recipe.preparation)
        ready = self._ready(native, prepared, (*warnings, *prepared.warnings))
        if self._prompting is not None:
            ready = replace(ready, hints=self._prompting.lay(hints, native, prepared.way_back))
        others = [other.prepare(volume, channels) for other in self._others]
        told = dict.fromkeys((*ready.warnings, *(warning for other in others for warning in other.warnings)))
        further = tuple(other.prepared for other in others)
        return replace(ready, warnings=tuple(told), missing=missing, others=further)

    def predict(self, scan: Volume | Ready, progress: Progress | None = None) -> Prediction:
        """Segment a scan.

        Args:
            scan: (C, X, Y, Z), its channels in the order of the bundle's; or what `prepare` made of it.
            progress: shown one unit for each window and network pass.

        Returns:
            The segmentation on the scan's own grid, with warnings where the result may be wrong.

        Raises:
            DataError: the scan is refused (see `examine_scan`).
            ResourceError: memory or disk is lacking.
        """
        ready = self.prepare(scan) if isinstance(scan, Volume) else scan
        return self.predict_staged(self.staged(ready, progress), progress)

    def staged(self, ready: Ready, progress: Progress | None = None) -> Ready:
        """Return a scan as the last networks see it; in a cascade the first stage predicts it for them."""
        if self._first is None:
            return ready
        prepared, doubts = self._first.prepare_second(ready.scan, ready.prepared, progress)
        return self._ready(ready.scan, prepared, (*ready.warnings, *doubts))

    def predict_staged(self, ready: Ready, progress: Progress | None = None) -> Prediction:
        """Segment what `staged` returned, as `predict` does."""
        found, changes, doubts = self._finish(self._joined(ready, progress), ready.prepared)
        empty = () if found.segmentation.any() else ("Nothing was found: the segmentation is empty.",)
        return Prediction(
            ready.scan.with_array(found.segmentation[None]),
            self.bundle.labels,
            None if found.probability is None else ready.scan.with_array(found.probability),
            {**self.provenance(), **self._filled(ready.missing), **_prompts(ready), **changes},
            (*ready.warnings, *doubts, *empty, *_oracle(ready)),
        )

    def predict_prepared(self, prepared: Prepared, progress: Progress | None = None) -> Restored:
        """Predict a prepared scan, return to the grid that it was prepared from, and apply the recipe's rules there."""
        return self._finish(self._restored(prepared, progress), prepared)[0]

    def _joined(self, ready: Ready, progress: Progress | None) -> Restored:
        """Predict with this model, and in an ensemble with all of them."""
        if not self._others:
            return self._restored(ready.prepared, progress, ready.hints)
        pairs = zip((self, *self._others), (ready.prepared, *ready.others), strict=True)
        found = average((model._restored(prepared, progress) for model, prepared in pairs), self.bundle.labels)
        return found if self.options.probabilities else replace(found, probability=None)

    def _restored(self, prepared: Prepared, progress: Progress | None, hints: Laid | None = None) -> Restored:
        if self._prompting is not None:
            slabs = self._prompting.slabs(prepared.image, hints, [*map(asking, self._runtimes)], progress)
        else:
            slabs = self._tiling.slabs(prepared.image, self._runtimes, progress)
        arithmetic, kept = self._tiling.how.arithmetic, self.options.probabilities or bool(self._others)
        return restore(slabs, prepared.way_back, self.bundle.labels, arithmetic, kept)

    def _finish(self, found: Restored, prepared: Prepared) -> tuple[Restored, dict[str, Any], tuple[str, ...]]:
        """Apply the recipe's rules to a segmentation; return it with what the sidecar says of that, and warnings."""
        rules, labels = self.bundle.recipe.postprocessing, self.bundle.labels
        if not rules.rules:
            return found, {}, ()
        home = prepared.way_back.home
        spine = name_in_order(found.segmentation, labels, rules.ordered, home) if rules.ordered else None
        named = spine.label_map if spine else found.segmentation
        segmentation, changes = postprocess(named, labels, rules, 1000 * home.voxel_ml)
        content = {
            "rules": list(rules.in_words()),
            "changes": {name: asdict(change) for name, change in changes.items()},
            **({"order": spine.facts} if spine else {}),
        }
        return replace(found, segmentation=segmentation), {"postprocessing": content}, spine.warnings if spine else ()

    def logits(self, image: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Predict a prepared image (C, X, Y, Z) of any size: logits (K, X, Y, Z) float32; see `Tiling.slabs`."""
        whole, plane = zeros((len(self.bundle.labels.outputs), *image.shape[1:])), 0
        for slab in self._tiling.slabs(image, self._runtimes, progress):
            whole[:, plane : plane + slab.shape[1]] = slab
            plane += slab.shape[1]
        return whole

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
                "window": list(self._tiling.window),
                "overlap": self._tiling.how.overlap,
                "mirror_axes": sorted(set(self._tiling.how.mirror_axes)),
            },
            **({} if self._first is None else {"previous_stage": self._first.provenance()}),
            **({"members": [_briefly(other.provenance()) for other in self._others]} if self._others else {}),
        }

    def _filled(self, missing: tuple[str, ...]) -> dict[str, Any]:
        return {"missing_channels": dict.fromkeys(missing, self.bundle.recipe.missing.fill)} if missing else {}

    def _ready(self, volume: Volume, prepared: Prepared, warnings: tuple[str, ...]) -> Ready:
        without_values = volume.with_array(np.empty((0, *volume.grid.shape), np.float32))
        return Ready(without_values, prepared, (*warnings, *self._small(prepared.way_back.shape)))

    def _load(self, fold: int) -> Runtime:
        kind = RUNTIMES.load(self._runtime_name)
        wanted = self.options
        loaded: Runtime = kind(
            self.bundle, RuntimeOptions(fold, wanted.precision, wanted.threads, wanted.device, wanted.cache)
        )
        return loaded

    def _small(self, shape: Shape) -> list[str]:
        """Warn of a scan smaller than the window, unless the training scans were about as small."""
        limits = zip(self._tiling.window, _usual_shape(self.bundle), strict=True)
        if all(size >= min(side, SMALL * usual) for size, (side, usual) in zip(shape, limits, strict=True)):
            return []
        here, window = (" x ".join(map(str, sizes)) for sizes in (shape, self._tiling.window))
        return [f"The prepared scan of {here} voxels is smaller than the model's window of {window}: zeros were added."]


def _usual_shape(bundle: ModelBundle) -> Sequence[float]:
    """Return the median shape of the training scans at the model's spacing; infinite where the card has none."""
    data = bundle.card.get("training_data", {})
    shape, spacing = data.get("median_shape"), data.get("median_spacing_mm")
    if not shape or not spacing:
        return (math.inf,) * 3
    wanted = bundle.recipe.preparation.spacing_mm
    return [size * there / (here or there) for size, there, here in zip(shape, spacing, wanted, strict=True)]


def _oracle(ready: Ready) -> tuple[str, ...]:
    return (ORACLE,) if ready.hints and ready.hints.hints.is_oracle else ()


def _prompts(ready: Ready) -> dict[str, Any]:
    return ready.hints.hints.provenance() if ready.hints else {}


def _briefly(provenance: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in provenance.items() if key != "versions"}


def _choose_runtime(bundle: ModelBundle, options: PredictorOptions) -> str:
    if options.runtime != "auto":
        return options.runtime
    has_onnx = all(fold.onnx is not None for fold in bundle.folds)
    can_be_gpu = options.device == "auto" and options.precision != "int8"  # torch has no int8
    on_processor = options.device in ("auto", "cpu") and not (can_be_gpu and _torch_has_gpu())
    return "openvino" if has_onnx and on_processor else "torch"


def _torch_has_gpu() -> bool:
    """Tell, without importing torch, whether it is installed with CUDA and a driver is there."""
    if not Path("/proc/driver/nvidia/version").exists():
        return False
    found = importlib.util.find_spec("torch")
    places = found.submodule_search_locations if found else None
    return any((Path(place) / "lib" / "libtorch_cuda.so").exists() for place in places or ())
