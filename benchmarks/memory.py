"""The memory of a training step: what the planner expects beside what a training really takes.

Run: python benchmarks/memory.py [--only WORDS] [--device cuda]. Every row is a process of its own that trains six steps
as `neuraxis train` does (augmentation, running mean, optimiser, validation, checkpoint); its peak of resident memory is
compared with `neuraxis.networks.cost.step_memory_gb`. Goal: never above the estimate, which is at most 30 % too high.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _measure import machine, table, versions

from neuraxis.networks.catalog import OPTIONS
from neuraxis.networks.cost import TrainingStep, step_memory_gb
from neuraxis.networks.topology import plan_topology

STEPS = 6  # memory in pieces is given back late, so the peak still rises over the first steps
# name -> network, patch, batch, channels, outputs
ROWS: dict[str, tuple[str, tuple[int, int, int], int, int, int]] = {
    "unet 3D hippocampus": ("unet", (40, 56, 40), 2, 1, 3),
    "unet 3D": ("unet", (64, 64, 64), 2, 1, 2),
    "unet 3D, 4 channels": ("unet", (96, 96, 96), 2, 4, 4),
    "unet 3D, 40 outputs": ("unet", (64, 64, 64), 2, 1, 40),
    "unet 2D": ("unet", (256, 256, 1), 12, 1, 2),
    "residual-unet 3D": ("residual-unet", (64, 64, 64), 2, 1, 2),
    "residual-unet 3D, thick slices": ("residual-unet", (96, 96, 24), 2, 4, 4),
    "residual-unet 2D": ("residual-unet", (256, 256, 1), 12, 1, 2),
    "classic-unet 3D": ("classic-unet", (64, 64, 64), 2, 1, 2),
    "classic-unet 2D": ("classic-unet", (256, 256, 1), 12, 1, 2),
    "segresnet 3D": ("segresnet", (64, 64, 64), 2, 1, 2),
    "monai-unet 3D": ("monai-unet", (64, 64, 64), 2, 1, 2),
    "segformer3d 3D": ("segformer3d", (96, 96, 96), 2, 1, 2),
    "segformer3d-moe 3D": ("segformer3d-moe", (96, 96, 96), 2, 1, 2),
    "segformer3d 2D": ("segformer3d", (256, 256, 1), 12, 1, 2),
    "attention-unet 3D": ("attention-unet", (64, 64, 64), 2, 1, 2),
    "deeplab 3D": ("deeplab", (64, 64, 64), 2, 1, 2),
    "flexible-unet 2D": ("flexible-unet", (256, 256, 1), 12, 1, 2),
    "multires-unet 3D": ("multires-unet", (64, 64, 64), 2, 1, 2),
    "unet3plus 3D": ("unet3plus", (48, 48, 48), 2, 1, 2),
    "unetr 3D": ("unetr", (64, 64, 64), 2, 1, 2),
    "transunet 3D": ("transunet", (64, 64, 64), 2, 1, 2),
    "transunet 2D": ("transunet", (256, 256, 1), 12, 1, 2),
    "swin-unetr 3D": ("swin-unetr", (64, 64, 64), 2, 1, 2),
    "swin-unet 2D": ("swin-unet", (256, 256, 1), 12, 1, 2),
    "mednext 3D": ("mednext", (64, 64, 64), 2, 1, 2),
    "efficientnet-unet 2D": ("efficientnet-unet", (256, 256, 1), 12, 1, 2),
}


def plan_of(name: str, precision: str, device: str) -> dict[str, Any]:
    network, patch, batch, channels, outputs = ROWS[name]
    flat = 2 if patch[2] == 1 else None
    options = OPTIONS.load(network).planned(
        plan_topology(patch, (1.0, 1.0, 1.0)), 32, 320 if flat is None else 512, flat
    )
    return {
        "network": network,
        "patch": patch,
        "batch": batch,
        "channels": channels,
        "outputs": outputs,
        "options": options.model_dump(),
        "precision": precision,
        "device": device,
        "steps": STEPS,
    }


def estimate_gb(plan: dict[str, Any]) -> float:
    step = TrainingStep(
        tuple(plan["patch"]), plan["batch"], plan["channels"], plan["outputs"], plan["precision"] == "bf16"
    )
    return step_memory_gb(plan["network"], OPTIONS.load(plan["network"])(**plan["options"]), step)


def measure(plan: dict[str, Any]) -> dict[str, float]:
    """Train in a process of its own and return its peaks in GiB.

    Raises:
        SystemExit: it failed; with the end of what it printed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(plan))
        file.flush()
        command = [sys.executable, str(Path(__file__).with_name("_train_steps.py")), file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{plan['network']} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name holds these words")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for the memory of a GPU")
    wanted = parser.parse_args()
    rows = []
    for name in ROWS:
        for precision in ("fp32", "bf16"):
            if wanted.only in name:
                plan = plan_of(name, precision, wanted.device)
                expected, found = estimate_gb(plan), measure(plan)
                peak = found["peak_gb"]
                rows.append((f"{name}, {precision}", f"{expected:.2f}", f"{peak:.2f}", f"{found['before_gb']:.2f}"))
                rows[-1] += (f"{expected / peak:.2f}",)
                print(*rows[-1], flush=True)
    print(f"{machine(0)}; {versions('torch', 'lightning')}\n")
    print(table(("GiB", "expected", "peak", "before the first step", "expected / peak"), rows))


if __name__ == "__main__":
    main()
