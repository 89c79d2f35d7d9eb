"""How long programs take before they do anything: neuraxis beside nnU-Net and the imports of torch and MONAI.

Run: python benchmarks/startup.py [--peer DIR]. Whole processes, runs interleaved. "At the network" is the moment when
`neuraxis segment` has read and prepared a scan and loaded the network. Goals (DESIGN): `--help` within 0.5 s, at the
network within 1 s where the model was compiled before.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from _measure import Cost, interleave, machine, median, run_tree, table, threads_env, versions
from _model import find_scan, write_model
from _peer import HOW_TO_GET

HELP, WARM, COLD = "neuraxis --help", "segment at the network, compiled before", "segment at the network, first use"
GOALS = {HELP: 0.5, WARM: 1.0}
Job = Callable[[], Cost]


def reach_network(scan: Path, model: Path, home: Path, cold: bool, threads: int) -> Cost:
    """Run `neuraxis segment` and return what it had taken when it reached the network."""
    into = home / "into"
    shutil.rmtree(into, ignore_errors=True)
    if cold:
        shutil.rmtree(home / ".cache", ignore_errors=True)
    watch = Path(__file__).with_name("_reach_network.py")
    start = str(time.monotonic())
    command = [sys.executable, watch, start, "segment", scan, "--model", model, "--into", into]
    whole = run_tree(command, {**threads_env(threads), "HOME": str(home)})
    wall, cpu = (float(word) for word in whole.output.splitlines()[0].split())
    return Cost(wall, cpu, whole.largest_gb, whole.output)


def our_jobs(folder: Path, threads: int) -> dict[str, Job]:
    scan, model = find_scan(None, folder), write_model(folder / "timing.nxb")
    program, env = Path(sys.executable).with_name("neuraxis"), threads_env(threads)
    homes = [folder / "warm", folder / "cold"]
    for home in homes:
        home.mkdir()
    return {
        "python -c pass": command_job([sys.executable, "-c", "pass"], env),
        'python -c "import neuraxis"': command_job([sys.executable, "-c", "import neuraxis"], env),
        HELP: command_job([program, "--help"], env),
        "neuraxis segment --help": command_job([program, "segment", "--help"], env),
        WARM: functools.partial(reach_network, scan, model, homes[0], False, threads),
        COLD: functools.partial(reach_network, scan, model, homes[1], True, threads),
    }


def import_jobs(threads: int) -> dict[str, Job]:
    """Return the imports of what is installed here."""
    jobs = {}
    for package in ("openvino", "torch", "lightning", "monai"):
        if importlib.util.find_spec(package) is None:
            print(f"import {package}: not installed here, so not measured")
        else:
            jobs[f"import {package}"] = command_job([sys.executable, "-c", f"import {package}"], threads_env(threads))
    return jobs


def peer_jobs(venv: Path, threads: int) -> dict[str, Job]:
    env, python = threads_env(threads), venv / "bin" / "python"
    return {
        "nnUNetv2_predict -h": command_job([venv / "bin" / "nnUNetv2_predict", "-h"], env),
        "import torch (nnU-Net's environment)": command_job([python, "-c", "import torch"], env),
    }


def command_job(command: Sequence[str | Path], env: dict[str, str]) -> Job:
    return lambda: run_tree(command, env)


def report(costs: dict[str, list[Cost]]) -> None:
    rows = []
    for name, runs in costs.items():
        walls = [cost.wall_s for cost in runs]
        goal = f"{GOALS[name]:g} s: {'reached' if median(walls) <= GOALS[name] else 'missed'}" if name in GOALS else ""
        cpu = median([cost.cpu_s for cost in runs])
        rows.append([name, f"{median(walls):.2f}", f"{min(walls):.2f}-{max(walls):.2f}", f"{cpu:.2f}", goal])
    print(table(("start-up", "wall s", "from-to", "CPU s", "goal"), rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each row (5)")
    wanted, threads = parser.parse_args(), os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        jobs = our_jobs(Path(name), threads) | import_jobs(threads)
        jobs |= peer_jobs(wanted.peer.resolve(), threads) if wanted.peer else {}
        print(versions("neuraxis", "openvino", "torch", "lightning"))
        print(f"{machine(threads)}\nmedians of {wanted.repeats} runs of each in turn\n", flush=True)
        interleave(jobs, 1)  # fills caches: the disk's, Python's and the compiled network's
        report(interleave(jobs, wanted.repeats))
    if not wanted.peer:
        print(f"\nnnU-Net's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
