"""One row of the networks' comparison: a network on a dataset, trained for some minutes, predicted, and scored.

What differs from row to row is the network alone: cases, fold, patch and batch (those of the plain U-Net), the recipe,
seed, minutes and cores are the same. A row that fails says why, and the next one begins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _data import DATA, Cases, content_of, open_cases
from _facts import command, facts_of_start
from _network_work import ASKED, PREDICTED, TRAINED
from _ours import settings_of
from _parts import Spent, now
from _row import SCHEMA, Row, Work

from neuraxis.errors import NeuraxisError
from neuraxis.files import read_json, write_json
from neuraxis.networks.catalog import NETWORKS
from neuraxis.pipelines.steps import plan_datasets

WORK = Path(__file__).with_name("_network_work.py")
PHANTOM = ("brain-tumour", "--cases", "30", "--sites", "2", "--size", "small", "--seed", "0")
SETTINGS = {"phantom": ("patches.shape=[32,32,32]",), "hippocampus": ()}  # small patches: more steps in a minute
LEARNS_FROM_NOTHING = ("", "train")  # extras of networks that need nothing but labelled scans
BULKY = ("run",)


@dataclass(frozen=True)
class Ground:
    """What all networks are given alike.

    Attributes:
        name: of the dataset.
        cases: with their folds.
        patch: voxels along (X, Y, Z), as planned for the plain U-Net where it is not set.
        batch: likewise.
        prepared: folder of the prepared cases.
    """

    name: str
    cases: Cases
    patch: tuple[int, int, int]
    batch: int
    prepared: Path


def ground_of(name: str, into: Path) -> Ground:
    """Open a dataset, the phantom's after making it, and plan what all networks are given alike."""
    folder = DATA if name == "hippocampus" else make_phantom(into / "phantom")
    cases = open_cases(folder)
    patches = plan_datasets([folder], settings=SETTINGS[name]).recipe.patches
    return Ground(name, cases, patches.shape, patches.batch, into / "prepared" / name)


def make_phantom(folder: Path) -> Path:
    """Make the phantoms as `neuraxis dataset make` does, as a whole or not at all."""
    if not folder.is_dir():
        making = folder.with_name(f"{folder.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        program = Path(sys.executable).with_name("neuraxis")
        subprocess.run(
            [program, "dataset", "make", *PHANTOM, "--into", making, "--quiet"], check=True, stdout=subprocess.DEVNULL
        )
        making.rename(folder)
    return folder


def row_of(ground: Ground, network: str, minutes: float, seed: int, into: Path) -> Row:
    """Return the row of a network on a dataset."""
    return Row(f"{ground.name}-{network}", minutes, seed, into)


def is_made(row: Row) -> bool:
    """Tell whether a row has its scores; one that failed is tried again."""
    return row.result.is_file() and "problem" not in read_json(row.result)


def reason_to_leave_out(network: str) -> str:
    """Return why a network is not compared; "" where it is."""
    entry = NETWORKS.entries.get(network)
    if entry is None or entry.extra in LEARNS_FROM_NOTHING:
        return ""
    return f"needs the extra {entry.extra}: it begins with weights from elsewhere, so equal minutes are not equal"


def make_row(ground: Ground, network: str, row: Row, wait_s: float | None) -> dict[str, Any]:
    """Train, predict and score, or go on with it, and write the result: scores, or what the problem was."""
    problem = reason_to_leave_out(network)
    try:
        return _note(ground, network, row, problem) if problem else _measure(ground, network, row, wait_s)
    except SystemExit as error:
        if not isinstance(error.code, str):  # this process was asked to end
            raise
        return _note(ground, network, row, last_line(error.code))
    except NeuraxisError as error:
        return _note(ground, network, row, str(error))


def _measure(ground: Ground, network: str, row: Row, wait_s: float | None) -> dict[str, Any]:
    cases, work = ground.cases, Work(row, wait_s)
    asked = {
        "data": str(cases.folder.resolve()),
        "network": network,
        "minutes": row.minutes,
        "seed": row.seed,
        "fold": row.fold,
        "held_out": list(cases.folds[row.fold].validation),
        "patch": list(ground.patch),
        "batch": ground.batch,
        "prepared": str(ground.prepared.resolve()),
    }
    write_json(row.folder / ASKED, asked)
    cores = work.start["machine"]["cores_used"]
    env = {name: str(cores) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    for half, places in (("train", (*BULKY, TRAINED)), ("predict", ("predictions", PREDICTED))):
        if not work.parts.done(half):
            remove(row.folder, places)
            work.parts.run(half, [sys.executable, WORK, half, row.folder], env, anew=True)
    trained, predicted = read_json(row.folder / TRAINED), read_json(row.folder / PREDICTED)
    others = work.parts.spent("train").others_s
    spent = Spent(trained["train_s"], trained["train_cpu_s"], others, 1)
    recipe = tomllib.loads(trained["recipe_toml"])
    told = {
        "dataset": ground.name,
        "network": network,
        "plan": trained["plan"],
        "patch": recipe["patches"]["shape"],
        "batch": recipe["patches"]["batch"],
        "steps": trained["steps"],
        "cost": {key: trained[key] for key in ("parameters", "gflops_a_patch", "train_cpu_s", "train_gb")} | predicted,
        "settings": {**settings_of(recipe), "steps": str(trained["steps"])},
        "recipe_toml": trained["recipe_toml"],
    }
    scores = cases.score(row.folder / "predictions", row.fold)
    made = work.write(spent, cases, {**told, **content_of(scores)})
    remove(row.folder, BULKY)
    return made


def _note(ground: Ground, network: str, row: Row, problem: str) -> dict[str, Any]:
    """Write the result of a row without scores, and let the next command begin it anew."""
    asked = {"who": row.who, "minutes": row.minutes, "seed": row.seed, "fold": row.fold}
    about = {"dataset": ground.name, "network": network, "command": command(), **facts_of_start(), "ended": now()}
    result = {"schema": SCHEMA, **asked, **about, "problem": problem}
    write_json(row.result, result)
    remove(row.folder, (*BULKY, "parts.json", "start.json"))
    return result


def remove(folder: Path, names: Sequence[str]) -> None:
    """Remove files and folders of a row, where they are there."""
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).unlink(missing_ok=True)


def last_line(text: str) -> str:
    """Return what a program said last, without the paths of this machine."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace(f"{Path.cwd()}{os.sep}", "") if lines else "said nothing"
