"""Fingerprint, plan and prepare, whole process: `neuraxis prepare` beside `nnUNetv2_plan_and_preprocess`.

Run: python benchmarks/preparation.py [--peer DIR] [--cases 60]. Both get the same folder of hippocampus cases (or of
noise of that size, where the set is missing) and end with arrays on disk that training reads. nnU-Net runs as typed,
which prepares its 2D and its 3D configuration, and for 3D alone with several numbers of worker processes; the best row
counts. Goal (DESIGN): 1/8 of its wall time.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _measure import Cost, interleave, machine, median, peak_tree_gb, run_tree, table, threads_env, versions
from _model import DATA
from _peer import HOW_TO_GET, NAME, NUMBER, Peer, write_raw

OURS = "neuraxis prepare"
FULL = ("-c", "3d_fullres")
THEIRS: dict[str, tuple[str, ...]] = {
    "nnU-Net, as typed (2D and 3D)": (),
    "nnU-Net, 3D, default workers (8)": FULL,
    "nnU-Net, 3D, a worker a core": (*FULL, "-np", str(os.cpu_count()), "-npfp", str(os.cpu_count())),
    "nnU-Net, 3D, 1 worker": (*FULL, "-np", "1", "-npfp", "1"),
}
GOAL = 8


@dataclass(frozen=True)
class Job:
    """One row of the table: a command, its environment, and what must not be there when it starts."""

    command: list[str | Path]
    env: dict[str, str]
    written: Path

    def run(self) -> Cost:
        """Run it once, from a clean start."""
        shutil.rmtree(self.written, ignore_errors=True)
        return run_tree(self.command, self.env)

    def peak_gb(self) -> float:
        """Run it once more and look at its memory."""
        shutil.rmtree(self.written, ignore_errors=True)
        return peak_tree_gb(self.command, self.env)

    def disk_mb(self) -> float:
        """Return what the last run wrote, in MB."""
        return sum(path.stat().st_size for path in self.written.rglob("*") if path.is_file()) / 1e6


def find_data(folder: Path, cases: int) -> Path:
    """Return the hippocampus set, or one of noise in its layout."""
    if (DATA / "imagesTr").is_dir():
        return DATA
    import numpy as np

    from neuraxis.volume.formats import nifti
    from neuraxis.volume.grid import Grid
    from neuraxis.volume.volume import Volume

    draws, grid = np.random.Generator(np.random.Philox(1)), Grid((35, 51, 35), np.eye(4))
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for number in range(cases):
        label = np.zeros((1, 35, 51, 35), np.uint8)
        label[0, 10:25, 10:25, 10:25], label[0, 10:25, 25:40, 10:25] = 1, 2
        image = (label * 100 + draws.integers(1, 200, label.shape)).astype(np.int16)
        nifti.write(folder / "imagesTr" / f"noise_{number:03}.nii.gz", Volume(image, grid))
        nifti.write(folder / "labelsTr" / f"noise_{number:03}.nii.gz", Volume(label, grid))
    print(f"{DATA} is missing, so the scans are noise of 35 x 51 x 35.")
    return folder


def make_jobs(peer: Peer | None, folder: Path, cases: int, threads: int) -> dict[str, Job]:
    data = find_data(folder / "noise", cases)
    there = Peer(peer.venv if peer else folder, folder)
    ids = [image.name.removesuffix(".nii.gz") for image in sorted((data / "imagesTr").glob("[!.]*.nii.gz"))[:cases]]
    write_raw(folder / "raw" / NAME, data, ids)
    into, program = folder / "ours", Path(sys.executable).with_name("neuraxis")
    ours: list[str | Path] = [program, "prepare", folder / "raw" / NAME, "--into", into, "--quiet"]
    jobs = {OURS: Job(ours, threads_env(threads), into)}
    if peer:
        written = folder / "preprocessed"
        for name, words in THEIRS.items():
            command = [peer.venv / "bin" / "nnUNetv2_plan_and_preprocess", "-d", str(NUMBER), *words]
            jobs[name] = Job(command, {**there.env(threads), "nnUNet_def_n_proc": str(threads)}, written)
    return jobs


def report(costs: dict[str, list[Cost]], jobs: dict[str, Job]) -> None:
    walls = {name: median([cost.wall_s for cost in runs]) for name, runs in costs.items()}
    cpus = {name: median([cost.cpu_s for cost in runs]) for name, runs in costs.items()}
    best = min((name for name in costs if name != OURS), key=walls.__getitem__, default="")
    rows = []
    for name, runs in costs.items():
        spread = f"{min(cost.wall_s for cost in runs):.2f}-{max(cost.wall_s for cost in runs):.2f}"
        ratios = [f"1/{theirs[best] / theirs[name]:.1f}" if best else "" for theirs in (walls, cpus)]
        peak, disk = "", ""
        if name in (OURS, best):
            peak = f"{jobs[name].peak_gb():.2f}"
            disk = f"{jobs[name].disk_mb():.0f}"
        if name != OURS:
            ratios = ["1", "1"] if name == best else ["", ""]
        rows.append([name, f"{walls[name]:.2f}", spread, f"{cpus[name]:.2f}", peak, disk, *ratios])
    head = ("whole process", "wall s", "from-to", "CPU s", "peak GiB", "disk MB", "of best wall", "of its CPU")
    print(table(head, rows))
    if best:
        won = walls[OURS] <= walls[best] / GOAL
        print(f"\ngoal: 1/{GOAL} of nnU-Net's best wall: {'reached' if won else 'missed'}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--cases", type=int, default=60, help="how many (60)")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each row (2)")
    return parser.parse_args()


def main() -> None:
    wanted, threads = options(), os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        folder = Path(name)
        peer = Peer(wanted.peer.resolve(), folder) if wanted.peer else None
        jobs = make_jobs(peer, folder, wanted.cases, threads)
        print(versions("neuraxis", "numpy", "blosc2"), *([peer.versions()] if peer else []), sep="; beside ")
        print(
            f"{machine(threads)}\n{wanted.cases} cases, medians of {wanted.repeats} runs of each in turn\n", flush=True
        )
        work: dict[str, Callable[[], Cost]] = {row: functools.partial(job.run) for row, job in jobs.items()}
        report(interleave(work, wanted.repeats), jobs)
    if not peer:
        print(f"\nnnU-Net's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
