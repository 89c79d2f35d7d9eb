from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from neuraxis.dataset.dataset import merge
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import Fold
from neuraxis.errors import DataError


def test_a_case_is_found_by_its_id(nnunet: Callable[..., Path]) -> None:
    dataset = open_dataset(nnunet())
    assert dataset.case("b").id == "b"
    with pytest.raises(KeyError, match="'z'"):
        dataset.case("z")


def test_merged_datasets_keep_their_cases_apart_by_site(nnunet: Callable[..., Path]) -> None:
    first, second = open_dataset(nnunet("north", ("a", "b"))), open_dataset(nnunet("south", ("a", "c")))
    merged = merge([first, second])
    assert merged.name == "north+south"
    assert [case.id for case in merged.cases] == ["north_a", "north_b", "south_a", "south_c"]
    assert [case.site for case in merged.cases] == ["north", "north", "south", "south"]
    assert len({case.subject for case in merged.cases}) == 4
    assert merged.case("south_a").label == second.case("a").label


def test_a_site_that_the_data_name_goes_before_the_name_of_the_dataset(nnunet: Callable[..., Path]) -> None:
    first = open_dataset(nnunet("north", ("a", "b"), site={"a": "Ljubljana"}))
    merged = merge([first, open_dataset(nnunet("south", ("c",)))])
    assert [case.site for case in merged.cases] == ["Ljubljana", "north", "south"]


def test_one_dataset_alone_is_left_as_it_is(nnunet: Callable[..., Path]) -> None:
    dataset = open_dataset(nnunet())
    assert merge([dataset]) is dataset


def test_splits_of_the_parts_are_not_those_of_the_whole(nnunet: Callable[..., Path]) -> None:
    first = replace(open_dataset(nnunet("north")), own_folds=(Fold(("a",), ("b", "c")),))
    assert merge([first, open_dataset(nnunet("south"))]).own_folds == ()


def test_notes_of_all_parts_are_kept(nnunet: Callable[..., Path]) -> None:
    first = replace(open_dataset(nnunet("north")), notes=("x: odd",))
    second = replace(open_dataset(nnunet("south")), notes=("y: odd",))
    assert merge([first, second]).notes == ("x: odd", "y: odd")


def test_datasets_with_other_channels_or_labels_are_refused(nnunet: Callable[..., Path]) -> None:
    first, second = open_dataset(nnunet("north")), open_dataset(nnunet("south"))
    with pytest.raises(DataError, match="south: has channels T2"):
        merge([first, replace(second, channels=("T2",))])
    with pytest.raises(DataError, match="Needed are the same"):
        merge([first, replace(second, labels=Labels(names={"lesion": 1}))])


def test_two_datasets_of_one_name_are_refused(nnunet: Callable[..., Path]) -> None:
    dataset = open_dataset(nnunet("north"))
    with pytest.raises(DataError, match="Two datasets are called 'north'"):
        merge([dataset, dataset])


def test_the_content_hash_follows_the_bytes_and_not_the_place(nnunet: Callable[..., Path], tmp_path: Path) -> None:
    dataset = open_dataset(nnunet())
    copy = open_dataset(shutil.copytree(dataset.root, tmp_path / "copy"))
    assert copy.content_hash() == dataset.content_hash()
    before = copy.content_hashes()
    label = copy.case("b").label
    assert label is not None
    label.write_bytes(label.read_bytes() + b"\0")
    after = copy.content_hashes()
    assert [id for id in before if before[id] != after[id]] == ["b"]
    assert copy.content_hash() != dataset.content_hash()


def test_a_file_that_went_away_is_refused_by_name(nnunet: Callable[..., Path]) -> None:
    dataset = open_dataset(nnunet())
    (dataset.root / "labelsTr" / "b.nii.gz").unlink()
    with pytest.raises(DataError, match=r"b: .*labelsTr/b\.nii\.gz cannot be read"):
        dataset.content_hash()
