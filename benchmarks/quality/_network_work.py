"""The two halves of a row of the networks' comparison, each a process of its own: training, and predicting.

Run by `_network_row.py` with the row's folder: `asked.json` says what to do, and each half writes what it found.
"""

from __future__ import annotations

import hashlib
import signal
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuraxis.errors import NeuraxisError, RecipeError
from neuraxis.files import read_json, write_json
from neuraxis.networks.cost import cost
from neuraxis.pipelines import budget
from neuraxis.pipelines.steps import Planned, draft_card, plan_all
from neuraxis.progress import Silent
from neuraxis.training.schedule import Moment

ASKED, TRAINED, PREDICTED, MODEL = "asked.json", "trained.json", "predicted.json", "run/model.nxb"
MEASURING_S, LONGEST_MEASURING_S = 3.0, 10.0
LEAST_STEPS = 8  # to begin with: fewer are corrected on the way, where the speed is seen
LEAST_S, MINUTES_AT_MOST = 600, 6  # a half may take ten minutes, or six times the training
QUIET = ("training.validations=1", "previews.every=0")


class Minutes(budget.Pacer):
    """Lets the steps alone take so many seconds; the scoring of held-out patches at the end comes on top.

    Corrections are written nowhere, since a training that was stopped starts anew.

    Attributes:
        seen: the last step that it was asked after, and what all steps had taken by then, in seconds.
    """

    def __init__(self, job: Any, seconds: float) -> None:
        super().__init__(job, {"budget_s": seconds, "trained_from_s": 0.0, "most": None}, lambda facts: None)
        self._seconds = seconds
        self.seen: tuple[int, float] | None = None

    def __call__(self, moment: Moment) -> int | None:
        self.seen = moment.step, moment.seconds - moment.rows_s
        return super().__call__(moment)

    def ends_s(self, step_s: float) -> float:
        return self._seconds + budget.HELD_OUT_BATCHES * step_s / 3

    def took_s(self, task: Any) -> float:
        """Return what all steps took."""
        return self.seen[1] * task.step / self.seen[0] if self.seen else task.clock.seconds


def plan_for(asked: Mapping[str, Any]) -> tuple[Planned, str]:
    """Plan on the common patch; a network that cannot take it gets a patch of its own, one for slices a flat one.

    Raises:
        RecipeError: it can be planned in none of these ways; the first reason is told.
    """
    common = [f"patches.shape={asked['patch']}", f"patches.batch={asked['batch']}"]
    tried = {"common patch": common, "patch of its own": [], "slices": ["configuration=2d"]}
    refusals = []
    for name, more in tried.items():
        settings = [f"network.name={asked['network']}", f"seed={asked['seed']}", *QUIET, *more]
        try:
            return plan_all([asked["data"]], "auto", settings), name
        except RecipeError as error:
            refusals.append(error)
    raise refusals[0]


def train(folder: Path) -> None:
    """Plan, prepare, measure the speed, train for the minutes, and bundle."""
    from neuraxis.pipelines.outcome import bundle_network
    from neuraxis.preparation.prepare import prepare_dataset
    from neuraxis.training.train import TrainingJob, seconds_per_step
    from neuraxis.training.train import train as train_job

    asked = read_json(folder / ASKED)
    planned, plan = plan_for(asked)
    recipe, dataset, fold = planned.plan.recipe, planned.dataset, planned.folds[asked["fold"]]
    decisions = hashlib.sha256(recipe.preparation.model_dump_json().encode()).hexdigest()[:8]
    store = prepare_dataset(dataset, recipe.preparation, Path(asked["prepared"]) / decisions, None, planned.fingerprint)
    card = draft_card(planned, asked["fold"])
    job = TrainingJob(store, fold, dataset.labels, recipe, len(dataset.channels), folder / "run", "cpu")
    job.folder.mkdir(exist_ok=True)
    seconds = 60 * asked["minutes"]
    longest = min(LONGEST_MEASURING_S, max(1.0, seconds / 4))
    step_s, _ = seconds_per_step(job, min(MEASURING_S, longest), longest)
    training = recipe.training.model_copy(update={"steps": max(LEAST_STEPS, round(seconds / step_s))})
    recipe = recipe.model_copy(update={"training": training})
    job = replace(job, recipe=recipe)

    forget_peak()
    cpu, pacer = time.process_time(), Minutes(job, seconds)
    task = train_job(job, Silent(), steer=pacer)
    took = {"train_s": pacer.took_s(task), "train_cpu_s": time.process_time() - cpu, "train_gb": peak_gb()}
    training = training.model_copy(update={"steps": task.step})
    recipe = recipe.model_copy(update={"training": training})
    bundle_network(card.model_copy(update={"recipe": recipe}), task.shipped_network(), job.folder)
    options, outputs = recipe.network.typed_options(), len(dataset.labels.outputs)
    counted = cost(asked["network"], options, recipe.patches.shape, len(dataset.channels), outputs)
    size = {"parameters": counted.parameters, "gflops_a_patch": 2e-9 * counted.multiply_adds}
    told = {"plan": plan, "steps": task.step, **took, **size, "recipe_toml": planned.plan.to_toml()}
    write_json(folder / TRAINED, told)


def predict(folder: Path) -> None:
    """Predict the held-out cases, one after another, on the default runtime; the first one is not timed."""
    from neuraxis.bundle.bundle import open_bundle
    from neuraxis.dataset.layouts.recognise import open_dataset
    from neuraxis.inference.predictor import Predictor, PredictorOptions

    asked = read_json(folder / ASKED)
    dataset = open_dataset(asked["data"])
    bundle = open_bundle(folder / MODEL, folder / "run" / "cache")
    predictor = Predictor(bundle, PredictorOptions(device="cpu", cache=folder / "run" / "cache"))
    wall, cpu = [], []
    for id in asked["held_out"]:
        scan = dataset.case(id).read_images(apart=True)
        before = time.monotonic(), time.process_time()
        prediction = predictor.predict(predictor.prepare(scan))
        wall.append(time.monotonic() - before[0])
        cpu.append(time.process_time() - before[1])
        prediction.save(folder / "predictions" / f"{id}.nii.gz", overwrite=True)
    took = {"predict_s": statistics.median(wall[1:]), "predict_cpu_s": statistics.median(cpu[1:])}
    write_json(folder / PREDICTED, {**took, "predict_gb": peak_gb()})


def forget_peak() -> None:
    """Let the peak of this process's memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_gb() -> float:
    """Return the peak of this process's resident memory, in GiB."""
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20


def main() -> None:
    half, folder = {"train": train, "predict": predict}[sys.argv[1]], Path(sys.argv[2])
    limit = max(LEAST_S, int(60 * MINUTES_AT_MOST * read_json(folder / ASKED)["minutes"]))

    def end(*_: object) -> None:
        raise SystemExit(f"{sys.argv[1]}: had not ended after {limit} s")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(limit)
    try:
        half(folder)
    except NeuraxisError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
