"""How scores are printed: one line for each structure and metric, with n and the interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from neuraxis.cli.printing import columns, number

if TYPE_CHECKING:
    from neuraxis.evaluation.scores import Scores

HEADER = ("structure", "metric", "n", "mean", "SD", "median", "95 % CI")
SHOWN_METRICS = ("dice", "hd95_mm", "volume_error_ml", "lesion_f1")


def scores_content(scores: Scores) -> dict[str, Any]:
    """Return what `--json` prints: the summary, the rules, and every case."""
    return {
        "summary": scores.summary(),
        "mean_foreground_dice": scores.mean("dice"),
        "notes": scores.notes,
        "selected_on_these_cases": scores.selected_on_these_cases,
        "cases": scores.rows,
    }


def describe_scores(scores: Scores) -> str:
    """Return the table that people read, with the rules it follows; the files hold every metric."""
    rows = []
    for structure, metrics in scores.summary().items():
        for metric in (name for name in SHOWN_METRICS if name in metrics):
            summary = metrics[metric]
            interval = f"{number(summary.ci_low)} to {number(summary.ci_high)}" if _has_interval(summary) else "-"
            rows.append((structure, metric, summary.n, summary.mean, summary.sd, summary.median, interval))
    lines = [columns(rows, HEADER), "", f"mean foreground Dice {number(scores.mean('dice'))}"]
    if scores.selected_on_these_cases:
        lines.append("selected on these cases")
    return "\n".join([*lines, *scores.notes])


def _has_interval(summary: Any) -> bool:
    return summary.ci_low is not None and math.isfinite(summary.ci_low)
