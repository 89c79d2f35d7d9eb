"""The folder is the bundle: the same files, hash and segmentations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.bundle.exports.folder import export_folder
from neuraxis.errors import BundleError

Members = dict[str, bytes]


def test_it_holds_the_bundles_files_and_nothing_else(schema_1: Path, members: Members, tmp_path: Path) -> None:
    place = export_folder(nx.open_bundle(schema_1), tmp_path / "out")
    assert {path.name: path.read_bytes() for path in place.iterdir()} == members
    (place / "bundle.json").write_bytes(members["bundle.json"])  # unlike those of the cache, they are the user's own


def test_it_opens_and_segments_as_the_file_does(
    tmp_path: Path, write_model: Callable[..., Path], write_scan: Callable[..., Path]
) -> None:
    model, scan = write_model(tmp_path / "toy.nxb", folds=2), write_scan(tmp_path / "scan.nii.gz")
    opened = nx.open_bundle(model)
    again = nx.open_bundle(export_folder(opened, tmp_path / "out"))
    assert again.hash == opened.hash
    first, second = (nx.segment(scan, bundle).segmentation.array for bundle in (opened, again))
    assert len(np.unique(first)) > 1
    assert np.array_equal(first, second)


def test_a_file_that_was_changed_since_is_refused(folder: Path, tmp_path: Path) -> None:
    opened = nx.open_bundle(folder)
    content = bytearray((folder / "fold-0.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "fold-0.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match="changed or damaged"):
        export_folder(opened, tmp_path / "out")
    assert not (tmp_path / "out").exists()
