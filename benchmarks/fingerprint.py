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
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _brains import NAME, NUMBER, write_dataset
from _measure import Cost, interleave, machine, median, peak_tree_gb, run_tree, table, threads_env, versions
from _peer import HOW_TO_GET, Peer

PROCESSES = (8, 2, 1)  # nnU-Net's default first
OURS = "neuraxis plan"


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
