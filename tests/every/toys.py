"""One small dataset for each layout of the catalog, written to disk: two or three cases of 6 x 7 x 8 voxels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

SHAPE = (6, 7, 8)
Writer = Callable[[Path], None]


def image(path: Path, seed: int = 0, *more: int) -> None:
    save(path, np.random.default_rng(seed).integers(1, 1000, (*SHAPE, *more)).astype(np.int16))


def mask(path: Path, *numbers: int) -> None:
    """The i-th number fills the plane X = i + 1."""
    array = np.zeros(SHAPE, np.uint8)
    for place, number in enumerate(numbers or (1,)):
        array[place + 1, 1:] = number
    save(path, array)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)


def picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def nnunet(root: Path) -> None:
    for number, id in enumerate(("a", "b")):
        image(root / "imagesTr" / f"{id}_0000.nii.gz", number)
        mask(root / "labelsTr" / f"{id}.nii.gz")
    content = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(content))


def msd(root: Path) -> None:
    for number, id in enumerate(("a", "b")):
        image(root / "imagesTr" / f"{id}.nii.gz", number)
        mask(root / "labelsTr" / f"{id}.nii.gz")
    pairs = [{"image": f"./imagesTr/{id}.nii.gz", "label": f"./labelsTr/{id}.nii.gz"} for id in ("a", "b")]
    content = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "lesion"}, "training": pairs, "test": []}
    (root / "dataset.json").write_text(json.dumps(content))


def bids(root: Path) -> None:
    for number, id in enumerate(("sub-01", "sub-02")):
        image(root / id / "anat" / f"{id}_T2w.nii.gz", number)
        mask(root / "derivatives" / "labels" / id / "anat" / f"{id}_T2w_label-SC_seg.nii.gz")
    (root / "dataset_description.json").write_text('{"Name": "toy", "BIDSVersion": "1.10.0"}')
    (root / "participants.tsv").write_text("participant_id\tsite\nsub-01\tnorth\nsub-02\tsouth\n")


def brats(root: Path) -> None:
    for number, id in enumerate(("BraTS20_Training_001", "BraTS20_Training_002")):
        for place, channel in enumerate(("flair", "t1", "t1ce", "t2")):
            image(root / id / f"{id}_{channel}.nii", 10 * number + place)
        mask(root / id / f"{id}_seg.nii", 1, 2, 4)


def mslesseg(root: Path) -> None:
    for number, (patient, session) in enumerate((("P1", "T1"), ("P1", "T2"), ("P2", "T1"))):
        folder = root / "train" / patient / session
        for place, channel in enumerate(("FLAIR", "T1", "T2")):
            image(folder / f"{patient}_{session}_{channel}.nii.gz", 10 * number + place)
        mask(folder / f"{patient}_{session}_MASK.nii.gz")
    image(root / "test" / "P9" / "T1" / "P9_T1_FLAIR.nii.gz", 99)


def rsna(root: Path) -> None:
    for number, id in enumerate(("1.2.3", "1.2.4", "1.2.5")):
        image(root / "train_images" / id / "stand-in.nii", number)
    for id in ("1.2.3", "1.2.4"):
        mask(root / "segmentations" / f"{id}.nii", 1, 7, 8)


def folders(root: Path) -> None:
    for number, id in enumerate(("patient01", "patient02")):
        for place, channel in enumerate(("FLAIR", "T1")):
            image(root / "images" / f"{id}_{channel}.nii.gz", 10 * number + place)
        mask(root / "labels" / f"{id}.nii.gz", 1, 5)


def case_folders(root: Path) -> None:
    for number, id in enumerate(("patient01", "patient02")):
        for place, channel in enumerate(("FLAIR", "T1W")):
            image(root / id / f"{channel}.nii.gz", 10 * number + place)
        mask(root / id / "gt.nii.gz")


def pictures(root: Path) -> None:
    for number, id in enumerate(("100_1", "100_2", "101_1")):
        pixels = np.random.default_rng(number).integers(1, 255, (32, 40)).astype(np.uint8)
        picture(root / "images" / f"{id}.png", pixels)
        drawn = np.zeros((32, 40, 3), np.uint8)
        drawn[4:12, 4:12, 0], drawn[16:28, 16:28, 1] = 255, 255
        picture(root / "masks" / f"{id}.png", drawn)


def case_list(root: Path) -> None:
    for number, id in enumerate(("a", "b", "c")):
        image(root / "scans" / f"{id}.nii.gz", number)
        mask(root / "drawn" / f"{id}.nii.gz", 1, 2)
    lines = [
        f"{id},p{id},north,{fold},scans/{id}.nii.gz,drawn/{id}.nii.gz" for id, fold in (("a", 0), ("b", 1), ("c", 0))
    ]
    (root / "cases.csv").write_text("\n".join(["case,subject,site,fold,T2,label", *lines]))


TOYS: dict[str, Writer] = {
    "bids": bids,
    "brats": brats,
    "case-folders": case_folders,
    "folders": folders,
    "list": case_list,
    "msd": msd,
    "mslesseg": mslesseg,
    "nnunet": nnunet,
    "pictures": pictures,
    "rsna": rsna,
}
