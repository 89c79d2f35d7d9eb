"""The cases of a report's browser: read again, cut to slices, the worst first."""

from __future__ import annotations

import math

from neuraxis.dataset.dataset import Dataset
from neuraxis.evaluation.comparison.paired import better
from neuraxis.evaluation.scores import Scores
from neuraxis.pipelines.scoring.overlays import labels_of, overlay_of
from neuraxis.progress import Progress
from neuraxis.report.browser.slices import BrowserCase, browser_case, bytes_a_case
from neuraxis.report.score_tables import has_lesions, term
from neuraxis.workers import map_in_order

MOST_CASES = 200
_TOLD = ("dice", "hd95_mm")
_LESIONS = ("lesions_found", "lesions_reference", "lesions_false")


def browser_cases(scores: Scores, dataset: Dataset | None, progress: Progress) -> tuple[tuple[BrowserCase, ...], int]:
    """Return the cases that the page shows slice by slice, and how many further ones it has no room for.

    Args:
        scores: of the cases; their files are read again.
        dataset: whose scans are shown; None shows label maps on black.
        progress: who shows how far it is.
    """
    order = cases_worst_first(scores)
    shown = order[:MOST_CASES]
    labels, room = labels_of(scores, dataset), bytes_a_case(len(shown))

    def cut(case: str) -> BrowserCase:
        return browser_case([overlay_of(scores, case, note_of(scores, case), labels, dataset)], room)

    found: list[BrowserCase] = []
    with progress.stage("Drawing", len(shown)) as stage:
        for one in map_in_order(cut, shown):
            found.append(one)
            stage.advance(note=one.id)
    return tuple(found), len(order) - len(shown)


def cases_worst_first(scores: Scores) -> list[str]:
    """Return the cases by the first metric that tells better from worse, in the mean over structures.

    Those in which it is undefined come last.
    """
    metric = next((name for name in scores.metrics if better(name) in ("higher", "lower")), "")
    sign = -1 if metric and better(metric) == "lower" else 1
    values: dict[str, list[float]] = {case: [] for case in scores.cases()}
    for row in scores.rows:
        if math.isfinite(value := row.values.get(metric, math.nan)):
            values[row.case].append(sign * value)
    means = {case: sum(known) / len(known) if known else math.inf for case, known in values.items()}
    return sorted(means, key=lambda case: (means[case], case))


def note_of(scores: Scores, case: str) -> str:
    """Return a case's scores in a few words; lesions only where counting them means something."""
    lesions = has_lesions(scores) and set(_LESIONS) <= set(scores.metrics)
    parts = []
    for row in scores.rows:
        if row.case == case:
            known = [(term(name), value) for name in _TOLD if math.isfinite(value := row.values.get(name, math.nan))]
            told = [f"{one.name} {value:.{one.decimals}f}{f' {one.unit}' if one.unit else ''}" for one, value in known]
            if lesions:
                found, reference, false = (row.values[name] for name in _LESIONS)
                told.append(f"{found:.0f} of {reference:.0f} lesions, {false:.0f} false")
            parts.append(f"{row.structure}: {', '.join(told) or 'undefined'}")
    return "; ".join(parts[:4]) + ("; …" if len(parts) > 4 else "")
