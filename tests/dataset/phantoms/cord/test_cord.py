"""A series of the spinal cord: its motion, ghost and drop-out are as told, and its files are BIDS."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.cord.anatomy import TISSUES, Neck
from neuraxis.dataset.phantoms.cord.series import SITES, Matrix, Series, scan_neck
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.kind import MakeOptions
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.volume.formats import nifti

CLEAN = replace(SITES[0], noise=0.0, ghost=0.0, bias=0.0)
MATRIX = Matrix((96, 96, 5), (1.0, 1.0, 5.0), 8)


def series(**traits: float) -> Series:
    return scan_neck(Neck.draw(generator(0, 3, 0)), replace(CLEAN, **traits), MATRIX, generator(0, 3, 2))


@pytest.fixture(scope="module")
def clean() -> Series:
    return series()


def test_the_slices_moved_as_told_within_a_tenth_of_a_voxel(clean: Series) -> None:
    bold = clean.bold.astype(np.float64)
    bold /= bold.mean(axis=(1, 2), keepdims=True)
    middle = slice(14, 82)
    wrong = []
    for index in range(MATRIX.shape[2]):
        reference = bold[0, :, :, index]
        slopes = [part[middle, middle].ravel() for part in np.gradient(reference)]
        for volume in range(1, MATRIX.volumes):
            told = clean.motion_mm[volume, index] - clean.motion_mm[0, index]
            moved = bold[volume, :, :, index][middle, middle].ravel()
            found = shift_between(reference[middle, middle].ravel(), moved, slopes)
            if np.abs(told).max() < 0.6:  # the estimate is of first order
                wrong.append(np.abs(found - told).max())
    assert len(wrong) > 10
    assert np.mean(wrong) < 0.1, wrong


def shift_between(reference: np.ndarray, moved: np.ndarray, slopes: list[np.ndarray]) -> np.ndarray:
    """Return the shift that explains the difference of two pictures best (Lucas and Kanade, 1981)."""
    matrix = np.stack([*slopes, reference, np.ones_like(reference)], axis=1)
    return -np.linalg.lstsq(matrix, moved - reference, rcond=None)[0][:2]


def test_motion_is_told_for_every_slice_and_is_none_on_average(clean: Series) -> None:
    assert clean.motion_mm.shape == (8, 5, 2)
    assert np.allclose(clean.motion_mm.mean(axis=0), 0)
    assert 0.2 < np.abs(clean.motion_mm[..., 1]).max() < 6
    assert np.abs(clean.motion_mm[..., 1]).mean() > np.abs(clean.motion_mm[..., 0]).mean()


def test_the_label_map_is_one_piece_in_each_slice_of_about_a_cords_area(clean: Series) -> None:
    from scipy.ndimage import label

    for index in range(MATRIX.shape[2]):
        assert label(clean.cord[:, :, index])[1] == 1
        assert 40 < clean.cord[:, :, index].sum() < 130  # mm2


def test_a_ghost_lies_half_a_field_of_view_away(clean: Series) -> None:
    ghosted = series(ghost=0.2)
    added = (ghosted.bold.astype(np.float64) - clean.bold)[0]
    wanted = 0.2 * np.roll(clean.bold[0].astype(np.float64), 48, axis=1)
    assert np.abs(added - wanted).max() < 2


def test_distortion_moves_the_cord_along_the_phase_encoding_axis_alone(clean: Series) -> None:
    straight = series(distortion_mm=0.0)
    moved = [middle(clean.cord[:, :, z]) - middle(straight.cord[:, :, z]) for z in range(MATRIX.shape[2])]
    assert np.abs(moved).max(axis=0)[0] < 0.2
    assert np.abs(moved).max(axis=0)[1] > 0.5
    assert np.array_equal(clean.motion_mm, straight.motion_mm)


def test_drop_out_takes_signal_at_discs(clean: Series) -> None:
    neck = Neck.draw(generator(0, 3, 0))
    full = series(drop_out=0.0)
    kept = clean.bold.mean(axis=0)[clean.cord > 0].mean() / full.bold.mean(axis=0)[clean.cord > 0].mean()
    assert kept < 0.98
    assert any(neck.discness(float(z)) > 0.3 for z in MATRIX.axis(2))


def middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)


def test_tissues_fill_the_neck_and_nothing_around_it() -> None:
    neck = Neck.draw(generator(1, 1, 0))
    x, y = np.meshgrid(np.linspace(-80, 80, 81), np.linspace(-80, 80, 81), indexing="ij")
    total = neck.tissues(x, y, 3.0, 1.0).sum(axis=0)
    assert len(TISSUES) == 9
    assert total.min() >= 0
    assert total.max() == pytest.approx(1, abs=1e-5)
    assert total[40, 40] == pytest.approx(1)
    assert total[0, 0] == 0


def test_the_folder_is_bids_with_sites_and_derivatives(tmp_path: Path) -> None:
    root = make_phantoms("cord-epi", tmp_path / "cord", MakeOptions(5, 2, 1, "small")).path
    with (root / "participants.tsv").open() as stream:
        people = {line["participant_id"]: line["site"] for line in csv.DictReader(stream, delimiter="\t")}
    assert people == {"sub-leipzig01": "leipzig", "sub-montreal01": "montreal", "sub-leipzig02": "leipzig",
                      "sub-montreal02": "montreal", "sub-leipzig03": "leipzig"}  # fmt: skip
    stem = "sub-leipzig02/func/sub-leipzig02_task-rest"
    bold = nifti.read(root / f"{stem}_bold.nii.gz")
    label = nifti.read(root / "derivatives" / "labels" / f"{stem}_label-spinalcord_mask.nii.gz")
    sidecar = json.loads((root / f"{stem}_bold.json").read_text())
    assert bold.channels == 6
    assert bold.grid.matches(label.grid)
    assert bold.stored is not None
    assert float(bold.stored.header["pixdim"][4]) == pytest.approx(sidecar["RepetitionTime"])
    with (root / "sourcedata" / "truth" / "sub-leipzig02_task-rest_motion.tsv").open() as stream:
        motion = list(csv.DictReader(stream, delimiter="\t"))
    assert len(motion) == 6
    assert len(motion[0]) == 2 * bold.grid.shape[2]
    assert json.loads((root / "derivatives" / "labels" / "dataset_description.json").read_text())["GeneratedBy"]
