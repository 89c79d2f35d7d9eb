"""From labelled scans to a validated model: check, plan, prepare, train, bundle, evaluate, report.

Every stage writes its result as a whole before the next begins, so the same call on the same folder goes on where an
earlier one was interrupted, whatever interrupted it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraxis.bundle.bundle import open_bundle
from neuraxis.bundle.card import Card
from neuraxis.dataset.checks.leakage import tell_leaks
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.opening import Place, places_of, places_to_dict
from neuraxis.dataset.splits import Fold, check_folds
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.scores import Scores
from neuraxis.files import read_json, sha256, write_text
from neuraxis.hardware import check_device
from neuraxis.pipelines import budget
from neuraxis.pipelines.outcome import (
    TRAINED,
    bundle_network,
    note_training,
    put_metrics_on_card,
    score_held_out,
    write_outcome,
)
from neuraxis.pipelines.run_folder import RunFolder, folds_from_json, pick_fold, refuse_foreign, writing_in
from neuraxis.pipelines.runs.data import open_datasets
from neuraxis.pipelines.runs.previews import find_scans, prepare_scans
from neuraxis.pipelines.steps import (
    Planned,
    PlanOptions,
    draft_card,
    plan_all,
    read_plan,
    tell_plan,
    whole_split_hash,
    write_plan,
)
from neuraxis.preparation.prepare import prepare_dataset
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.planner import WISHED, Plan
from neuraxis.recipe.wishes import read_wishes, split_variant
from neuraxis.registry import need
from neuraxis.training.devices.options import ONE, Devices
from neuraxis.training.transfer.corrections import with_held_out
from neuraxis.training.transfer.planning import beginning_of, noted_on, refuse_misfit, refuse_stages

if TYPE_CHECKING:
    from neuraxis.training.schedule import Steer
    from neuraxis.training.task import SegmentationTask
    from neuraxis.training.train import TrainingJob

log = logging.getLogger("neuraxis")


@dataclass(frozen=True)
class FitOptions:
    """What a fit is asked for.

    Attributes:
        into: folder of the run; a run that is there is resumed.
        recipe: name in the book or a TOML file, a variant's name after a colon.
        settings: "key=value" wishes on top.
        budget_s: seconds for the whole of it; None trains the recipe's number of steps.
        fold: which fold is held out.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        devices: the processes that share each batch, one a device.
        deterministic: whether operations that may give other numbers the next time are refused.
        repeat: folder of an earlier run whose recipe, splits and decisions are taken.
        profile: whether some training steps are profiled; it changes no weight.
        previews: unlabelled scans to show while the network learns, beside those of the recipe: files, folders, or
            "CHANNEL=FILE"; they change no weight.
        begin_with: a bundle to begin with: its weights as far as they fit, and the network, patch, spacing and
            normalisation that they need, unless the recipe says otherwise.
        add: folders of corrected label maps, named as the cases are, or datasets of corrected and further cases.
        prepared: folder of the prepared cases, where several runs share them; None: inside the run.
        allow_leak: whether one patient or scan may stand in two splits; the run and its report then say so.
    """

    into: Path
    recipe: str | Path = "auto"
    settings: tuple[str, ...] = ()
    budget_s: float | None = None
    fold: int = 0
    device: str = "auto"
    devices: Devices = ONE
    deterministic: bool = False
    repeat: Path | None = None
    profile: bool = False
    previews: tuple[str, ...] = ()
    begin_with: Path | None = None
    add: tuple[Path, ...] = ()
    prepared: Path | None = None
    allow_leak: bool = False


@dataclass(frozen=True)
class FitResult:
    """Where a fit's results lie, and the scores of the held-out fold."""

    run: Path
    bundle: Path
    report: Path
    scores: Scores


def fit(datasets: Sequence[Place | Path | str], options: FitOptions, progress: Progress | None = None) -> FitResult:
    """Train, validate and bundle a model; called again with the same arguments it resumes.

    Args:
        datasets: folders of labelled scans.
        options: what is asked for.
        progress: who shows how far it is.

    Raises:
        UsageError: the folder holds another run, or arguments exclude one another.
        DataError: the data are refused, or changed since the run began.
        RecipeError: a wish is wrong.
        ResourceError: memory, disk or the device does not suffice, or another process works in the folder.
    """
    began = time.monotonic()
    progress = progress or Silent()
    options = _with_repeated(options)
    check_options(options)
    paths = places_of(datasets)
    planned = None if (options.into / "run.json").is_file() else plan_anew(paths, options, progress)
    return fit_planned(paths, options, planned, progress, began)


def fit_planned(
    paths: Sequence[Place], options: FitOptions, planned: Planned | None, progress: Progress, began: float
) -> FitResult:
    """Do every stage of a fit whose options were checked; see `fit`.

    Args:
        paths: where the labelled scans lie, absolute.
        options: what is asked for.
        planned: what a new run begins with; a run that is there needs none.
        progress: who shows how far it is.
        began: when its time began (`time.monotonic`).
    """
    with writing_in(options.into):
        return _Fit(paths, options, progress, began).run_all(planned)


def check_options(options: FitOptions) -> None:
    """Refuse what can be refused before any scan is read: wishes, the device, what is not installed.

    Raises:
        RecipeError: a wish is wrong.
        UsageError: the device has no such name.
        ResourceError: the device is not there, or Lightning is not installed.
    """
    read_wishes(options.recipe, options.settings)
    check_device(options.device)
    options.devices.refuse_misfit(options.device)
    need("lightning", "train")
    if options.device not in ("auto", "cpu"):
        from neuraxis.training.train import find_device

        find_device(options.device)
    if options.devices.count > 1:
        from neuraxis.training.devices.company import uses_gpus

        uses_gpus(options.devices, options.device)


class _Fit:
    """The stages of one fit, in their order."""

    def __init__(self, paths: Sequence[Place], options: FitOptions, progress: Progress, began: float) -> None:
        self.paths, self.options, self.progress, self.began = paths, options, progress, began
        self.run = RunFolder(options.into, request_of(paths, options))
        self.run.note(device=options.device)
        self.run.add_event("started")

    def run_all(self, planned: Planned | None) -> FitResult:
        """Do every stage that is not done yet; `planned` is what a new run begins with."""
        run = self.run
        dataset, plan, folds = self._planned(planned)
        fold = pick_fold(folds, self.options.fold)
        if self.options.add:
            dataset = with_held_out(dataset, open_datasets(self.paths, plan.recipe.labels), fold)
        log.info(
            "%d cases train, %d are held out (fold %d)", len(fold.training), len(fold.validation), self.options.fold
        )
        seen = planned.fingerprint if planned else None
        if not run.has("model.nxb"):
            place = self.options.prepared or run.path("prepared")
            store = prepare_dataset(dataset, plan.recipe.preparation, place, self.progress, seen)
            plan = self._train(dataset, plan, fold, store)
        bundle = open_bundle(run.path("model.nxb"))
        scores = score_held_out(run, dataset, fold, bundle, self.progress)
        put_metrics_on_card(run, bundle, scores, self.options.fold)
        seconds = round(time.monotonic() - self.began, 1)
        run.add_event("finished", seconds=seconds)
        log.info(
            "mean foreground Dice %.4f on the held-out fold, after %.1f minutes", scores.mean("dice"), seconds / 60
        )
        write_outcome(run, dataset, plan, scores, self.progress)
        return FitResult(run.folder, run.path("model.nxb"), run.path("report.html"), scores)

    def _planned(self, planned: Planned | None) -> tuple[Dataset, Plan, tuple[Fold, ...]]:
        """Write down the plan of a new run, or read what an earlier call planned."""
        run = self.run
        if not run.has("recipe.toml"):
            planned = planned or plan_anew(self.paths, self.options, self.progress)
            self._write_plan(planned)
            return planned.dataset, planned.plan, planned.folds
        log.info("resuming the run in %s", run.folder)
        return read_plan(run, self.paths)

    def _write_plan(self, planned: Planned) -> None:
        run = self.run
        if self.options.prepared is None:
            tell_plan(planned)
        run.note(events=[*run.content["events"], *_decisions(self.options.repeat)])
        write_plan(run, planned, self._card(planned))

    def _card(self, planned: Planned) -> Card:
        """Draft the bundle's card, which names the model that the training begins with, and remember that one."""
        number, path = self.options.fold, self.options.begin_with
        card = draft_card(planned, number)
        if planned.corrected is not None:
            card = planned.corrected.on_card(card, planned.folds, number)
            self.run.note(corrections=planned.corrected.facts(planned.folds[number]))
            log.info("%s", " ".join(card.training_data.notes))
        if path is None:
            return card
        bundle = open_bundle(path)
        self.run.note(began_with=bundle.hash)
        return noted_on(card, bundle, whole_split_hash(planned))

    def _train(self, dataset: Dataset, plan: Plan, fold: Fold, store: Any) -> Plan:
        """Train to the last step and bundle; return the plan with the number of steps that a budget fixed."""
        from neuraxis.pipelines.devices.together import together
        from neuraxis.training.train import TrainingJob

        first = self.options.begin_with
        job = TrainingJob(
            store=store,
            fold=fold,
            labels=dataset.labels,
            recipe=plan.recipe,
            channels=len(dataset.channels),
            folder=self.run.folder,
            device=self.options.device,
            profile=self.options.profile,
            deterministic=self.options.deterministic,
            scans=prepare_scans(self.options.previews, plan.recipe, dataset.channels, self.progress),
        )
        if first is not None:
            beginning = beginning_of(first, self.run.content["began_with"], self.options.fold)
            job = replace(job, beginning=(beginning, dataset.channels))
        with together(job, self.options.devices, self.run, self.options.budget_s) as job:
            task, plan = self._train_planned(job, plan)
        note_training(self.run, task)
        plan = self._with_decided_steps(plan)
        about = {key: value for key, value in self.run.content["card"].items() if key not in ("created", "versions")}
        card = Card.model_validate({**about, "recipe": plan.recipe.model_dump(mode="json")})
        bundle_network(card, task.shipped_network(), self.run.folder)
        return plan

    def _train_planned(self, job: TrainingJob, plan: Plan) -> tuple[SegmentationTask, Plan]:
        """Train the steps of the plan, or those that a budget has room for, which the returned plan has too."""
        from neuraxis.training.train import train

        self._fix_steps(job, plan)
        plan = self._with_decided_steps(plan)
        course = budget.decided_course(self.run.content["events"])
        if course is not None:  # the schedule counts from the steps that were planned at first
            training = plan.recipe.training.model_copy(update={"steps": course.planned})
            job = replace(job, recipe=plan.recipe.model_copy(update={"training": training}), course=course)
        log.info("training %d steps", plan.recipe.training.steps)
        return train(job, self.progress, steer=self._pacer(job)), plan

    def _fix_steps(self, job: TrainingJob, plan: Plan) -> None:
        """Let the measured speed fix the steps that a budget has room for, once; later calls find the decision."""
        if self.options.budget_s is None or self.run.event(budget.FIXED) is not None:
            return
        clock = budget.Clock(self.options.budget_s, self.began)
        most = plan.recipe.training.steps if plan.reasons.get("training.steps") == WISHED else None
        event = self.run.add_event(budget.FIXED, **budget.fix_steps(job, clock, most, self.progress))
        log.info("%s", event["reason"])

    def _pacer(self, job: TrainingJob) -> Steer:
        """Return who corrects the steps on the way: nobody without a budget, nor in a repeat, which replays."""
        decided = self.run.event(budget.FIXED)
        if self.options.budget_s is None or decided is None or "trained_from_s" not in decided:
            return lambda moment: None
        return budget.Pacer(job, decided, lambda facts: self.run.add_event(budget.CORRECTED, **facts))

    def _with_decided_steps(self, plan: Plan) -> Plan:
        """Write the number of steps that events decided into the recipe, and return the plan with it."""
        events = self.run.content["events"]
        course = budget.decided_course(events)
        if course is None:
            return plan
        validations = (self.run.event(budget.FIXED) or {}).get("validations", plan.recipe.training.validations)
        training = plan.recipe.training.model_copy(update={"steps": course.steps, "validations": validations})
        reasons = {**plan.reasons, "training.steps": budget.decided_reason(events)}
        plan = Plan(plan.recipe.model_copy(update={"training": training}), reasons)
        write_text(self.run.path("recipe.toml"), plan.to_toml())
        self.run.note(reasons=reasons)
        return plan


def request_of(paths: Sequence[Place], options: FitOptions) -> dict[str, Any]:
    """Return what a run is asked for, JSON-able: the same again resumes it."""
    file = Path(split_variant(options.recipe)[0])
    return {
        **places_to_dict(paths),
        "recipe": str(options.recipe),
        "recipe_hash": sha256(file) if file.suffix == ".toml" else None,
        "settings": list(options.settings),
        "budget_s": options.budget_s,
        "fold": options.fold,
        "repeat": str(options.repeat.resolve()) if options.repeat else None,
        "begin_with": str(options.begin_with.resolve()) if options.begin_with else None,
        "add": [str(folder.resolve()) for folder in options.add] or None,
        "allow_leak": options.allow_leak or None,
    }


def _with_repeated(options: FitOptions) -> FitOptions:
    """Take the recipe of the run that is to be repeated."""
    if options.repeat is None:
        return options
    more = options.budget_s is not None or options.settings or options.begin_with or options.add
    if more or str(options.recipe) != "auto":
        raise UsageError(
            "--repeat takes every decision from the earlier run: leave out --recipe, --set, --budget, --from and --add."
        )
    recipe = options.repeat / "recipe.toml"
    if not recipe.is_file() or not (options.repeat / "splits.json").is_file():
        raise UsageError(f"--repeat {options.repeat}: is not the folder of a run (no recipe.toml and splits.json).")
    _check_repeatable(options.repeat, options.fold)
    asked = read_json(options.repeat / "run.json").get("request", {})
    begun, added = asked.get("begin_with"), tuple(Path(folder) for folder in asked.get("add") or ())
    return replace(options, recipe=recipe, begin_with=Path(begun) if begun else None, add=added)


def _check_repeatable(earlier: Path, fold: int) -> None:
    content = read_json(earlier / "run.json")
    held_out = content.get("request", {}).get("fold")
    if held_out != fold:
        raise UsageError(f"--repeat {earlier}: held out fold {held_out}. Add --fold {held_out}.")
    kinds = {event["kind"] for event in content.get("events", [])}
    if (content["request"].get("budget_s") or budget.FIXED in kinds) and not kinds & {TRAINED, "finished"}:
        raise UsageError(
            f"--repeat {earlier}: was stopped while its budget could still change the steps. Resume that run first."
        )


def _decisions(earlier: Path | None) -> list[dict[str, Any]]:
    """Return the events of an earlier run that decided something by the clock, for a repeat to replay."""
    if earlier is None:
        return []
    events = read_json(earlier / "run.json").get("events", [])
    return [event for event in events if event["kind"] in (budget.FIXED, budget.CORRECTED)]


def plan_anew(paths: Sequence[Place], options: FitOptions, progress: Progress) -> Planned:
    """Plan before anything is written, so that a refusal leaves nothing behind."""
    refuse_foreign(options.into)
    first = open_bundle(options.begin_with) if options.begin_with else None
    how = PlanOptions(first, options.add, options.allow_leak)
    planned = plan_all(paths, options.recipe, options.settings, progress, how)
    tell_leaks(planned.leaks)
    if first is not None:
        refuse_misfit(first, planned.plan.recipe, (planned.dataset.channels, planned.dataset.labels.outputs))
    refuse_stages(planned.plan.recipe, planned.dataset.channels, planned.dataset.labels.outputs)
    if options.repeat is not None:
        if read_json(options.repeat / "run.json").get("data_hash") != planned.dataset.content_hash():
            raise DataError(
                f"{options.repeat}: was trained on other data (the content hash differs). A repeat needs the same."
            )
        folds = folds_from_json(read_json(options.repeat / "splits.json"))
        check_folds(folds, planned.dataset.cases, options.allow_leak)
        planned = replace(planned, folds=folds)
    draft_card(planned, options.fold)
    if planned.corrected is not None:
        planned.corrected.refuse_unused(planned.folds[options.fold])
    options.devices.refuse_small_batch(planned.plan.recipe.patches.batch)
    if options.repeat is None:
        find_scans(options.previews, planned.plan.recipe, planned.dataset.channels)
    return planned
