"""How scores are printed: one line for each structure and metric, with n and the interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neuraxis.cli.printing import columns, number

if TYPE_CHECKING:
    from neuraxis.evaluation.scores import Scores

HEADER = ("structure", "metric", "n", "mean", "SD", "median", "95 % CI")
SHOWN_METRICS = ("dice", "hd95_mm", "surface_dice", "volume_error_ml", "lesion_f1", "loss")


def scores_content(scores: Scores) -> dict[str, Any]:
    """Return what `--json` prints: the summary, the rules, and every case."""
    return {
        "summary": scores.summary(),
        "mean_foreground_dice": scores.mean("dice") if "dice" in scores.metrics else None,
        "notes": scores.notes,
        "selected_on_these_cases": scores.selected_on_these_cases,
        "left_out": scores.left_out,
        "cases": scores.rows,
    }


def describe_scores(scores: Scores, every: bool = False) -> str:
    """Return the table that people read, with the rules it follows.

    Args:
        scores: what to show.
        every: whether each metric is shown, not the chief ones alone; the files hold every one.
    """
    from neuraxis.evaluation.catalog import LOSS

    rows = []
    shown = scores.metrics if every else chief_metrics(scores.metrics)
    for structure, metrics in scores.summary().items():
        for metric in shown:
            if metric == LOSS and structure != scores.structures()[0]:
                continue
            summary = metrics[metric]
            interval = f"{number(summary.ci_low)} to {number(summary.ci_high)}" if _has_interval(summary) else "-"
            name = "all" if metric == LOSS else scores.shown(structure)
            rows.append((name, metric, summary.n, summary.mean, summary.sd, summary.median, interval))
    lines = [columns(rows, HEADER), ""]
    if "dice" in scores.metrics:
        lines.append(f"mean foreground Dice {number(scores.mean('dice'))}")
    if scores.selected_on_these_cases:
        lines.append("selected on these cases")
    return "\n".join([*lines, *scores.notes])


def chief_metrics(metrics: Sequence[str]) -> list[str]:
    """Return the first column of each chief metric: of several tolerances the first alone."""
    from neuraxis.evaluation.catalog import metric_of

    by_metric: dict[str, str] = {}
    for column in metrics:
        by_metric.setdefault(metric_of(column)[0], column)
    return [by_metric[name] for name in SHOWN_METRICS if name in by_metric]


def _has_interval(summary: Any) -> bool:
    return summary.ci_low is not None and math.isfinite(summary.ci_low)
