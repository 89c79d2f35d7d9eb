"""What a model looked at in scored cases, read from the folder that `explain` wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError
from neuraxis.evaluation.scores import Scores
from neuraxis.pipelines.explaining.files import read_case
from neuraxis.pipelines.scoring.browser import cases_worst_first, note_of
from neuraxis.pipelines.scoring.overlays import labels_of, overlay_of
from neuraxis.progress import Progress
from neuraxis.report.browser.slices import bytes_a_case
from neuraxis.report.explaining.heat import HeatCase, HeatCut
from neuraxis.report.explaining.sections import explained_sections
from neuraxis.report.explaining.told import CaseFiles
from neuraxis.report.page import Section
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS, Grid

_SHARE = 0.4  # of a page's bytes, beside its browser


def explained_cases(
    folder: Path | None, scores: Scores, dataset: Dataset | None, progress: Progress
) -> tuple[Section, ...]:
    """Return the sections that show maps over the scored cases, the worst first; none without a folder.

    Args:
        folder: that `explain` wrote.
        scores: of the cases; their files are read again.
        dataset: whose scans are shown; None shows maps on black.
        progress: who shows how far it is.

    Raises:
        DataError: the folder holds no maps of a scored case, or maps that lie on another grid.
    """
    if folder is None:
        return ()
    order = cases_worst_first(scores)
    known = [case for case in order if (folder / f"{case}.json").is_file()]
    if not known:
        raise DataError(
            f"{folder}: holds no maps of a scored case, such as {order[0]}.json. Name the folder that neuraxis explain "
            "wrote for these scans."
        )
    room, labels = int(_SHARE * bytes_a_case(len(known))), labels_of(scores, dataset)
    told: list[CaseFiles] = []
    pictures: list[HeatCase] = []
    with progress.stage("Drawing maps", len(known)) as stage:
        for case in known:
            told.append(read_case(folder / f"{case}.json"))
            overlay = overlay_of(scores, case, note_of(scores, case), labels, dataset)
            cut = HeatCut(overlay, room, len(told[-1].gradcam) + len(told[-1].experts))
            grid = any_format.read_grid(next(row.prediction_file for row in scores.rows if row.case == case))[0]
            _add(cut, told[-1], folder, grid)
            pictures.append(cut.done())
            stage.advance(note=case)
    return tuple(explained_sections(told, pictures, len(order) - len(known)))


def _add(cut: HeatCut, case: CaseFiles, folder: Path, grid: Grid) -> None:
    for one in case.gradcam:
        layers = ", ".join(dict.fromkeys(str(network["layer"]) for network in one.networks))
        cut.add_heat(f"Grad-CAM++ of {one.label}", _read(folder / one.file, grid), f"{case.model}, layer {layers}")
    for gate in case.experts:
        note = f"{case.model}, fold {case.experts_fold}"
        cut.add_classes(f"Experts of {gate.gate}", _read(folder / gate.file, grid), len(gate.shares), note)


def _read(path: Path, grid: Grid) -> np.ndarray:
    found = any_format.read(path)
    if not found.grid.matches(grid, SAME_VOXELS):
        raise DataError(
            f"{path}: lies on another grid than the case's segmentation: {found.grid.describe()} against "
            f"{grid.describe()}. Explain the scan that was segmented."
        )
    array: np.ndarray = np.nan_to_num(found.array[0].astype(np.float32))
    return array
