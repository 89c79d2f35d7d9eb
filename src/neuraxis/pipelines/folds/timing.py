"""How a time budget is divided over folds: evenly over those that are left, after what the others really took."""

from __future__ import annotations

from pathlib import Path

from neuraxis.errors import UsageError
from neuraxis.files import read_json

JOINING_S = 10.0


def share_of_budget(budget_s: float, spent_s: float, folds_left: int) -> float:
    """Return the seconds that the next fold may take.

    Args:
        budget_s: for planning, preparing and all folds together.
        spent_s: of it so far.
        folds_left: the next one counted in.

    Raises:
        UsageError: nothing is left.

    >>> share_of_budget(610, 100, 5)
    100.0
    """
    share = (budget_s - JOINING_S - spent_s) / folds_left
    if share <= 0:
        raise UsageError(
            f"--budget: {budget_s:.0f} s leave no time for the {folds_left} folds that are left after {spent_s:.0f} s. "
            "Give more, or leave the budget out."
        )
    return round(share, 1)


def seconds_of_fold(folder: Path, budget_s: float) -> float:
    """Return what a fold's run took; one that was interrupted noted its last call alone, and counts as on time."""
    if not (folder / "run.json").is_file():
        return 0.0
    events = read_json(folder / "run.json").get("events", [])
    calls = sum(event["kind"] == "started" for event in events)
    ended = [float(event["seconds"]) for event in events if event["kind"] == "finished"]
    if not ended:
        return budget_s
    return ended[-1] if calls == 1 else max(ended[-1], budget_s)
