from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.check import check_between, check_dataset, survey_dataset
from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.checks.leakage import allowed, judge, leaks_among
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.phantoms.kind import MakeOptions
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.dataset.splits import Fold

Make = Callable[..., Path]


def leaks(dataset: Dataset) -> list[Finding]:
    return [finding for finding in check_dataset(dataset) if finding.code in ("copied_scan", "shared_patient")]


def copy_scan(folder: Path, source: str, target: str, channel: int = 0, into: str = "imagesTr") -> None:
    """Write the scan of a case under another's name: mirrored, as floats, uncompressed inside."""
    image = nib.load(folder / "imagesTr" / f"{source}_{channel:04d}.nii.gz")
    array = np.asarray(image.dataobj)[::-1].astype(np.float32) * 2
    (folder / into).mkdir(exist_ok=True)
    nib.save(nib.Nifti2Image(array, np.diag([3.0, 1, 1, 1])), folder / into / f"{target}_{channel:04d}.nii.gz")


def test_one_scan_under_two_patients_is_an_error_that_names_both(nnunet: Make) -> None:
    folder = nnunet(channels=("FLAIR",))
    copy_scan(folder, "a", "c")
    (found,) = leaks(open_dataset(folder))
    assert (found.severity, found.cases) == ("error", ("a", "c"))
    assert found.message == "'FLAIR' of a and c show one scan, mirrored along x (correlation 1.000)"
    assert "--allow-leak" in found.advice


def test_a_test_image_that_is_a_training_image_is_an_error(nnunet: Make) -> None:
    folder = nnunet(channels=("FLAIR",))
    copy_scan(folder, "b", "new", into="imagesTs")
    (found,) = leaks(open_dataset(folder))
    assert (found.severity, found.cases) == ("error", ("b", "new"))


def test_contrasts_of_one_case_are_not_compared(nnunet: Make) -> None:
    folder = nnunet()
    array = np.asarray(nib.load(folder / "imagesTr" / "a_0000.nii.gz").dataobj)
    nib.save(nib.Nifti1Image(array * 2, np.eye(4)), folder / "imagesTr" / "a_0001.nii.gz")
    assert leaks(open_dataset(folder)) == []


def test_one_scan_twice_of_one_patient_is_a_warning(nnunet: Make) -> None:
    folder = nnunet(ids=("sub-1_ses-1", "sub-1_ses-2", "sub-2"), channels=("FLAIR",))
    copy_scan(folder, "sub-1_ses-1", "sub-1_ses-2")
    assert [finding.severity for finding in leaks(open_dataset(folder))] == ["warning"]


def test_splits_of_the_data_say_which_fold_is_concerned_and_whether_any_is(nnunet: Make) -> None:
    folder = nnunet(channels=("FLAIR",))
    copy_scan(folder, "a", "c")
    dataset = open_dataset(folder)
    apart = replace(dataset, own_folds=(Fold(("a", "c"), ("b",)), Fold(("a", "b"), ("c",))))
    (found,) = leaks(apart)
    assert found.severity == "error"
    assert found.message.endswith("; fold 1 of the data part them")
    together = replace(dataset, own_folds=(Fold(("a", "c"), ("b",)), Fold(("b",), ("a", "c"))))
    (found,) = leaks(together)
    assert found.severity == "warning"


def test_a_patient_on_both_sides_of_a_fold_of_the_data_is_an_error(nnunet: Make) -> None:
    folder = nnunet(ids=("sub-1_ses-1", "sub-1_ses-2", "sub-2"))
    folds = [{"train": ["sub-1_ses-1", "sub-2"], "val": ["sub-1_ses-2"]}]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    (found,) = leaks(open_dataset(folder))
    assert (found.severity, found.code) == ("error", "shared_patient")
    assert found.cases == ("sub-1_ses-1", "sub-1_ses-2")
    assert "both trains and validates in fold 0" in found.message


def test_what_is_allowed_stays_as_a_warning() -> None:
    finding = Finding("a", "error", "copied_scan", "again", "Remove it.", "b")
    other = Finding("a", "error", "spacing", "odd", "Mend it.")
    assert leaks_among([finding, other]) == (finding,)
    assert [one.severity for one in allowed([finding, other])] == ["warning", "error"]


@pytest.mark.parametrize(
    ("subjects", "severity"), [(("p", "p"), "warning"), (("p", "q"), "error"), (("", ""), "error")]
)
def test_patients_decide_how_bad_a_copy_is(nnunet: Make, subjects: tuple[str, str], severity: str) -> None:
    first, second = (Case(id, {}, Path("x"), subject) for id, subject in zip("ab", subjects, strict=True))
    assert judge(open_dataset(nnunet()), first, second).severity == severity


def test_two_visits_of_one_patient_are_no_copies(tmp_path: Path) -> None:
    folder = make_phantoms("ms-followup", tmp_path / "visits", MakeOptions(cases=2, sites=1, seed=0, size="small")).path
    dataset = open_dataset(folder)
    assert len({case.subject for case in dataset.cases}) == 2
    assert len(dataset.cases) == 4
    assert leaks(dataset) == []
    strangers = replace(dataset, cases=tuple(replace(case, subject=case.id, session="") for case in dataset.cases))
    assert {finding.severity for finding in leaks(strangers)} == {"error"}


def other_scans(nnunet: Make, name: str, seed: int) -> Path:
    """A dataset whose scans are in no other: those of `nnunet` are the same each time."""
    folder = nnunet(name, channels=("FLAIR",))
    rng = np.random.default_rng(seed)
    for path in sorted(folder.rglob("*.nii.gz")):
        array = np.asarray(nib.load(path).dataobj)
        drawn = rng.integers(1, 1000, array.shape) if "images" in path.parent.name else rng.integers(0, 3, array.shape)
        nib.save(nib.Nifti1Image(drawn.astype(array.dtype), np.eye(4)), path)
    return folder


def between(*folders: Path) -> tuple[Finding, ...]:
    return check_between([survey_dataset(open_dataset(folder)) for folder in folders])[1]


def test_datasets_with_scans_of_their_own_have_nothing_between_them(nnunet: Make) -> None:
    assert between(other_scans(nnunet, "one", 1), other_scans(nnunet, "two", 2)) == ()


def test_a_changed_copy_in_another_dataset_is_an_error_that_names_both(nnunet: Make) -> None:
    one, two = other_scans(nnunet, "one", 1), other_scans(nnunet, "two", 2)
    image = nib.load(one / "imagesTr" / "a_0000.nii.gz")
    array = np.asarray(image.dataobj)[::-1].astype(np.float32) * 2
    nib.save(nib.Nifti1Image(array, np.eye(4)), two / "imagesTr" / "c_0000.nii.gz")
    (found,) = between(one, two)
    assert (found.code, found.severity, found.cases) == ("copied_scan", "error", ("one_a", "two_c"))
    assert found.message == "'FLAIR' of one_a and two_c show one scan, mirrored along x (correlation 1.000)"
    assert "--allow-leak" in found.advice


def test_the_same_files_in_two_datasets_are_told_once(nnunet: Make) -> None:
    one, two = other_scans(nnunet, "one", 1), other_scans(nnunet, "two", 2)
    shutil.copy(one / "imagesTr" / "b_0000.nii.gz", two / "imagesTr" / "a_0000.nii.gz")
    (found,) = between(one, two)
    assert (found.code, found.severity, found.cases) == ("equal_scans", "error", ("one_b", "two_a"))


def test_what_is_wrong_within_one_dataset_is_not_repeated_between_them(nnunet: Make) -> None:
    one, two = other_scans(nnunet, "one", 1), other_scans(nnunet, "two", 2)
    copy_scan(two, "a", "c")
    shutil.copy(one / "imagesTr" / "a_0000.nii.gz", one / "imagesTr" / "b_0000.nii.gz")
    assert [len(leaks(open_dataset(two)))] == [1]
    assert between(one, two) == ()


def test_a_test_image_that_another_dataset_trains_with_is_an_error(nnunet: Make) -> None:
    one, two = other_scans(nnunet, "one", 1), other_scans(nnunet, "two", 2)
    (two / "imagesTs").mkdir(exist_ok=True)
    image = nib.load(one / "imagesTr" / "a_0000.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * 3, np.eye(4)), two / "imagesTs" / "new_0000.nii.gz")
    (found,) = between(one, two)
    assert (found.severity, found.cases) == ("error", ("one_a", "two_new"))
