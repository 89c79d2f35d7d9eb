"""Segmenting one hippocampus case, whole process: `neuraxis segment` beside `nnUNetv2_predict`.

Run: python benchmarks/segment_small.py [--peer DIR [--make-peer-model]]. Both run the same checkpoint, which nnU-Net
trained for a few steps (its plan for this set: 32-64-128-256 channels, windows of 40 x 56 x 40) and
`neuraxis bundle import` turned into a bundle; without a peer ours was never trained. Time does not depend on weights.
Both get the same case and threads, and do not mirror; runs are interleaved. nnU-Net runs at its default and at other
numbers of worker processes; the best counts. Goal (DESIGN): 1/10 of its wall time.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from _measure import Cost, interleave, machine, median, versions
from _model import DATA, find_scan, write_model
from _peer import CASES, HOW_TO_GET, Peer, make_model
from _segmenting import Job, best_of_theirs, our_job, peer_jobs, show_agreement, show_costs, show_goal, show_stages

import neuraxis as nx

WARM, COLD, FP32 = "neuraxis, compiled before", "neuraxis, first use of the model", "neuraxis, compiled before, fp32"


def jobs_of(scan: Path, peer: Peer | None, folder: Path, threads: int) -> dict[str, Job]:
    """Return every row."""
    images = folder / "images"
    images.mkdir()
    shutil.copyfile(scan, images / f"{scan.name.removesuffix('.nii.gz')}_0000.nii.gz")
    model = folder / "timing.nxb"
    if peer:
        nx.import_bundle(peer.model, model)
    else:
        write_model(model)
    rows: dict[str, tuple[list[str], bool]] = {
        COLD: ([], True),
        WARM: ([], False),
        FP32: (["--precision", "fp32"], False),
    }
    jobs = {
        name: our_job(images, model, folder / f"ours-{place}", threads, ["--no-mirror", *options], forgets)
        for place, (name, (options, forgets)) in enumerate(rows.items())
    }
    return jobs | (peer_jobs(peer, images, folder, threads) if peer else {})


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
        jobs = jobs_of(scan, peer, folder, threads)
        print(versions("neuraxis", "openvino", "numpy"), *([peer.versions()] if peer else []), sep="; beside ")
        print(f"{machine(threads)}\n{scan.name}, medians of {wanted.repeats} runs of each in turn\n", flush=True)
        peaks = {row: job.peak_gb() for row, job in jobs.items()}  # the first runs also fill the caches
        work: dict[str, Callable[[], Cost]] = {row: functools.partial(job.run) for row, job in jobs.items()}
        costs = interleave(work, wanted.repeats)
        show_costs(costs, peaks)
        if best := best_of_theirs(costs):
            print()
            show_agreement(jobs, best)
            if peer:
                print()
                show_stages(peer, folder / "images", folder / "timing.nxb", folder, threads)
            ours, theirs = (median([cost.wall_s for cost in costs[row]]) for row in (WARM, best))
            print()
            show_goal("wall with a model compiled before", ours, theirs, 10)
    if not peer:
        print(f"\nnnU-Net's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
