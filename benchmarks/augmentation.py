"""What augmenting a sample of 2 x 128 x 128 x 128 voxels with a label costs, beside the peers.

Run: python benchmarks/augmentation.py [--peer DIR] [--peer-augment DIR] [--repeats 6], --peer the virtual environment
with nnU-Net and its batchgeneratorsv2, --peer-augment one with MONAI or torchio. Each library runs in processes of its
own, on one thread, in turn; the table shows medians of CPU seconds a call, and means for presets, whose calls differ.
Ranges: rotation to 15 degrees, sizes 0.8 to 1.25, control points that move to 8 mm; `preset nnunet` is beside nnU-Net's
own transforms, each from the patch that it cuts.
Goal (DESIGN): affine and elastic together within 0.19 CPU-s.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from _measure import machine, median, run_tree, table, threads_env, versions

WORK = Path(__file__).with_name("_augment_work.py")
GOAL_S = {"affine + elastic": 0.19}
ROUNDS = 3


def has(python: Path, package: str) -> bool:
    """Tell whether an interpreter can import a package."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([str(python), "-c", look], check=False).returncode == 0


def interpreters(peer: Path | None, augment: Path | None) -> dict[str, Path]:
    """Return library to interpreter, of those that are there."""
    candidates = [Path(sys.executable), *(folder / "bin" / "python" for folder in (peer, augment) if folder)]
    found = {"neuraxis": candidates[0]}
    for library in ("batchgeneratorsv2", "monai", "torchio"):
        for python in candidates:
            if library not in found and has(python, library):
                found[library] = python
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--peer", type=Path, help="virtual environment with nnU-Net")
    options.add_argument("--peer-augment", type=Path, help="virtual environment with MONAI or torchio")
    options.add_argument("--repeats", type=int, default=6)
    chosen = options.parse_args()
    pythons = interpreters(chosen.peer, chosen.peer_augment)
    seconds: dict[str, dict[str, list[float]]] = {library: {} for library in pythons}
    for _ in range(ROUNDS):
        for library, python in pythons.items():
            done = run_tree([python, WORK, library, str(chosen.repeats)], threads_env(1))
            for title, values in json.loads(done.output.splitlines()[-1]).items():
                seconds[library].setdefault(title, []).extend(values)
    print(machine(1))
    print(versions("torch", "numpy"))
    print(f"CPU seconds a call, medians of {ROUNDS} processes; in brackets how many times ours\n")
    rows = []
    for title, mine in seconds["neuraxis"].items():
        middle = fmean if title.endswith("mean") else median
        our = middle(mine)
        row = [title, f"{our:.3f}", f"{min(mine):.3f}-{max(mine):.3f}"]
        for library in list(pythons)[1:]:
            theirs = seconds[library].get(title)
            row.append(f"{middle(theirs):.3f} ({middle(theirs) / our:.1f})" if theirs else "-")
        goal = GOAL_S.get(title)
        row.append(f"{goal} {'met' if our <= goal else 'MISSED'}" if goal else "")
        rows.append(row)
    print(table(["work", "neuraxis", "range", *list(pythons)[1:], "goal"], rows))


if __name__ == "__main__":
    main()
