from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import split_by_patient

Write = Callable[..., Path]
SCAN = np.ones((2, 2, 2), "i2")


def test_time_points_of_a_patient_never_part(tmp_path: Path, write_scan: Write) -> None:
    for patient, session in (("P1", "T1"), ("P1", "T2"), ("P2", "T1"), ("P3", "T1")):
        for name in ("FLAIR", "MASK"):
            write_scan(tmp_path / "train" / patient / session / f"{patient}_{session}_{name}.nii.gz", SCAN)
    dataset = open_dataset(tmp_path)
    assert [(case.id, case.subject, case.session) for case in dataset.cases[:2]] == [
        ("P1_T1", "P1", "T1"),
        ("P1_T2", "P1", "T2"),
    ]
    for fold in split_by_patient(dataset.cases, folds=3):
        assert {"P1_T1", "P1_T2"} <= set(fold.training) or {"P1_T1", "P1_T2"} <= set(fold.validation)


def test_test_cases_are_unlabelled_even_with_a_label_map(tmp_path: Path, write_scan: Write) -> None:
    for part, patient in (("train", "P1"), ("test", "P54")):
        for name in ("FLAIR", "T1", "MASK"):
            write_scan(tmp_path / part / patient / "T1" / f"{patient}_T1_{name}.nii.gz", SCAN)
    dataset = open_dataset(tmp_path)
    assert [(case.id, case.label) for case in dataset.unlabelled] == [("P54_T1", None)]
    assert any("train nothing" in note for note in dataset.notes)


def test_what_is_missing_is_noted(tmp_path: Path, write_scan: Write) -> None:
    for id, names in (("P1", ("FLAIR", "T1", "MASK")), ("P2", ("FLAIR", "MASK")), ("P3", ("FLAIR", "T1"))):
        for name in names:
            write_scan(tmp_path / "train" / id / "T1" / f"{id}_T1_{name}.nii.gz", SCAN)
    dataset = open_dataset(tmp_path)
    assert [case.id for case in dataset.cases] == ["P1_T1"]
    assert "P2_T1: channel 'T1' is missing" in dataset.notes
    assert any(note.startswith("P3_T1: image") and "has no label map" in note for note in dataset.notes)
    assert "no case has the channel T2, so it is left out" in dataset.notes
