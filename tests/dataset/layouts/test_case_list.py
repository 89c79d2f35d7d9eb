from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def scans(tmp_path: Path, write_scan: Write) -> Path:
    """A folder with images i0 to i3 and label maps l0 to l3."""
    for number in range(4):
        write_scan(tmp_path / f"i{number}.nii.gz", np.full((2, 2, 2), number, "i2"))
        write_scan(tmp_path / f"l{number}.nii.gz", np.full((2, 2, 2), 1, "u1"))
    return tmp_path


def table(folder: Path, header: str, *lines: str, name: str = "cases.csv") -> Path:
    (folder / name).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8-sig")
    return folder / name


def test_columns_tell_everything_of_a_case(scans: Path) -> None:
    path = table(
        scans,
        "case, subject, site, session, T1, T2, label",
        "x,p1,Bonn,1,i0.nii.gz,i1.nii.gz,l0.nii.gz",
        "y,p1,Bonn,2,i2.nii.gz,i3.nii.gz,l1.nii.gz",
        "z,,,,i0.nii.gz,i1.nii.gz,",
    )
    for named in (scans, path):
        dataset = open_dataset(named)
        assert dataset.channels == ("T1", "T2")
        told = [(case.id, case.subject, case.site, case.session) for case in dataset.cases]
        assert told == [("x", "p1", "Bonn", "1"), ("y", "p1", "Bonn", "2")]
        assert [case.id for case in dataset.unlabelled] == ["z"]
    assert dataset.root == path


def test_a_column_of_images_is_enough(scans: Path) -> None:
    dataset = open_dataset(table(scans, "image\tlabel", "i0.nii.gz\tl0.nii.gz", name="any.tsv"))
    assert [(case.id, case.subject) for case in dataset.cases] == [("i0", "i0")]


def test_fold_numbers_are_the_folds_and_test_is_held_apart(scans: Path) -> None:
    lines = [f"{number},i{number}.nii.gz,l{number}.nii.gz,{fold}" for number, fold in enumerate((0, 1, 0, "test"))]
    dataset = open_dataset(table(scans, "case,T1,label,fold", *lines))
    assert [(fold.training, fold.validation) for fold in dataset.own_folds] == [
        (("1",), ("0", "2")),
        (("0", "2"), ("1",)),
    ]
    assert [(case.id, case.label) for case in dataset.unlabelled] == [("3", None)]


def test_train_and_valid_are_one_fold(scans: Path) -> None:
    lines = [
        f"{number},i{number}.nii.gz,l{number}.nii.gz,{fold}" for number, fold in enumerate(("train", "val", "train"))
    ]
    (fold,) = open_dataset(table(scans, "case,T1,label,fold", *lines)).own_folds
    assert (fold.training, fold.validation) == (("0", "2"), ("1",))


def test_json_is_read_as_a_list_and_as_monai_writes_it(scans: Path) -> None:
    (scans / "cases.json").write_text(json.dumps([{"case": "a", "T1": "i0.nii.gz", "label": "l0.nii.gz"}]))
    assert [case.id for case in open_dataset(scans).cases] == ["a"]
    (scans / "cases.json").unlink()
    content = {
        "labels": {"0": "background", "1": "lesion"},
        "training": [
            {"image": ["i0.nii.gz", "i1.nii.gz"], "label": "l0.nii.gz", "fold": 0},
            {"image": ["i2.nii.gz", "i3.nii.gz"], "label": "l1.nii.gz", "fold": 1},
        ],
        "test": [{"image": ["i1.nii.gz", "i2.nii.gz"]}],
    }
    (scans / "dataset.json").write_text(json.dumps(content))
    dataset = open_dataset(scans)
    assert (dataset.layout, dataset.channels) == ("list", ("image_0", "image_1"))
    assert dataset.labels.names == {"background": 0, "lesion": 1}
    assert (len(dataset.cases), len(dataset.unlabelled), len(dataset.own_folds)) == (2, 1, 2)


def test_a_file_that_is_not_there_is_noted_with_its_case(scans: Path) -> None:
    dataset = open_dataset(table(scans, "case,T1,label", "a,i0.nii.gz,l0.nii.gz", "b,i9.nii.gz,l1.nii.gz"))
    assert [case.id for case in dataset.cases] == ["a"]
    assert dataset.notes[0] == f"b: {scans / 'i9.nii.gz'} is missing"


@pytest.mark.parametrize(
    ("header", "lines", "words"),
    [
        ("case,label", ["a,l0.nii.gz"], "names no image"),
        ("case,T1,label", ["a,i0.nii.gz,l0.nii.gz", "a,i1.nii.gz,l1.nii.gz"], "two cases are called 'a'"),
        ("case,T1,label,fold", ["a,i0.nii.gz,l0.nii.gz,one"], "the fold 'one' is no number"),
        ("case,T1,label,fold", ["a,i0.nii.gz,l0.nii.gz,0", "b,i1.nii.gz,l1.nii.gz,"], "the fold '' is no number"),
        ("case,T1,label", ["../a,i0.nii.gz,l0.nii.gz"], "is no name of a case"),
    ],
)
def test_a_list_that_cannot_be_is_refused_in_one_line(header: str, lines: list[str], words: str, scans: Path) -> None:
    with pytest.raises(DataError, match=words) as caught:
        open_dataset(table(scans, header, *lines))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{}", "[1]", '{"training": 5}', "[]", '"text"'])
def test_json_that_is_no_list_of_cases_is_refused(content: str, scans: Path) -> None:
    (scans / "cases.json").write_text(content)
    with pytest.raises(DataError):
        open_dataset(scans)
