"""Moving pictures of chosen cases, through slices and, where the scan has several volumes, through time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import UsageError, suggest
from neuraxis.evaluation.scores import Scores
from neuraxis.files import atomic_path
from neuraxis.pipelines.scoring.browser import cases_worst_first
from neuraxis.pipelines.scoring.overlays import labels_of, overlay_of
from neuraxis.registry import need
from neuraxis.report.browser.gif import slices_gif, time_gif
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Volume

WORST = "worst"


def chosen_cases(scores: Scores, words: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the cases that were asked for.

    Raises:
        UsageError: there is no such case.
        MissingExtra: Pillow is not installed.
    """
    cases, found = scores.cases(), dict[str, None]()
    if words:
        need("PIL", "report")
    for word in words:
        id = cases_worst_first(scores)[0] if word == WORST and WORST not in cases else word
        if id not in cases:
            raise UsageError(f"--gif {word}: no such case was scored. {suggest(word, [*cases, WORST])}")
        found[id] = None
    return tuple(found)


def write_gifs(scores: Scores, dataset: Dataset | None, cases: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Write `CASE.gif` for each case, and `CASE_time.gif` where its scan has several volumes.

    Args:
        scores: of the cases; their files are read again.
        dataset: whose scans are shown; None shows label maps on black.
        cases: their ids.
        folder: for the files; existing ones are replaced.
    """
    written = []
    for case in cases:
        overlay = overlay_of(scores, case, "", labels_of(scores, dataset), dataset)
        contents = {folder / f"{case}.gif": slices_gif(overlay)}
        series = _series(case, dataset)
        if series is not None and series.grid.shape == overlay.image.shape:
            contents[folder / f"{case}_time.gif"] = time_gif(series.array, overlay)
        for path, content in contents.items():
            with atomic_path(path) as part:
                part.write_bytes(content)
            written.append(path)
    return tuple(written)


def _series(case: str, dataset: Dataset | None) -> Volume | None:
    """Return all volumes of the file of a case's first channel, where it holds several."""
    found = next((one for one in dataset.cases if one.id == case), None) if dataset is not None else None
    if dataset is None or found is None or not found.images:
        return None
    volume = next(iter(found.images.values())).read()
    label = found.read_label() if found.label is not None else None
    fits = label is None or volume.grid.matches(label.grid, SAME_VOXELS)
    return volume if volume.channels > max(1, len(dataset.channels)) and fits else None
