"""Runs in nnU-Net's environment, not in ours: trains its planned network with its own trainer for a few epochs.

Run: PEER/bin/python _train_peer.py DATASET_ID [options], with nnU-Net's three folders in the environment. Set of its
trainer are only: how many epochs there are, how long one is, how often it saves, and, where asked for, how many windows
of which size it learns from at a time; the plan that lies beside the checkpoint stays as it was made. The learning rate
falls over those epochs. Without options: a single epoch of one iteration, so that a checkpoint exists.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()


def main() -> None:
    wanted = options()
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    torch.set_num_threads(wanted.threads)
    device = torch.device("cpu")
    trainer = get_trainer_from_args(
        wanted.dataset, wanted.configuration, 0, continue_training=wanted.go_on, device=device
    )  # the default trainer and plan
    learns_from = {"batch_size": wanted.batch, "patch_size": wanted.patch}
    trainer.configuration_manager.configuration.update({key: value for key, value in learns_from.items() if value})
    trainer.num_epochs, trainer.save_every = wanted.epochs, wanted.save_every
    trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = wanted.iterations, wanted.validations
    if wanted.go_on:
        go_on(trainer)
    sow(wanted.seed * 100_000 + trainer.current_epoch)
    if wanted.measure:
        print("\n" + json.dumps(measure(trainer, wanted.measure)), flush=True)
    else:
        trainer.run_training()


def go_on(trainer: Any) -> None:
    """Load the newest checkpoint that is whole; a kill may have cut the one that was being written."""
    for name in ("checkpoint_latest.pth", "checkpoint_best.pth"):
        path = Path(trainer.output_folder) / name
        try:
            if path.is_file():
                trainer.load_checkpoint(str(path))
                print(f"going on from {name}, epoch {trainer.current_epoch}")
                return
        except Exception as error:
            print(f"{name} cannot be read ({error}); an older one is looked for")


def sow(seed: int) -> None:
    """Seed every global generator; nnU-Net itself seeds none, and its worker processes draw seeds of their own."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def measure(trainer: Any, iterations: int) -> dict[str, float]:
    """Train a short epoch, then one of so many iterations, and return the seconds that its pieces take."""
    trainer.num_epochs, trainer.save_every = 3, 1
    trainer.on_train_start()
    started = time.monotonic()
    epoch(trainer, 2, 1)
    found = {"start_s": round(started - BEGAN, 3), **epoch(trainer, iterations, 3)}
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        getattr(loader, "_finish", lambda: None)()
    return found


def epoch(trainer: Any, iterations: int, validations: int) -> dict[str, float]:
    """Train one epoch as nnU-Net's own loop does, and time it."""
    import torch

    times = [time.monotonic()]
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    losses = [trainer.train_step(next(trainer.dataloader_train)) for _ in range(iterations)]
    trainer.on_train_epoch_end(losses)
    times.append(time.monotonic())
    with torch.no_grad():
        trainer.on_validation_epoch_start()
        found = [trainer.validation_step(next(trainer.dataloader_val)) for _ in range(validations)]
        trainer.on_validation_epoch_end(found)
    times.append(time.monotonic())
    trainer.on_epoch_end()
    times.append(time.monotonic())
    train, validate, end = (after - before for before, after in itertools.pairwise(times))
    return {
        "iteration_s": round(train / iterations, 4),
        "validation_s": round(validate / validations, 4),
        "epoch_end_s": round(end, 3),
    }


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="number or name of the planned dataset")
    parser.add_argument("--configuration", default="3d_fullres", help="of the plan")
    parser.add_argument("--batch", type=int, help="windows a step, instead of the plan's")
    parser.add_argument("--patch", type=int, nargs="+", metavar="N", help="size of a window, instead of the plan's")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=1, help="training iterations an epoch")
    parser.add_argument("--validations", type=int, default=1, help="validation iterations an epoch")
    parser.add_argument("--save-every", type=int, default=50, help="epochs between two checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--go-on", action="store_true", help="from the newest checkpoint")
    parser.add_argument("--measure", type=int, default=0, metavar="N", help="time N iterations instead, and print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
