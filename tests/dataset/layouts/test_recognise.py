from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts import msd as msd_layout
from neuraxis.dataset.layouts.catalog import LAYOUTS
from neuraxis.dataset.layouts.layout import Layout
from neuraxis.dataset.layouts.recognise import open_dataset, recognising
from neuraxis.errors import DataError, UnknownName

Make = Callable[..., Path]


def test_keys_of_the_older_format_do_not_make_it_ambiguous(nnunet: Make) -> None:
    assert recognising(nnunet(modality={"0": "MRI"}, training=[])) == ("nnunet",)


def test_a_dataset_is_opened_by_its_folder_its_description_or_a_relative_path(
    nnunet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = nnunet("Dataset007_Toy")
    assert open_dataset(folder).root == folder
    assert open_dataset(str(folder / "dataset.json")).root == folder
    monkeypatch.chdir(folder)
    assert open_dataset(".").name == "Dataset007_Toy"


def test_the_name_of_a_link_is_the_name_of_the_dataset(nnunet: Make, tmp_path: Path) -> None:
    (tmp_path / "north").symlink_to(nnunet())
    assert open_dataset(tmp_path / "north").name == "north"


def test_a_layout_may_be_named(nnunet: Make) -> None:
    folder = nnunet()
    assert open_dataset(folder, layout="nnunet").layout == "nnunet"
    with pytest.raises(UnknownName, match=r"No layout is called 'nnunett'\. Did you mean 'nnunet'\?"):
        open_dataset(folder, layout="nnunett")
    with pytest.raises(DataError, match="modality"):
        open_dataset(folder, layout="msd")


def test_an_unknown_folder_is_answered_with_what_was_looked_for_and_what_was_found(
    tmp_path: Path, write_scan: Callable[..., Path]
) -> None:
    write_scan(tmp_path / "scans" / "a.nii.gz", np.zeros((2, 2, 2), "i2"))
    (tmp_path / "readme.txt").touch()
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    message = str(caught.value)
    assert "no layout recognises it" in message
    assert f"({', '.join(LAYOUTS.names())})" in message
    assert "list its cases in a file cases.csv" in message
    assert "Found no dataset.json, scans with 1 scans, 1 other files." in message
    assert "\n" not in message


def test_pairs_of_nnunet_without_a_description_open_and_the_unpaired_ones_are_named(
    tmp_path: Path, write_scan: Callable[..., Path]
) -> None:
    for name in ("imagesTr/a_0000", "imagesTr/b_0000", "labelsTr/a", "labelsTr/c"):
        values = np.arange(8).reshape(2, 2, 2) % 3 if "labels" in name else np.ones((2, 2, 2))
        write_scan(tmp_path / f"{name}.nii.gz", values.astype("i2"))
    found = open_dataset(tmp_path)
    assert (found.layout, [case.id for case in found.cases]) == ("folders", ["a"])
    assert found.labels.names == {"background": 0, "label 1": 1, "label 2": 2}
    told = " ".join(found.notes)
    assert "c: label map" in told
    assert "has no image" in told


def test_images_of_nnunet_alone_are_answered_with_an_example(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    write_scan(tmp_path / "imagesTr" / "a_0000.nii.gz", np.zeros((2, 2, 2), "i2"))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert 'Write a dataset.json that names the channels and the labels, such as {"background": 0' in str(caught.value)


def test_a_dataset_one_folder_below_is_pointed_to(nnunet: Make, tmp_path: Path) -> None:
    nnunet("Dataset004_Toy")
    with pytest.raises(DataError, match="The folder 'Dataset004_Toy' in it is a dataset: name that"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"labels": {}, "name": "x"}', "Found dataset.json with labels, name"),
        ("[]", "Found a dataset.json without keys"),
        ("{broken", "Found a dataset.json without keys"),
    ],
)
def test_a_description_of_no_known_layout_is_answered_with_its_keys(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=found.replace(".", r"\.")):
        open_dataset(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.zip").touch()
    with pytest.raises(DataError, match=r"missing: no such folder"):
        open_dataset(tmp_path / "missing")
    with pytest.raises(DataError, match=r"data\.zip: is a file.*unpacked"):
        open_dataset(tmp_path / "data.zip")


def test_a_folder_of_two_layouts_asks_for_the_one(nnunet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msd_layout, "LAYOUT", Layout("anything", lambda folder: True, msd_layout.LAYOUT.read))
    with pytest.raises(DataError, match="could be of the layouts msd, nnunet"):
        open_dataset(nnunet())


@pytest.mark.data
def test_the_real_orphans_are_named(shared_data: Path) -> None:
    found = open_dataset(shared_data / "hippocampus-msd-orphans")
    assert (found.cases, [case.id for case in found.unlabelled]) == ((), ["hippocampus_118"])
    told = " ".join(found.notes)
    for id in ("hippocampus_010", "hippocampus_281"):
        assert f"{id}.nii.gz has no image" in told
