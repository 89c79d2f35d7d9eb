"""Every folder of real scans that is a dataset opens as it lies, with what its README says it holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format

pytestmark = pytest.mark.data
ONE = {"label 1": 1}
TUMOUR = {"necrotic core": 1, "oedema": 2, "enhancing tumour": 3}
SPINE = {f"label {number}": number for number in (*range(20, 25), *range(26, 34))}


@dataclass(frozen=True)
class Expected:
    """What a folder is opened as: layout, cases, channels, names of labels, and voxels of a case's labels."""

    layout: str
    cases: int
    channels: tuple[str, ...]
    labels: dict[str, int]
    voxels: dict[str, dict[int, int]] = field(default_factory=dict)
    unlabelled: int = 0
    patients: int = 0


FOLDERS = {
    "hippocampus-msd": Expected("msd", 200, ("MRI",), {"Anterior": 1, "Posterior": 2}, patients=200),
    "ms-ljubljana-mni": Expected("folders", 2, ("FLAIR", "T1", "T1post", "T2"), ONE, patients=2),
    "ms-mslesseg": Expected("mslesseg", 1, ("FLAIR", "T1"), {"lesion": 1}, patients=1),
    "ms-ljubljana-longitudinal/raw": Expected(
        "case-folders", 1, tuple(f"study{study}_{name}" for study in (1, 2) for name in ("FLAIR", "T1W", "T2W")), ONE
    ),
    "tumour-brats": Expected("brats", 2, ("FLAIR", "T1", "T1ce", "T2"), TUMOUR, patients=2),
    "tumour-pyradiomics-nrrd": Expected("folders", 1, ("image",), ONE, {"brain1": {1: 4137}}),
    "cord-epi-leipzig": Expected("bids", 1, ("bold",), {"spinalcord": 1}),
    "cord-sct-tutorial": Expected("bids", 0, ("MTS",), ONE, unlabelled=1),
    "spine-ct": Expected("folders", 2, ("image",), SPINE, patients=2),
    "spine-mri-tptbox": Expected(
        "folders", 1, ("image",), {f"label {number}": number for number in (5, 6, 7, 105, 106, 205, 206, 207)}
    ),
    "ct-head-invesalius": Expected("folders", 1, ("image",), ONE),
    "ms-2d-jpg/flair": Expected("pictures", 21, ("grey",), ONE, patients=21),
    "ms-2d-jpg/t1": Expected("pictures", 14, ("grey",), ONE, patients=14),
    "ms-2d-jpg/t2": Expected("pictures", 21, ("grey",), ONE, patients=21),
    "multiclass-2d/hippocampus-png": Expected("pictures", 27, ("grey",), {"green": 1, "red": 2}, patients=10),
    "multiclass-2d/brats2023-png": Expected("pictures", 23, ("grey",), {"blue": 1, "green": 2, "red": 3}, patients=8),
    "multiclass-2d/brats2021-jpg": Expected("pictures", 15, ("grey",), ONE, patients=15),
}
# Not datasets by themselves: pairs without partners, scans without an order, and DICOM, which is tested elsewhere.
OTHERS = {"hippocampus-msd-orphans", "cord-sct-testing", "dicom-misc", "tumour-pgbm-dicom"}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_opens_with_what_it_holds(name: str, shared_data: Path) -> None:
    expected, dataset = FOLDERS[name], open_dataset(shared_data / name)
    assert dataset.layout == expected.layout
    assert (len(dataset.cases), len(dataset.unlabelled)) == (expected.cases, expected.unlabelled)
    assert dataset.channels == expected.channels
    assert dataset.labels.names == {"background": 0, **expected.labels}
    if expected.patients:
        assert len({case.subject for case in dataset.cases}) == expected.patients
    for case in dataset.cases[:: max(1, len(dataset.cases) // 4)]:
        label = case.read_label()
        assert set(np.unique(label.array).tolist()) <= dataset.labels.allowed()
        numbers, counts = np.unique(label.array[label.array > 0], return_counts=True)
        if case.id in expected.voxels:
            assert dict(zip(numbers.tolist(), counts.tolist(), strict=True)) == expected.voxels[case.id]


def test_no_folder_is_forgotten(shared_data: Path) -> None:
    listed = {name.split("/")[0] for name in FOLDERS} | OTHERS
    assert {path.name for path in shared_data.iterdir() if path.is_dir()} == listed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cord-sct-testing", "The folder 'mt' in it is a dataset"),
        ("ms-2d-jpg", "The folder 'flair' in it is a dataset"),
        ("multiclass-2d", "The folder 'brats2021-jpg' in it is a dataset"),
        ("ms-ljubljana-longitudinal", "The folder 'raw' in it is a dataset"),
    ],
)
def test_a_folder_that_is_none_is_answered_with_what_to_do(name: str, words: str, shared_data: Path) -> None:
    with pytest.raises(DataError, match=words) as caught:
        open_dataset(shared_data / name)
    assert "\n" not in str(caught.value)


def test_a_list_brings_order_into_scans_that_have_none(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cord-sct-testing"
    rows = [("t2", "t2/t2", "t2/t2_seg-manual"), ("t2s", "t2s/t2s", "t2s/t2s_seg"), ("mt", "mt/mt1", "mt/mt1_seg")]
    lines = [f"{case},sub-01,{folder / image}.nii.gz,{folder / label}.nii.gz" for case, image, label in rows]
    (tmp_path / "cord.csv").write_text("\n".join(["case,subject,image,label", *lines]))
    dataset = open_dataset(tmp_path / "cord.csv")
    assert (dataset.layout, dataset.name, len(dataset.cases)) == ("list", "cord", 3)
    assert {case.subject for case in dataset.cases} == {"sub-01"}
    assert all(case.read_label().array.any() for case in dataset.cases)


def test_dicom_studies_and_segmentations_are_pairs_too(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "dicom-misc" / "dcmqi"
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "images" / "p1").symlink_to(source / "ct-3slice")
    (tmp_path / "labels" / "p1.dcm").symlink_to(source / "liver.dcm")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.modality) == ("folders", {"image": "CT"})
    assert dataset.labels.names == {"background": 0, "Liver": 1}
    case = dataset.cases[0]
    assert case.read_label().grid.matches(case.read_images().grid)
    assert case.read_label().array.any()


def test_studies_of_the_cervical_challenge_are_read(shared_data: Path, tmp_path: Path) -> None:
    study = shared_data / "dicom-misc" / "hippocrop" / "Study1" / "13_HCropVolume"
    (tmp_path / "train_images").mkdir()
    for id in ("1.2.3", "1.2.4"):
        (tmp_path / "train_images" / id).symlink_to(study)
    image = any_format.read(study)
    mask = image.with_array((image.array > image.array.mean()).astype(np.uint8) * 3)
    any_format.write(tmp_path / "segmentations" / "1.2.3.nii", replace(mask, stored=None))
    dataset = open_dataset(tmp_path)
    assert ([case.id for case in dataset.cases], [case.id for case in dataset.unlabelled]) == (["1.2.3"], ["1.2.4"])
    case = dataset.cases[0]
    assert case.read_images().grid.matches(case.read_label().grid, 0.5)
    np.testing.assert_array_equal(case.read_label().array, mask.array)


def test_the_decathlons_numbers_become_those_of_brats(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "tumour-brats")
    assert (dataset.case("BraTS20_Training_002").read_label().array == 3).any()
    label = dataset.case("MSD_BRATS_001").read_label().array[0]
    outside = [np.mean(label[binary_dilation(label == number) & (label != number)] == 0) for number in (1, 2)]
    assert outside[0] < 0.2  # the core lies within
    assert outside[1] > 0.6  # the oedema lies around it


def test_patients_of_the_2d_lesions_are_read_from_their_names(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "ms-2d-jpg" / "flair", subject=r"^1(\d\d)\d{3}$")
    assert len({case.subject for case in dataset.cases}) == 14
    assert dataset.case("106014").subject == dataset.case("106021").subject == "06"


def test_colours_between_two_classes_go_to_the_nearest(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "multiclass-2d" / "hippocampus-png")
    counts = np.bincount(np.concatenate([case.read_label().array.ravel() for case in dataset.cases]), minlength=3)
    assert counts[1] > 50_000
    assert counts[2] > 50_000
