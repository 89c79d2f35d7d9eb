"""`neuraxis run`: which runs there are and how they stand, watching one, stopping it politely, and cleaning up."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from neuraxis.cli.options import SHOWN, Output, format_duration, parse_duration
from neuraxis.cli.printing import columns, number, show, show_json

if TYPE_CHECKING:
    from neuraxis.pipelines.runs.clean import RunCleaning
    from neuraxis.pipelines.runs.state import RunState

run = App(name="run", help="List runs, watch one learn, stop it politely, or remove what finished ones no longer need.")
_Folder = Annotated[Path | None, Parameter(name="FOLDER")]
_Run = Annotated[Path | None, Parameter(name="RUN")]
HEADER = ("run", "state", "step", "best", "Dice", "age", "size", "device")


@run.command(name="list")
def list_runs(folder: _Folder = None, /, *, output: Output = SHOWN) -> int:
    """List the runs in a folder, the newest first.

    "best" is the highest Dice on the held-out patches of the curves, "Dice"
    the mean over the held-out cases once they are scored. Of a run of several
    folds, step and best are those of the fold under way.

    For example:

        neuraxis run list
        neuraxis run list /data/runs --json

    Args:
        folder: Where to look, three levels down. [default: runs, else here]
        output: how it is shown.
    """
    from neuraxis.pipelines.runs.state import default_folder
    from neuraxis.pipelines.runs.state import list_runs as read_runs

    place = folder or default_folder()
    found = read_runs(place)
    if output.json:
        show_json([run_content(state) for state in found])
    elif found:
        show(columns([_row(state, place) for state in found], HEADER))
        for state in (state for state in found if state.why):
            show(f"{_name(state.path, place)}: {state.why}")
    else:
        show(f"{place.absolute()} holds no run. Begin one with: neuraxis fit DATASET")
    return 0


@run.command(name="watch")
def watch_run(
    which: _Run = None,
    /,
    *,
    once: Annotated[bool, Parameter(help="Show it as it is and leave.", show_default=False)] = False,
    every: Annotated[str, Parameter(help="How often to look.")] = "2s",
    output: Output = SHOWN,
) -> int:
    """Watch a run learn: loss and Dice as curves, how far it is, and the time left.

    Leaves by itself when the run ends; Ctrl-C ends the watching and not the
    run. Without a terminal each look with news is one line. With --json the
    state is printed once.

    For example:

        neuraxis run watch
        neuraxis run watch runs/a --once

    Args:
        which: Folder of a run. [default: the newest in runs, else here]
        once: whether to look once.
        every: time between two looks.
        output: how it is shown.
    """
    from neuraxis.cli.run_watch import watch
    from neuraxis.pipelines.runs.state import choose_run, read_run

    seconds = parse_duration(every, "--every")
    chosen = choose_run(which)
    if output.json:
        state = read_run(chosen)
        show_json({**run_content(state), "curves": state.rows})
        return 0
    watch(chosen, once, seconds)
    return 0


@run.command(name="stop")
def stop(
    which: _Run = None,
    /,
    *,
    wait: Annotated[str, Parameter(help="How long to wait for its end.")] = "60s",
    output: Output = SHOWN,
) -> int:
    """Ask a run to end after its step, with a checkpoint; the same command resumes it.

    On this machine its process gets SIGTERM, once it is certain that it is
    that of the run; elsewhere training finds a file in the run's folder.
    Exits with 0 once the run has ended or the file is written, with 5 where
    it did not end in time, with 2 where it is not running.

    For example:

        neuraxis run stop runs/a
        neuraxis run stop --wait 5m

    Args:
        which: Folder of a run. [default: the only one that runs in runs, else here]
        wait: how long.
        output: how it is shown.
    """
    from neuraxis.pipelines.runs.state import choose_run
    from neuraxis.pipelines.runs.stop import stop_run

    result = stop_run(choose_run(which, running=True), parse_duration(wait, "--wait"))
    if output.json:
        show_json({**run_content(result.run), "asked_by": result.asked_by, "ended": result.ended})
    elif result.ended:
        show(f"{result.path}: {result.run.state} after step {_steps(result.run)}. The same command again resumes it.")
    else:
        still = f"{result.path}: was asked by {result.asked_by} and has not ended after {wait}."
        show(f"{still} It ends after its step; neuraxis run watch {result.path} shows when.")
    return 0 if result.ended else 5


@run.command(name="clean")
def clean_runs(
    folder: _Folder = None,
    /,
    *,
    dry_run: Annotated[bool, Parameter(help="Only say what would be removed.", show_default=False)] = False,
    yes: Annotated[bool, Parameter(help="Remove it.", show_default=False)] = False,
    output: Output = SHOWN,
) -> int:
    """Remove what finished runs no longer need: prepared cases, checkpoints, traces.

    Models, reports, scores, curves, predictions, previews and logs stay, and
    everything of a run that is not finished. Without --yes nothing is
    removed; it is only said what would be.

    For example:

        neuraxis run clean
        neuraxis run clean runs/a --yes

    Args:
        folder: A run, or a folder with runs. [default: runs, else here]
        dry_run: whether to only say so.
        yes: whether to remove.
        output: how it is shown.
    """
    from neuraxis.errors import UsageError
    from neuraxis.pipelines.runs.clean import clean, plan_cleaning
    from neuraxis.pipelines.runs.state import default_folder

    place = folder or default_folder()
    if not place.is_dir():
        raise UsageError(f"{place}: no such folder. Name a run, or a folder with runs.")
    removes = yes and not dry_run
    plans = plan_cleaning(place)
    plans = clean(plans) if removes else plans
    if output.json:
        show_json({"removed": removes, "bytes": _bytes(plans), "runs": [_cleaning_content(plan) for plan in plans]})
    else:
        _show_cleaning(plans, place, removes)
    return 0


def run_content(state: RunState) -> dict[str, Any]:
    """Return a run's state for programs; times are seconds, or seconds since 1970."""
    names = ("path", "state", "fold", "folds", "step", "steps", "seconds", "left_s", "best", "score", "device", "host")
    content = {name: getattr(state, name) for name in (*names, "created", "changed", "size", "why")}
    last = dict(state.rows[-1]) if state.rows else {}
    return {**content, "loss": state.now.get("loss") or last.get("loss"), "learning_rate": last.get("learning_rate")}


def size_in_words(size: int) -> str:
    """Return bytes for reading.

    >>> size_in_words(3_200_000), size_in_words(0)
    ('3.2 MB', '0.0 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _row(state: RunState, place: Path) -> tuple[str, ...]:
    where = f"{state.device} on {state.host}" if state.state in ("running", "lost") and state.host else state.device
    scores = ("-" if math.isnan(value) else number(value) for value in (state.best, state.score))
    age = format_duration(time.time() - state.created) if state.created else "-"
    name = _name(state.path, place)
    return (name, state.state, _steps(state), *scores, _days(age, state.created), size_in_words(state.size), where)


def _days(age: str, created: float) -> str:
    days = (time.time() - created) / 86400
    return f"{days:.0f} d" if created and days >= 2 else age


def _steps(state: RunState) -> str:
    if state.folds and state.state == "finished":
        return f"{state.folds} folds"
    fold = f"fold {state.fold + 1} of {state.folds}, " if state.folds else ""
    return f"{fold}{state.step} of {state.steps}" if state.steps else f"{fold}{state.step}"


def _name(path: Path, place: Path) -> str:
    return str(path) if path == place else str(path.relative_to(place))


def _bytes(plans: list[RunCleaning]) -> int:
    return sum(removal.size for plan in plans for removal in plan.removals)


def _cleaning_content(plan: RunCleaning) -> dict[str, Any]:
    return {"run": plan.run, "kept": plan.kept, "removals": list(plan.removals)}


def _show_cleaning(plans: list[RunCleaning], place: Path, removed: bool) -> None:
    for plan in plans:
        name = _name(plan.run, place)
        rows = [(f"  {removal.path.relative_to(plan.run)}", size_in_words(removal.size), removal.why)
                for removal in plan.removals]  # fmt: skip
        show(f"{name}: {plan.kept or ('' if rows else 'nothing to remove')}".rstrip(": ") + ":" * bool(rows))
        if rows:
            show(columns(rows))
    total = _bytes(plans)
    if not plans:
        show(f"{place.absolute()} holds no run.")
    elif removed:
        show(f"Removed {size_in_words(total)}.")
    elif total:
        show(f"{size_in_words(total)} could be removed; nothing was. Remove it with: neuraxis run clean {place} --yes")
