"""The fingerprint of four cases of 4 x 240 x 240 x 155 voxels, whole process: `neuraxis plan` beside nnU-Net.

Run: python benchmarks/fingerprint.py [--peer DIR]. The cases are the real tumour scans of ../shared/data (two, each of
that very size) and phantoms of the same size for the rest, written once as an nnU-Net raw dataset into a temporary
folder; both read the same files. `neuraxis plan` does more than `nnUNetv2_extract_fingerprint`: it also checks every
file, and plans. nnU-Net runs at its default number of processes and at others; the best counts, for time and memory
apart. Goal (DESIGN): 1/10 of its time, 1/5 of its memory.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _measure import Cost, interleave, machine, median, peak_tree_gb, run_tree, table, threads_env, versions
from _peer import HOW_TO_GET, Peer

from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume

SCANS = Path(__file__).parents[2] / "shared" / "data" / "tumour-brats"
KINDS = {
    "BraTS20_Training_002": ("flair", "t1", "t1ce", "t2", "seg"),
    "MSD_BRATS_001": ("0000", "0001", "0002", "0003", "labels"),
}
CASES, SHAPE = 4, (240, 240, 155)
NUMBER, NAME = 5, "Dataset005_Tumour"
PROCESSES = (8, 2, 1)  # nnU-Net's default first
OURS = "neuraxis plan"


def real_cases() -> list[list[Volume]]:
    """Return the real cases: four channels and the label map, its numbers without a gap."""
    cases = []
    for folder, names in KINDS.items():
        paths = [next(iter(sorted((SCANS / folder).glob(f"*_{name}.nii.gz"))), None) for name in names]
        if all(paths):
            volumes = [nifti.read(path) for path in paths if path]
            label = volumes[-1]
            cases.append([*volumes[:-1], label.with_array(np.minimum(label.array, 3).astype(np.uint8))])
    return cases


def phantom_case(subject: int) -> list[Volume]:
    """Return a phantom of the same size: FLAIR, T1 and T2, its T1 from top to bottom as the fourth, and the lesions."""
    phantom = make_phantom(SITES[0], 0, subject, PhantomOptions(spacing_mm=(1.0, 1.0, 1.0), shape=SHAPE))
    channels = [*phantom.images.array, phantom.images.array[1, :, :, ::-1]]
    return [*(phantom.images.with_array(np.ascontiguousarray(array)[None]) for array in channels), phantom.label]


def write_dataset(folder: Path) -> str:
    """Write an nnU-Net raw dataset and say in words what it is made of."""
    cases = real_cases()[:CASES]
    words = f"{len(cases)} real scans and {CASES - len(cases)} phantoms"
    cases += [phantom_case(subject) for subject in range(1, 1 + CASES - len(cases))]
    for number, (*channels, label) in enumerate(cases):
        for place, volume in enumerate(channels):
            nifti.write(folder / "imagesTr" / f"case{number}_{place:04d}.nii.gz", volume)
        nifti.write(folder / "labelsTr" / f"case{number}.nii.gz", label)
    description = {
        "channel_names": {str(place): name for place, name in enumerate(("FLAIR", "T1", "T1Gd", "T2"))},
        "labels": {"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description), "utf-8")
    return words


@dataclass(frozen=True)
class Job:
    """One row of the table: a command and its environment."""

    command: list[str | Path]
    env: dict[str, str]

    def run(self) -> Cost:
        """Run it to its end."""
        return run_tree(self.command, self.env)


def jobs(folder: Path, peer: Peer | None, threads: int) -> dict[str, Job]:
    """Return every row: ours, and nnU-Net's at several numbers of processes."""
    program = Path(sys.executable).with_name("neuraxis")
    rows = {OURS: Job([program, "plan", folder / "raw" / NAME, "--json", "--quiet"], threads_env(threads))}
    for count in PROCESSES if peer else ():
        command: list[str | Path] = [peer.venv / "bin" / "nnUNetv2_extract_fingerprint", "-d", str(NUMBER)]
        row = f"nnU-Net, {count} processes{' (default)' if count == PROCESSES[0] else ''}"
        rows[row] = Job([*command, "-np", str(count), "--clean"], peer.env(threads))
    return rows


def report(costs: dict[str, list[Cost]], peaks: dict[str, float]) -> None:
    walls = {name: median([cost.wall_s for cost in runs]) for name, runs in costs.items()}
    cpus = {name: median([cost.cpu_s for cost in runs]) for name, runs in costs.items()}
    theirs = [name for name in costs if name != OURS]
    measured = {"wall": walls, "CPU": cpus, "peak": peaks}
    best = {what: min((numbers[name] for name in theirs), default=0.0) for what, numbers in measured.items()}
    rows = []
    for name in costs:
        own = theirs and name == OURS
        ratios = [f"1/{best[what] / numbers[name]:.1f}" if own else "" for what, numbers in measured.items()]
        rows.append([name, f"{walls[name]:.2f}", f"{cpus[name]:.2f}", f"{peaks[name]:.2f}", *ratios])
    print(table(("whole process", "wall s", "CPU s", "peak GiB", "of best wall", "of best CPU", "of best peak"), rows))
    if theirs:
        quick = walls[OURS] <= best["wall"] / 10 and cpus[OURS] <= best["CPU"] / 10
        small = peaks[OURS] <= best["peak"] / 5
        print(f"\ngoal: 1/10 of nnU-Net's best wall and CPU: {'reached' if quick else 'missed'}")
        print(f"goal: 1/5 of its smallest peak of memory: {'reached' if small else 'missed'}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--repeats", type=int, default=1, help="timed runs of each row (1)")
    return parser.parse_args()


def main() -> None:
    wanted, threads = options(), os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        folder = Path(name)
        peer = Peer(wanted.peer.resolve(), folder) if wanted.peer else None
        words = write_dataset(folder / "raw" / NAME)
        print(versions("neuraxis", "numpy"), *([peer.versions()] if peer else []), sep="; beside ")
        print(f"{machine(threads)}\n{words}, medians of {wanted.repeats} runs of each in turn\n", flush=True)
        rows = jobs(folder, peer, threads)
        peaks = {row: peak_tree_gb(job.command, job.env) for row, job in rows.items()}  # the first runs warm the caches
        work: dict[str, Callable[[], Cost]] = {row: functools.partial(job.run) for row, job in rows.items()}
        report(interleave(work, wanted.repeats), peaks)
    if not wanted.peer:
        print(f"\nnnU-Net's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
