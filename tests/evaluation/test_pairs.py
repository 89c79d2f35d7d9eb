from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.evaluation.pairs import Pair, check_grids, description_beside, find_pairs
from neuraxis.files import write_json
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def write(path: Path, shape: tuple[int, int, int] = (4, 4, 4), origin_mm: float = 0.0, spacing_mm: float = 1.0) -> Path:
    affine = np.diag([spacing_mm, 1.0, 1.0, 1.0])
    affine[0, 3] = origin_mm
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(np.zeros((1, *shape), np.uint8), Grid(shape, affine)))
    return path


def folder(path: Path, *names: str) -> Path:
    for name in names:
        write(path / name)
    return path


def dataset(root: Path, *ids: str) -> Dataset:
    cases = tuple(
        Case(id, {"T1": ImageFile(root / "i.nii")}, write(root / f"{id}.nii.gz"), subject=f"patient-{id}", site="Ulm")
        for id in ids
    )
    labels = Labels(names={"background": 0, "lesion": 1})
    return Dataset("toy", root, "msd", ("T1",), {"T1": "MRI"}, labels, cases)


def ids_and_files(pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    return [(pair.reference.id, pair.prediction.name) for pair in pairs]


def test_files_are_matched_by_name_with_or_without_seg_and_gz(tmp_path: Path) -> None:
    predictions = folder(tmp_path / "p", "b_seg.nii.gz", "a.nii", "c.nii.gz")
    references = folder(tmp_path / "r", "a.nii.gz", "b.nii.gz", "c_seg.nii.gz")
    assert ids_and_files(find_pairs(predictions, references)) == [
        ("a", "a.nii"),
        ("b", "b_seg.nii.gz"),
        ("c", "c.nii.gz"),
    ]


def test_probabilities_sidecars_and_hidden_files_are_no_predictions(tmp_path: Path) -> None:
    predictions = folder(tmp_path / "p", "a.nii.gz", "a_prob.nii.gz", "._a.nii.gz", "scan_prob_seg.nii.gz")
    (predictions / "a.json").write_text("{}")
    references = folder(tmp_path / "r", "a.nii.gz", "scan_prob.nii.gz")
    assert ids_and_files(find_pairs(predictions, references)) == [
        ("a", "a.nii.gz"),
        ("scan_prob", "scan_prob_seg.nii.gz"),
    ]


def test_every_missing_and_every_extra_case_is_named_in_one_line(tmp_path: Path) -> None:
    predictions = folder(tmp_path / "p", "a.nii.gz", "x.nii.gz", "y.nii.gz")
    references = folder(tmp_path / "r", "a.nii.gz", "b.nii.gz")
    with pytest.raises(DataError) as caught:
        find_pairs(predictions, references)
    message = str(caught.value)
    assert message.startswith(
        f"1 case of {references} without a prediction in {predictions}: b; 2 cases of {predictions}"
    )
    assert f"without a reference in {references}: x, y. Needed is" in message
    assert "\n" not in message


def test_two_files_of_one_case_are_refused(tmp_path: Path) -> None:
    predictions = folder(tmp_path / "p", "a.nii.gz", "a_seg.nii.gz")
    with pytest.raises(DataError, match=r"a\.nii\.gz and a_seg\.nii\.gz are both of case 'a'"):
        find_pairs(predictions, folder(tmp_path / "r", "a.nii.gz"))


def test_a_dataset_brings_its_subjects_and_sites(tmp_path: Path) -> None:
    pairs = find_pairs(folder(tmp_path / "p", "a_seg.nii.gz", "b.nii.gz"), dataset(tmp_path / "d", "b", "a"))
    assert [(pair.reference.subject, pair.reference.site) for pair in pairs] == [
        ("patient-a", "Ulm"),
        ("patient-b", "Ulm"),
    ]


def test_what_other_programs_add_to_the_name_of_a_case_is_understood(tmp_path: Path) -> None:
    names = ("a_pred.nii.gz", "b_class-0_pred.nii.gz", "c_dseg.nii.gz", "d_mask.nii.gz", "e_prediction.nii.gz")
    references = folder(tmp_path / "r", "a.nii.gz", "b.nii.gz", "c.nii.gz", "d_mask.nii.gz", "e.nii.gz")

    pairs = find_pairs(folder(tmp_path / "p", *names), references)

    assert ids_and_files(pairs) == list(zip(("a", "b", "c", "d_mask", "e"), names, strict=True))
    with pytest.raises(DataError, match=r"f_pred"):
        find_pairs(folder(tmp_path / "p", "f_pred.nii.gz"), references)


def test_a_known_id_that_ends_in_seg_is_taken_as_it_is(tmp_path: Path) -> None:
    pairs = find_pairs(folder(tmp_path / "p", "a_seg.nii.gz"), dataset(tmp_path / "d", "a_seg"))
    assert ids_and_files(pairs) == [("a_seg", "a_seg.nii.gz")]


def test_one_fold_of_a_dataset_can_be_scored(tmp_path: Path) -> None:
    whole = dataset(tmp_path / "d", "a", "b", "c")
    predictions = folder(tmp_path / "p", "b.nii.gz", "c.nii.gz")
    assert ids_and_files(find_pairs(predictions, whole, cases=["b"])) == [("b", "b.nii.gz")]
    with pytest.raises(DataError, match=r"without a prediction in .*: a"):
        find_pairs(predictions, whole, cases=["a", "b"])
    with pytest.raises(DataError, match="no reference: z"):
        find_pairs(predictions, whole, cases=["z"])


def test_one_file_is_scored_against_one_file_whatever_their_names(tmp_path: Path) -> None:
    prediction, reference = write(tmp_path / "mine.nii.gz"), write(tmp_path / "expert_seg.nii.gz")
    assert ids_and_files(find_pairs(prediction, reference)) == [("expert", "mine.nii.gz")]


def test_one_file_finds_its_case_in_a_folder(tmp_path: Path) -> None:
    references = folder(tmp_path / "r", "a.nii.gz", "b.nii.gz")
    assert ids_and_files(find_pairs(write(tmp_path / "b_seg.nii"), references)) == [("b", "b_seg.nii")]
    with pytest.raises(DataError, match="no reference is called 'q'"):
        find_pairs(write(tmp_path / "q.nii"), references)


def test_bids_names_give_the_patient_and_others_give_the_case(tmp_path: Path) -> None:
    names = ("sub-01_ses-a.nii.gz", "sub-01_ses-b.nii.gz", "x1.nii.gz")
    pairs = find_pairs(folder(tmp_path / "p", *names), folder(tmp_path / "r", *names))
    assert [pair.reference.subject for pair in pairs] == ["sub-01", "sub-01", "x1"]


def test_a_dataset_json_above_the_references_names_patients_and_sites(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset.json", {"subject": {"a": "Anna"}, "site": "Bern"})
    pairs = find_pairs(folder(tmp_path / "p", "a.nii.gz"), folder(tmp_path / "labelsTr", "a.nii.gz"))
    assert (pairs[0].reference.subject, pairs[0].reference.site) == ("Anna", "Bern")
    assert description_beside(tmp_path / "labelsTr") == tmp_path / "dataset.json"


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    references = folder(tmp_path / "r", "a.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no \.nii\.gz"):
        find_pairs(tmp_path / "empty", references)
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        find_pairs(references, tmp_path / "nowhere")


def test_every_case_on_another_grid_is_named_with_both_grids(tmp_path: Path) -> None:
    references = folder(tmp_path / "r", "a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz")
    predictions = folder(tmp_path / "p", "a.nii.gz")
    write(predictions / "b.nii.gz", shape=(4, 4, 5))
    write(predictions / "c.nii.gz", spacing_mm=3.0)
    write(predictions / "d.nii.gz", origin_mm=7.5)
    with pytest.raises(DataError) as caught:
        check_grids(find_pairs(predictions, references))
    message = str(caught.value)
    assert message.startswith("3 cases whose prediction and reference do not share a grid: ")
    assert "b: 4 x 4 x 5 voxels of 1, 1, 1 mm, RAS against 4 x 4 x 4 voxels" in message
    assert "c: 4 x 4 x 4 voxels of 3, 1, 1 mm, RAS against" in message
    assert "(corners up to 7.5 mm apart)" in message
    assert "\n" not in message


def test_the_same_grid_is_accepted_in_another_voxel_order(tmp_path: Path) -> None:
    references = folder(tmp_path / "r", "a.nii.gz")
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    flipped[0, 3] = 3
    (tmp_path / "p").mkdir()
    nifti.write(tmp_path / "p" / "a.nii.gz", Volume(np.zeros((1, 4, 4, 4), np.uint8), Grid((4, 4, 4), flipped)))
    check_grids(find_pairs(tmp_path / "p", references))
