"""One training step at nnU-Net's own plan for the hippocampus: `neuraxis` beside nnU-Net's trainer, on the processor.

Run: python benchmarks/training_step.py [--peer DIR] [--steps N] [--repeats N] [--threads N]. Both train the network of
nnU-Net's plan (the same layers, hence the same number of parameters), on patches of 40 x 56 x 40 of the same 20 cases,
with the same threads; reading, cutting and augmenting the patches counts, start-up and the first steps do not. Ours
augments as nnU-Net does (preset `nnunet`), and once as it does by default. nnU-Net runs with its default number of
loader processes, with one and with none; the best counts. Batch 2 is what it plans for these 20 cases, 9 what it plans
for the whole set. Goal (DESIGN): 1/1.9 of its CPU time in bfloat16.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _measure import Cost, interleave, machine, median, run_tree, table, threads_env, versions
from _model import DATA, FEATURES, PATCH
from _peer import CASES, HOW_TO_GET, NAME, NUMBER, Peer, make_model, write_raw

GOAL = 1.9
WARM = 3
OURS = {
    "neuraxis bf16": ("bf16", "nnunet"),
    "neuraxis fp32": ("fp32", "nnunet"),
    "neuraxis bf16, own augmentation": ("bf16", "default"),
}
LOADERS = {"nnU-Net, default loaders": None, "nnU-Net, 1 loader": "1", "nnU-Net, no loader": "0"}
JUDGED = "neuraxis bf16"


def make_store(folder: Path, data: Path) -> Path:
    """Prepare the cases that nnU-Net is given, for its network."""
    from neuraxis.pipelines.steps import prepare_datasets

    ids = [image.name.removesuffix(".nii.gz") for image in sorted((data / "imagesTr").glob("[!.]*.nii.gz"))[:CASES]]
    write_raw(folder / NAME, data, ids)
    strides = [[1, 1, 1], *([2, 2, 2],) * (len(FEATURES) - 1)]
    settings = (
        f"patches.shape={list(PATCH)}",
        "network.name=unet",
        f"network.options.features={list(FEATURES)}",
        f"network.options.strides={strides}",
        f"network.options.kernels={[[3, 3, 3]] * len(FEATURES)}",
    )
    prepare_datasets([folder / NAME], "auto", settings, folder / "store")
    return folder / "store"


def our_jobs(store: Path, batch: int, steps: int, threads: int) -> dict[str, Callable[[], Cost]]:
    script = Path(__file__).with_name("_step_ours.py")
    numbers = (str(batch), str(WARM), str(steps))
    return {
        f"{name}, batch {batch}": functools.partial(
            run_tree, [sys.executable, script, store, *how, *numbers], threads_env(threads)
        )
        for name, how in OURS.items()
    }


def peer_jobs(peer: Peer, folder: Path, batch: int, steps: int, threads: int) -> dict[str, Callable[[], Cost]]:
    script = Path(__file__).with_name("_step_peer.py")
    command = [peer.venv / "bin" / "python", script, str(NUMBER), str(batch), str(WARM), str(max(3, steps // 3))]
    jobs = {}
    for name, loaders in LOADERS.items():
        chosen = {} if loaders is None else {"nnUNet_n_proc_DA": loaders}
        env = {**peer.env(threads), **chosen, "nnUNet_results": str(folder / "results")}
        jobs[f"{name}, batch {batch}"] = functools.partial(run_tree, command, env)
    return jobs


def report(batch: int, costs: dict[str, list[Cost]]) -> None:
    facts = {name: [json.loads(cost.output.splitlines()[-1]) for cost in runs] for name, runs in costs.items()}
    cpus = {name: median([one["cpu_s"] for one in runs]) for name, runs in facts.items()}
    walls = {name: median([one["wall_s"] for one in runs]) for name, runs in facts.items()}
    best = min((name for name in costs if name.startswith("nnU-Net")), key=cpus.__getitem__, default="")
    rows = []
    for name, runs in facts.items():
        spread = f"{min(one['cpu_s'] for one in runs):.2f}-{max(one['cpu_s'] for one in runs):.2f}"
        peak = max(cost.largest_gb for cost in costs[name])
        ratios = [f"1/{theirs[best] / theirs[name]:.2f}" if best else "" for theirs in (cpus, walls)]
        waiting = f"{100 * runs[0]['waiting_share']:.1f} %" if "waiting_share" in runs[0] else ""
        size = f"{runs[0]['parameters'] / 1e6:.2f}"
        rows.append([name, f"{cpus[name]:.2f}", spread, f"{walls[name]:.2f}", f"{peak:.2f}", size, waiting, *ratios])
    head = (
        "one step",
        "CPU s",
        "from-to",
        "wall s",
        "peak GiB",
        "parameters (M)",
        "waiting",
        "of best CPU",
        "of its wall",
    )
    print(table(head, rows))
    if best:
        ratio = cpus[best] / cpus[f"{JUDGED}, batch {batch}"]
        won = "reached" if ratio >= GOAL else "missed"
        print(f"goal: 1/{GOAL} of nnU-Net's CPU time in bf16: 1/{ratio:.2f}, {won}\n", flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--steps", type=int, default=12, help="timed steps of ours, nnU-Net takes a third (12)")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each row (2)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of each (all cores)")
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 9], help="patches a step (2 9)")
    return parser.parse_args()


def main() -> None:
    wanted = options()
    threads = wanted.threads
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is missing: the hippocampus set of the Medical Segmentation Decathlon.")
    peer = Peer(wanted.peer.resolve(), wanted.peer.resolve() / "hippocampus") if wanted.peer else None
    if peer and not peer.checkpoint.exists():
        print(f"planning and preprocessing {CASES} cases for nnU-Net (about a minute)", flush=True)
        make_model(peer, DATA, threads)
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        folder = Path(name)
        store = make_store(folder, DATA)
        print(versions("neuraxis", "torch", "lightning"), *([peer.versions()] if peer else []), sep="; beside ")
        for batch in wanted.batches:
            steps = max(3, 2 * wanted.steps // batch)
            jobs = our_jobs(store, batch, steps, threads)
            jobs |= peer_jobs(peer, folder, batch, steps, threads) if peer else {}
            print(f"{machine(threads)}\nmedians of {wanted.repeats} runs of {steps} steps in turn\n", flush=True)
            report(batch, interleave(jobs, wanted.repeats))
    if not peer:
        print(f"nnU-Net's rows: {HOW_TO_GET}")


if __name__ == "__main__":
    main()
