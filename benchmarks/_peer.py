"""nnU-Net beside us: a model of its own for timing, and the command that segments one case."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _measure import run_tree, threads_env

HOW_TO_GET = "the peer is missing: ../shared/tools/peer-nnunet.sh DIR installs it, then add --peer DIR"
CASES, STEPS, FOLDS = 20, 3, 5
NUMBER = 4
NAME = f"Dataset{NUMBER:03d}_Hippocampus"
# preprocessing and export processes: nnU-Net's default, one each, none at all
WORKERS = {"default workers (3 + 3)": (3, 3), "1 + 1 workers": (1, 1), "no workers": (0, 0)}


@dataclass(frozen=True)
class Peer:
    """nnU-Net's virtual environment, the folder with its data and model, its dataset (the hippocampus) and plan."""

    venv: Path
    folder: Path
    number: int = NUMBER
    name: str = NAME
    configuration: str = "3d_fullres"

    def env(self, threads: int) -> dict[str, str]:
        """Return the environment of its commands."""
        inner = {f"nnUNet_{name}": str(self.folder / name) for name in ("raw", "preprocessed", "results")}
        return {**threads_env(threads), **inner}

    def versions(self) -> str:
        """Return the versions that it runs on."""
        words = (
            "import importlib.metadata as m; print(*(f'{p} {m.version(p)}' for p in ('nnunetv2', 'torch')), sep=', ')"
        )
        return run_tree([self.venv / "bin" / "python", "-c", words]).output.strip()

    @property
    def checkpoint(self) -> Path:
        """Where its trained network lies."""
        return self.model / "fold_0" / "checkpoint_final.pth"

    @property
    def model(self) -> Path:
        """The folder of its trained model."""
        return self.folder / "results" / self.name / f"nnUNetTrainer__nnUNetPlans__{self.configuration}"

    def predict(self, images: Path, into: Path, workers: tuple[int, int], mirror: bool = False) -> list[str | Path]:
        """Return the command that segments every case of a folder; its default is to mirror."""
        where = ["-i", images, "-o", into, "-d", str(self.number), "-c", self.configuration, "-f", "0"]
        how = ["-device", "cpu", "-npp", str(workers[0]), "-nps", str(workers[1])]
        return [self.venv / "bin" / "nnUNetv2_predict", *where, *how, *([] if mirror else ["--disable_tta"])]

    def train(self, *options: str) -> list[str | Path]:
        """Return the command that trains fold 0; see `_train_peer.py` for its options."""
        return [self.venv / "bin" / "python", Path(__file__).with_name("_train_peer.py"), str(self.number), *options]


def make_model(peer: Peer, data: Path, threads: int) -> None:
    """Plan, preprocess and train for a few steps on some cases of the hippocampus set; takes some minutes.

    Args:
        peer: where nnU-Net is, and where its files go.
        data: the set in MSD's layout.
        threads: how many it may take.
    """
    ids = [image.name.removesuffix(".nii.gz") for image in sorted((data / "imagesTr").glob("[!.]*.nii.gz"))[:CASES]]
    write_raw(peer.folder / "raw" / NAME, data, ids)
    train_model(peer, threads, STEPS)


def train_model(peer: Peer, threads: int, steps: int) -> None:
    """Plan, preprocess and train for a few steps on the raw dataset that is there."""
    (peer.folder / "results").mkdir(parents=True, exist_ok=True)
    env = {**peer.env(threads), "nnUNet_n_proc_DA": str(threads), "nnUNet_def_n_proc": str(threads)}
    plan = peer.venv / "bin" / "nnUNetv2_plan_and_preprocess"
    run_tree([plan, "-d", str(peer.number), "-c", "3d_fullres", "-np", "1", "-npfp", "1"], env)
    ids = sorted(path.name.split(".")[0] for path in (peer.folder / "raw" / peer.name / "labelsTr").iterdir())
    if len(ids) < FOLDS:  # it refuses to split so few
        splits = peer.folder / "preprocessed" / peer.name / "splits_final.json"
        splits.write_text(json.dumps([{"train": ids[1:], "val": ids[:1]}]), "utf-8")
    run_tree(peer.train("--iterations", str(steps), "--threads", str(threads)), {**env, "nnUNet_n_proc_DA": "0"})


def write_raw(folder: Path, data: Path, ids: Sequence[str]) -> None:
    """Write the folder that nnU-Net plans and trains from: copies of some cases of the hippocampus set."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for id in ids:
        shutil.copyfile(data / "imagesTr" / f"{id}.nii.gz", folder / "imagesTr" / f"{id}_0000.nii.gz")
        shutil.copyfile(data / "labelsTr" / f"{id}.nii.gz", folder / "labelsTr" / f"{id}.nii.gz")
    card = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": len(ids),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(card), "utf-8")
