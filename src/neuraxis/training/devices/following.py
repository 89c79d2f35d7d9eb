"""The work of a rank that follows rank 0: it joins, takes part in each training it is told of, and writes nothing."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import distributed

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.splits import Fold
from neuraxis.errors import NeuraxisError
from neuraxis.preparation.store import Store
from neuraxis.processes import be_ended_first
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.checkpoints import AtomicCheckpointIO
from neuraxis.training.devices.company import join_at, join_torchrun, threads_of
from neuraxis.training.devices.followers import signal_free
from neuraxis.training.devices.options import Devices
from neuraxis.training.devices.ranks import SeveralRanks, unpacked
from neuraxis.training.schedule import course_of
from neuraxis.training.train import TrainingJob, make_task, make_trainer, repeatable, run_trainer, stream_of


class _Lost(Exception):
    """Rank 0 or another rank is gone; who it was, rank 0 tells."""


def serve() -> NoReturn:
    """Be a rank that rank 0 started, until it says goodbye or is gone."""
    signal_free()
    be_ended_first()  # and not rank 0, which has a checkpoint to write
    told = json.loads(sys.stdin.readline())
    line = os.fdopen(told["tell"], "w", encoding="utf-8")

    def say(content: dict[str, Any]) -> None:
        line.write(json.dumps(content) + "\n")
        line.flush()

    def work() -> None:
        code = 1
        try:
            devices = Devices(told["count"], rank=told["rank"], local_rank=told["rank"])
            torch.set_num_threads(told["threads"])
            say({"ready": True})
            join_at(Path(told["place"]), devices, told["on_gpu"])
            _follow_all(devices)
            code = 0
        except _Lost:
            code = 0
        except NeuraxisError as error:
            say({"error": type(error).__name__, "text": str(error)})
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        finally:
            os._exit(code)

    # In a thread of its own Lightning leaves the signals alone, and this one sees rank 0 go.
    threading.Thread(target=work, name="neuraxis-rank").start()
    sys.stdin.read()
    os._exit(0)


def follow(devices: Devices, device: str) -> None:
    """Be a rank that torchrun started, until rank 0 says goodbye.

    Args:
        devices: which one.
        device: "auto", "cpu" or "cuda", as rank 0 was told.

    Raises:
        NeuraxisError: the data or the device are not there on this machine.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            torch.set_num_threads(threads_of(devices))
            join_torchrun(devices, device)
            signal_free_later.set()
            _follow_all(devices)
        except _Lost:
            pass
        except BaseException as error:
            raised.append(error)

    signal_free_later = threading.Event()
    worker = threading.Thread(target=work, name="neuraxis-rank", daemon=True)
    worker.start()
    while worker.is_alive():
        if signal_free_later.wait(0.2):
            signal_free()
            worker.join()
    if raised:
        raise raised[0]


def _follow_all(devices: Devices) -> None:
    def explain(error: Exception) -> Exception:
        return _Lost(str(error))

    ranks = SeveralRanks(devices.rank, devices.count, explain)
    while content := ranks.receive():
        _follow(*unpacked(content), ranks, devices)
    distributed.destroy_process_group()


def _follow(told: dict[str, Any], state: dict[str, Any], ranks: SeveralRanks, devices: Devices) -> None:
    recipe = Recipe.model_validate(told["recipe"])
    ranks.begin(recipe.patches.batch)
    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(
            store=Store(Path(told["store"])),
            fold=Fold(tuple(told["training"]), tuple(told["validation"])),
            labels=Labels.model_validate(told["labels"]),
            recipe=recipe,
            channels=told["channels"],
            folder=Path(folder),
            device=f"cuda:{devices.local_rank}" if told["on_gpu"] else "cpu",
            course=course_of(*told["steps"]),
            ranks=ranks,
            deterministic=told["deterministic"],
        )
        task = make_task(job)
        task.restore(state)
        with repeatable(job), closing(stream_of(job, task.step, recipe.training.loader_workers)) as stream:
            run_trainer(make_trainer(job, [], AtomicCheckpointIO()), task, stream)
