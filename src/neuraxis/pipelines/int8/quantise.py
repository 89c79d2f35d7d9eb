"""`bundle quantise`: add int8 networks to a bundle, and to its card what they lose."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuraxis.bundle.bundle import SUFFIX, FoldFiles, ModelBundle, open_bundle, parts_of, write_bundle
from neuraxis.bundle.card import Int8
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_place
from neuraxis.dataset.opening import Place
from neuraxis.errors import BundleError, UsageError
from neuraxis.files import refuse_existing
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.pipelines.int8.cases import Deal, check_fits, deal_cases
from neuraxis.pipelines.int8.loss import NOTE, default_precision, mean_dice, measure_dice
from neuraxis.preparation.prepare import prepare_dataset
from neuraxis.preparation.store import Store
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.branches.labels import relabel
from neuraxis.registry import need

Setting = tuple[Path, Progress]


@dataclass(frozen=True)
class QuantiseOptions:
    """How a bundle is quantised.

    Attributes:
        cases: ids of the cases that measure the loss; empty takes those that were held out where the bundle was trained
            on this dataset, else up to half of all.
        patches: how many patches calibrate each fold.
        overwrite: whether int8 networks that are there, or an existing file, may be replaced.

    Raises:
        UsageError: there is not at least one patch.
    """

    cases: tuple[str, ...] = ()
    patches: int = 32
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.patches < 1:
            raise UsageError(f"--patches {self.patches}: needed is at least one, to take the ranges of values from.")


def quantise_bundle(
    model: ModelBundle | Path | str,
    data: Dataset | Place | Path | str,
    into: Path | str | None = None,
    options: QuantiseOptions | None = None,
    progress: Progress | None = None,
) -> ModelBundle:
    """Add an int8 network for each fold, calibrated on patches of labelled cases, and measure what it loses.

    Patches are drawn as in training, without augmentation; the same call draws the same ones. They come from cases that
    do not measure, where there is more than one.

    Args:
        model: an opened bundle, or where it lies.
        data: a labelled dataset of the model's channels and structures, opened or as a folder.
        into: the bundle to write, `NAME.nxb`; None adds to the bundle itself.
        options: which cases measure, how many patches calibrate.
        progress: who shows how far it is.

    Returns:
        The written bundle, opened.

    Raises:
        BundleError: the model is refused, has no ONNX network or is a cascade, or NNCF cannot quantise it.
        DataError: the dataset does not fit the model, or a case is refused.
        UsageError: it is quantised already or `into` exists, and `overwrite` is false; or no case has a named id.
        ResourceError: memory or disk is lacking.
        MissingExtra: nncf, onnx or onnxruntime is not installed.
    """
    options = options or QuantiseOptions()
    bundle = model if isinstance(model, ModelBundle) else open_bundle(model)
    into = _place(bundle, into, options.overwrite)
    _refuse_unfit(bundle)
    for package, extra in (("nncf", "train"), ("onnx", "train"), ("onnxruntime", "onnx")):
        need(package, extra)
    dataset = data if isinstance(data, Dataset) else open_place(data)
    if not dataset.labels.agrees(bundle.labels):
        dataset = relabel(dataset, bundle.recipe.labels)
    check_fits(dataset, bundle)
    deal = deal_cases(bundle, dataset, options.cases)
    parts, progress = parts_of(bundle), progress or Silent()
    with tempfile.TemporaryDirectory(prefix="neuraxis-") as name:
        folder = Path(name)
        folds = _quantise_folds(bundle, dataset, deal, options.patches, (folder, progress))
        quantised = replace(bundle, folds=folds)
        card = parts.card.model_copy(update={"int8": _measure(quantised, dataset, deal, options, (folder, progress))})
        write_bundle(replace(parts, card=card, folds=folds), into, overwrite=True)  # it was refused above if it may not
    return open_bundle(into)


def _place(bundle: ModelBundle, into: Path | str | None, overwrite: bool) -> Path:
    """Return where the result goes.

    Raises:
        UsageError: something is there that may not be replaced, or the bundle is a folder and no file is named.
    """
    if into is not None:
        into = Path(into)
        if into.suffix != SUFFIX:
            raise UsageError(f"{into}: the name of a bundle ends in {SUFFIX}. Name it {into.stem}{SUFFIX}.")
        refuse_existing(into, overwrite)
        return into
    if bundle.path.is_dir():
        raise UsageError(f"{bundle.path}: is a folder, to which nothing is added. Name a file with --into NAME.nxb.")
    if any(fold.int8 for fold in bundle.folds) and not overwrite:
        raise UsageError(f"{bundle.path}: is quantised already. Add --overwrite to do it again.")
    return bundle.path


def _refuse_unfit(bundle: ModelBundle) -> None:
    if bundle.previous is not None:
        text = "is the second stage of a cascade, whose input the dataset does not hold, so it cannot be calibrated."
        raise BundleError(f"{bundle.path}: {text} Segment with --precision bf16.")
    if bundle.members:
        text = f"is an ensemble of {1 + len(bundle.members)} models that were planned differently."
        raise BundleError(f"{bundle.path}: {text} Quantise one of the models by itself, or use --precision bf16.")
    for fold in bundle.folds:
        if fold.onnx is None:
            text = f"fold {fold.index} has no ONNX file, so there is nothing to quantise."
            raise BundleError(f"{bundle.path}: {text} Export the model again with its ONNX networks.")


def _quantise_folds(
    bundle: ModelBundle, dataset: Dataset, deal: Deal, patches: int, setting: Setting
) -> tuple[FoldFiles, ...]:
    """Prepare the cases that calibrate, and write each fold's int8 network."""
    folder, progress = setting
    wanted = {id for ids in deal.calibrating.values() for id in ids}
    store = prepare_dataset(dataset.only(wanted), bundle.recipe.preparation, folder / "prepared", progress)
    from neuraxis.pipelines.int8.network import quantise_network  # after the processes that prepare: it is large

    folds = []
    with progress.stage("calibrate", patches * len(bundle.folds)) as stage:
        for fold in bundle.folds:
            sampler = _sampler(bundle, store, deal.calibrating[fold.index])

            def cut(number: int, sampler: PatchSampler = sampler) -> np.ndarray:
                image, _ = sampler.cut(sampler.place(number, 0))
                stage.advance()
                return image

            folds.append(replace(fold, int8=quantise_network(fold, patches, cut, folder)))
    return tuple(folds)


def _sampler(bundle: ModelBundle, store: Store, ids: tuple[str, ...]) -> PatchSampler:
    recipe = bundle.recipe
    shape = recipe.patches.shape
    return PatchSampler(store, ids, SamplerOptions(shape, shape, 1, recipe.patches.foreground, recipe.seed))


def _measure(bundle: ModelBundle, dataset: Dataset, deal: Deal, options: QuantiseOptions, setting: Setting) -> Int8:
    """Measure the Dice in each precision and return what the card says of it."""
    from neuraxis.pipelines.int8.quiet_nncf import VERSIONS

    folder, progress = setting
    structures = measure_dice(bundle, dataset, deal.measuring, folder / "compiled", progress)
    dice = mean_dice(structures)
    return Int8(
        structures=structures,
        dice=dice,
        dice_loss=None if dice.fp32 is None or dice.int8 is None else dice.fp32 - dice.int8,
        default_precision=default_precision(),
        cases=deal.cases,
        held_out=deal.held_out,
        notes=(*deal.notes, NOTE),
        calibration_patches=options.patches,
        calibration_cases=max(len(ids) for ids in deal.calibrating.values()),
        versions=VERSIONS,
    )
