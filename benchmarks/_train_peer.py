"""Runs in nnU-Net's environment, not in ours: trains its planned network for a few steps, so that a checkpoint exists.

Run: PEER/bin/python _train_peer.py DATASET_ID STEPS, with nnU-Net's three folders in the environment.
"""

from __future__ import annotations

import sys


def main() -> None:
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    trainer = get_trainer_from_args(sys.argv[1], "3d_fullres", 0, device=torch.device("cpu"))
    trainer.num_epochs = trainer.num_val_iterations_per_epoch = 1
    trainer.num_iterations_per_epoch = int(sys.argv[2])
    trainer.run_training()


if __name__ == "__main__":
    main()
