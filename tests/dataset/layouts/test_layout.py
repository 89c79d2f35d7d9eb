from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.dataset.layouts import layout
from neuraxis.errors import DataError


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"0": "background", "1": "Anterior"}, {"background": 0, "Anterior": 1}),
        ({"1": "Anterior", "0": "background"}, {"Anterior": 1, "background": 0}),
        ({"background": 0, "lesion": [1, 2]}, {"background": 0, "lesion": [1, 2]}),
        ({"0": "background", "1": "1"}, {"background": 0, "1": 1}),
        ({"0": 0, "1": 1}, {"0": 0, "1": 1}),
    ],
)
def test_labels_are_read_whichever_way_round_they_are(raw: dict[str, object], expected: dict[str, object]) -> None:
    assert layout.names_and_numbers(raw, "here") == expected


@pytest.mark.parametrize("raw", [None, [], {}, "lesion", 3])
def test_labels_that_are_no_object_are_refused_with_an_example(raw: object) -> None:
    with pytest.raises(DataError, match=r'here: needed are labels, such as \{"background": 0'):
        layout.names_and_numbers(raw, "here")


def test_two_numbers_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="labels 1 and 2 are both called 'lesion'"):
        layout.names_and_numbers({"0": "background", "1": "lesion", "2": "lesion"}, "here")


@pytest.mark.parametrize("value", [1, 1.0, "1", "1.0"])
def test_whole_numbers_may_be_written_as_text(value: object) -> None:
    assert layout.whole_number(value, "here") == 1


@pytest.mark.parametrize("value", [1.5, "one", None, True, [1], float("nan"), float("inf")])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="here: needed is a whole number"):
        layout.whole_number(value, "here")


def test_channels_come_in_the_order_of_their_numbers() -> None:
    assert layout.channel_names({"1": "T1", "0": "FLAIR"}, "here") == ("FLAIR", "T1")
    assert layout.channel_names(["FLAIR", "T1"], "here") == ("FLAIR", "T1")
    assert layout.channel_names({str(place): str(place) for place in range(11)}, "here")[10] == "10"


def test_channels_of_one_name_are_told_apart_by_their_position() -> None:
    assert layout.channel_names({"0": "MRI", "1": "T1", "2": "MRI"}, "here") == ("MRI_0", "T1", "MRI_2")


@pytest.mark.parametrize("raw", [None, {}, [], {"1": "T1"}, {"0": "T1", "2": "T2"}, {"a": "T1"}, "T1"])
def test_channels_that_are_not_numbered_from_0_are_refused(raw: object) -> None:
    with pytest.raises(DataError, match="here"):
        layout.channel_names(raw, "here")


@pytest.mark.parametrize("name", ["CT", "ct", "NCCT", "CTA", "CT_1"])
def test_ct_is_known_by_its_name(name: str) -> None:
    assert layout.modalities([name]) == {name: "CT"}


@pytest.mark.parametrize("name", ["FLAIR", "T1", "MRI", "action", "noNorm"])
def test_everything_else_is_taken_as_mri(name: str) -> None:
    assert layout.modalities([name]) == {name: "MRI"}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("hippocampus_001", ("hippocampus_001", "")),
        ("sub-01_FLAIR", ("sub-01", "")),
        ("sub-01_ses-m12_acq-3d", ("sub-01", "m12")),
        ("site_sub-A7_ses-2", ("sub-A7", "2")),
        ("mysub-case", ("mysub-case", "")),
    ],
)
def test_patient_and_session_are_found_in_bids_like_names(case: str, expected: tuple[str, str]) -> None:
    assert layout.subject_and_session(case, {}) == expected


def test_patients_named_in_the_description_go_first() -> None:
    assert layout.subject_and_session("sub-01_ses-2", {"subject": {"sub-01_ses-2": "Ann"}}) == ("Ann", "2")
    assert layout.subject_and_session("sub-02", {"subject": {"sub-01": "Ann"}}) == ("sub-02", "")


def test_a_site_is_one_for_all_or_named_for_each_or_nothing() -> None:
    assert layout.site_of("a", {"site": "Ljubljana"}) == "Ljubljana"
    assert layout.site_of("a", {"site": {"a": "Catania"}}) == "Catania"
    assert layout.site_of("b", {"site": {"a": "Catania"}}) == ""
    assert layout.site_of("b", {}) == ""


def test_hidden_files_and_other_formats_are_no_scans(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.nii", "._a.nii", ".hidden.nii.gz", "c.docx", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in layout.scans_in(tmp_path)] == ["a.nii", "b.nii.gz"]
    assert layout.scans_in(tmp_path / "missing") == []


def test_a_description_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("[1]")
    with pytest.raises(DataError, match="needed is an object in braces, found list"):
        layout.read_description(tmp_path)
    assert layout.description_keys(tmp_path) == {}
