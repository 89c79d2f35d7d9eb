from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.coding import PLAIN
from neuraxis.dataset.layouts.brats import YEARS
from neuraxis.dataset.layouts.recognise import open_dataset

Write = Callable[..., Path]
NAMES = {"2020": "BraTS20_Training_001", "2023": "BraTS-GLI-00002-001", "decathlon": "BRATS_001"}


@pytest.fixture
def case(tmp_path: Path, write_scan: Write) -> Callable[..., Path]:
    """case(year, id, numbers, leave out) -> the folder above a case in the names of that year."""

    def make(year: str, id: str = "", numbers: tuple[int, ...] = (1, 2), without: str = "") -> Path:
        id = id or NAMES[year]
        for place, (key, end) in enumerate(YEARS[year].items()):
            array = np.full((2, 3, len(numbers) + 1), place, "i2")
            if key == "seg":
                array[:] = (0, *numbers)
            if key != without:
                write_scan(tmp_path / id / f"{id}{end}.nii.gz", array)
        return tmp_path

    return make


@pytest.mark.parametrize(("year", "numbers", "enhancing"), [("2020", (1, 2, 4), 4), ("2023", (1, 2, 3), 3)])
def test_the_labels_are_those_of_the_year(case: Callable[..., Path], year: str, numbers, enhancing: int) -> None:
    dataset = open_dataset(case(year, numbers=numbers))
    assert (dataset.layout, dataset.channels) == ("brats", ("FLAIR", "T1", "T1ce", "T2"))
    assert dataset.labels.regions["tumour core"] == (1, enhancing)
    assert dataset.labels.paint == (2, 1, enhancing)
    assert dataset.cases[0].coding == PLAIN
    assert set(np.unique(dataset.cases[0].read_label().array)) == {0, *numbers}
    assert [int(channel.mean()) for channel in dataset.cases[0].read_images().array] == [0, 1, 2, 3]


def test_years_that_meet_become_one(case: Callable[..., Path]) -> None:
    case("2020", numbers=(1, 2, 4))
    dataset = open_dataset(case("decathlon", numbers=(1, 2, 3)))
    assert dataset.labels.names["enhancing tumour"] == 3
    read = {one.id: one.read_label().array[0, 0, 0].tolist() for one in dataset.cases}
    assert read == {"BraTS20_Training_001": [0, 1, 2, 3], "BRATS_001": [0, 2, 1, 3]}
    assert "is read as 3" in dataset.notes[-1]


def test_of_2023_the_last_number_is_the_time_point(case: Callable[..., Path]) -> None:
    case("2023")
    dataset = open_dataset(case("2023", "BraTS-GLI-00002-000"))
    assert {(one.subject, one.session) for one in dataset.cases} == {
        ("BraTS-GLI-00002", "000"),
        ("BraTS-GLI-00002", "001"),
    }


def test_a_case_without_tumour_is_unlabelled_and_one_without_a_channel_is_left_out(case: Callable[..., Path]) -> None:
    case("2020")
    case("2020", "BraTS20_Training_002", without="seg")
    dataset = open_dataset(case("2020", "BraTS20_Training_003", without="T1ce"))
    assert [one.id for one in dataset.cases] == ["BraTS20_Training_001"]
    assert [one.id for one in dataset.unlabelled] == ["BraTS20_Training_002"]


def test_the_misnamed_tumour_of_2020_is_found(case: Callable[..., Path]) -> None:
    folder = case("2020", "BraTS20_Training_355") / "BraTS20_Training_355"
    (folder / "BraTS20_Training_355_seg.nii.gz").rename(folder / "W39_1998.09.19_Segm.nii.gz")
    dataset = open_dataset(folder.parent)
    assert dataset.cases[0].label == folder / "W39_1998.09.19_Segm.nii.gz"
    assert "W39_1998.09.19_Segm" in dataset.notes[0]
