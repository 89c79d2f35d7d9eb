"""Segmenting one hippocampus case, whole process: `neuraxis segment` beside `nnUNetv2_predict`.

Run: python benchmarks/segment_small.py [--peer DIR [--make-peer-model]]. Both get the same case, network (nnU-Net's
plan for this set: 32-64-128-256 channels, windows of 40 x 56 x 40), overlap and threads, and no mirroring; runs are
interleaved. The weights are those of few training steps or none, on which the time does not depend. nnU-Net runs at
its default and at other numbers of worker processes; the best counts. Goal (DESIGN): 1/10 of its wall time.
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
from _model import DATA, find_scan, write_model
from _peer import CASES, HOW_TO_GET, WORKERS, Peer, make_model

WARM, COLD, FP32 = "neuraxis, compiled before", "neuraxis, first use of the model", "neuraxis, compiled before, fp32"
Command = list[str | Path]


@dataclass(frozen=True)
class Job:
    """One row of the table: a command, its environment, and what must not be there when it starts."""

    command: Command
    env: dict[str, str]
    remove: tuple[Path, ...]

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for place in self.remove:
            shutil.rmtree(place, ignore_errors=True)

    def run(self) -> Cost:
        """Run it once, from a clean start."""
        self.clear()
        return run_tree(self.command, self.env)

    def peak_gb(self) -> float:
        """Run it once more and look at its memory."""
        self.clear()
        return peak_tree_gb(self.command, self.env)


def our_jobs(scan: Path, model: Path, folder: Path, threads: int) -> dict[str, Job]:
    """Return our rows; each has a home of its own, where the caches are."""
    jobs = {}
    for place, (name, options) in enumerate({COLD: [], WARM: [], FP32: ["--precision", "fp32"]}.items()):
        home, into = folder / f"home-{place}", folder / f"ours-{place}"
        home.mkdir()
        program = Path(sys.executable).with_name("neuraxis")
        command: Command = [program, "segment", scan, "--model", model, "--into", into, "--quiet", *options]
        caches = (home / ".cache",) if name == COLD else ()
        jobs[name] = Job(command, {**threads_env(threads), "HOME": str(home)}, (into, *caches))
    return jobs


def peer_jobs(peer: Peer, scan: Path, folder: Path, threads: int) -> dict[str, Job]:
    images = folder / "images"
    images.mkdir()
    shutil.copyfile(scan, images / f"{scan.name.removesuffix('.nii.gz')}_0000.nii.gz")
    jobs = {}
    for place, (name, workers) in enumerate(WORKERS.items()):
        into = folder / f"theirs-{place}"
        jobs[f"nnU-Net, {name}"] = Job(peer.predict(images, into, workers), peer.env(threads), (into,))
    return jobs


def report(costs: dict[str, list[Cost]], peaks: dict[str, float]) -> None:
    walls = {name: median([cost.wall_s for cost in runs]) for name, runs in costs.items()}
    cpus = {name: median([cost.cpu_s for cost in runs]) for name, runs in costs.items()}
    best = min((name for name in costs if name.startswith("nnU-Net")), key=walls.__getitem__, default="")
    rows = []
    for name, runs in costs.items():
        spread = f"{min(cost.wall_s for cost in runs):.2f}-{max(cost.wall_s for cost in runs):.2f}"
        ratios = [f"1/{theirs[best] / theirs[name]:.1f}" if best else "" for theirs in (walls, cpus)]
        if name.startswith("nnU-Net"):
            ratios = ["1", "1"] if name == best else ["", ""]
        rows.append([name, f"{walls[name]:.2f}", spread, f"{cpus[name]:.2f}", f"{peaks[name]:.2f}", *ratios])
    print(table(("whole process", "wall s", "from-to", "CPU s", "peak GiB", "of best wall", "of its CPU"), rows))
    if best:
        won = walls[WARM] <= walls[best] / 10
        print(f"\ngoal: 1/10 of nnU-Net's best wall with a model compiled before: {'reached' if won else 'missed'}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--make-peer-model", action="store_true", help=f"train its model for some steps on {DATA}")
    parser.add_argument("--scan", type=Path, help="the scan to segment; left out: the first of the set")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each row (3)")
    return parser.parse_args()


def main() -> None:
    wanted, threads = options(), os.cpu_count() or 1
    peer = Peer(wanted.peer.resolve(), wanted.peer.resolve() / "hippocampus") if wanted.peer else None
    if peer and (wanted.make_peer_model or not peer.checkpoint.exists()):
        print(f"making a model for nnU-Net on {CASES} cases (about a minute)", flush=True)
        make_model(peer, DATA, threads)
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        folder = Path(name)
        scan = find_scan(wanted.scan, folder)
        jobs = our_jobs(scan, write_model(folder / "timing.nxb"), folder, threads)
        jobs |= peer_jobs(peer, scan, folder, threads) if peer else {}
        print(versions("neuraxis", "openvino", "numpy"), *([peer.versions()] if peer else []), sep="; beside ")
        print(f"{machine(threads)}\n{scan.name}, medians of {wanted.repeats} runs of each in turn\n", flush=True)
        peaks = {row: job.peak_gb() for row, job in jobs.items()}  # the first runs also fill the caches
        work: dict[str, Callable[[], Cost]] = {row: functools.partial(job.run) for row, job in jobs.items()}
        report(interleave(work, wanted.repeats), peaks)
    if not peer:
        print(f"\nnnU-Net's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
