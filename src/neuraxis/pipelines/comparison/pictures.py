"""The cases in which entries differ most, as pictures of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from neuraxis.dataset.dataset import Dataset
from neuraxis.evaluation.comparison.side_by_side import Entry, SideBySide
from neuraxis.pipelines.scoring.browser import note_of
from neuraxis.pipelines.scoring.overlays import dataset_around, labels_of, overlay_of
from neuraxis.progress import Progress
from neuraxis.report.browser.slices import BrowserCase, browser_case, bytes_a_case
from neuraxis.report.overlays import Overlay
from neuraxis.workers import map_in_order

MOST_CASES, MOST_PICTURES, MOST_BROWSED = 2, 8, 200
METRIC = "dice"


def disagreements(found: SideBySide, references: Path | Dataset) -> tuple[Overlay, ...]:
    """Return each entry's segmentation of the cases in which Dice differs most; none where Dice was not scored.

    Args:
        found: the comparison.
        references: what was scored against; a dataset's scans are shown below the outlines.
    """
    if METRIC not in found.metrics:
        return ()
    dataset = references if isinstance(references, Dataset) else dataset_around(references)
    overlays = []
    for case, spread in most_different(found.entries)[: min(MOST_CASES, MOST_PICTURES // len(found.entries) or 1)]:
        for entry in found.entries[:MOST_PICTURES]:
            value = _dice(entry, case)
            shown = f"{entry.label}, Dice {value:.3f}" if math.isfinite(value) else f"{entry.label}, Dice undefined"
            labels = labels_of(entry.scores, dataset)
            caption = f"{shown} (entries differ by {spread:.3f})" if entry is found.entries[0] else shown
            overlays.append(overlay_of(entry.scores, case, caption, labels, dataset))
    return tuple(overlays)


def compared_cases(
    found: SideBySide, references: Path | Dataset, progress: Progress
) -> tuple[tuple[BrowserCase, ...], int]:
    """Return the cases that the page shows slice by slice, those first in which entries differ most.

    Args:
        found: the comparison.
        references: what was scored against; a dataset's scans are shown.
        progress: who shows how far it is.

    Returns:
        The cases, and how many further ones the page has no room for.
    """
    dataset = references if isinstance(references, Dataset) else dataset_around(references)
    entries = found.entries
    order = [case for case, _ in most_different(entries)] if METRIC in found.metrics else []
    order += [case for case in entries[0].scores.cases() if case not in set(order)]
    shown = order[:MOST_BROWSED]
    room, labels = bytes_a_case(len(shown)), labels_of(entries[0].scores, dataset)
    names = [entry.label for entry in entries]

    def cut(case: str) -> BrowserCase:
        overlays = [overlay_of(one.scores, case, note_of(one.scores, case), labels, dataset) for one in entries]
        return browser_case(overlays, room, names)

    drawn: list[BrowserCase] = []
    with progress.stage("Drawing", len(shown)) as stage:
        for one in map_in_order(cut, shown):
            drawn.append(one)
            stage.advance(note=one.id)
    return tuple(drawn), len(order) - len(shown)


def most_different(entries: Sequence[Entry]) -> list[tuple[str, float]]:
    """Return the cases by falling difference of the largest and the smallest Dice, with that difference."""
    spreads = []
    for case in entries[0].scores.cases():
        values = [value for entry in entries if math.isfinite(value := _dice(entry, case))]
        if values:
            spreads.append((case, max(values) - min(values)))
    return sorted(spreads, key=lambda pair: (-pair[1], pair[0]))


def _dice(entry: Entry, case: str) -> float:
    """Return the mean over the structures that are defined."""
    values = [row.values[METRIC] for row in entry.scores.rows if row.case == case]
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
