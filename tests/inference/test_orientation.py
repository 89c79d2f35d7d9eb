"""A segmentation does not depend on how its scan was stored, and lies exactly where the scan does."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuraxis.inference.predictor import Predictor
from neuraxis.volume.formats import nifti

ORDERS = list(itertools.permutations(range(3)))
SIGNS = list(itertools.product((1, -1), repeat=3))
MANY = settings(max_examples=25, deadline=None, derandomize=True,
                suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
angles = st.floats(-0.5, 0.5)
spacings = st.sampled_from([0.7, 1.0, 1.3, 2.5])


def lopsided(windows: np.ndarray) -> np.ndarray:
    """Logits that depend on a voxel's right, front and upper neighbours, each with a weight of its own."""
    sums = windows[:, 0] + 0.3 * np.roll(windows[:, 0], -1, 1) + 0.2 * np.roll(windows[:, 0], -1, 2)
    sums = sums + 0.1 * np.roll(windows[:, 0], -1, 3)
    return np.stack([np.full_like(sums, 8), sums], axis=1)


def affine_of(turns: tuple[float, float, float], spacing: tuple[float, float, float]) -> np.ndarray:
    """Return an oblique RAS+ affine."""
    affine = np.eye(4)
    for axis, angle in enumerate(turns):
        one, other = [place for place in range(3) if place != axis]
        turn = np.eye(4)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        affine = turn @ affine
    affine = affine @ np.diag([*spacing, 1.0])
    affine[:3, 3] = (-31.5, 12.25, 80.0)
    return affine


def stored_as(
    array: np.ndarray, affine: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same voxels of the same world with stored axes permuted and turned round."""
    change = np.zeros((4, 4))
    change[3, 3] = 1
    stored = array.transpose(order)
    for axis, sign in enumerate(signs):
        change[order[axis], axis] = sign
        if sign < 0:
            stored = np.flip(stored, axis)
            change[order[axis], 3] = array.shape[order[axis]] - 1
    return np.ascontiguousarray(stored), affine @ change


def segmented(
    predictor: Predictor, folder: Path, array: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, nib.Nifti1Image]:
    """Write a scan, segment it as a user does, and return canonical labels and the result's file."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    nib.save(image, folder / "scan.nii.gz")
    found = predictor.predict(nifti.read(folder / "scan.nii.gz"))
    found.save(folder / "found.nii.gz", overwrite=True)
    return nifti.read(folder / "found.nii.gz").array[0], nib.load(folder / "found.nii.gz")


@MANY
@given(st.sampled_from(ORDERS), st.sampled_from(SIGNS), st.tuples(angles, angles, angles),
       st.tuples(spacings, spacings, spacings), st.integers(0, 99))  # fmt: skip
def test_a_segmentation_commutes_with_reorientation(model, arithmetic, order, signs, turns, spacing, seed):
    array = np.random.default_rng(seed).uniform(0, 10, (7, 9, 6)).astype(np.float32)
    affine = affine_of(turns, spacing)
    predictor = Predictor(model(), runtimes=[arithmetic(lopsided)])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plain, _ = segmented(predictor, folder, array, affine)
        stored, moved = stored_as(array, affine, order, signs)
        turned, file = segmented(predictor, folder, stored, moved)
        scan = nib.load(folder / "scan.nii.gz")
    assert plain.any()
    assert not plain.all()
    np.testing.assert_array_equal(turned, plain)
    assert file.shape == scan.shape
    np.testing.assert_array_equal(file.affine, scan.affine)


@MANY
@given(st.floats(0.001, 500), st.floats(-2000, 2000), st.integers(0, 99))
def test_scaled_intensities_give_the_same_segmentation_where_they_are_normalised(model, arithmetic, slope, shift, seed):
    array = np.random.default_rng(seed).integers(0, 1000, (7, 9, 6)).astype(np.int16)
    bundle = model(preparation={"normalisation": {"FLAIR": "zscore"}})

    def above_mean(windows: np.ndarray) -> np.ndarray:
        return np.stack([np.full_like(windows[:, 0], 0.013), windows[:, 0]], axis=1)

    predictor = Predictor(bundle, runtimes=[arithmetic(above_mean)])
    with tempfile.TemporaryDirectory() as place:
        plain, _ = segmented(predictor, Path(place), array, np.eye(4))
        scaled, _ = segmented(predictor, Path(place), (array * slope + shift).astype(np.float64), np.eye(4))
    assert (plain != scaled).mean() < 0.01


@pytest.mark.parametrize(("order", "signs"), [(order, signs) for order in ORDERS for signs in SIGNS])
def test_every_way_to_store_a_scan_is_read_there_and_back_exactly(tmp_path, order, signs):
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(np.int16)
    affine = affine_of((0.1, -0.2, 0.05), (1.0, 1.3, 2.5))
    stored, moved = stored_as(array, affine, order, signs)
    nib.save(nib.Nifti1Image(stored, moved), tmp_path / "scan.nii.gz")
    volume = nifti.read(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(volume.array[0], array)
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-4)
    nifti.write(tmp_path / "back.nii.gz", volume)
    back, scan = nib.load(tmp_path / "back.nii.gz"), nib.load(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(np.asarray(back.dataobj), stored)
    np.testing.assert_array_equal(back.affine, scan.affine)
