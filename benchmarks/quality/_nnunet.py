"""The row of nnU-Net: plan, preprocess and train within the budget; measuring and predicting are not counted.

Its trainer and plan (3d_fullres) are its defaults. The number of its epochs, and how long one is, are fixed by a speed
that is measured beforehand, so that its learning rate falls to the end within the budget.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _data import Cases, content_of
from _row import Row, Work
from _shared import NAME, NUMBER, Peer, write_raw

from neuraxis.evaluation.scores import Scores
from neuraxis.files import read_json, write_json

PLANS = "nnUNetPlans.json"
EPOCH, VALIDATIONS_SHARE = 250, 5  # its defaults: 250 training iterations an epoch, 50 of validation
EPOCHS = range(10, 31)  # where an epoch of its default length is too long: how many shorter ones may be tried
MEASURED, WORKERS = 8, "nnunet-workers.json"
MODES = {"plain": False, "mirrored": True}


@dataclass(frozen=True)
class Speed:
    """What the pieces of a training take.

    Attributes:
        start_s: from typing to the first iteration.
        iteration_s: a training iteration, its data included.
        validation_s: a validation iteration.
        epoch_end_s: an epoch's end: curves and checkpoints.
    """

    start_s: float
    iteration_s: float
    validation_s: float
    epoch_end_s: float

    def epoch_s(self, iterations: int) -> float:
        """Return the seconds of an epoch."""
        return iterations * self.iteration_s + validations_of(iterations) * self.validation_s + self.epoch_end_s


@dataclass(frozen=True)
class Length:
    """How long a training is."""

    epochs: int
    iterations: int

    @property
    def steps(self) -> int:
        """All its training iterations."""
        return self.epochs * self.iterations


def validations_of(iterations: int) -> int:
    """Return the validation iterations of an epoch: a fifth, as in its default."""
    return max(1, iterations // VALIDATIONS_SHARE)


def fix_length(speed: Speed, left_s: float) -> Length:
    """Return the longest training that fits into the seconds that are left.

    Epochs of its default length are taken where ten of them fit; else so many shorter ones, between 10 and 30, that
    most iterations fit (fewer than 10, where not even ten of one iteration do).

    >>> fix_length(Speed(10, 1.0, 0.4, 1.0), 10 + 12 * 271)
    Length(epochs=12, iterations=250)
    >>> fix_length(Speed(10, 6.0, 2.0, 1.0), 560).steps
    81
    """
    room = left_s - speed.start_s
    whole = int(room / speed.epoch_s(EPOCH))
    if whole >= EPOCHS.start:
        return Length(whole, EPOCH)
    tried = [Length(epochs, iterations_in(speed, room / epochs)) for epochs in (*range(1, EPOCHS.start), *EPOCHS)]
    wanted = [length for length in tried if length.epochs in EPOCHS and length.iterations] or tried
    best = max(wanted, key=lambda length: (length.steps, length.epochs))
    return best if best.iterations else Length(1, 1)


def iterations_in(speed: Speed, seconds: float) -> int:
    """Return how many iterations an epoch of so many seconds has, at most its default."""
    return max((count for count in range(EPOCH + 1) if count and speed.epoch_s(count) <= seconds), default=0)


class PeerRow:
    """The phases of one row of nnU-Net.

    Args:
        row: what is asked for.
        cases: on which cases.
        venv: its virtual environment.
        wait_s: how long to wait for the load of other work to fade.
    """

    def __init__(self, row: Row, cases: Cases, venv: Path, wait_s: float) -> None:
        self.row, self.cases, self.work = row, cases, Work(row, wait_s)
        self.parts = self.work.parts
        self.peer = Peer(venv, row.folder)
        self.threads = int(self.work.start["machine"]["cores_used"])
        self.planned = row.folder / "preprocessed" / NAME

    def run_all(self) -> dict[str, Any]:
        """Do every phase that is not done yet, and write the result."""
        self.plan()
        speed, workers = self.measure()
        length = self.fixed_length(speed)
        self.train(length, workers)
        scores = {name: self.predict(name, mirror) for name, mirror in MODES.items()}
        best = max(scores, key=lambda name: scores[name].mean("dice"))
        found = {name: {"dice": got.mean("dice"), "hd95_mm": got.mean("hd95_mm")} for name, got in scores.items()}
        told = {
            "version": self.peer.versions(),
            "training": {**asdict(length), "steps": length.steps, "speed": asdict(speed)},
            "settings": self.settings(length, workers),
            "worker_processes": read_json(self.row.into / WORKERS),
            "predictions": {"better": best, **found},
        }
        return self.work.write(self.parts.spent("plan", "train"), self.cases, {**told, **content_of(scores[best])})

    def plan(self) -> None:
        """Plan and preprocess the raw cases; the fold is ours."""
        if not self.parts.done("plan"):
            for name in ("raw", "preprocessed", "results"):
                shutil.rmtree(self.row.folder / name, ignore_errors=True)
                (self.row.folder / name).mkdir(parents=True)
            write_raw(self.row.folder / "raw" / NAME, self.cases.folder, self.cases.ids)
            program, cores = self.peer.venv / "bin" / "nnUNetv2_plan_and_preprocess", str(self.threads)
            how = ["-d", str(NUMBER), "-c", "3d_fullres", "-npfp", cores, "-np", cores]
            self.parts.run("plan", [program, *how], self.env(), anew=True)
        self.cases.write_splits(self.planned / "splits_final.json")

    def measure(self) -> tuple[Speed, int]:
        """Return the speed with the best number of augmentation processes, which the first row finds."""
        place = self.row.folder / "speed.json"
        known = self.row.into / WORKERS
        if not place.is_file():
            best = read_json(known)["best"] if known.is_file() else None
            counts = sorted({self.threads, 1, 0}, reverse=True) if best is None else [best]
            speeds = {count: self.measured(count) for count in counts}
            chosen = min(speeds, key=lambda count: speeds[count].epoch_s(EPOCH))
            if best is None:
                told = {str(count): asdict(speed) for count, speed in speeds.items()}
                write_json(known, {"best": chosen, "default": self.threads, "speeds": told})
            write_json(place, {"workers": chosen, "speed": asdict(speeds[chosen])})
        content = read_json(place)
        return Speed(**content["speed"]), int(content["workers"])

    def measured(self, workers: int) -> Speed:
        """Time some iterations, in a folder for results that is thrown away."""
        scratch = self.row.folder / "measured"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        env = {**self.env(workers), "nnUNet_results": str(scratch)}
        command = self.peer.train("--measure", str(MEASURED), "--threads", str(self.threads))
        said = self.parts.run(f"measure-{workers}", command, env, anew=True)
        shutil.rmtree(scratch, ignore_errors=True)
        return Speed(**json.loads(said.strip().splitlines()[-1]))

    def fixed_length(self, speed: Speed) -> Length:
        """Fix the length once; a row that goes on keeps it."""
        place = self.row.folder / "length.json"
        if not place.is_file():
            write_json(place, asdict(fix_length(speed, self.row.budget_s - self.parts.spent("plan").wall_s)))
        return Length(**read_json(place))

    def train(self, length: Length, workers: int) -> None:
        """Train, or go on from the newest checkpoint; there is one after every epoch."""
        if self.parts.done("train"):
            return
        size = ["--epochs", length.epochs, "--iterations", length.iterations]
        how = ["--validations", validations_of(length.iterations), "--save-every", 1, "--threads", self.threads]
        going_on = ["--go-on"] if list(self.peer.checkpoint.parent.glob("checkpoint_*.pth")) else []
        command = self.peer.train(*map(str, (*size, *how, "--seed", self.row.seed)), *going_on)
        self.parts.run("train", command, self.env(workers), anew=not going_on)

    def predict(self, name: str, mirror: bool) -> Scores:
        """Predict the held-out cases with the last weights, and score them with our scorer."""
        phase, into = f"predict-{name}", self.row.folder / f"predicted-{name}"
        if not self.parts.done(phase):
            images = self.row.folder / "held-out"
            shutil.rmtree(images, ignore_errors=True)
            images.mkdir()
            for id in self.cases.folds[self.row.fold].validation:
                source = self.row.folder / "raw" / NAME / "imagesTr" / f"{id}_0000.nii.gz"
                (images / source.name).symlink_to(source.resolve())
            self.parts.run(phase, self.peer.predict(images, into, (1, 1), mirror), self.env(), anew=True)
        return self.cases.score(into)

    def env(self, workers: int | None = None) -> dict[str, str]:
        """Return the environment of its commands."""
        told = {} if workers is None else {"nnUNet_n_proc_DA": str(workers)}
        return {**self.peer.env(self.threads), **told}

    def settings(self, length: Length, workers: int) -> dict[str, str]:
        """Return in words what differs between the two programs."""
        plan = read_json(self.planned / PLANS)["configurations"]["3d_fullres"]
        features = plan["architecture"]["arch_kwargs"]["features_per_stage"]
        epochs = f"{length.epochs} epochs of {length.iterations} iterations"
        return {
            "network": f"PlainConvUNet, channels {features}",
            "patch": " x ".join(map(str, plan["patch_size"])),
            "batch": str(plan["batch_size"]),
            "steps": f"{length.steps} ({epochs})",
            "optimiser": "sgd with Nesterov momentum 0.99, learning rate 0.01, poly over the epochs",
            "precision": "fp32 (its only one on processors)",
            "augmentation": "its default",
            "weights scored": "the last",
            "mirroring at prediction": "with and without; the better counts",
            "worker processes": f"{workers}, the fastest of {', '.join(read_json(self.row.into / WORKERS)['speeds'])}",
        }
