"""Runs in nnU-Net's environment, not in ours: times steps of its own trainer, data loading and augmentation included.

Run: PEER/bin/python _step_peer.py DATASET_ID BATCH WARM STEPS, with nnU-Net's three folders in the environment. The
last line printed is JSON: seconds and CPU seconds a step, those of its loader processes counted in.
"""

from __future__ import annotations

import json
import sys

from _measure import Meter


def main() -> None:
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    number, batch, warm, steps = sys.argv[1], *(int(word) for word in sys.argv[2:5])
    trainer = get_trainer_from_args(number, "3d_fullres", 0, device=torch.device("cpu"))
    trainer.initialize()
    trainer.batch_size = batch
    trainer.on_train_start()
    trainer.on_train_epoch_start()
    for _ in range(warm):
        content = next(trainer.dataloader_train)
        assert len(content["data"]) == batch
        trainer.train_step(content)
    meter = Meter()
    losses = [float(trainer.train_step(next(trainer.dataloader_train))["loss"]) for _ in range(steps)]
    facts = {
        **meter.read(steps),
        "loss": losses[-1],
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
    }
    print("\n" + json.dumps(facts), flush=True)
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        getattr(loader, "_finish", lambda: None)()


if __name__ == "__main__":
    main()
