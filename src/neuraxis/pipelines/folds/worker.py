"""The work of a process that fits one fold beside others (see `side_by_side.py`)."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from neuraxis.dataset.opening import places_from_dict
from neuraxis.errors import NeuraxisError
from neuraxis.pipelines.fit import fit_planned
from neuraxis.pipelines.folds.planning import read_folds_plan
from neuraxis.pipelines.folds.side_by_side import options_of
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.processes import be_ended_first
from neuraxis.progress import Silent


def serve() -> NoReturn:
    """Fit the fold that the first line of stdin orders, say in a line of JSON how that went, and leave."""
    be_ended_first()
    line = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_listen, name="neuraxis-orders", daemon=True).start()
    said: dict[str, Any] = {}
    try:
        _fit(order)
    except NeuraxisError as error:
        said = {"error": type(error).__name__, "text": str(error)}
    except (KeyboardInterrupt, SystemExit):
        said = {"error": "Stopped", "text": "stopped after its step. The same command again resumes."}
    except MemoryError:
        said = {"error": "ResourceError", "text": "memory ran out. Use fewer --jobs, or lower memory_gb (--set)."}
    except Exception:
        said = {"trace": traceback.format_exc()}
    line.write(json.dumps(said) + "\n")
    line.flush()
    os._exit(0)


def _fit(order: dict[str, Any]) -> None:
    """Take the plan of all folds and fit one of them, on the cores that were given."""
    if order["cores"]:
        os.sched_setaffinity(0, order["cores"])
    paths = places_from_dict(order)
    planned = read_folds_plan(RunFolder(Path(order["run"]), {}), paths)
    fit_planned(paths, options_of(order["options"]), planned, Silent(), time.monotonic())


def _listen() -> None:
    """End the fit politely once that is asked for, and at once where nobody is left to ask."""
    if sys.stdin.readline():
        os.kill(os.getpid(), signal.SIGTERM)
        sys.stdin.readline()
    os._exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
