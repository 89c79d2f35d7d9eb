"""`neuraxis compare --learning-curve`: would more data help?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuraxis.cli.display import display
from neuraxis.cli.options import Output
from neuraxis.cli.printing import columns, number, show, show_json
from neuraxis.cli.scores import chief_metrics

if TYPE_CHECKING:
    from neuraxis.evaluation.comparison.learning_curve import LearningCurve

POINTS = ("training cases", "runs", "metric", "n", "mean", "SD", "95 % CI")
GAINS = ("step", "metric", "patients", "gain", "95 % CI", "p", "p (Holm)")


def show_learning_curve(entries: Sequence[str], into: Path | None, how: tuple[bool, bool, Output]) -> int:
    """Draw the curve and print it.

    Args:
        entries: runs.
        into: where files go.
        how: whether shared cases are enough, whether existing files are replaced, how it is shown.
    """
    from neuraxis.pipelines.comparison.learning_curve import REPORT, CurveOptions, learning_curve

    common, overwrite, output = how
    with display(output):
        found = learning_curve(entries, into, CurveOptions(common, overwrite))
    if output.json:
        show_json(found.content())
    else:
        show(describe(found))
        if into is not None:
            show(f"\nreport  {into / REPORT}")
    return 0


def describe(found: LearningCurve) -> str:
    """Return the tables that people read: each point, then each gain, then the rules."""
    from neuraxis.report.score_tables import shown_metrics

    worth = shown_metrics(found.points[0].scores)
    shown = [name for name in chief_metrics(found.metrics) if name in worth]
    structure = found.structures[0]
    rows: list[tuple[object, ...]] = []
    gains: list[tuple[object, ...]] = []
    for metric in shown:
        for point in found.points:
            one = point.summary(metric, structure)
            between = _between(one.ci_low, one.ci_high)
            rows.append((point.label, len(point.runs), metric, one.n, one.mean, one.sd, between))
        for gain in found.gains(metric, structure):
            said = gain.difference
            step = f"{gain.second} -> {gain.first}"
            between = _between(said.ci_low, said.ci_high)
            gains.append((step, metric, said.patients, said.mean, between, _p(said.p), _p(gain.p_holm)))
    return "\n\n".join([columns(rows, POINTS), columns(gains, GAINS), "\n".join(found.notes)])


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "< 0.0001" if value < 0.0001 else f"{value:.4f}"
