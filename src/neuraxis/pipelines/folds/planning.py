"""One plan for all folds: which folds there are, and what each of their runs begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.fingerprint import Fingerprint
from neuraxis.dataset.opening import Place
from neuraxis.errors import UsageError
from neuraxis.files import read_json, write_json
from neuraxis.pipelines.fit import FitOptions, plan_anew
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.pipelines.steps import Planned, choose_folds, draft_joint_card, read_plan, tell_plan, write_plan
from neuraxis.progress import Progress
from neuraxis.recipe.planner import Plan
from neuraxis.recipe.wishes import look_up, read_wishes

FINGERPRINT = "fingerprint.json"


def plan_folds(paths: Sequence[Place], options: FitOptions, count: int, progress: Progress) -> Planned:
    """Plan a training of so many folds, in which each case is held out once.

    Splits that the data bring are used where they are such folds; else patients are dealt anew.

    Raises:
        UsageError: the wishes ask for another number of folds.
        DataError: the data are refused, or have fewer patients than folds.
    """
    wished = look_up(read_wishes(options.recipe, options.settings), "splits.folds")
    if wished not in (None, count):
        raise UsageError(f"--folds {count}: the recipe has splits.folds = {wished}. Leave one of them out.")
    settings = (*options.settings, f"splits.folds={count}")
    planned = plan_anew(paths, replace(options, settings=settings), progress)
    held_out = Counter(id for fold in planned.folds for id in fold.validation)
    each_once = held_out == Counter(case.id for case in planned.dataset.cases)
    if len(planned.folds) != count or not each_once:
        planned = _dealt_anew(planned, count)
    return planned


def _dealt_anew(planned: Planned, count: int) -> Planned:
    plan = planned.plan
    splits = plan.recipe.splits.model_copy(update={"own": False})
    recipe = plan.recipe.model_copy(update={"splits": splits})
    brought = len(planned.folds)
    reason = (
        f"The data bring {brought} fold{'' if brought == 1 else 's'}, not {count} that hold out each case once, so "
        "patients were dealt anew."
    )
    folds = choose_folds(planned.dataset, recipe)
    return replace(planned, plan=Plan(recipe, {**plan.reasons, "splits.own": reason}), folds=folds)


def write_folds_plan(run: RunFolder, planned: Planned) -> None:
    """Write down the plan that all folds share."""
    tell_plan(planned)
    write_json(run.path(FINGERPRINT), planned.fingerprint.to_dict())
    write_plan(run, planned, draft_joint_card(planned))


def read_folds_plan(run: RunFolder, paths: Sequence[Place]) -> Planned:
    """Return what `write_folds_plan` wrote.

    Raises:
        DataError: the data changed since.
    """
    dataset, plan, folds = read_plan(run, paths)
    findings = tuple(Finding(**finding) for finding in run.content["findings"])
    leaks = tuple(Finding(**finding) for finding in run.content.get("leaks_allowed", ()))
    seen = Fingerprint.from_dict(read_json(run.path(FINGERPRINT)))
    return Planned(dataset, findings, seen, plan, folds, leaks=leaks)
