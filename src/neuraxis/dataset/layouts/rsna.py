"""The layout of RSNA's cervical spine challenge of 2022: a DICOM folder for each study, label maps of some.

    rsna-2022-cervical-spine-fracture-detection/
        train_images/1.2.826.0.1.3680043.780/1.dcm, 2.dcm, ...
        segmentations/1.2.826.0.1.3680043.780.nii

Studies without a label map are unlabelled cases. Labels are C1 to C7 (1 to 7) and T1 to T12 (8 to 19).
"""

from __future__ import annotations

from pathlib import Path

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.opening import Opening
from neuraxis.volume.formats.any_format import stem

VERTEBRAE = (*(f"C{number}" for number in range(1, 8)), *(f"T{number}" for number in range(1, 13)))
LABELS = Labels(names={"background": 0, **{name: number for number, name in enumerate(VERTEBRAE, start=1)}})
STUDIES, MASKS = "train_images", "segmentations"


def _recognises(folder: Path) -> bool:
    studies = folder / STUDIES
    return studies.is_dir() and any(child.is_dir() for child in studies.iterdir()) and (folder / MASKS).is_dir()


def _read(folder: Path, opening: Opening) -> Dataset:
    studies = {child.name: child for child in sorted((folder / STUDIES).iterdir()) if child.is_dir()}
    masks = {stem(path): path for path in shared.scans_in(folder / MASKS)}
    cases = tuple(_case(id, path, masks.get(id)) for id, path in studies.items() if not id.startswith("."))
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="rsna",
            channels=("CT",),
            modality={"CT": "CT"},
            labels=LABELS,
            cases=tuple(case for case in cases if case.label is not None),
            unlabelled=tuple(case for case in cases if case.label is None),
            notes=tuple(f"{id}: label map {masks[id]} {shared.NO_IMAGE}" for id in sorted(masks.keys() - studies)),
        ),
    )


LAYOUT = shared.Layout("folders train_images (DICOM studies) and segmentations (RSNA 2022)", _recognises, _read)


def _case(id: str, study: Path, label: Path | None) -> Case:
    return Case(id, {"CT": ImageFile(study)}, label, id)
