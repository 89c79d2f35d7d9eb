"""Rank 0 and the others: how they come together, begin a training, and part."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import distributed

from neuraxis.errors import NeuraxisError, ResourceError
from neuraxis.hardware import usable_cores
from neuraxis.training.devices.followers import Followers
from neuraxis.training.devices.options import Devices
from neuraxis.training.devices.ranks import SeveralRanks, packed
from neuraxis.training.schedule import Course

if TYPE_CHECKING:
    from neuraxis.training.task import SegmentationTask
    from neuraxis.training.train import TrainingJob

log = logging.getLogger("neuraxis")
PATIENCE = timedelta(days=7)  # the others wait while rank 0 prepares, validates and draws; a death closes its line


class Company(SeveralRanks):
    """Rank 0 of several; the others are started when the first training begins. Use it as a context.

    Args:
        devices: how many.
        device: "auto", "cpu" or "cuda".

    Raises:
        ResourceError: this machine has too few GPUs.

    Attributes:
        met: whether torchrun's other ranks were met in this process, which they are once.
    """

    met = False

    def __init__(self, devices: Devices, device: str) -> None:
        super().__init__(0, devices.count, self._cause)
        self.devices, self.device = devices, device
        self.on_gpu = uses_gpus(devices, device)
        self._followers: Followers | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._joined = self._waiting = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye; where something went wrong do not wait for an answer."""
        if self._joined and self._waiting and not self.lost:
            self.send(b"")
        if self._followers is not None:
            self._followers.close(0.0 if kind else 10.0)
            self._followers = None
        if self._joined:
            distributed.destroy_process_group()
            self._joined = False
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @contextmanager
    def at_work(self, job: TrainingJob, task: SegmentationTask) -> Iterator[None]:
        """Begin a training with all, and tell them when it ends."""
        self.devices.refuse_small_batch(job.recipe.patches.batch)
        self.meet()
        before = torch.get_num_threads()
        torch.set_num_threads(threads_of(self.devices))
        self.begin(job.recipe.patches.batch)
        self._waiting = False
        self.send(packed(_described(job, self.on_gpu), _state_of(task)))
        try:
            yield
            self.order_stop(task)
            self._waiting = True
        finally:
            torch.set_num_threads(before)

    def meet(self) -> None:
        """Start the others, or meet those that torchrun started, unless they are there."""
        if self._joined:
            return
        if self.devices.torchrun:
            Company.met = True
            join_torchrun(self.devices, self.device)
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="neuraxis-ranks-")
            place = Path(self._folder.name) / "store"
            greeting = {"place": str(place), "threads": threads_of(self.devices), "on_gpu": self.on_gpu}
            self._followers = Followers(self.count, greeting)
            join_at(place, self.devices, self.on_gpu)
        self._joined = self._waiting = True

    def _cause(self, error: Exception) -> Exception:
        """Return who is gone, as far as that can be told."""
        found: NeuraxisError | None = self._followers.cause() if self._followers is not None else None
        log.debug("talking to the other ranks failed: %s", error)
        return found or ResourceError(
            f"Another rank of the {self.count} is gone; torchrun says which and why. The same command again resumes."
        )


def dismiss(devices: Devices, device: str) -> None:
    """Have the ranks that torchrun started leave, which still wait where nothing was left to train."""
    if devices.torchrun and not Company.met:
        with Company(devices, device) as company:
            company.meet()


def uses_gpus(devices: Devices, device: str) -> bool:
    """Tell whether each rank has a GPU of its own.

    Raises:
        ResourceError: there are too few.
    """
    there = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and not there):
        return False
    if there < devices.here:
        raise ResourceError(
            f"--devices {devices.here}: this machine shows {there} GPU{'' if there == 1 else 's'}. Use --devices "
            f"{max(1, there)}, or --device cpu."
        )
    return True


def threads_of(devices: Devices) -> int:
    """Return how many threads each rank computes with: the cores, shared."""
    return max(1, min(torch.get_num_threads(), usable_cores() // devices.here))


def join_at(place: Path, devices: Devices, on_gpu: bool) -> None:
    """Join the ranks of this machine, which meet in a file; it serves them alone."""
    store = distributed.FileStore(str(place), devices.count)
    _join(devices, on_gpu, {"store": store, "rank": devices.rank, "world_size": devices.count})


def join_torchrun(devices: Devices, device: str) -> None:
    """Join the ranks that torchrun started, where it says they meet."""
    _join(devices, uses_gpus(devices, device), {"init_method": "env://"})


def _join(devices: Devices, on_gpu: bool, where: dict[str, Any]) -> None:
    if on_gpu:
        torch.cuda.set_device(devices.local_rank)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE, **where)


def _state_of(task: SegmentationTask) -> dict[str, Any]:
    """Return, before training starts, what the others restore to take part in it."""
    return {
        "step": task.first_step,
        "network": task.network.state_dict(),
        "running": task.network.state_dict(),
        "optimizer": task.optimizer_state,
        "loss_sum": 0.0,
        "loss_count": 0,
        "watch": task.watch.state(),
        "stage": task.stages.current,
    }


def _described(job: TrainingJob, on_gpu: bool) -> dict[str, Any]:
    """Return what the others need to know of a training."""
    course = job.course or Course(job.recipe.training.steps)
    return {
        "steps": [course.planned, [[each.step, each.steps] for each in course.corrections]],
        "store": str(job.store.folder.resolve()),
        "training": job.fold.training,
        "validation": job.fold.validation,
        "labels": job.labels.model_dump(mode="json"),
        "recipe": job.recipe.model_dump(mode="json"),
        "channels": job.channels,
        "on_gpu": on_gpu,
        "deterministic": job.deterministic,
    }
