"""What the benchmarks of segmenting share: the commands of both programs, their table, and how far they agree."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _measure import Cost, median, peak_tree_gb, run_tree, table, threads_env
from _peer import WORKERS, Peer

from neuraxis.volume.formats import nifti

Command = list[str | Path]
THEIRS = "nnU-Net"


@dataclass(frozen=True)
class Job:
    """One row of the table: a command, its environment, where its result goes, what must not be there at its start."""

    command: Command
    env: dict[str, str]
    into: Path
    remove: tuple[Path, ...] = ()

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for place in (self.into, *self.remove):
            shutil.rmtree(place, ignore_errors=True)

    def run(self) -> Cost:
        """Run it once, from a clean start."""
        self.clear()
        return run_tree(self.command, self.env)

    def peak_gb(self) -> float:
        """Run it once more and look at its memory."""
        self.clear()
        return peak_tree_gb(self.command, self.env)


def our_job(
    images: Path, model: Path, folder: Path, threads: int, options: Sequence[str], forgets: bool = False
) -> Job:
    """Return a row of ours, with a home of its own, where the caches are.

    Args:
        images: a folder of cases, or a scan.
        model: the bundle.
        folder: where the row's home and result go.
        threads: how many it may take.
        options: of `neuraxis segment`.
        forgets: whether the caches are emptied before every run.
    """
    home, into = folder / "home", folder / "result"
    home.mkdir(parents=True)
    program = Path(sys.executable).with_name("neuraxis")
    command: Command = [program, "segment", images, "--model", model, "--into", into, "--quiet", *options]
    caches = (home / ".cache",) if forgets else ()
    return Job(command, {**threads_env(threads), "HOME": str(home)}, into, caches)


def peer_jobs(
    peer: Peer, images: Path, folder: Path, threads: int, mirror: bool = False, rows: Sequence[str] = tuple(WORKERS)
) -> dict[str, Job]:
    """Return a row of nnU-Net for each number of worker processes; `rows` says which."""
    jobs = {}
    for name in rows:
        workers = WORKERS[name]
        into = folder / name.replace(" ", "-")
        jobs[f"{THEIRS}, {name}"] = Job(peer.predict(images, into, workers, mirror), peer.env(threads), into)
    return jobs


def show_stages(peer: Peer, images: Path, model: Path, folder: Path, threads: int, mirror: bool = False) -> None:
    """Print what each stage takes when one process does them one after another."""
    here, flag = Path(__file__).parent, str(int(mirror))
    ours, theirs = here / "_stages_ours.py", here / "_stages_peer.py"
    env = threads_env(threads)
    run: dict[str, tuple[Command, dict[str, str]]] = {
        "neuraxis": ([sys.executable, ours, images, model, folder / "ours.nii.gz", "auto", flag], env),
        "neuraxis, fp32": ([sys.executable, ours, images, model, folder / "fp32.nii.gz", "fp32", flag], env),
        THEIRS: (
            [peer.venv / "bin" / "python", theirs, images, peer.model, folder / "theirs", str(threads), flag],
            peer.env(threads),
        ),
    }
    found = {name: json.loads(run_tree(*how).output.strip().splitlines()[-1]) for name, how in run.items()}
    header = ["one process, stage by stage", *(f"{name}: wall, CPU s" for name in found)]
    rows = [
        [stage, *(f"{found[name][stage][0]:.2f}, {found[name][stage][1]:.2f}" for name in found)]
        for stage in found[THEIRS]
    ]
    print(table(header, rows))


def best_of_theirs(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Return nnU-Net's row of the shortest wall time; empty without one."""
    theirs = {name: median([cost.wall_s for cost in runs]) for name, runs in costs.items() if name.startswith(THEIRS)}
    return min(theirs, key=theirs.__getitem__, default="")


def show_costs(costs: Mapping[str, Sequence[Cost]], peaks: Mapping[str, float]) -> None:
    """Print a line for each row, with what it is of nnU-Net's best."""
    walls = {name: median([cost.wall_s for cost in runs]) for name, runs in costs.items()}
    cpus = {name: median([cost.cpu_s for cost in runs]) for name, runs in costs.items()}
    best, rows = best_of_theirs(costs), []
    for name, runs in costs.items():
        spread = f"{min(cost.wall_s for cost in runs):.2f}-{max(cost.wall_s for cost in runs):.2f}"
        ratios = [f"1/{theirs[best] / theirs[name]:.1f}" if best else "" for theirs in (walls, cpus, peaks)]
        if name.startswith(THEIRS):
            ratios = ["1"] * 3 if name == best else [""] * 3
        rows.append([name, f"{walls[name]:.2f}", spread, f"{cpus[name]:.2f}", f"{peaks[name]:.2f}", *ratios])
    header = ("whole process", "wall s", "from-to", "CPU s", "peak GiB", "of best wall", "of its CPU", "of its peak")
    print(table(header, rows))


def show_goal(words: str, ours: float, theirs: float, part: float) -> None:
    """Print whether ours is at most a part of theirs."""
    print(
        f"goal: {words} at most 1/{part:g}: 1/{theirs / ours:.2f}, {'reached' if ours <= theirs / part else 'missed'}"
    )


def show_agreement(jobs: Mapping[str, Job], best: str) -> None:
    """Print how many voxels each of our rows gives as nnU-Net does, and the mean Dice of the structures to its own."""
    rows = []
    for name, job in jobs.items():
        if name == best or name.startswith(THEIRS):
            continue
        pairs = [
            (nifti.read(path).array[0], nifti.read(jobs[best].into / path.name).array[0])
            for path in sorted(job.into.glob("*.nii.gz"))
        ]
        equal = sum(int((ours == theirs).sum()) for ours, theirs in pairs) / sum(ours.size for ours, _ in pairs)
        dice = [_dice(ours, theirs, number) for ours, theirs in pairs for number in np.unique(theirs[theirs > 0])]
        rows.append([name, f"{100 * equal:.4f} %", f"{np.mean(dice):.5f}" if dice else "-", str(len(dice))])
    print(table(("beside nnU-Net's own output", "equal voxels", "mean Dice", "structures"), rows))


def _dice(ours: np.ndarray, theirs: np.ndarray, number: int) -> float:
    both = ((ours == number) & (theirs == number)).sum()
    return float(2 * both / ((ours == number).sum() + (theirs == number).sum()))
