"""A few steps of training, as `neuraxis train` takes them, in a process of its own; prints its peak memory.

Run by memory.py: python benchmarks/_train_steps.py PLAN.json
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

CASES = ("a", "b")


def main(plan: dict[str, Any]) -> None:
    from neuraxis.training.train import train

    with tempfile.TemporaryDirectory() as name:
        job = make_job(plan, Path(name))
        before = peak_gb()
        train(job)
        print(json.dumps({"peak_gb": peak_gb(), "before_gb": before}))


def make_job(plan: dict[str, Any], folder: Path) -> Any:
    """Return a training on noise, in the patch that is planned; every sample is rotated and scaled."""
    from neuraxis.dataset.labels import Labels
    from neuraxis.dataset.splits import Fold
    from neuraxis.preparation.prepared import Prepared, WayBack
    from neuraxis.preparation.store import Store
    from neuraxis.recipe.wishes import resolve
    from neuraxis.training.train import TrainingJob
    from neuraxis.volume.grid import Grid

    patch, channels, outputs = tuple(plan["patch"]), plan["channels"], plan["outputs"]
    shape = tuple(size if size == 1 else size + 8 for size in patch)
    way_back = WayBack(Grid(shape, np.eye(4)), (0, 0, 0), shape, shape)
    draws, store = np.random.default_rng(0), Store(folder / "store")
    for case in CASES:
        image = draws.normal(size=(channels, *shape)).astype(np.float32)
        store.put(case, Prepared(image, way_back, draws.integers(0, outputs, (1, *shape)).astype(np.uint8)))
    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {str(n): "zscore" for n in range(channels)}},
            "patches": {"shape": list(patch), "batch": plan["batch"]},
            "augmentation": {"affine_probability": 1.0, "noise_probability": 1.0, "gamma_probability": 1.0},
            "network": {"name": plan["network"], "options": plan["options"]},
            "training": {"steps": plan["steps"], "validations": 1, "precision": plan["precision"]},
        }
    )
    names = {"background": 0, **{f"label {number}": number for number in range(1, outputs)}}
    return TrainingJob(store, Fold(CASES[:1], CASES[1:]), Labels(names=names), recipe, channels, folder, plan["device"])


def peak_gb() -> float:
    """Return the most resident memory that this process had, in GiB.

    Linux is asked for that of the program alone: `ru_maxrss` begins with what the process that started it had.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 2**20


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
