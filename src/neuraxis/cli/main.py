"""The command `neuraxis`: a table of verbs, and what each kind of failure prints and exits with.

Exit codes: 0 done, 1 our bug (traceback), 2 usage or recipe, 3 input data refused, 4 bundle missing or refused,
5 resources, 6 done but flagged (with `--strict`), 130 interrupted (Ctrl-C), 143 terminated (SIGTERM, SIGUSR1), 141 the
reader of our output went away.
"""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from neuraxis._version import __version__
from neuraxis.cli.printing import complain
from neuraxis.errors import NeuraxisError

VERBS = {
    "fit": "neuraxis.cli.fit:fit",
    "segment": "neuraxis.cli.segment:segment",
    "convert": "neuraxis.cli.convert:convert",
    "evaluate": "neuraxis.cli.evaluate:evaluate",
    "compare": "neuraxis.cli.compare:compare",
    "explain": "neuraxis.cli.explain:explain",
    "transfer": "neuraxis.cli.transfer:transfer",
    "inspect": "neuraxis.cli.inspect:inspect",
    "check": "neuraxis.cli.check:check",
    "plan": "neuraxis.cli.plan:plan",
    "prepare": "neuraxis.cli.prepare:prepare",
    "train": "neuraxis.cli.train:train",
    "choose": "neuraxis.cli.choose:choose",
    "run": "neuraxis.cli.run:run",
    "dataset": "neuraxis.cli.dataset:dataset",
    "bundle": "neuraxis.cli.bundle:bundle",
    "catalog": "neuraxis.cli.catalog:catalog",
    "doctor": "neuraxis.cli.doctor:doctor",
    "demo": "neuraxis.cli.demo:demo",
}
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143
RESUMABLE = {"fit", "transfer", "prepare", "train", "choose", "demo"}
HELP = """From labelled scans of brain and spine to a validated segmenter, and from a new scan to a segmentation.

neuraxis fit DATASET            turns labelled scans into a validated model
neuraxis segment SCAN --model BUNDLE --into OUT

Every verb explains itself: neuraxis fit --help. Research use only, not a medical device."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); it unwinds like an interrupt."""


def build_app(verbs: Iterable[str]) -> App:
    """Return the application with the given verbs; only their modules are imported."""
    app = App(
        name="neuraxis",
        help=HELP,
        version=__version__,
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
    )
    for place, verb in enumerate(verbs):
        module, _, attribute = VERBS[verb].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, App):
            command.sort_key = place
            app.command(command, name=verb)
        else:
            app.command(command, name=verb, sort_key=place)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; this is the console script's entry point."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    chosen = arguments[:1] if arguments and arguments[0] in VERBS else list(VERBS)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # it would look through every installed package for some
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler would tell its stages on stderr
    if os.environ.get("NEURAXIS_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off"):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the hub's client looks at it when it is loaded
    gc.set_threshold(10_000, 20, 20)  # looking for cycles as often as Python does makes loading 0.05 s longer
    if "--deterministic" in arguments:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS looks at it when it is loaded
    atexit.register(gc.freeze)  # what lives until the end need not be searched for cycles, which takes 0.05 s
    try:
        with _termination_interrupts():
            code = build_app(chosen)(arguments)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
    except CycloptsError as error:
        verb = f" {chosen[0]}" if len(chosen) == 1 else ""
        complain(f"{' '.join(str(error).split())} See: neuraxis{verb} --help")
        return 2
    except (KeyboardInterrupt, SystemExit) as stop:
        return _stopped(stop, chosen[0] in RESUMABLE and len(chosen) == 1)
    except Exception as error:
        return _report(error)


def _stopped(stop: BaseException, resumable: bool) -> int:
    """Return the exit code of an interruption, also of one that a library turned into `SystemExit` (Lightning does)."""
    reason = stop if isinstance(stop, KeyboardInterrupt) else stop.__context__
    if isinstance(reason, BrokenPipeError):
        return READER_GONE
    if not isinstance(reason, KeyboardInterrupt):
        raise stop
    terminated = isinstance(reason, Terminated)
    advice = "; run the same command again to resume" if resumable else ""
    complain(("terminated" if terminated else "interrupted") + advice)
    return TERMINATED if terminated else INTERRUPTED


def _report(error: Exception) -> int:
    """Print what went wrong and return the exit code: our own errors as their text alone, a bug with its traceback."""
    if isinstance(error, NeuraxisError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        complain(f"memory ran out ({_first_line(error)}). Close other programs or lower memory_gb (--set).")
        return 5
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        complain(f"the disk is full ({error.filename or error.strerror}). Free some space and type the command again.")
        return 5
    traceback.print_exception(error)
    complain("this is a bug in neuraxis. Please report it with the lines above.")
    return 1


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _reader_is_gone() -> bool:
    """Tell whether the other end of stdout is closed (then a broken pipe is nobody's fault)."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Turn SIGTERM, and SIGUSR1 as SLURM sends it, into `Terminated` while a verb runs, in this process alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> Any:
        if os.getpid() == owner:
            raise Terminated
        os._exit(TERMINATED)

    numbers = (signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))
    before = {number: signal.signal(number, terminate) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
