from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts.bids_names import BidsName
from neuraxis.dataset.layouts.recognise import open_dataset

Write = Callable[..., Path]
SHAPE = (4, 5, 6)


def values(seed: int, *more: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 100, (*SHAPE, *more)).astype("i2")


def mask(*planes: int, value: float = 1) -> np.ndarray:
    array = np.zeros(SHAPE, "f4")
    array[list(planes)] = value
    return array


@pytest.fixture
def study(tmp_path: Path, write_scan: Write) -> Callable[..., Path]:
    """study({path without ending: array}) -> a folder with these scans."""

    def make(scans: dict[str, np.ndarray]) -> Path:
        for name, array in scans.items():
            write_scan(tmp_path / "study" / f"{name}.nii.gz", array)
        (tmp_path / "study" / "dataset_description.json").write_text("{}")
        return tmp_path / "study"

    return make


@pytest.mark.parametrize(
    ("name", "kind", "image", "structure"),
    [
        ("sub-01_T2w", "image", "T2w", ""),
        ("sub-01_acq-MTon_MTS", "image", "MTS", ""),
        ("sub-01_dseg", "numbered", "", ""),
        ("sub-01_space-T1w_label-lesion_mask", "mask", "", "lesion"),
        ("sub-01_T2w_label-SC_seg", "mask", "T2w", "SC"),
        ("sub-01_T2w_seg-manual", "mask", "T2w", "seg"),
        ("sub-01_T2star_gmseg", "mask", "T2star", "GM"),
        ("sub-01_T2w_lesion-manual", "mask", "T2w", "lesion"),
        ("sub-01_task-rest_desc-spinalcord_mask", "mask", "", "spinalcord"),
        ("sub-01_label-WMH_probseg", "soft", "", "WMH"),
        ("sub-01_T2w_label-discs_dlabel", "", "T2w", "discs"),
        ("sub-01_T1w_labels-disc-manual", "", "T1w", ""),
    ],
)
def test_a_name_says_what_a_file_is(name: str, kind: str, image: str, structure: str) -> None:
    found = BidsName.of(Path(f"{name}.nii.gz"))
    assert (found.kind, found.image) == (kind, image)
    if structure:
        assert found.structure == structure


def test_sites_sessions_and_patients_are_told(study: Callable[..., Path]) -> None:
    scans = {}
    for session in ("01", "02"):
        scans[f"sub-a/ses-{session}/anat/sub-a_ses-{session}_FLAIR"] = values(int(session))
        scans[f"derivatives/labels/sub-a/ses-{session}/anat/sub-a_ses-{session}_FLAIR_label-lesion_seg"] = mask(1)
    folder = study({**scans, "sub-b/anat/sub-b_FLAIR": values(9)})
    (folder / "participants.tsv").write_text("participant_id\tinstitution\tage\nsub-a\tBonn\t30\nsub-b\tn/a\t40\n")
    dataset = open_dataset(folder)
    told = [(case.id, case.subject, case.session, case.site) for case in dataset.cases]
    assert told == [("sub-a_ses-01", "sub-a", "01", "Bonn"), ("sub-a_ses-02", "sub-a", "02", "Bonn")]
    assert [(case.id, case.site) for case in dataset.unlabelled] == [("sub-b", "")]
    assert (dataset.channels, dataset.labels.names) == (("FLAIR",), {"background": 0, "lesion": 1})


def test_a_label_map_that_names_its_scan_is_of_that_one(study: Callable[..., Path]) -> None:
    folder = study(
        {
            "sub-a/anat/sub-a_T1w": values(1),
            "sub-a/anat/sub-a_T2w": values(2),
            "derivatives/labels/sub-a/anat/sub-a_T2w_label-SC_seg": mask(1, 2),
        }
    )
    dataset = open_dataset(folder)
    assert dataset.channels == ("T2w",)
    assert "images that no label map is of were not read: T1w" in dataset.notes


def test_a_label_map_that_names_no_scan_is_of_all_on_its_grid(study: Callable[..., Path]) -> None:
    folder = study(
        {
            "sub-a/anat/sub-a_FLAIR": values(1),
            "sub-a/anat/sub-a_T1w": values(2),
            "sub-a/anat/sub-a_T2w": values(3)[:2],
            "derivatives/manual/sub-a/anat/sub-a_dseg": mask(1) + 4 * mask(2),
        }
    )
    (folder / "derivatives" / "manual" / "dseg.tsv").write_text(
        "index\tname\tcolor\n1\tlesion\t#ff0000\n4\tscar\tn/a\n9\tno\t\n"
    )
    dataset = open_dataset(folder)
    assert dataset.channels == ("FLAIR", "T1w")
    assert dataset.labels.names == {"background": 0, "lesion": 1, "scar": 4}
    assert dataset.labels.colours == {"lesion": "#ff0000"}


def test_masks_are_painted_with_lesions_last(study: Callable[..., Path]) -> None:
    folder = study(
        {
            "sub-a/anat/sub-a_T2w": values(1),
            "derivatives/labels/sub-a/anat/sub-a_T2w_label-lesion_seg": mask(2),
            "derivatives/labels/sub-a/anat/sub-a_T2w_label-SC_seg": mask(1, 2, value=0.9),
            "sub-b/anat/sub-b_T2w": values(2),
            "derivatives/labels/sub-b/anat/sub-b_T2w_label-SC_seg": mask(1),
        }
    )
    dataset = open_dataset(folder)
    assert dataset.labels.names == {"background": 0, "SC": 1, "lesion": 2}
    assert [case.id for case in dataset.cases] == ["sub-a"]
    assert dataset.cases[0].read_label().array[0, :, 0, 0].tolist() == [0, 1, 2, 0]
    assert "sub-b: its mask of 'lesion' is missing" in dataset.notes


def test_a_series_is_taken_as_its_mean_or_by_one_volume(study: Callable[..., Path]) -> None:
    series = values(1, 3)
    folder = study(
        {
            "sub-a/func/sub-a_task-rest_bold": series,
            "derivatives/labels/sub-a/func/sub-a_task-rest_bold_label-SC_seg": mask(1),
        }
    )
    mean = open_dataset(folder)
    assert mean.channels == ("bold",)
    np.testing.assert_allclose(mean.cases[0].read_images().array[0], series.mean(axis=3), rtol=1e-6)
    np.testing.assert_array_equal(open_dataset(folder, volume=2).cases[0].read_images().array[0], series[..., 2])


def test_runs_are_cases_of_their_own(study: Callable[..., Path]) -> None:
    scans = {}
    for run in ("1", "2"):
        scans[f"sub-a/func/sub-a_task-rest_run-{run}_bold"] = values(int(run))
        scans[f"derivatives/labels/sub-a/func/sub-a_task-rest_run-{run}_bold_label-SC_seg"] = mask(int(run))
    dataset = open_dataset(study(scans))
    assert [(case.id, case.subject) for case in dataset.cases] == [("sub-a_run-1", "sub-a"), ("sub-a_run-2", "sub-a")]
    assert [case.read_label().array[0, int(run)].any() for case, run in zip(dataset.cases, "12", strict=True)] == [
        True
    ] * 2


def test_a_label_map_without_its_image_is_noted(study: Callable[..., Path]) -> None:
    folder = study(
        {
            "sub-a/anat/sub-a_T2w": values(1),
            "derivatives/labels/sub-a/anat/sub-a_T2w_label-SC_seg": mask(1),
            "derivatives/labels/sub-b/anat/sub-b_T2w_label-SC_seg": mask(1),
        }
    )
    assert any(note.startswith("sub-b: label map ") and "has no image" in note for note in open_dataset(folder).notes)


def test_derivatives_without_raw_scans_are_taken(study: Callable[..., Path]) -> None:
    folder = study(
        {
            "derivatives/moco/sub-a/func/sub-a_task-rest_desc-mean_bold": values(1),
            "derivatives/label/sub-a/func/sub-a_task-rest_desc-cord_mask": mask(1),
        }
    )
    dataset = open_dataset(folder)
    assert (dataset.channels, dataset.labels.names) == (("bold",), {"background": 0, "cord": 1})
