"""Every network of the catalog as it is planned for 128 x 128 x 128 voxels: its cost, and a prediction's CPU seconds.

One window of 1 channel and 2 outputs, on the default runtime in bfloat16 and in float32, each in a process of its own,
once it is warm. `neuraxis catalog networks` shows the seconds in bfloat16 from `neuraxis.networks.cost.CPU_SECONDS`;
the last line printed is what is written there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _measure import Meter, machine, run_tree, table, threads_env, versions

from neuraxis.networks.catalog import NETWORKS
from neuraxis.networks.cost import EXAMPLE_PATCH, example_cost, example_options

SCRIPT = Path(__file__).resolve()
PRECISIONS, STEPS = ("bf16", "fp32"), 2


def one(name: str, precision: str, threads: int) -> None:
    """Time a prediction in this process."""
    import torch

    from neuraxis.bundle.bundle import BundleParts, open_bundle, write_bundle
    from neuraxis.bundle.card import Card
    from neuraxis.bundle.export import export_fold
    from neuraxis.dataset.labels import Labels
    from neuraxis.inference.runtimes.openvino import OpenVinoRuntime
    from neuraxis.inference.runtimes.options import RuntimeOptions
    from neuraxis.recipe.wishes import resolve

    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T1": "zscore"}},
            "patches": {"shape": list(EXAMPLE_PATCH)},
            "network": {"name": name, "options": example_options(name).model_dump(mode="json")},
        }
    )
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as place:
        folder = Path(place)
        fold = export_fold(NETWORKS.load(name)(recipe.network.typed_options(), 1, 2), recipe, ("T1",), 0, folder)
        card = Card(
            name="timed", labels=Labels(names={"background": 0, "a": 1}), channels=("T1",), recipe=recipe, folds=(0,)
        )
        bundle = open_bundle(write_bundle(BundleParts(card, (fold,)), folder / "timed.nxb"), folder / "cache")
        runtime = OpenVinoRuntime(bundle, RuntimeOptions(precision=precision, threads=threads, cache=folder / "cache"))
        pixels = np.random.default_rng(0).normal(size=(1, 1, *EXAMPLE_PATCH)).astype(np.float32)
        runtime.run(pixels)
        meter = Meter()
        for _ in range(STEPS):
            runtime.run(pixels)
        print(json.dumps(meter.read(STEPS)))


def measure(names: Sequence[str], precisions: Sequence[str], threads: int) -> None:
    """Print the cost of networks, and the line that `neuraxis.networks.cost` holds."""
    print(f"{versions('neuraxis', 'openvino', 'torch')}\n{machine(threads)}\n", flush=True)
    rows, seconds = [], {}
    for name in names:
        found = []
        for precision in precisions:
            command = [sys.executable, SCRIPT, name, precision, str(threads)]
            found.append(json.loads(run_tree(command, threads_env(threads)).output.splitlines()[-1])["cpu_s"])
        counted, stride = example_cost(name), getattr(example_options(name), "stride", (1, 1, 1))
        size = [f"{counted.parameters / 1e6:.1f}", f"{2e-9 * counted.multiply_adds:.0f}"]
        rows.append([name, "x".join(map(str, stride)), *size, *(f"{cpu:.2f}" for cpu in found)])
        seconds[name] = float(f"{found[0]:.2g}")
        print(f"{name}: {found[0]:.2f} CPU s", file=sys.stderr, flush=True)
    columns = [f"CPU s {precision}" for precision in precisions]
    print(table(("", "stride", "M parameters", "GFLOPs", *columns), rows))
    print(f"\nCPU_SECONDS = {seconds}")


if __name__ == "__main__":
    one(sys.argv[1], sys.argv[2], int(sys.argv[3]))
