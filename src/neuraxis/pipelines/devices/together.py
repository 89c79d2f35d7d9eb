"""A training by several processes, and how much faster they were than one."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from neuraxis.errors import ResourceError
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.training.devices.company import Company
from neuraxis.training.devices.options import Devices
from neuraxis.training.train import seconds_per_step

if TYPE_CHECKING:
    from neuraxis.training.train import TrainingJob

log = logging.getLogger("neuraxis")
TIMED_ALONE, TIMED_TOGETHER = "timed_alone", "timed_together"
WANTED_S, MOST_S, BUDGET_SHARE = 3.0, 20.0, 0.04


@contextmanager
def together(
    job: TrainingJob, devices: Devices, run: RunFolder, budget_s: float | None = None
) -> Iterator[TrainingJob]:
    """Yield the job for several ranks, which part in the end, and write into `run.json` how fast they were.

    Before the first step of a run one process alone is timed on a copy that is thrown away, for some seconds.

    Args:
        job: what is trained; of one device it is yielded as it is.
        devices: how many.
        run: that it belongs to.
        budget_s: seconds for the whole run, of which timing one process alone takes a 25th at most.

    Raises:
        ResourceError: a device is lacking, or a rank was lost.
    """
    if devices.count == 1:
        yield job
        return
    if run.event(TIMED_ALONE) is None and not run.has("checkpoint.pt"):
        run.add_event(TIMED_ALONE, **_time_alone(job, min(MOST_S, BUDGET_SHARE * (budget_s or math.inf))))
    with Company(devices, job.device) as company:
        yield replace(job, ranks=company)
    if company.step_s is not None:
        alone = (run.event(TIMED_ALONE) or {}).get("seconds_per_step")
        words = speed_in_words(devices.count, company.step_s, alone)
        run.add_event(TIMED_TOGETHER, devices=devices.count, seconds_per_step=round(company.step_s, 5), reason=words)
        log.info("%s", words)


def speed_in_words(count: int, step_s: float, alone_s: float | None) -> str:
    """Say how fast several devices were, and how many times as fast as one where that was measured.

    >>> speed_in_words(2, 0.5, 0.8)
    '2 devices took 2 steps/s, one process alone 1.25 steps/s: 1.60 times as fast.'
    """
    rate = f"{count} devices took {1 / step_s:.3g} steps/s"
    if alone_s is None:
        return f"{rate}; one process alone could not be timed, so no speed-up is stated."
    slower = " One process would have been faster." if alone_s < step_s else ""
    return f"{rate}, one process alone {1 / alone_s:.3g} steps/s: {alone_s / step_s:.2f} times as fast.{slower}"


def _time_alone(job: TrainingJob, most_s: float) -> dict[str, Any]:
    try:
        step_s, timed = seconds_per_step(job, min(WANTED_S, most_s), most_s)
    except ResourceError as error:  # one GPU need not hold the whole batch
        return {"seconds_per_step": None, "reason": str(error)}
    return {"seconds_per_step": round(step_s, 5), "steps_timed": timed}
