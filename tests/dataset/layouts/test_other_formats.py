"""nnU-Net and Decathlon folders whose scans are no NIfTI."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.nifti import read

Make = Callable[..., Path]


def converted(folder: Path, ending: str) -> Path:
    for path in (*(folder / "imagesTr").iterdir(), *(folder / "labelsTr").iterdir()):
        any_format.write(path.with_name(path.name.replace(".nii.gz", ending)), read(path))
        path.unlink()
    text = (folder / "dataset.json").read_text().replace(".nii.gz", ending)
    (folder / "dataset.json").write_text(text)
    return folder


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_nnunet_folders_of_other_formats_hold_the_same(ending: str, nnunet: Make) -> None:
    before = [(case.id, case.read_images().array, case.read_label().array) for case in open_dataset(nnunet()).cases]
    dataset = open_dataset(converted(nnunet(), ending))
    for (id, images, label), case in zip(before, dataset.cases, strict=True):
        assert case.id == id
        np.testing.assert_array_equal(case.read_images().array, images)
        np.testing.assert_array_equal(case.read_label().array, label)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_decathlon_folders_of_other_formats_hold_the_same(ending: str, msd: Make) -> None:
    before = [(case.id, case.read_label().array) for case in open_dataset(msd()).cases]
    dataset = open_dataset(converted(msd(), ending))
    assert [case.id for case in dataset.cases] == [id for id, _ in before]
    for (_, label), case in zip(before, dataset.cases, strict=True):
        np.testing.assert_array_equal(case.read_label().array, label)


def test_nnunet_folders_of_pictures_are_read(nnunet: Make) -> None:
    from PIL import Image

    folder = nnunet(channels=("grey",))
    for path in (*(folder / "imagesTr").iterdir(), *(folder / "labelsTr").iterdir()):
        flat = read(path).array[0, :, :, 3].astype(np.uint8)
        Image.fromarray(flat).save(path.with_name(path.name.replace(".nii.gz", ".png")))
        path.unlink()
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, "file_ending": ".png"}))
    dataset = open_dataset(folder)
    assert len(dataset.cases) == 3
    assert dataset.cases[0].read_images().grid.shape[2] == 1
    assert set(np.unique(dataset.cases[0].read_label().array)) == {0, 1, 2}
