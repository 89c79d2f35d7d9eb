"""From a trained model of nnU-Net to a bundle: the same weights, and a recipe that does what its predictor does."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from neuraxis.bundle.bundle import BundleParts, FoldFiles, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.bundle.members import PREVIOUS
from neuraxis.bundle.nnunet.checkpoint import Checkpoint, ours, read_checkpoint
from neuraxis.bundle.nnunet.layers import not_exact
from neuraxis.bundle.nnunet.plans import Planned, Training, translate
from neuraxis.bundle.nnunet.source import TrainedModel, choose, previous_model, trained_models
from neuraxis.errors import BundleError, UsageError
from neuraxis.files import refuse_existing
from neuraxis.networks.catalog import NETWORKS

CITATION = "Isensee et al. 2021, nnU-Net, Nature Methods 18:203-211, doi:10.1038/s41592-020-01008-z"

RAS = "turned to RAS+"
OTHER_ORIENTATION = "Scans stored in another orientation than those it learned from may fare worse."


@dataclass(frozen=True)
class ImportOptions:
    """What is taken of a trained model.

    Attributes:
        configuration: which one, where several are there: "2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres".
        folds: which ones; empty for all. Of a cascade, of both stages.
        checkpoint: "final", as nnU-Net predicts by default, or "best".
        overwrite: whether an existing bundle may be replaced.
    """

    configuration: str | None = None
    folds: tuple[int, ...] = ()
    checkpoint: str = "final"
    overwrite: bool = False


def import_nnunet(source: Path, into: Path, options: ImportOptions | None = None) -> Path:
    """Turn a trained model of nnU-Net 2 into a bundle.

    Args:
        source: its folder of results, or the zip that nnU-Net exports.
        into: `NAME.nxb`.
        options: what is taken of it.

    Returns:
        The bundle.

    Raises:
        BundleError: it is no such model, unsafe, or does what no recipe can say; nothing is written then.
        UsageError: a fold or configuration is not there, or `into` exists.
    """
    options = options or ImportOptions()
    refuse_existing(into, options.overwrite)
    with trained_models(source, options.checkpoint) as models, tempfile.TemporaryDirectory(prefix="neuraxis-") as work:
        return _write(choose(models, options.configuration), into, options, Path(work))


def _write(model: TrainedModel, into: Path, options: ImportOptions, work: Path, stage: str | None = None) -> Path:
    """Write the bundle of a model, and within it that of its previous stage where it is a cascade.

    `work` is an empty folder; `stage` is the configuration that a previous stage must be of.
    """
    first, *others = _folds(model, options.folds)
    checkpoint, name = _read(model, first)
    training = checkpoint.training
    if stage not in (None, training.configuration):
        raise BundleError(f"{name}: is of the configuration {ascii(training.configuration)[:80]}, not {stage}.")
    planned = translate(model.plans, model.dataset, training, model.name)
    previous = None
    if planned.previous_stage:
        if stage:
            raise not_exact(model.name, f"it is a cascade of more than two stages, with {planned.previous_stage!a}")
        before = previous_model(model, planned.previous_stage, options.checkpoint)
        place = work / "previous"
        place.mkdir()
        previous = _write(before, place / PREVIOUS, options, place, planned.previous_stage)
    files = [_export(planned, checkpoint.weights, first, work, name)]
    for fold in others:
        checkpoint, name = _read(model, fold)
        if checkpoint.training.configuration != training.configuration:
            other = f"{checkpoint.training.configuration}, not {training.configuration}"
            raise BundleError(f"{name}: is of the configuration {other} as the first fold.")
        files.append(_export(planned, checkpoint.weights, fold, work, name))
    card = _card(planned, model, training, (first, *others))
    return write_bundle(BundleParts(card, tuple(files), previous=previous), into, options.overwrite)


def _read(model: TrainedModel, fold: int) -> tuple[Checkpoint, str]:
    """Return a fold's checkpoint, and what messages call it."""
    path = model.checkpoints[fold]
    name = f"{model.name}: {path.parent.name}/{path.name}"
    return read_checkpoint(path, name), name


def _folds(model: TrainedModel, wanted: tuple[int, ...]) -> list[int]:
    lacking = sorted(set(wanted) - set(model.checkpoints))
    if lacking:
        known = ", ".join(map(str, model.checkpoints))
        raise UsageError(f"{model.name}: has no fold {lacking[0]}. It has: {known}.")
    return sorted(set(wanted) or model.checkpoints)


def _export(planned: Planned, weights: dict[str, torch.Tensor], fold: int, work: Path, name: str) -> FoldFiles:
    recipe = planned.recipe
    build = NETWORKS.load(recipe.network.name)
    with torch.device("meta"):  # shapes alone, until they are known to be those of the checkpoint
        expected = build(recipe.network.typed_options(), len(planned.inputs), len(planned.labels.outputs)).state_dict()
    found = ours(weights, expected, name)
    network = build(recipe.network.typed_options(), len(planned.inputs), len(planned.labels.outputs))
    network.load_state_dict(found)
    return export_fold(network, recipe, planned.inputs, fold, work)


def _card(planned: Planned, model: TrainedModel, training: Training, folds: tuple[int, ...]) -> Card:
    preparation = planned.recipe.preparation
    seen = "as their files store them" if preparation.orientation == "stored" else RAS
    all_cases = " on all cases, none held out" if model.trained_on_all else ""
    stage = f", second stage of a cascade after {planned.previous_stage}" if planned.previous_stage else ""
    return Card(
        name=planned.name,
        summary=f"{training.trainer}, {training.epochs} epochs{all_cases}{stage}; imported from nnU-Net.",
        labels=planned.labels,
        channels=planned.channels,
        modality=planned.modality,
        previous_labels=planned.previous_labels,
        recipe=planned.recipe,
        folds=folds,
        training_data=planned.data,
        limits=(f"The network saw voxels {seen}.", *((OTHER_ORIENTATION,) if seen != RAS else ())),
        licence=planned.licence,
        citation="; ".join(text for text in (CITATION, planned.reference) if text),
    )
