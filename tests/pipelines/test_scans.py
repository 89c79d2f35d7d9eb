"""Which files make a case is told by their names, and refused where the names do not tell."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.errors import DataError
from neuraxis.pipelines.scans import find_cases

ONE, TWO = ("MRI",), ("FLAIR", "T1")


@pytest.fixture
def files(tmp_path: Path):
    """Makes empty files of these names; what is inside plays no part."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


def found(scans, channels) -> dict[str, list[str]]:
    return {
        order.id: [file.path.name for file in order.case.images.values()] if order.case else [str(order.problem)]
        for order in find_cases(scans, channels)
    }


def test_files_for_a_model_of_one_channel_are_cases_by_their_names(files):
    folder = files("b.nii.gz", "a.nii")
    assert found([folder / "b.nii.gz", str(folder / "a.nii")], ONE) == {"a": ["a.nii"], "b": ["b.nii.gz"]}


def test_a_folder_of_scans_leaves_out_what_is_no_scan(files):
    folder = files("a.nii.gz", "b.nii.gz", "._b.nii.gz", "notes.txt", "a.json")
    assert found([folder], ONE) == {"a": ["a.nii.gz"], "b": ["b.nii.gz"]}


def test_nnunets_number_of_a_single_channel_is_no_part_of_the_name(files):
    folder = files("a_0000.nii.gz", "b_0000.nii.gz")
    assert list(found([folder], ONE)) == ["a", "b"]
    assert list(found([folder / "a_0000.nii.gz"], ONE)) == ["a"]


def test_four_digits_that_are_no_channel_stay_in_the_name(files):
    assert list(found([files("scan_2019.nii.gz", "scan_2020.nii.gz")], ONE)) == ["scan_2019", "scan_2020"]


def test_several_numbered_channels_for_a_model_of_one_are_refused(files):
    folder = files("a_0000.nii.gz", "a_0001.nii.gz")
    with pytest.raises(DataError, match="a_0000, a_0001: several channels of one case, or several cases"):
        find_cases([folder], ONE)
    assert list(found([folder / "a_0000.nii.gz", folder / "a_0001.nii.gz"], ONE)) == ["a_0000", "a_0001"]


def test_a_model_of_one_channel_takes_that_contrast_of_several(files):
    folder = files("P1_FLAIR.nii.gz", "P1_T1.nii.gz", "P2_flair.nii.gz")
    assert found([folder], ("FLAIR",)) == {"P1": ["P1_FLAIR.nii.gz"], "P2": ["P2_flair.nii.gz"]}


def test_a_file_that_belongs_to_no_case_is_told_and_not_dropped(files):
    folder = files("P1_FLAIR.nii.gz", "P1_T1.nii.gz", "other.nii.gz")
    told = found([folder], ("FLAIR",))
    assert told["P1"] == ["P1_FLAIR.nii.gz"]
    assert "its name ends with no channel" in told["other"][0]


def test_pairs_name_the_channels_in_any_order_and_case(files):
    folder = files("x.nii.gz", "y.nii.gz")
    pairs = [f"t1={folder / 'x.nii.gz'}", f"FLAIR={folder / 'y.nii.gz'}"]
    assert found(pairs, TWO) == {"y": ["y.nii.gz", "x.nii.gz"]}


def test_a_case_of_pairs_is_called_what_their_names_share(files):
    folder = files("sub-01_FLAIR.nii.gz", "sub-01_T1.nii.gz")
    pairs = [f"FLAIR={folder / 'sub-01_FLAIR.nii.gz'}", f"T1={folder / 'sub-01_T1.nii.gz'}"]
    assert list(found(pairs, TWO)) == ["sub-01"]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["FLAIR=a.nii"], "T1 is lacking, given were FLAIR. The model needs 2 channels: FLAIR, T1"),
        (["FLAIR=a.nii", "T2=b.nii"], "T2=b.nii: the model has no such channel. Known: FLAIR, T1"),
        (["FLAIR=a.nii", "flair=b.nii"], "channel 'FLAIR' was given twice"),
        (["FLAIR=a.nii", "b.nii"], "b.nii: has no channel, other files have"),
    ],
)
def test_pairs_that_make_no_case_are_refused(pairs, message):
    with pytest.raises(DataError, match=message):
        find_cases(pairs, TWO)


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(files):
    folder = files("a=b.nii.gz")
    assert found([folder / "a=b.nii.gz"], ONE) == {"a=b": ["a=b.nii.gz"]}


def test_nnunets_numbers_are_the_channels_in_order(files):
    folder = files("a_0001.nii.gz", "a_0000.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz")
    assert found([folder], TWO) == {
        "a": ["a_0000.nii.gz", "a_0001.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
    }


def test_a_label_map_beside_numbered_channels_is_left_aside(files):
    folder = files("a_0000.nii.gz", "a_0001.nii.gz", "a_labels.nii.gz")
    assert found([folder], TWO) == {"a": ["a_0000.nii.gz", "a_0001.nii.gz"]}


def test_an_incomplete_case_does_not_stop_the_others(files):
    folder = files("a_0000.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz", "c_0000.nii.gz", "c_0001.nii.gz", "c_0002.nii.gz")
    told = found([folder], TWO)
    assert told["a"][0].startswith("a: found FLAIR. The model needs 2 channels: FLAIR, T1. Write FLAIR=FILE T1=FILE")
    assert told["b"] == ["b_0000.nii.gz", "b_0001.nii.gz"]
    assert told["c"][0].startswith("c: found FLAIR, T1, number 0002.")


def test_channel_names_at_the_end_of_file_names_make_cases(files):
    folder = files("p1_flair.nii", "p1_t1.nii", "p1_seg.nii", "p2_T1.nii.gz", "p2-FLAIR.nii.gz")
    assert found([folder], TWO) == {
        "p1": ["p1_flair.nii", "p1_t1.nii"],
        "p2": ["p2-FLAIR.nii.gz", "p2_T1.nii.gz"],
    }


def test_a_longer_channel_name_is_not_taken_for_a_shorter_one(files):
    folder = files("p_t1.nii", "p_t1ce.nii", "p_T1-post.nii")
    assert found([folder], ("T1", "T1ce", "T1 post")) == {"p": ["p_t1.nii", "p_t1ce.nii", "p_T1-post.nii"]}


def test_a_time_point_in_the_name_is_not_taken_for_a_channel(files):
    folder = files("P39_T1_FLAIR.nii.gz", "P39_T1_T1.nii.gz")
    assert found([folder], TWO) == {"P39_T1": ["P39_T1_FLAIR.nii.gz", "P39_T1_T1.nii.gz"]}


def test_files_called_just_like_their_channel_are_a_case_called_like_the_folder(files):
    folder = files("case7/flair.nii.gz", "case7/T1.nii.gz", "case7/mask.nii.gz") / "case7"
    assert found([folder], TWO) == {"case7": ["flair.nii.gz", "T1.nii.gz"]}


def test_a_folder_of_case_folders_is_one_case_each(files):
    folder = files("p1/flair.nii.gz", "p1/t1.nii.gz", "p2/x_FLAIR.nii.gz", "p2/x_T1.nii.gz", "empty/readme.txt")
    assert list(found([folder], TWO)) == ["p1", "x"]


def test_case_folders_whose_scans_have_one_name_are_told_apart_by_folder(files):
    folder = files("p1/scan.nii.gz", "p2/scan.nii.gz")
    assert found([folder], ONE) == {"p1_scan": ["scan.nii.gz"], "p2_scan": ["scan.nii.gz"]}


def test_one_channel_in_two_files_is_told(files):
    told = found([files("p_FLAIR.nii", "p_FLAIR.nii.gz", "p_T1.nii.gz")], TWO)
    assert told["p"][0].startswith("p: channel 'FLAIR' was found twice, in p_FLAIR.nii and p_FLAIR.nii.gz.")


def test_the_volumes_of_a_4d_file_are_the_channels(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.float32), np.eye(4)), tmp_path / "brain.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.float32), np.eye(4)), tmp_path / "flat.nii.gz")
    good, bad = find_cases([tmp_path], TWO)
    assert [(file.path.name, file.index) for file in good.case.images.values()] == [
        ("brain.nii.gz", 0),
        ("brain.nii.gz", 1),
    ]
    assert "flat.nii.gz: holds 1 volume(s). The model needs 2 channels" in str(bad.problem)


def test_a_folder_without_scans_is_refused(files):
    with pytest.raises(DataError, match=r"holds no scan that is known.*The model needs one scan a case: MRI"):
        find_cases([files("notes.txt")], ONE)


def test_a_whole_dataset_is_refused_with_the_folder_to_name(files):
    folder = files("imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "dataset.json")
    with pytest.raises(DataError, match=r"is a whole dataset. Name the folder with the scans, such as .*imagesTs"):
        find_cases([folder], ONE)


def test_two_scans_of_one_name_are_refused(files):
    folder = files("x/a.nii.gz", "y/a.nii.gz")
    with pytest.raises(DataError, match="Two of the scans would both be called 'a'"):
        find_cases([folder / "x/a.nii.gz", folder / "y/a.nii.gz"], ONE)


def test_no_scan_at_all_is_refused():
    with pytest.raises(DataError, match="No scan was given"):
        find_cases([], ONE)
