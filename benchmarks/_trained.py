"""Models that nnU-Net itself trains until they are good, for the benchmark of exactness; made once, kept in its folder.

Trainer, plan, augmentation, loss and optimiser are nnU-Net's. Shortened are the epochs, and where a processor asks for
it the windows a step learns from: their number, and for the large network their size.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _measure import run_tree
from _peer import Peer

SAVE_EVERY = 4


@dataclass(frozen=True)
class Training:
    """How long one model trains.

    Attributes:
        epochs: over which the learning rate falls.
        iterations: steps an epoch.
        batch: windows a step.
        patch: size of a window; empty for the plan's.
        window: what the plan's window is set to before training; empty for its own.
    """

    epochs: int
    iterations: int
    batch: int
    patch: tuple[int, ...] = ()
    window: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """How many steps that makes."""
        return self.epochs * self.iterations


def prepare(peer: Peer, threads: int, validate: Sequence[str] = ()) -> None:
    """Plan and preprocess the raw dataset that is there, unless that was done.

    Args:
        peer: where nnU-Net and its folders are.
        threads: how many it may take.
        validate: ids of the only fold's validation cases; without any, nnU-Net deals five folds.
    """
    folder = peer.folder / "preprocessed" / peer.name
    done = folder / f"prepared-{peer.configuration}"
    if done.exists():
        return
    (peer.folder / "results").mkdir(parents=True, exist_ok=True)
    plan = peer.venv / "bin" / "nnUNetv2_plan_and_preprocess"
    run_tree([plan, "-d", str(peer.number), "-c", peer.configuration, "-np", "1", "-npfp", "1"], peer.env(threads))
    if validate:
        ids = sorted(path.name.split(".")[0] for path in (peer.folder / "raw" / peer.name / "labelsTr").iterdir())
        split = {"train": [id for id in ids if id not in validate], "val": list(validate)}
        (folder / "splits_final.json").write_text(json.dumps([split]), "utf-8")
    done.touch()


def set_window(peer: Peer, window: Sequence[int]) -> None:
    """Set the plan's window, which is halved at every stage of the network, as its manual tells how to edit a plan."""
    path = peer.folder / "preprocessed" / peer.name / "nnUNetPlans.json"
    plans = json.loads(path.read_text("utf-8"))
    wanted = plans["configurations"][peer.configuration]
    wanted["patch_size"] = list(window)
    strides = wanted["architecture"]["arch_kwargs"]["strides"]
    strides[1:] = [[2] * len(window) for _ in strides[1:]]
    path.write_text(json.dumps(plans, indent=4), "utf-8")


def train(peer: Peer, training: Training, threads: int) -> None:
    """Train fold 0 from its newest checkpoint, if it has one; a kill costs what came after that."""
    if peer.checkpoint.exists():
        return
    fold = peer.checkpoint.parent
    went_on = any((fold / f"checkpoint_{name}.pth").exists() for name in ("latest", "best"))
    if training.window:
        set_window(peer, training.window)
    words = ["--configuration", peer.configuration, "--epochs", str(training.epochs), "--threads", str(threads)]
    words += ["--iterations", str(training.iterations), "--validations", "2", "--save-every", str(SAVE_EVERY)]
    words += ["--batch", str(training.batch), *(["--go-on"] if went_on else [])]
    words += ["--patch", *map(str, training.patch)] if training.patch else []
    run_tree(peer.train(*words), {**peer.env(threads), "nnUNet_n_proc_DA": "0"})


def write_unseen(folder: Path, data: Path, ids: Sequence[str]) -> None:
    """Copy cases of a set in MSD's layout that no training sees: images and manual labels, under the same names."""
    for kind, part in (("images", "imagesTr"), ("labels", "labelsTr")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for id in ids:
            shutil.copyfile(data / part / f"{id}.nii.gz", folder / kind / f"{id}.nii.gz")
