"""The verbs as `import neuraxis as nx` offers them: datasets and scans as objects or as paths, options as keywords.

>>> import neuraxis as nx
>>> dataset = nx.open_dataset("ms-brain/")                            # doctest: +SKIP
>>> run = nx.fit(dataset, into="runs/a", budget_s=1800)               # doctest: +SKIP
>>> found = nx.segment("sub-01_FLAIR.nii.gz", run.bundle)             # doctest: +SKIP
>>> found.save("sub-01_seg.nii.gz")                                   # doctest: +SKIP
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_dataset, open_place
from neuraxis.dataset.opening import Place
from neuraxis.errors import UnknownName, UsageError
from neuraxis.progress import Progress
from neuraxis.registry import Catalog, need
from neuraxis.training.devices.options import Devices

if TYPE_CHECKING:
    from neuraxis.bundle.bundle import ModelBundle
    from neuraxis.dataset.checks.finding import Finding
    from neuraxis.dataset.prediction import Prediction
    from neuraxis.inference.runtimes.options import Precision
    from neuraxis.pipelines.fit import FitResult
    from neuraxis.preparation.store import Store
    from neuraxis.recipe.planner import Plan
    from neuraxis.recipe.recipe import Recipe
    from neuraxis.volume.volume import Volume

Data = Dataset | Path | str
Settings = Mapping[str, Any] | Sequence[str]


class FitKeywords(TypedDict, total=False):
    """The options of `fit`; see `neuraxis.pipelines.fit.FitOptions` and `neuraxis.pipelines.folds.fitting`."""

    recipe: str | Path
    settings: Settings
    budget_s: float | None
    fold: int
    folds: int | None
    jobs: int
    device: str
    devices: int
    deterministic: bool
    repeat: Path | str | None
    profile: bool
    previews: Sequence[Path | str]
    begin_with: Path | str | None
    add: Sequence[Path | str]
    allow_leak: bool


class TrainKeywords(TypedDict, total=False):
    """How `train` is run; see `neuraxis.pipelines.steps.TrainOptions`."""

    profile: bool
    previews: Sequence[Path | str]
    devices: int
    deterministic: bool
    allow_leak: bool


class SegmentKeywords(TypedDict, total=False):
    """The options of `segment`; see `neuraxis.inference.predictor.PredictorOptions`."""

    runtime: str
    precision: Precision
    device: str
    threads: int
    folds: tuple[int, ...]
    overlap: float | None
    mirror_axes: tuple[int, ...] | None
    probabilities: bool


class ImportKeywords(TypedDict, total=False):
    """The options of `import_bundle`; see `neuraxis.bundle.nnunet.importing.ImportOptions`."""

    configuration: str | None
    folds: tuple[int, ...]
    checkpoint: Literal["final", "best"]
    overwrite: bool


def fit(
    datasets: Data | Sequence[Data], into: Path | str, progress: Progress | None = None, **options: Unpack[FitKeywords]
) -> FitResult:
    """Train, validate and bundle a model; the same call again resumes.

    Args:
        datasets: one dataset or several, opened or as folders.
        into: folder of the run.
        progress: who shows how far it is.
        options: recipe, settings (`{"training.steps": 500}` or `["training.steps=500"]`), budget_s, fold, folds
            (how many to train) and jobs (how many of these at once), device, devices (how many share each batch),
            repeat, profile, previews (unlabelled scans to show while it learns), begin_with (a bundle), add (folders
            of corrected label maps or cases), allow_leak (one patient or scan may stand in two splits).

    Raises:
        UsageError: the folder holds another run.
        DataError: the data are refused.
        RecipeError: a wish is wrong.
    """
    from neuraxis.pipelines import fit as whole

    repeat, first = options.get("repeat"), options.get("begin_with")
    chosen = whole.FitOptions(
        into=Path(into),
        recipe=options.get("recipe", "auto"),
        settings=_settings(options.get("settings", ())),
        budget_s=options.get("budget_s"),
        fold=options.get("fold", 0),
        device=options.get("device", "auto"),
        devices=Devices(options.get("devices", 1)),
        deterministic=options.get("deterministic", False),
        repeat=Path(repeat) if repeat else None,
        profile=options.get("profile", False),
        previews=tuple(map(str, options.get("previews", ()))),
        begin_with=Path(first) if first else None,
        add=tuple(Path(folder) for folder in options.get("add", ())),
        allow_leak=options.get("allow_leak", False),
    )
    folds = options.get("folds")
    if folds is None:
        return whole.fit(_paths(datasets), chosen, progress)
    from neuraxis.pipelines.folds.fitting import fit_folds

    return fit_folds(_paths(datasets), chosen, folds, progress, options.get("jobs", 1))


def check(
    dataset: Data, progress: Progress | None = None, model: ModelBundle | Path | str | None = None
) -> tuple[Finding, ...]:
    """Look for what would spoil a training, or of a scan its segmentation with `model`; errors come first."""
    from neuraxis.dataset.checks.check import check_dataset
    from neuraxis.pipelines.checking.scans import check_scans, is_loose

    if not isinstance(dataset, Dataset) and (model is not None or is_loose(Path(dataset))):
        return tuple(finding for scan in check_scans([dataset], model) for finding in scan.findings)
    return check_dataset(dataset if isinstance(dataset, Dataset) else open_dataset(dataset), progress)


def plan(
    datasets: Data | Sequence[Data],
    recipe: str | Path = "auto",
    settings: Settings = (),
    progress: Progress | None = None,
) -> Plan:
    """Take every decision of a training, each with its reason.

    Args:
        datasets: one dataset or several, opened or as folders.
        recipe: name in the book or a TOML file, a variant's name after a colon.
        settings: wishes on top, such as `{"memory_gb": 16}`.
        progress: who shows how far it is.

    Raises:
        DataError: the data are refused.
        RecipeError: a wish is wrong.
    """
    from neuraxis.pipelines.steps import plan_datasets

    return plan_datasets(_paths(datasets), recipe, _settings(settings), progress)


def prepare(
    datasets: Data | Sequence[Data],
    recipe: Plan | Recipe | Path | str,
    into: Path | str,
    progress: Progress | None = None,
    overwrite: bool = False,
    copies: int = 0,
) -> Store:
    """Crop, resample and normalise every case into a store that `train` takes.

    Args:
        datasets: one dataset or several, opened or as folders.
        recipe: what `plan` returned, a recipe, a name in the book or a TOML file, a variant's name after a colon.
        into: folder of the store; cases that are there already are kept.
        progress: who shows how far it is.
        overwrite: replace a store of other data or decisions.
        copies: augmented copies of each case that trains.

    Raises:
        DataError: the data are refused.
        UsageError: `into` holds other files, or the store of other data or decisions.
    """
    from neuraxis.pipelines.copies.copies import StoreOptions
    from neuraxis.pipelines.steps import prepare_datasets

    with _as_file(recipe) as source:
        return prepare_datasets(_paths(datasets), source, (), Path(into), progress, StoreOptions(overwrite, copies))


def train(
    store: Store | Path | str,
    into: Path | str,
    fold: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    **options: Unpack[TrainKeywords],
) -> ModelBundle:
    """Train one fold of a prepared store; the same call again resumes.

    Args:
        store: what `prepare` returned, or its folder.
        into: folder of the run.
        fold: which one is held out.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        progress: who shows how far it is.
        options: profile (some steps into the folder), previews (unlabelled scans to show while it learns), devices
            (how many share each batch), allow_leak; they do not change what is trained.

    Returns:
        The bundle, whose card bears no scores yet.

    Raises:
        DataError: the folder is no store.
    """
    from neuraxis.bundle.bundle import open_bundle
    from neuraxis.pipelines.steps import TrainOptions, train_store

    folder = Path(store) if isinstance(store, str | Path) else store.folder
    previews = tuple(map(str, options.get("previews", ())))
    devices = Devices(options.get("devices", 1))
    flags = options.get("deterministic", False), options.get("allow_leak", False)
    how = TrainOptions(options.get("profile", False), previews, devices, *flags)
    return open_bundle(train_store(folder, Path(into), fold, device, progress, how))


def segment(
    scan: Volume | Path | str | Mapping[str, Path | str],
    model: ModelBundle | Path | str,
    progress: Progress | None = None,
    **options: Unpack[SegmentKeywords],
) -> Prediction:
    """Segment one scan in memory; `Prediction.save` writes it. For many scans at once see `segment_files`.

    Args:
        scan: a volume, a file, a folder with the channels of one case, or channel to file.
        model: an opened bundle, or where it lies.
        progress: who shows how far it is.
        options: runtime, precision, device, threads, folds, overlap, mirror_axes, probabilities.

    Returns:
        The segmentation on the scan's own grid.

    Raises:
        BundleError: the model is refused.
        DataError: the scan is refused, or there are several.
    """
    from neuraxis.bundle.bundle import open_bundle
    from neuraxis.inference.predictor import Predictor, PredictorOptions

    bundle = open_bundle(model) if isinstance(model, str | Path) else model
    volume, channels = _read_scan(scan, bundle)
    predictor = Predictor(bundle, PredictorOptions(**options))
    return predictor.predict(predictor.prepare(volume, channels), progress)


def import_bundle(source: Path | str, into: Path | str, **options: Unpack[ImportKeywords]) -> ModelBundle:
    """Turn a model of nnU-Net 2 or a bundle of MONAI into a bundle that segments as they do.

    Args:
        source: nnU-Net's folder of results or the zip that it exports; the folder of a bundle of MONAI, or its zip.
        into: `NAME.nxb`.
        options: overwrite; for nnU-Net also configuration, folds, checkpoint ("final" or "best").

    Raises:
        BundleError: it is no such model, unsafe, or cannot be imported exactly.
        UsageError: a fold or configuration is not there, or `into` exists.
        MissingExtra: torch, or monai for its networks, is not installed.
    """
    need("torch", "train")
    from neuraxis.bundle.bundle import open_bundle
    from neuraxis.bundle.monai.source import is_monai
    from neuraxis.bundle.nnunet.importing import ImportOptions, import_nnunet

    if is_monai(Path(source)):
        from neuraxis.bundle.monai.importing import import_monai

        overwrite = options.pop("overwrite", False)
        if ImportOptions(**options) != ImportOptions():
            raise UsageError(f"{source}: is a bundle of MONAI, which has no configurations, folds or checkpoints.")
        return open_bundle(import_monai(Path(source), Path(into), overwrite))
    return open_bundle(import_nnunet(Path(source), Path(into), ImportOptions(**options)))


def list_choices(kind: str = "") -> dict[str, dict[str, str]]:
    """Return kind to name to summary of what there is to choose from.

    Args:
        kind: networks, losses, layouts, formats, phantoms, recipes, metrics, runtimes, augmentations or forms; empty
            for all.

    Raises:
        UnknownName: there is no such kind; the message offers the nearest.

    >>> "unet" in list_choices("networks")["networks"]
    True
    """
    from neuraxis.dataset.layouts.catalog import LAYOUTS
    from neuraxis.dataset.phantoms.catalog import PHANTOMS
    from neuraxis.evaluation.catalog import METRICS
    from neuraxis.inference.runtimes.catalog import RUNTIMES
    from neuraxis.losses.catalog import LOSSES
    from neuraxis.networks.catalog import NETWORKS
    from neuraxis.patches.augment.catalog import AUGMENTATIONS
    from neuraxis.pipelines.forms.catalog import summaries
    from neuraxis.recipe.wishes import book_and_variants
    from neuraxis.volume.formats.catalog import FORMATS

    tables = {"networks": NETWORKS, "losses": LOSSES, "layouts": LAYOUTS, "metrics": METRICS, "runtimes": RUNTIMES}
    tables |= {"formats": FORMATS, "phantoms": PHANTOMS, "augmentations": AUGMENTATIONS}
    kinds = {**{name: _summaries(table) for name, table in tables.items()}, "recipes": book_and_variants()}
    kinds["forms"] = summaries()
    if kind and kind not in kinds:
        raise UnknownName("kind", kind, kinds)
    return {kind: kinds[kind]} if kind else kinds


def _summaries(table: Catalog) -> dict[str, str]:
    from neuraxis.networks.cost import example_in_words

    found = {}
    for name in table.names():
        extra = table.entries[name].extra if name in table.entries else ""
        cost = example_in_words(name) if table.kind == "network" else ""
        found[name] = table.summary(name) + cost + (f" (needs neuraxis[{extra}])" if extra else "")
    return found


def _read_scan(
    scan: Volume | Path | str | Mapping[str, Path | str], bundle: ModelBundle
) -> tuple[Volume, tuple[str, ...]]:
    """Return a scan, and its channels where they are known by name."""
    from neuraxis.pipelines.scans import find_cases

    if not isinstance(scan, Mapping | str | Path):
        return scan, ()
    named = [f"{channel}={path}" for channel, path in scan.items()] if isinstance(scan, Mapping) else [scan]
    orders = find_cases(named, bundle.channels, bundle.recipe.missing.by_channel)
    if len(orders) > 1:
        raise UsageError(f"{scan}: holds {len(orders)} cases where one is needed. Use segment_files for several.")
    if orders[0].case is None:
        raise orders[0].problem or UsageError(f"{scan}: holds no case.")
    return orders[0].case.read_images(apart=True), tuple(orders[0].case.images)


def _paths(datasets: Data | Sequence[Data]) -> list[Place]:
    """Return where datasets lie; one that was changed since it was opened cannot be named by its folder."""
    paths = []
    for dataset in [datasets] if isinstance(datasets, Dataset | str | Path) else datasets:
        place = Place(dataset.root, dataset.opening) if isinstance(dataset, Dataset) else Place(Path(dataset))
        if isinstance(dataset, Dataset) and open_place(place) != dataset:
            raise UsageError(
                f"{dataset.name}: was changed after it was opened, or its folder was. Needed is the dataset as it lies "
                "on disk: write the change to a folder of its own and open that."
            )
        paths.append(place)
    return paths


def _settings(settings: Settings) -> tuple[str, ...]:
    """Return settings as `key=value`; the value as JSON, which TOML reads the same way."""
    if isinstance(settings, Mapping):
        return tuple(f"{key}={json.dumps(value)}" for key, value in settings.items())
    return tuple(settings)


@contextmanager
def _as_file(recipe: Plan | Recipe | Path | str) -> Iterator[str | Path]:
    """Yield a recipe's name or file; one in memory goes through a temporary file."""
    if isinstance(recipe, str | Path):
        yield recipe
        return
    with tempfile.TemporaryDirectory(prefix="neuraxis-") as folder:
        path = Path(folder) / "recipe.toml"
        path.write_text(recipe.to_toml(), encoding="utf-8")
        yield path
