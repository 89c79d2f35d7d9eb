from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neuraxis.dataset.layouts.recognise import open_dataset, recognising

Write = Callable[..., Path]
SCAN = np.ones((2, 2, 2), "i2")


def test_names_without_that_of_the_folder_are_the_channels(tmp_path: Path, write_scan: Write) -> None:
    for id in ("p1", "p2"):
        for name in (f"{id}_FLAIR", f"{id}_T1", f"{id}_lesion_mask"):
            write_scan(tmp_path / id / f"{name}.nii.gz", SCAN)
    write_scan(tmp_path / "p3" / "p3_FLAIR.nii.gz", SCAN)
    write_scan(tmp_path / "p4" / "p4_FLAIR.nii.gz", SCAN)
    write_scan(tmp_path / "p4" / "p4_T1.nii.gz", SCAN)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.channels) == ("case-folders", ("FLAIR", "T1"))
    assert [case.id for case in dataset.cases] == ["p1", "p2"]
    assert [case.id for case in dataset.unlabelled] == ["p4"]
    assert "p3: channel 'T1' is missing" in dataset.notes


def test_several_label_maps_in_a_folder_are_nobodys(tmp_path: Path, write_scan: Write) -> None:
    for name in ("t2", "t2_seg", "t2_labels"):
        write_scan(tmp_path / "p1" / f"{name}.nii.gz", SCAN)
    assert recognising(tmp_path) == ()
