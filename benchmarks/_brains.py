"""Cases of 4 x 240 x 240 x 155 voxels, as an nnU-Net raw dataset: the real tumour scans, and phantoms for the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume

SCANS = Path(__file__).parents[2] / "shared" / "data" / "tumour-brats"
KINDS = {
    "BraTS20_Training_002": ("flair", "t1", "t1ce", "t2", "seg"),
    "MSD_BRATS_001": ("0000", "0001", "0002", "0003", "labels"),
}
CASES, SHAPE = 4, (240, 240, 155)
NUMBER, NAME = 5, "Dataset005_Tumour"


def real_cases() -> list[list[Volume]]:
    """Return the real cases: four channels and the label map, its numbers without a gap."""
    cases = []
    for folder, names in KINDS.items():
        paths = [next(iter(sorted((SCANS / folder).glob(f"*_{name}.nii.gz"))), None) for name in names]
        if all(paths):
            volumes = [nifti.read(path) for path in paths if path]
            label = volumes[-1]
            cases.append([*volumes[:-1], label.with_array(np.minimum(label.array, 3).astype(np.uint8))])
    return cases


def phantom_case(subject: int) -> list[Volume]:
    """Return a phantom of the same size: FLAIR, T1 and T2, its T1 from top to bottom as the fourth, and the lesions."""
    phantom = make_phantom(SITES[0], 0, subject, PhantomOptions(spacing_mm=(1.0, 1.0, 1.0), shape=SHAPE))
    channels = [*phantom.images.array, phantom.images.array[1, :, :, ::-1]]
    return [*(phantom.images.with_array(np.ascontiguousarray(array)[None]) for array in channels), phantom.label]


def write_dataset(folder: Path) -> str:
    """Write an nnU-Net raw dataset and say in words what it is made of."""
    cases = real_cases()[:CASES]
    words = f"{len(cases)} real scans and {CASES - len(cases)} phantoms"
    cases += [phantom_case(subject) for subject in range(1, 1 + CASES - len(cases))]
    for number, (*channels, label) in enumerate(cases):
        for place, volume in enumerate(channels):
            nifti.write(folder / "imagesTr" / f"case{number}_{place:04d}.nii.gz", volume)
        nifti.write(folder / "labelsTr" / f"case{number}.nii.gz", label)
    description = {
        "channel_names": {str(place): name for place, name in enumerate(("FLAIR", "T1", "T1Gd", "T2"))},
        "labels": {"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description), "utf-8")
    return words
