"""Segmenting one case of 4 x 240 x 240 x 155 voxels, whole process: `neuraxis segment` beside `nnUNetv2_predict`.

Run: python benchmarks/segment_large.py --peer DIR [--mirror [--crop SIDE]]. Both run the same checkpoint: nnU-Net's
default plan for such scans (31 million parameters, windows of 128 x 128 x 128), trained for one step, on which the time
does not depend; the first run makes it (about five minutes) and keeps it in DIR.
nnU-Net runs at its default and at other numbers of worker processes; the best counts. `--workers "1 + 1 workers"` runs
one of them alone, which spares an hour with mirroring; so does `--crop 128`, a cube of one window in place of eight.
The int8 networks are calibrated on four patches (minutes, once a run): enough to time them, not to judge them.
Goals (DESIGN): fp32 1/1.7 of its CPU time; default precision 1/3.7 of its CPU and 1/4 of its wall time; int8 1/5.5 of
its CPU time; memory 1/2.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel
from _brains import NAME, NUMBER, write_dataset
from _measure import Cost, interleave, machine, median, versions
from _peer import HOW_TO_GET, WORKERS, Peer, train_model
from _segmenting import best_of_theirs, our_job, peer_jobs, show_agreement, show_costs, show_goal, show_stages

import neuraxis as nx

DEFAULT, FP32, INT8 = "neuraxis", "neuraxis, fp32", "neuraxis, int8"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--mirror", action="store_true", help="with nnU-Net's default mirroring: eight times the work")
    parser.add_argument("--crop", type=int, metavar="SIDE", help="only a cube of that side about the middle")
    parser.add_argument("--workers", choices=WORKERS, action="append", help="only these rows of nnU-Net (all)")
    parser.add_argument("--repeats", type=int, default=1, help="timed runs of each row (1)")
    return parser.parse_args()


def copy_case(scan: Path, into: Path, side: int | None) -> None:
    """Copy a scan, or a cube of it about its middle, which keeps its place in space."""
    if side is None:
        shutil.copyfile(scan, into)
        return
    image = nibabel.load(scan)
    begins = [max(0, (length - side) // 2) for length in image.shape]
    nibabel.save(image.slicer[tuple(slice(begin, begin + side) for begin in begins)], into)


def main() -> None:
    wanted, threads = options(), os.cpu_count() or 1
    if wanted.peer is None:
        print(f"nothing to compare with: {HOW_TO_GET}")
        return
    venv = wanted.peer.resolve()
    peer = Peer(venv, venv / "brain", NUMBER, NAME)
    if not peer.checkpoint.exists():
        print("making a model for nnU-Net on four cases (about five minutes)", flush=True)
        write_dataset(peer.folder / "raw" / NAME)
        train_model(peer, threads, 1)
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        folder = Path(name)
        images, model = folder / "images", folder / "brain.nxb"
        images.mkdir()
        for path in sorted((peer.folder / "raw" / NAME / "imagesTr").glob("case0_*.nii.gz")):
            copy_case(path, images / path.name, wanted.crop)
        nx.import_bundle(peer.model, model)
        few = nx.QuantiseOptions(cases=("case3",), patches=4)
        nx.quantise_bundle(model, peer.folder / "raw" / NAME, options=few)
        mirror = [] if wanted.mirror else ["--no-mirror"]
        rows = {DEFAULT: mirror} | {
            row: [*mirror, "--precision", kind] for row, kind in ((FP32, "fp32"), (INT8, "int8"))
        }
        jobs = {
            row: our_job(images, model, folder / f"ours-{place}", threads, words)
            for place, (row, words) in enumerate(rows.items())
        }
        jobs |= peer_jobs(peer, images, folder, threads, wanted.mirror, wanted.workers or tuple(WORKERS))
        print(versions("neuraxis", "openvino", "numpy"), peer.versions(), sep="; beside ")
        what = f"the middle of one case, {wanted.crop} voxels each way" if wanted.crop else "one case"
        print(f"{machine(threads)}\n{what}, medians of {wanted.repeats} runs of each in turn\n", flush=True)
        peaks = {row: job.peak_gb() for row, job in jobs.items()}  # the first runs also fill the caches
        work: dict[str, Callable[[], Cost]] = {row: functools.partial(job.run) for row, job in jobs.items()}
        costs = interleave(work, wanted.repeats)
        best = best_of_theirs(costs)
        show_costs(costs, peaks)
        print()
        show_agreement(jobs, best)
        print()
        show_stages(peer, images, model, folder, threads, wanted.mirror)
        print()
        wall, cpu = (
            {row: median([getattr(cost, key) for cost in runs]) for row, runs in costs.items()}
            for key in ("wall_s", "cpu_s")
        )
        show_goal("CPU time in fp32", cpu[FP32], cpu[best], 1.7)
        show_goal("CPU time by default", cpu[DEFAULT], cpu[best], 3.7)
        show_goal("CPU time in int8", cpu[INT8], cpu[best], 5.5)
        show_goal("wall time by default", wall[DEFAULT], wall[best], 4)
        show_goal("memory by default", peaks[DEFAULT], min(peaks[row] for row in peaks if row not in rows), 2)


if __name__ == "__main__":
    main()
