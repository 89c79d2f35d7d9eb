"""The steps of `fit`, each by itself: open, plan, prepare, train."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.card import Card, TrainingData, parse_card
from neuraxis.dataset.checks.check import Finding, refuse_errors
from neuraxis.dataset.checks.leakage import allowed, leaks_among, tell_leaks
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import Fingerprint, examine
from neuraxis.dataset.opening import Place
from neuraxis.dataset.splits import Fold, check_folds, hash_folds, split_by_patient, thin_training
from neuraxis.errors import DataError, RecipeError, UsageError
from neuraxis.files import folder_lock, read_json, sha256, write_json, write_text
from neuraxis.hardware import check_device
from neuraxis.pipelines.copies import copies
from neuraxis.pipelines.run_folder import (
    RunFolder,
    folds_from_json,
    folds_to_json,
    pick_fold,
    refuse_foreign,
    writing_in,
)
from neuraxis.pipelines.runs.data import RECIPE, labels_in, labels_of_run, open_datasets
from neuraxis.pipelines.runs.limits import limits_of
from neuraxis.pipelines.runs.other_store import refuse_other_store
from neuraxis.pipelines.runs.previews import find_scans, prepare_scans, refuse_unknown_cases
from neuraxis.preparation.estimate import estimate_needs, refuse_too_little_room
from neuraxis.preparation.prepare import prepare_dataset
from neuraxis.preparation.store import Store
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.planner import Plan
from neuraxis.recipe.planner import plan as plan_recipe
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import overlay, read_wishes, resolve
from neuraxis.registry import need
from neuraxis.training.devices.options import ONE, Devices
from neuraxis.training.transfer.corrections import Corrected, correct
from neuraxis.training.transfer.planning import wishes_from, with_reasons

if TYPE_CHECKING:
    from neuraxis.training.train import TrainingJob

log = logging.getLogger("neuraxis")
MANIFEST = "store.json"


@dataclass(frozen=True)
class Planned:
    """Opened, checked and planned data.

    Attributes:
        dataset: the labelled cases.
        findings: what `check` noticed; no errors among them.
        fingerprint: what the plan follows from.
        plan: the resolved recipe with its reasons.
        folds: which cases train and validate.
        corrected: what was corrected in the data, or None.
        leaks: findings of one patient or scan in two splits, which were allowed.
    """

    dataset: Dataset
    findings: tuple[Finding, ...]
    fingerprint: Fingerprint
    plan: Plan
    folds: tuple[Fold, ...]
    corrected: Corrected | None = None
    leaks: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PlanOptions:
    """What a plan takes beside the data and the wishes.

    Attributes:
        begin_with: a bundle to begin with: what its weights need lies below the user's wishes.
        add: folders of corrected label maps or further cases (see `neuraxis.training.transfer.corrections`).
        allow_leak: whether one patient or scan may stand in two splits.
    """

    begin_with: ModelBundle | None = None
    add: tuple[Path, ...] = ()
    allow_leak: bool = False


@dataclass(frozen=True)
class TrainOptions:
    """How a training is run, and what is looked at beside it; nothing of it changes what is trained.

    Attributes:
        profile: whether some training steps are profiled.
        previews: unlabelled scans to show while the network learns: files, folders, or "CHANNEL=FILE".
        devices: the processes that share each batch.
        deterministic: whether operations that may give other numbers the next time are refused.
        allow_leak: whether one patient or scan may stand in two splits of the store.
    """

    profile: bool = False
    previews: tuple[str, ...] = ()
    devices: Devices = ONE
    deterministic: bool = False
    allow_leak: bool = False


PLAIN = TrainOptions()


def plan_all(
    paths: Sequence[Place | Path | str],
    recipe: str | Path = "auto",
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    options: PlanOptions | None = None,
) -> Planned:
    """Open, check, fingerprint, plan and split.

    Raises:
        DataError: the data have errors; the first is named. One patient or scan in two splits is an error too, unless
            that is allowed.
        RecipeError: a wish is wrong; it is read first, before any scan, or names a structure that the data lack.
    """
    wishes = read_wishes(recipe, settings)
    labels = labels_in(wishes)
    options = options or PlanOptions()
    dataset = open_datasets(paths, labels)
    corrected = correct(dataset, options.add, labels) if options.add else None
    dataset = corrected.dataset if corrected else dataset
    findings, fingerprint = examine(dataset, progress or Silent())
    leaks = leaks_among(findings) if options.allow_leak else ()
    findings = allowed(findings) if options.allow_leak else findings
    refuse_errors(findings)
    taken = wishes_from(options.begin_with, dataset, wishes)
    plan = with_reasons(plan_recipe(fingerprint, dataset, overlay(taken, wishes)), taken, wishes)
    refuse_unknown_cases(plan.recipe, [case.id for case in dataset.cases])
    if problem := plan.recipe.postprocessing.problem(dataset.labels.scored):
        raise RecipeError(f"postprocessing: {problem}")
    folds = choose_folds(corrected.before if corrected else dataset, plan.recipe, options.allow_leak)
    if corrected:
        folds = corrected.extend(folds)
        check_folds(folds, dataset.cases, options.allow_leak)
    return Planned(dataset, tuple(findings), fingerprint, plan, folds, corrected, leaks)


def draft_card(planned: Planned, number: int) -> Card:
    """Return the card of the bundle that a fold will give, without scores; what it cannot hold is refused early.

    Raises:
        UsageError: there is no fold of that number.
        BundleError: a name in the data has characters that a card must not hold.
    """
    return _card_of(planned, (number,), pick_fold(planned.folds, number).training)


def draft_joint_card(planned: Planned) -> Card:
    """Return the card of the bundle of all folds together, without scores.

    Raises:
        BundleError: a name in the data has characters that a card must not hold.
    """
    trained = {id for fold in planned.folds for id in fold.training}
    card = _card_of(planned, tuple(range(len(planned.folds))), sorted(trained))
    return card.model_copy(update={"limits": limits_of(planned.leaks, joint=True)})


def _card_of(planned: Planned, folds: tuple[int, ...], trained: Sequence[str]) -> Card:
    dataset, fingerprint = planned.dataset, planned.fingerprint
    cases = [dataset.case(id) for id in trained]
    learned = TrainingData(
        datasets=(dataset.name,),
        cases=len(cases),
        patients=len({case.subject or case.id for case in cases}),
        sites=tuple(sorted({case.site for case in cases if case.site})),
        median_shape=fingerprint.median_shape,
        median_spacing_mm=fingerprint.median_spacing_mm,
    )
    card = Card(
        name=f"{dataset.name}-{planned.plan.recipe.name}"[:200],
        summary=planned.plan.recipe.summary,
        labels=dataset.labels,
        channels=dataset.channels,
        modality=dataset.modality,
        recipe=planned.plan.recipe,
        folds=folds,
        training_data=learned,
        intended_use=f"Research: {', '.join(dataset.labels.scored)} on {', '.join(dataset.channels)}.",
        limits=limits_of(planned.leaks),
        data_hash=dataset.content_hash(),
        split_hash=hash_folds(planned.folds),
    )
    return parse_card(card.to_json().encode(), dataset.name)[0]


def choose_folds(dataset: Dataset, recipe: Recipe, allow_leak: bool = False) -> tuple[Fold, ...]:
    """Return the splits that the data bring, after checking them, or deal patients to folds; then thin them out."""
    folds = dataset.own_folds
    if not folds or not recipe.splits.own:
        folds = split_by_patient(dataset.cases, recipe.splits.folds, recipe.splits.seed)
    check_folds(folds, dataset.cases, allow_leak)
    return thin_training(folds, dataset.cases, recipe.splits.share, recipe.splits.seed)


def whole_split_hash(planned: Planned) -> str:
    """Return the hash of the splits as they are with every training patient and no case that was added since."""
    recipe, corrected = planned.plan.recipe, planned.corrected
    splits = recipe.splits.model_copy(update={"share": 1.0})
    dataset = corrected.before if corrected else planned.dataset
    return hash_folds(choose_folds(dataset, recipe.model_copy(update={"splits": splits}), bool(planned.leaks)))


def tell_plan(planned: Planned) -> None:
    """Log what the check noticed, and every decision with its reason."""
    for finding in planned.findings:
        log.info("check: %s", finding)
    for key, reason in planned.plan.reasons.items():
        log.info("plan: %s: %s", key, reason)


def write_plan(run: RunFolder, planned: Planned, card: Card) -> None:
    """Write down what a run follows; `recipe.toml` comes last, so that a plan with it is whole."""
    run.note(
        data_hash=planned.dataset.content_hash(),
        described=described(planned.dataset),
        split_hash=hash_folds(planned.folds),
        seed=planned.plan.recipe.seed,
        reasons=dict(planned.plan.reasons),
        card=card.model_dump(mode="json"),
        findings=[finding.to_dict() for finding in planned.findings],
        leaks_allowed=[finding.to_dict() for finding in planned.leaks],
    )
    write_json(run.path("splits.json"), folds_to_json(planned.folds))
    write_text(run.path("recipe.toml"), planned.plan.to_toml())


def read_plan(run: RunFolder, paths: Sequence[Place]) -> tuple[Dataset, Plan, tuple[Fold, ...]]:
    """Open the data of a run again, and read what `write_plan` wrote.

    Raises:
        DataError: the data changed since.
    """
    labels = labels_of_run(run.folder)
    dataset = open_datasets(paths, labels)
    if add := run.content["request"].get("add"):
        dataset = correct(dataset, [Path(folder) for folder in add], labels).dataset
    if [dataset.content_hash(), described(dataset)] != [run.content["data_hash"], run.content["described"]]:
        raise DataError(f"{run.folder}: the data changed since this run began. Name another place with --into.")
    recipe = resolve(read_wishes(run.path(RECIPE)))
    return dataset, Plan(recipe, run.content["reasons"]), folds_from_json(read_json(run.path("splits.json")))


def described(dataset: Dataset) -> dict[str, Any]:
    """Return what a dataset says of its files: a run cannot go on when it changes."""
    return {"channels": list(dataset.channels), "labels": dataset.labels.model_dump(mode="json")}


def plan_datasets(
    paths: Sequence[Place | Path | str],
    recipe: str | Path = "auto",
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Plan:
    """Plan a training: every decision with its reason (see `plan_all` for errors); leaks are told as warnings."""
    planned = plan_all(paths, recipe, settings, progress, PlanOptions(allow_leak=True))
    tell_leaks(planned.leaks)
    return planned.plan


def prepare_datasets(
    paths: Sequence[Place | Path | str],
    recipe: str | Path = "auto",
    settings: Sequence[str] = (),
    into: Path = Path("prepared"),
    progress: Progress | None = None,
    how: copies.StoreOptions = copies.PLAIN_STORE,
) -> Store:
    """Plan and prepare into a store that `train_store` takes: cases, recipe, labels and splits.

    The same call again goes on where it was interrupted. A store of other data or other decisions is replaced only
    where `how` says so.

    Raises:
        UsageError: `into` holds other files, or the store of other data or decisions; or copies cannot be made.
        ResourceError: disk or memory does not suffice; of the disk it is told before anything is written.
    """
    planned = plan_all(paths, recipe, settings, progress, PlanOptions(allow_leak=True))
    tell_leaks(planned.leaks)
    if into.is_dir() and any(into.iterdir()) and not (into / MANIFEST).is_file():
        raise UsageError(f"{into}: holds files that are not of a store. Name another place with --into.")
    copies.refuse_copies(planned.plan.recipe, [case.id for case in planned.dataset.cases], how.copies)
    manifest, decisions = store_manifest(planned, how.copies), planned.plan.recipe.preparation
    if (into / MANIFEST).is_file() and not how.overwrite:
        refuse_other_store(into, read_json(into / MANIFEST), manifest)
    if not (into / MANIFEST).is_file():
        dataset = planned.dataset
        needs = estimate_needs(dataset.cases, dataset, decisions, planned.fingerprint)
        refuse_too_little_room(needs * (1 + how.copies), into)
    copied = copies.copied_cases(planned.folds)
    with folder_lock(into):
        write_json(into / MANIFEST, manifest)
        write_text(into / RECIPE, planned.plan.to_toml())
        Store(into).keep_only([*(case.id for case in planned.dataset.cases), *copies.all_copies(copied, how.copies)])
        store = prepare_dataset(planned.dataset, decisions, into, progress, planned.fingerprint)
        copies.make_copies(store, planned.plan.recipe, copied, how.copies, progress)
        return store


def store_manifest(planned: Planned, copied: int = 0) -> dict[str, Any]:
    """Return what training needs to know beside the prepared cases: splits, each fold's card, copies of each case."""
    cards = [draft_card(planned, number) for number in range(len(planned.folds))]
    return {
        "folds": folds_to_json(planned.folds),
        "cards": [card.model_dump(mode="json", exclude={"created", "versions"}) for card in cards],
        "leaks": [finding.to_dict() for finding in planned.leaks],
        "copies": copied,
    }


def train_store(
    store: Path,
    into: Path,
    fold: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    options: TrainOptions = PLAIN,
) -> Path:
    """Train one fold of a prepared store and bundle it, unscored; the same call again resumes.

    Args:
        store: what `prepare_datasets` wrote.
        into: folder of the run.
        fold: which one is held out.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        progress: who shows how far it is.
        options: how it is run.

    Returns:
        The bundle, `model.nxb`.

    Raises:
        DataError: the folder is not a store, or one patient or scan stands in two of its splits.
        UsageError: it has no such fold, or `into` holds another run or other files.
        Stopped: it was asked to end early.
    """
    need("lightning", "train")
    from neuraxis.pipelines.devices.together import together
    from neuraxis.pipelines.outcome import bundle_network, note_training
    from neuraxis.report.previews.gif import write_gifs
    from neuraxis.report.previews.record import FOLDER
    from neuraxis.training.train import train

    check_device(device)
    options.devices.refuse_misfit(device)
    job = replace(job_of_store(store, into, fold, device), profile=options.profile)
    leaks = [Finding(**finding) for finding in read_json(store / MANIFEST).get("leaks", [])]
    refuse_errors([] if options.allow_leak else leaks)
    job = replace(job, deterministic=options.deterministic)
    options.devices.refuse_small_batch(job.recipe.patches.batch)
    channels = Card.model_validate(read_json(store / MANIFEST)["cards"][fold]).channels
    if not (into / "run.json").is_file():
        find_scans(options.previews, job.recipe, channels)
    request = {"store": str(store.resolve()), "fold": fold}
    request["manifest"] = sha256(store / MANIFEST)
    refuse_foreign(into)
    with writing_in(into):
        run = RunFolder(into, request)
        run.note(leaks_allowed=[finding.to_dict() for finding in leaks])
        if not (into / "model.nxb").is_file():
            card = Card.model_validate(read_json(store / MANIFEST)["cards"][fold])
            job = replace(job, scans=prepare_scans(options.previews, job.recipe, channels, progress))
            with together(job, options.devices, run) as shared:
                task = train(shared, progress)
            note_training(run, task)
            write_gifs(into / FOLDER)
            bundle_network(card, task.shipped_network(), into)
    return into / "model.nxb"


def job_of_store(store: Path, into: Path, fold: int, device: str = "auto") -> TrainingJob:
    """Read a store's manifest and recipe and return the training of one fold."""
    from neuraxis.training.train import TrainingJob

    if not (store / MANIFEST).is_file():
        raise DataError(f"{store}: is not a prepared store. Make one with: neuraxis prepare DATASET --into {store}")
    manifest = read_json(store / MANIFEST)
    split = copies.with_copies(pick_fold(folds_from_json(manifest["folds"]), fold), manifest.get("copies", 0))
    card = Card.model_validate(manifest["cards"][fold])
    return TrainingJob(Store(store), split, card.labels, card.recipe, len(card.inputs), into, device)
