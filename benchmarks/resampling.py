"""Resampling images, label maps and logits: neuraxis beside nnU-Net, scipy and SimpleITK.

Run: python benchmarks/resampling.py [--peer DIR]. Every library gets the same arrays and the same number of threads,
in a process of its own; the fastest of some repeats counts, and how far memory grew beyond the input. nnU-Net and
SimpleITK run in nnU-Net's environment DIR. Every result is compared with ours. Where two slices are as near, ours takes
the lower and nnU-Net the upper; where three labels meet, ours takes that of most weight and nnU-Net the background.
Goals (DESIGN): cubic in 0.55 CPU-s and equal to scipy within 1e-4 of the range; 20 classes of logits to labels in 2.1
CPU-s with at most 0.1 GB more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from _measure import machine, run_tree, table, threads_env, versions
from _peer import HOW_TO_GET
from _resample_work import CLASSES, CUBIC, LOGITS, THICK, WORKS

SCRIPT = Path(__file__).with_name("_resample_work.py")
Found = dict[tuple[str, str], dict[str, float]]


def title(work: str) -> str:
    def by(shape: tuple[int, ...]) -> str:
        return " x ".join(map(str, shape))

    return {
        "cubic": f"image, cubic: {by(CUBIC[0])} to {by(CUBIC[1])}",
        "thick": f"image, cubic, thick slices apart: {by(THICK[0])} to {by(THICK[1])}",
        "labels": f"label map, linear per label: {by(CUBIC[0])} to {by(CUBIC[1])}",
        "logits": f"{CLASSES}-class logits to labels: {by(LOGITS[0])} to {by(LOGITS[1])}",
    }[work]


def compare(work: str, library: str, folder: Path) -> str:
    """Say how a result differs from ours."""
    there = folder / f"{library}-{work}.npy"
    if library == "neuraxis" or not there.exists():
        return ""
    mine, theirs = np.load(folder / f"neuraxis-{work}.npy"), np.load(there)
    if work in ("labels", "logits"):
        return f"{(mine == theirs).mean():.4%} of voxels as ours"
    apart = np.abs(mine.astype(np.float64) - theirs)
    most, mean = apart.max() / np.ptp(theirs), apart.mean() / np.ptp(theirs)
    return f"ours differs by {most:.1e} of the range at most, {mean:.1e} on average"


def report(found: Found, folder: Path) -> None:
    for work in WORKS:
        ours = found[work, "neuraxis"]
        rows = []
        for (name, library), cost in found.items():
            if name == work:
                ratio = "" if library == "neuraxis" else f"{cost['cpu_s'] / ours['cpu_s']:.1f} x ours"
                numbers = [f"{cost['cpu_s']:.2f}", f"{cost['wall_s']:.2f}", f"{cost['gb']:.2f}", ratio]
                rows.append([library, *numbers, compare(work, library, folder)])
        print(f"{title(work)}\n{table(('', 'CPU s', 'wall s', '+GiB', 'CPU', 'result'), rows)}\n")
    cubic, logits = found["cubic", "neuraxis"], found["logits", "neuraxis"]
    print(f"goal: cubic in 0.55 CPU-s: {'reached' if cubic['cpu_s'] <= 0.55 else 'missed'}")
    won = logits["cpu_s"] <= 2.1 and logits["gb"] * 2**30 <= 0.1e9
    print(f"goal: logits in 2.1 CPU-s with 0.1 GB: {'reached' if won else 'missed'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (3)")
    wanted, threads = parser.parse_args(), os.cpu_count() or 1
    programs: dict[str, str | Path] = {"neuraxis": sys.executable, "scipy": sys.executable}
    if wanted.peer:
        programs |= dict.fromkeys(("nnU-Net", "SimpleITK"), wanted.peer / "bin" / "python")
    print(f"{versions('neuraxis', 'numpy', 'scipy')}\n{machine(threads)}\n", flush=True)
    found: Found = {}
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        folder = Path(name)
        for work in WORKS:
            for library, program in programs.items():
                into = folder / f"{library}-{work}.npy"
                words = [program, SCRIPT, library, work, str(wanted.repeats), into]
                cost = json.loads(run_tree(words, threads_env(threads)).output.splitlines()[-1])
                if cost is not None:
                    found[work, library] = cost
        report(found, folder)
    if not wanted.peer:
        print(f"\nnnU-Net's and SimpleITK's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
