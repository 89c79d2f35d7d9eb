"""SegFormer3D in its published configuration, beside the plain form of the same network with the same weights.

Run: python benchmarks/segformer3d.py [--repeats N]. One image of 4 x 128 x 128 x 128 voxels: predictions, and forward
and backward of a training step. Each row is a process of its own, timed once it is warm; medians of runs in turn are
printed. Goal: half of the plain form's CPU time in the same precision, a quarter of its float32 time on the default
runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _measure import Meter, machine, median, run_tree, table, threads_env, versions

SCRIPT = Path(__file__).resolve()
CHANNELS, OUTPUTS, EDGE, SPATIAL, STEPS = 4, 3, 128, 3, 2
# row -> network, what it does, precision, the row that it is compared with, the goal
ROWS: dict[str, tuple[str, str, str, str, float]] = {
    "plain, torch fp32": ("plain", "torch", "fp32", "", 0),
    "ours, torch fp32": ("ours", "torch", "fp32", "plain, torch fp32", 1 / 2),
    "plain, torch bf16": ("plain", "torch", "bf16", "", 0),
    "ours, torch bf16": ("ours", "torch", "bf16", "plain, torch bf16", 1 / 2),
    "ours, OpenVINO fp32": ("ours", "openvino", "fp32", "plain, torch fp32", 1 / 2),
    "ours, OpenVINO bf16 (default)": ("ours", "openvino", "bf16", "plain, torch fp32", 1 / 4),
    "plain, training step fp32": ("plain", "training", "fp32", "", 0),
    "ours, training step fp32": ("ours", "training", "fp32", "plain, training step fp32", 1 / 2),
    "plain, training step bf16": ("plain", "training", "bf16", "", 0),
    "ours, training step bf16": ("ours", "training", "bf16", "plain, training step bf16", 1 / 2),
}


def image() -> np.ndarray:
    shape = (1, CHANNELS, *(EDGE,) * SPATIAL)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def networks() -> dict[str, object]:
    """Return both networks, with the same weights."""
    import torch
    from _plain_segformer3d import PlainSegFormer3D

    from neuraxis.networks.segformer3d import SegFormer3D
    from neuraxis.networks.transformer_options import SegFormer3DOptions

    torch.manual_seed(0)
    ours, plain = SegFormer3D(SegFormer3DOptions(), CHANNELS, OUTPUTS), PlainSegFormer3D(CHANNELS, OUTPUTS)
    plain.load_state_dict(ours.state_dict())
    return {"ours": ours, "plain": plain}


def torch_work(network: str, doing: str, precision: str) -> Callable[[], np.ndarray]:
    """Return what is timed; it gives the logits."""
    import torch

    model, pixels, half = networks()[network], torch.from_numpy(image()), precision == "bf16"
    if doing == "torch":
        model.eval()

        def predict() -> np.ndarray:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                return model(pixels).float().numpy()

        return predict
    if network == "ours":
        model.to(memory_format=torch.channels_last_3d)
        pixels = pixels.contiguous(memory_format=torch.channels_last_3d)

    def step() -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = model(pixels)
        (logits.float() ** 2).mean().backward()
        return logits.detach().float().numpy()

    return step


def openvino_work(precision: str, folder: Path, threads: int) -> Callable[[], np.ndarray]:
    from neuraxis.bundle.bundle import BundleParts, open_bundle, write_bundle
    from neuraxis.bundle.card import Card
    from neuraxis.bundle.export import export_fold
    from neuraxis.dataset.labels import Labels
    from neuraxis.inference.runtimes.openvino import OpenVinoRuntime
    from neuraxis.inference.runtimes.options import RuntimeOptions
    from neuraxis.recipe.wishes import resolve

    folder = Path(tempfile.mkdtemp(dir=folder))
    names = tuple(f"channel {number}" for number in range(CHANNELS))
    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": dict.fromkeys(names, "zscore")},
            "patches": {"shape": [EDGE] * SPATIAL},
            "network": {"name": "segformer3d", "options": {}},
        }
    )
    labels = Labels(names={"background": 0, "a": 1, "b": 2})
    fold = export_fold(networks()["ours"], recipe, names, 0, folder)
    card = Card(name="timed", labels=labels, channels=names, recipe=recipe, folds=(0,))
    bundle = open_bundle(write_bundle(BundleParts(card, (fold,)), folder / "timed.nxb"), folder / "cache")
    options, pixels = RuntimeOptions(precision=precision, threads=threads, cache=folder / "cache"), image()
    runtime = OpenVinoRuntime(bundle, options)
    return lambda: runtime.run(pixels)


def one(row: str, folder: Path, threads: int) -> None:
    """Time a row in this process, and keep its logits."""
    network, doing, precision, *_ = ROWS[row]
    work = openvino_work(precision, folder, threads) if doing == "openvino" else torch_work(network, doing, precision)
    for _ in range(2):
        logits = work()
    meter = Meter()
    for _ in range(STEPS):
        work()
    np.save(folder / f"{list(ROWS).index(row)}.npy", logits)
    print(json.dumps(meter.read(STEPS)))


def report(found: dict[str, list[dict[str, float]]], folder: Path) -> None:
    rows, missed = [], []
    cpu = {row: median([one["cpu_s"] for one in each]) for row, each in found.items()}
    reference = np.load(folder / "0.npy")
    for row, (_, doing, _, beside, goal) in ROWS.items():
        apart = np.abs(np.load(folder / f"{list(ROWS).index(row)}.npy") - reference).max() / np.ptp(reference)
        ratio = cpu[row] / cpu[beside] if beside else 1
        missed += [row] if beside and ratio > goal else []
        wall = median([one["wall_s"] for one in found[row]])
        told = [f"{ratio:.2f}", f"{goal:.2f}"] if beside else ["", ""]
        rows.append([row, f"{wall:.2f}", f"{cpu[row]:.2f}", *told, "" if doing == "training" else f"{apart:.0e}"])
    print(table(("", "wall s", "CPU s", "of plain", "goal", "differs by, of the range"), rows))
    print(f"\ngoals: {'all reached' if not missed else 'missed by ' + '; '.join(missed)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--one", nargs=2, metavar=("ROW", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each row (all cores)")
    wanted = parser.parse_args()
    threads = wanted.threads
    if wanted.one:
        one(wanted.one[0], Path(wanted.one[1]), threads)
        return
    print(f"{versions('neuraxis', 'torch', 'openvino')}\n{machine(threads)}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        found: dict[str, list[dict[str, float]]] = {row: [] for row in ROWS}
        for _ in range(wanted.repeats):
            for row in ROWS:
                command = [sys.executable, SCRIPT, "--one", row, name, "--threads", str(threads)]
                found[row].append(json.loads(run_tree(command, threads_env(threads)).output.splitlines()[-1]))
        report(found, Path(name))


if __name__ == "__main__":
    main()
