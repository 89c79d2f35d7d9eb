"""A tumour in four contrasts: its parts lie in each other, and show as they do in patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.kind import MakeOptions, Specimen
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.dataset.phantoms.tumour.kind import KIND
from neuraxis.volume.formats import nifti


@pytest.fixture(scope="module")
def tumours() -> list[Specimen]:
    options = MakeOptions(5, 3, 2, "small")
    return [KIND.specimen(options, subject) for subject in range(1, 6)]


def test_the_regions_are_nested(tumours: list[Specimen]) -> None:
    for one in tumours:
        whole, core, enhancing = (np.isin(one.labels, numbers) for numbers in one.structures.values())
        assert set(np.unique(one.labels)) == {0, 1, 2, 4}
        assert (core <= whole).all()
        assert (enhancing <= core).all()
        assert whole.sum() > core.sum() > enhancing.sum() > 0


def test_necrosis_lies_within_the_enhancing_rim(tumours: list[Specimen]) -> None:
    from scipy.ndimage import binary_dilation

    for one in tumours:
        necrosis = one.labels == 1
        shell = binary_dilation(necrosis) & ~necrosis & (one.images[0] > 0)
        assert (one.labels[shell] == 4).mean() > 0.5


def test_each_part_shows_in_the_contrast_that_it_is_known_by(tumours: list[Specimen]) -> None:
    for one in tumours:
        flair, t1, t1ce, t2 = one.images.astype(np.float64)
        normal = (one.labels == 0) & (flair > 0)
        enhancing, oedema = one.labels == 4, one.labels == 2
        gain = np.median(t1ce[normal]) / np.median(t1[normal])
        assert t1ce[enhancing].mean() > 1.3 * gain * t1[enhancing].mean()
        assert abs(t1ce[oedema].mean() / (gain * t1[oedema].mean()) - 1) < 0.3
        assert np.median(flair[oedema]) > 1.05 * np.median(flair[normal])
        assert np.median(t2[oedema]) > 1.2 * np.percentile(t2[normal], 25)  # white matter


def test_the_files_bear_the_names_of_brats_2020(tmp_path: Path) -> None:
    root = make_phantoms("brain-tumour", tmp_path / "brats", MakeOptions(2, 1, 0, "small")).path
    folder = root / "BraTS20_Training_002"
    parts = ("flair", "t1", "t1ce", "t2", "seg")
    assert {path.name for path in folder.iterdir()} == {f"{folder.name}_{part}.nii.gz" for part in parts}
    grids = [nifti.read_grid(folder / f"{folder.name}_{part}.nii.gz")[0] for part in parts]
    assert all(grid.matches(grids[0]) for grid in grids)
