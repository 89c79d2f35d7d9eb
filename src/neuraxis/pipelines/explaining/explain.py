"""`explain`: what a model looked at in scans, as maps on their own grids and as one page.

Each scan is segmented first; its maps explain that segmentation. In a batch a bad case does not stop the others.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neuraxis._version import __version__
from neuraxis.bundle.bundle import SUFFIX, ModelBundle, open_bundle
from neuraxis.dataset.prediction import DISCLAIMER, Prediction
from neuraxis.errors import BundleError, DataError, NeuraxisError, ResourceError, UsageError
from neuraxis.files import refuse_existing, write_json, write_text
from neuraxis.inference.predictor import Predictor, PredictorOptions, Ready
from neuraxis.pipelines.explaining.files import FORMAT, file_names, write_map
from neuraxis.pipelines.scans import Order, find_cases
from neuraxis.preparation.space.gather import reference_of
from neuraxis.progress import Progress, Silent
from neuraxis.registry import need
from neuraxis.report.browser.slices import bytes_a_case
from neuraxis.report.explaining.heat import HeatCase, HeatCut
from neuraxis.report.explaining.page import explanation_html
from neuraxis.report.explaining.told import CaseFiles, GateFiles, GradCamFile
from neuraxis.report.overlays import Overlay
from neuraxis.volume.formats import any_format

if TYPE_CHECKING:
    from neuraxis.inference.explaining.explainer import Explainer

Kind = Literal["all", "gradcam", "experts"]
PAGE = "explanation.html"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExplainOptions:
    """What is explained, and how.

    Attributes:
        kind: Grad-CAM++ maps, maps of experts, or "all": both where the network has experts.
        labels: labels or regions; empty means all but the background.
        layer: whose features are weighed; empty means the network's bottleneck.
        fold: the one to look into; None averages the maps of all, and takes the experts of the first.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        threads: processor threads; 0 means one per usable core.
        overwrite: whether results that exist already are replaced.
        cache: folder for compiled models; None means the user's own.
    """

    kind: Kind = "all"
    labels: tuple[str, ...] = ()
    layer: str = ""
    fold: int | None = None
    device: str = "auto"
    threads: int = 0
    overwrite: bool = False
    cache: Path | None = None


@dataclass(frozen=True)
class ExplainResult:
    """How one case went.

    Attributes:
        case: its id.
        sidecar: its `CASE.json`; None where it failed.
        maps: what that holds.
        error: why it failed, in words.
        exit_code: 0, or that of the error.
    """

    case: str
    sidecar: Path | None = None
    maps: CaseFiles | None = None
    error: str | None = None
    exit_code: int = 0


def explain(
    scans: str | Path | Sequence[str | Path],
    model: str | Path | ModelBundle,
    into: str | Path,
    options: ExplainOptions | None = None,
    progress: Progress | None = None,
) -> tuple[ExplainResult, ...]:
    """Show what a model looked at in scans.

    Args:
        scans: files, folders, or `CHANNEL=FILE` pairs of one case (see `find_cases`).
        model: a bundle, or where it lies; its weights are needed, ONNX alone is not enough.
        into: folder for the maps (`CASE_gradcam-LABEL.nii.gz`, `CASE_experts-GATE.nii.gz`, `CASE_gates-GATE.nii.gz`),
            the segmentation (`CASE_seg.nii.gz`), `CASE.json`, and `explanation.html`.
        options: what is explained.
        progress: told how far it is.

    Returns:
        How each case went, by rising id; a case that failed is among them with its error.

    Raises:
        BundleError: the model is refused, or holds nothing that can be looked into.
        DataError: nothing was found, or it cannot be told which files make a case.
        UsageError: there is no such label, layer or device, experts are asked for where there are none, or a result
            exists already.
        MissingExtra: torch is not installed.
    """
    options, into = options or ExplainOptions(), Path(into)
    bundle = model if isinstance(model, ModelBundle) else _opened(Path(model), options)
    named = [scans] if isinstance(scans, str | Path) else scans
    orders = find_cases(named, bundle.channels, bundle.recipe.missing.by_channel)
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into}: is a file. Name a folder with --into.")
    need("torch", "train")
    from neuraxis.inference.explaining.explainer import Explainer

    explainer = Explainer(bundle, options.fold, options.layer, options.device, options.threads)
    labels = explainer.names(options.labels)
    if options.kind == "experts" and not explainer.gates:
        network = bundle.recipe.network.name
        raise UsageError(
            f"--kind experts: the network '{network}' of the model '{bundle.name}' has no experts. Leave it out."
        )
    _refuse_outputs(orders, [into / name for name in _outputs(orders, labels, explainer, options)], options.overwrite)
    folds = () if options.fold is None else (options.fold,)
    wanted = PredictorOptions(device=options.device, threads=options.threads, folds=folds, cache=options.cache)
    work = _Work(Predictor(bundle, wanted), explainer, labels, options, into, bytes_a_case(len(orders)))
    results = tuple(_tried(work, order, progress or Silent()) for order in orders)
    done = [result.maps for result in results if result.maps is not None]
    if done:
        write_text(into / PAGE, explanation_html(done, work.pictures, _facts(bundle)), options.overwrite)
    return results


@dataclass(frozen=True, eq=False)
class _Scan:
    """A case under way: what the networks see of it, its segmentation (X, Y, Z), and its slices for the page."""

    id: str
    ready: Ready
    segmentation: np.ndarray
    cut: HeatCut


@dataclass(frozen=True, eq=False)
class _Work:
    """What every case needs.

    Attributes:
        pictures: the cases as the page shows them, as they are done.
        room: bytes that each of them may take.
    """

    predictor: Predictor
    explainer: Explainer
    labels: tuple[str, ...]
    options: ExplainOptions
    into: Path
    room: int
    pictures: list[HeatCase] = field(default_factory=list)

    def case(self, order: Order, progress: Progress) -> ExplainResult:
        """Segment and explain one case, and write its files."""
        if order.case is None:
            raise order.problem or DataError(f"{order.id}: has no image. Add one or leave the case out.")
        volume, channels = order.case.read_images(apart=True), tuple(order.case.images)
        ready = self.predictor.staged(self.predictor.prepare(volume, channels), progress)
        image = reference_of(volume, channels, self.predictor.bundle.recipe.preparation).array[0]
        del volume
        prediction = self.predictor.predict_staged(ready, progress)
        self.into.mkdir(parents=True, exist_ok=True)
        scan = _Scan(order.id, ready, prediction.segmentation.array[0], self._cut(order.id, image, prediction))
        gradcam, warnings = self._gradcam(scan, progress)
        experts = self._experts(scan, progress)
        name, bundle = f"{order.id}_seg.nii.gz", self.predictor.bundle
        self._write(name, prediction.segmentation.array, scan, "neuraxis segmentation")
        told, fold = (*prediction.warnings, *warnings), self.explainer.experts_fold
        case = CaseFiles(order.id, bundle.name, bundle.hash, name, gradcam, experts, fold, told)
        sidecar = self.into / f"{order.id}.json"
        images = {channel: any_format.shown(file.path) for channel, file in order.case.images.items()}
        write_json(sidecar, {**self._content(case, prediction), "images": images}, self.options.overwrite)
        self.pictures.append(scan.cut.done())
        return ExplainResult(order.id, sidecar, case)

    def _cut(self, id: str, image: np.ndarray, prediction: Prediction) -> HeatCut:
        found = prediction.segmentation
        volumes = ", ".join(f"{name} {volume:.3g} mL" for name, volume in prediction.volumes_ml().items())
        overlay = Overlay(id, volumes, image, None, found.array[0], found.grid.spacing_mm, prediction.labels)
        maps = len(self.labels) * (self.options.kind != "experts")
        gates = len(self.explainer.gates) * (self.options.kind != "gradcam")
        return HeatCut(overlay, self.room, maps + gates)

    def _write(self, name: str, array: np.ndarray, scan: _Scan, words: str) -> None:
        write_map(self.into / name, array, scan.ready.scan, words, self.options.overwrite)

    def _gradcam(self, scan: _Scan, progress: Progress) -> tuple[tuple[GradCamFile, ...], list[str]]:
        """Write the map of each label; return what they are, and warnings."""
        if self.options.kind == "experts":
            return (), []
        warnings, found = [], []
        files = file_names(scan.id, self.labels, "gradcam")
        maps = self.explainer.maps(scan.ready, scan.segmentation, self.labels, progress)
        for one, name in zip(maps, files, strict=True):
            mask = np.isin(scan.segmentation, self.predictor.bundle.labels.scored.get(one.label, (0,)))
            layers = ", ".join(dict.fromkeys(network.layer for network in one.networks))
            self._write(name, one.array[None], scan, f"neuraxis Grad-CAM++ of {one.label}, layer {layers}, 0 to 1")
            scan.cut.add_heat(f"Grad-CAM++ of {one.label}", one.array, f"layer {layers}")
            networks = tuple(asdict(network) for network in one.networks)
            found.append(GradCamFile(one.label, name, int(mask.sum()), _lift(one.array, mask), networks))
            if not one.voxels:
                warnings.append(f"The model found no '{one.label}', so there is nothing to explain: its map is 0.")
            elif not one.array.any():
                layer = one.networks[0].layer
                warnings.append(
                    f"Nothing in layer {layer} speaks for '{one.label}': its map is 0. Try another --layer."
                )
        return tuple(found), warnings

    def _experts(self, scan: _Scan, progress: Progress) -> tuple[GateFiles, ...]:
        """Write the maps of each gate, one after another; return what they are."""
        if self.options.kind == "gradcam" or not self.explainer.gates:
            return ()
        names = [gate.name for gate in self.explainer.gates]
        files = zip(file_names(scan.id, names, "experts"), file_names(scan.id, names, "gates"), strict=True)
        structures = self.predictor.bundle.labels.scored
        found = []
        for one, (first, weights) in zip(self.explainer.gate_maps(scan.ready, progress), files, strict=True):
            best, gate = one.first(), one.gate
            self._write(first, best[None], scan, f"neuraxis expert of most weight, {gate.name}, 1 to {gate.experts}")
            self._write(weights, one.weights, scan, f"neuraxis weights of {gate.experts} experts, {gate.name}")
            scan.cut.add_classes(f"Experts of {gate.name}", best, gate.experts)
            within = {}
            for name, numbers in structures.items():
                if (taken := best[np.isin(scan.segmentation, numbers) & (best > 0)]).size:
                    counts = np.bincount(taken, minlength=gate.experts + 1)[1:]
                    within[name] = [round(float(count) / taken.size, 4) for count in counts]
            found.append(GateFiles(gate.name, gate.place, gate.chosen, first, weights, one.shares, within))
        return tuple(found)

    def _content(self, case: CaseFiles, prediction: Prediction) -> dict[str, Any]:
        about = {
            "format": FORMAT,
            **asdict(case),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "neuraxis": __version__,
            "volumes_ml": prediction.volumes_ml(),
            "labels": prediction.labels.model_dump(exclude_defaults=True),
            "notice": DISCLAIMER,
        }
        if not case.gradcam:
            return about
        return {**about, "method": "Grad-CAM++ (arXiv:1710.11063) of the mean logit over the label's voxels"}


def _lift(array: np.ndarray, mask: np.ndarray) -> float:
    """Return how many times brighter a map is in a mask than in the rest; 0 where either has nothing."""
    count, total = int(mask.sum()), float(array.sum(dtype=np.float64))
    inside = float(array[mask].sum(dtype=np.float64))
    if not count or count == mask.size or total <= inside:
        return 0.0
    return round(inside / count / ((total - inside) / (mask.size - count)), 2)


def _facts(bundle: ModelBundle) -> dict[str, str]:
    return {
        "model": bundle.name,
        "network": bundle.recipe.network.name,
        "model hash": bundle.hash,
        "neuraxis": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _outputs(
    orders: Sequence[Order], labels: Sequence[str], explainer: Explainer, options: ExplainOptions
) -> list[str]:
    """Return the names of all files that will be written."""
    gates = [gate.name for gate in explainer.gates] if options.kind != "gradcam" else []
    found = [PAGE]
    for order in orders:
        found += [f"{order.id}.json", f"{order.id}_seg.nii.gz"]
        found += file_names(order.id, labels, "gradcam") if options.kind != "experts" else ()
        found += [*file_names(order.id, gates, "experts"), *file_names(order.id, gates, "gates")]
    return found


def _refuse_outputs(orders: Sequence[Order], outputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse to replace a result without leave, and to replace a scan at all."""
    scans = {file.path.resolve() for order in orders if order.case for file in order.case.images.values()}
    for file in outputs:
        if file.resolve() in scans:
            raise UsageError(f"{file}: is one of the scans and would be replaced. Name another place with --into.")
        refuse_existing(file, overwrite)


def _opened(path: Path, options: ExplainOptions) -> ModelBundle:
    if path.suffix == ".onnx" and path.is_file():
        raise BundleError(
            f"{path}: is a network as ONNX alone, which can be run but not looked into. Name the {SUFFIX} file "
            "that it is from."
        )
    return open_bundle(path, options.cache)


def _tried(work: _Work, order: Order, progress: Progress) -> ExplainResult:
    """Explain one case; what can go wrong with it is its result."""
    try:
        return work.case(order, progress)
    except NeuraxisError as error:
        return ExplainResult(order.id, error=str(error), exit_code=error.exit_code)
    except MemoryError:
        text = f"{order.id}: memory ran out. Close other programs, crop the scan or use a larger machine."
        return ExplainResult(order.id, error=text, exit_code=ResourceError.exit_code)
    except Exception as error:
        log.exception("%s: failed by a fault of the program", order.id)
        text = f"{order.id}: failed by a fault of the program ({type(error).__name__}: {error}). Please report it."
        return ExplainResult(order.id, error=text, exit_code=NeuraxisError.exit_code)
