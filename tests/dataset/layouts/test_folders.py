from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.format import Segment
from neuraxis.volume.formats.nrrd import write_segments
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SCAN = np.arange(24).reshape(2, 3, 4).astype("i2")


def put(root: Path, *names: str, array: np.ndarray = SCAN) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        any_format.write(root / name, Volume(array[None], Grid(array.shape, np.eye(4))))
    return root


def label(root: Path, *names: str, numbers: tuple[int, ...] = (1,)) -> Path:
    array = np.zeros((2, 3, 4), np.uint8)
    array[0, 0, : len(numbers)] = numbers
    return put(root, *names, array=array)


def found(root: Path) -> dict[str, list[str]]:
    return {case.id: [file.path.name for file in case.images.values()] for case in open_dataset(root).cases}


def test_the_channel_stands_at_the_end_of_an_images_name(tmp_path: Path) -> None:
    put(tmp_path, "images/p1_T1.nii.gz", "images/p1_T1post.nii.gz", "images/p_2_T1.nii.gz", "images/p_2_T1post.nii.gz")
    label(tmp_path, "labels/p1.nii.gz", "labels/p_2.nii.gz")
    assert open_dataset(tmp_path).channels == ("T1", "T1post")
    assert found(tmp_path) == {
        "p1": ["p1_T1.nii.gz", "p1_T1post.nii.gz"],
        "p_2": ["p_2_T1.nii.gz", "p_2_T1post.nii.gz"],
    }


def test_a_longer_name_of_a_case_goes_before_a_shorter_one(tmp_path: Path) -> None:
    put(tmp_path, "images/p_T1.nii.gz", "images/p_2_T1.nii.gz")
    label(tmp_path, "labels/p.nii.gz", "labels/p_2.nii.gz")
    assert found(tmp_path) == {"p": ["p_T1.nii.gz"], "p_2": ["p_2_T1.nii.gz"]}


@pytest.mark.parametrize(
    "pair", [("a_image.nrrd", "a_label.nrrd"), ("a.mha", "a_seg.mha"), ("a-img.nii", "a-mask.nii")]
)
def test_one_folder_may_hold_both(pair: tuple[str, str], tmp_path: Path) -> None:
    put(tmp_path, pair[0])
    label(tmp_path, pair[1])
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.channels, found(tmp_path)) == ("folders", ("image",), {"a": [pair[0]]})


def test_formats_may_be_mixed_and_label_maps_be_called_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "scans/a.nrrd", "scans/b.nii.gz")
    label(tmp_path, "masks/a_seg.mha", "masks/b_mask.seg.nrrd")
    assert found(tmp_path) == {"a": ["a.nrrd"], "b": ["b.nii.gz"]}


def test_what_has_no_partner_is_unlabelled_or_noted(tmp_path: Path) -> None:
    put(
        tmp_path,
        "images/a_T1.nii.gz",
        "images/a_T2.nii.gz",
        "images/b_T1.nii.gz",
        "images/b_T2.nii.gz",
        "images/c_T1.nii.gz",
    )
    label(tmp_path, "labels/a.nii.gz", "labels/c.nii.gz", "labels/d.nii.gz")
    dataset = open_dataset(tmp_path)
    assert ([case.id for case in dataset.cases], [case.id for case in dataset.unlabelled]) == (["a"], ["b"])
    assert "c: channel 'T2' is missing" in dataset.notes
    assert any(note.startswith("d: label map") and "has no image" in note for note in dataset.notes)


def test_values_far_below_zero_are_ct(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nii.gz", array=SCAN - 1024)
    label(tmp_path, "labels/a.nii.gz")
    dataset = open_dataset(tmp_path)
    assert dataset.modality == {"image": "CT"}
    assert any("go down to -1024" in note for note in dataset.notes)


def test_pictures_beside_scans_and_another_label_folder_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nii.gz")
    label(tmp_path, "labels/a.nii.gz", "labels_fine/a.nii.gz")
    put(tmp_path, "images/overview.png", array=np.zeros((2, 2, 1), np.uint8))
    dataset = open_dataset(tmp_path)
    assert [case.id for case in dataset.cases] == ["a"]
    assert not dataset.unlabelled
    assert "the folder labels_fine was not read" in dataset.notes


def test_two_files_of_one_case_and_channel_are_noted(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nii.gz", "images/a.nrrd")
    label(tmp_path, "labels/a.nii.gz")
    assert any("are of one case" in note for note in open_dataset(tmp_path).notes)


def test_numbers_without_names_are_called_by_them(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nii.gz", "images/b.nii.gz")
    label(tmp_path, "labels/a.nii.gz", numbers=(1, 20))
    label(tmp_path, "labels/b.nii.gz", numbers=(3,))
    assert open_dataset(tmp_path).labels.names == {"background": 0, "label 1": 1, "label 3": 3, "label 20": 20}


def test_a_mask_of_255_is_one_label(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nii.gz")
    label(tmp_path, "labels/a.nii.gz", numbers=(255,))
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == {"background": 0, "label 1": 1}
    assert dataset.cases[0].read_label().array.max() == 1


def test_images_taken_for_label_maps_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 5000, (10, 10, 10)).astype("i2")
    put(tmp_path, "images/a.nii.gz", "labels/a.nii.gz", array=noise)
    with pytest.raises(DataError, match=r"different numbers.*are these images\?"):
        open_dataset(tmp_path)


def test_a_table_beside_the_labels_names_them(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nii.gz")
    label(tmp_path, "labels/a.nii.gz", numbers=(17, 53))
    table = ("#No. Label Name:  R G B A", "17  Left-Hippocampus  220 216 20 0", "53  Right-Hippocampus  220 216 20 0")
    (tmp_path / "labels" / "lut.txt").write_text("\n".join(table))
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == {"background": 0, "Left-Hippocampus": 17, "Right-Hippocampus": 53}
    assert dataset.labels.colours["Left-Hippocampus"] == "#dcd814"


def test_segments_of_one_name_are_one_label_whatever_their_numbers(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nrrd", "images/b.nrrd")
    (tmp_path / "labels").mkdir()
    array = np.zeros((1, 2, 3, 4), np.uint8)
    array[0, 0], array[0, 1] = 1, 2
    for id, names in (("a", ("cord", "lesion")), ("b", ("lesion", "cord"))):
        told = [Segment(name, number, 0, "#ff0000") for number, name in enumerate(names, start=1)]
        write_segments(tmp_path / "labels" / f"{id}.seg.nrrd", Volume(array, Grid((2, 3, 4), np.eye(4))), told)
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == {"background": 0, "cord": 1, "lesion": 2}
    assert dataset.case("a").read_label().array[0, :, 0, 0].tolist() == [1, 2]
    assert dataset.case("b").read_label().array[0, :, 0, 0].tolist() == [2, 1]


def test_segments_that_overlap_are_painted(tmp_path: Path) -> None:
    put(tmp_path, "images/a.nrrd")
    (tmp_path / "labels").mkdir()
    array = np.zeros((2, 2, 3, 4), np.uint8)
    array[0], array[1, 1] = 1, 1
    told = [Segment("whole", 1, 0), Segment("core", 1, 1)]
    write_segments(tmp_path / "labels" / "a.seg.nrrd", Volume(array, Grid((2, 3, 4), np.eye(4))), told)
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == {"background": 0, "whole": 1, "core": 2}
    assert dataset.cases[0].read_label().array[0, :, 0, 0].tolist() == [1, 2]


def test_one_volume_of_a_series_is_taken_when_told(tmp_path: Path) -> None:
    series = np.arange(72).reshape(3, 2, 3, 4).astype("i2")
    label(tmp_path, "labels/a.nii.gz", "labels/b.nii.gz")
    put(tmp_path, "images/b.nii.gz")
    any_format.write(tmp_path / "images" / "a.nii.gz", Volume(series, Grid((2, 3, 4), np.eye(4))))
    with pytest.raises(DataError, match="is 4D with 3 volumes"):
        open_dataset(tmp_path).case("a").read_images()
    for volume, expected in ((2, series[2]), ("mean", series[1])):
        dataset = open_dataset(tmp_path, volume=volume)
        np.testing.assert_array_equal(dataset.case("a").read_images().array[0], expected)
        np.testing.assert_array_equal(dataset.case("b").read_images().array[0], SCAN)
