"""What a first stage found becomes channels of the second, on the way that the scan takes."""

from __future__ import annotations

import numpy as np

from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.previous import Previous
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def scan(values: np.ndarray) -> Volume:
    return Volume(values[None].astype(np.float32), Grid(values.shape, np.eye(4)), None, "scan")


def recipe_of(**decisions: object) -> PreparationRecipe:
    base = {"spacing_mm": (1, 1, 1), "crop": "nonzero", "normalisation": {"T1": "none"}, "label_order": "linear"}
    return PreparationRecipe.model_validate(base | decisions)


def row(*values: float) -> np.ndarray:
    return np.array(values).reshape(-1, 1, 1)


def test_each_label_is_a_channel_in_the_box_of_the_scan() -> None:
    found = row(1, 0, 2, 1, 0, 2).astype(np.uint8)

    prepared = prepare_volume(scan(row(0, 5, 6, 7, 8, 0)), ("T1",), recipe_of(), previous=Previous(found, (1, 2)))

    assert prepared.image[:, :, 0, 0].tolist() == [[5, 6, 7, 8], [0, 0, 1, 0], [0, 1, 0, 0]]


def test_axes_are_turned_as_those_of_the_scan() -> None:
    values, found = np.arange(1, 25).reshape(2, 3, 4), np.arange(24).reshape(2, 3, 4) % 3
    recipe = recipe_of(axes=(2, 0, 1))

    prepared = prepare_volume(scan(values), ("T1",), recipe, previous=Previous(found.astype(np.uint8), (1, 2)))

    assert np.array_equal(prepared.image[0], values.transpose(2, 0, 1))
    assert np.array_equal(prepared.image[2], found.transpose(2, 0, 1) == 2)


def test_voxels_outside_of_the_head_do_not_weigh_as_background() -> None:
    """The last voxel is outside; between it, background and a label, each new voxel goes to whom most of it belongs."""
    head = np.array([[9, 9], [9, 0]]).reshape(2, 2, 1)
    found = np.array([[1, 0], [1, 0]], np.uint8).reshape(2, 2, 1)
    recipe = recipe_of(spacing_mm=(2 / 3, 2 / 3, 1))

    prepared = prepare_volume(scan(head), ("T1",), recipe, previous=Previous(found, (1,)))

    assert prepared.image[1, :, :, 0].tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]  # the middle: 1/2 against 1/4, 1/4
    whole = prepare_volume(scan(np.full((2, 2, 1), 9)), ("T1",), recipe, previous=Previous(found, (1,)))
    assert whole.image[1, 1, 1, 0] == 0  # a tie of 1/2 and 1/2, which the nearest voxel decides


def test_the_head_that_is_normalised_over_grows_by_what_was_found_beyond_it() -> None:
    recipe = recipe_of(normalisation={"T1": "zscore_head"}, crop="none")
    found = row(0, 0, 0, 0, 1).astype(np.uint8)

    image = prepare_volume(scan(row(0, 1, 3, 0, 0)), ("T1",), recipe, previous=Previous(found, (1,))).image

    inside = np.array([1, 3, 0])  # of the zeros the last alone
    expected = (inside - inside.mean()) / inside.std()
    np.testing.assert_allclose(image[0, :, 0, 0], [0, *expected[:2], 0, expected[2]], rtol=1e-6)


def test_thick_slices_and_the_nearest_rule_are_kept_to() -> None:
    found = np.array([[1, 0, 0, 2], [2, 0, 0, 1]], np.uint8).reshape(2, 4, 1)
    thick = recipe_of(spacing_mm=(3, 0.5, 0.5), thick_ratio=3, label_order="nearest")
    volume = Volume(np.ones((1, 2, 4, 1), np.float32), Grid((2, 4, 1), np.diag([6, 1, 1, 1])), None, "scan")

    image = prepare_volume(volume, ("T1",), thick, previous=Previous(found, (1, 2))).image

    assert image.shape == (3, 4, 8, 2)
    assert image[1, :, :, 0].tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]] * 2 + [[0, 0, 0, 0, 0, 0, 1, 1]] * 2
