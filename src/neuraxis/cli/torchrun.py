"""What torchrun says of the processes that it started, in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from neuraxis.errors import UsageError
from neuraxis.training.devices.options import ONE, Devices


def chosen_devices(count: int | None) -> Devices:
    """Return on how many devices is trained, and which of their processes this one is.

    Args:
        count: as asked for with `--devices`; None: one, or as many as torchrun started.

    Raises:
        UsageError: torchrun started another number.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ONE if count is None else Devices(count)
    told = [int(os.environ[name]) for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
    size, rank, local_rank, local_size = told
    if count not in (None, size):
        raise UsageError(f"--devices {count}: torchrun started {size} processes. Leave --devices out.")
    return Devices(size, torchrun=size > 1, rank=rank, local_rank=local_rank, local_count=local_size)


@contextmanager
def leading(devices: Devices, device: str) -> Iterator[None]:
    """Have torchrun's other ranks leave when the work is done; where it failed, torchrun ends them."""
    yield
    if devices.torchrun:
        from neuraxis.training.devices.company import dismiss

        dismiss(devices, device)


def follows(devices: Devices, device: str) -> bool:
    """Be one of torchrun's other ranks until rank 0 has trained, and tell whether this is one."""
    if not devices.rank:
        return False
    from neuraxis.training.devices.following import follow

    devices.refuse_misfit(device)
    follow(devices, device)
    return True
