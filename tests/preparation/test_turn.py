"""Turning a scan to the axes of an imported model, and back."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.steps import restore
from neuraxis.preparation.turn import turn_of
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.grid import Grid
from neuraxis.volume.turn import Turn
from neuraxis.volume.volume import Stored, Volume

ORDERS = list(itertools.permutations((0, 1, 2)))
LABELS = Labels(names={"background": 0, "a": 1})
turns = st.builds(Turn, st.sampled_from(ORDERS), st.tuples(*[st.booleans()] * 3))


def recipe(**changes: Any) -> PreparationRecipe:
    return PreparationRecipe(**{"spacing_mm": (1, 1, 1), "normalisation": {"MRI": "none"}} | changes)


def scan(codes: str) -> Volume:
    """Return a scan whose file lay in such an order, each voxel of its own value."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, code in enumerate(codes):
        world = next(place for place, ends in enumerate(("LR", "PA", "IS")) if code in ends)
        affine[world, axis] = (1 if code in "RAS" else -1) * (1.0, 1.5, 2.0)[axis]
    grid = Grid((4, 5, 6), affine)
    stored = Stored.of(grid)
    array = np.arange(1, 121, dtype=np.float32).reshape(4, 5, 6)
    return Volume(stored.to_canonical(array)[None], stored.canonical_grid, stored)


@given(turns)
def test_undoing_a_turn_gives_the_array_again(turn: Turn) -> None:
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(turn.undo(turn.apply(array)), array)


@given(turns)
def test_a_turned_voxel_keeps_its_place_in_the_world(turn: Turn) -> None:
    grid = Grid((3, 4, 5), np.array([[1, 0.1, 0, 7], [0, 2, 0.2, -3], [0, 0, 3, 11], [0, 0, 0, 1.0]]))
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"))
    world = np.einsum("ij,jxyz->ixyz", grid.affine[:3, :3], index) + grid.affine[:3, 3].reshape(3, 1, 1, 1)

    turned = turn.grid(grid)

    again = np.stack(np.meshgrid(*map(np.arange, turned.shape), indexing="ij"))
    found = np.einsum("ij,jxyz->ixyz", turned.affine[:3, :3], again) + turned.affine[:3, 3].reshape(3, 1, 1, 1)
    np.testing.assert_allclose(found, turn.apply(world), atol=1e-9)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PIR", "SRP"])
@pytest.mark.parametrize("axes", ORDERS)
def test_the_network_sees_the_voxels_as_stored_and_the_result_returns(codes: str, axes: tuple[int, int, int]) -> None:
    volume = scan(codes)
    assert volume.grid.axis_codes == "RAS"
    spacing = tuple((1.0, 1.5, 2.0)[axis] for axis in axes)

    prepared = prepare_volume(volume, ("MRI",), recipe(orientation="stored", axes=axes, spacing_mm=spacing))

    stored = np.arange(1, 121, dtype=np.float32).reshape(4, 5, 6).transpose(axes)
    np.testing.assert_array_equal(prepared.image[0], stored)
    logits = np.stack([np.zeros_like(stored), stored - 60.5])
    expected = volume.array[0] > 60
    restored = restore([logits], prepared.way_back, LABELS, probabilities=True)
    np.testing.assert_array_equal(restored.segmentation, expected)
    assert (restored.probability[1] > 0.5).tolist() == expected.tolist()


def test_a_scan_that_was_never_in_a_file_counts_as_stored_canonically() -> None:
    assert turn_of(None, recipe(orientation="stored", axes=(2, 1, 0))) == Turn((2, 1, 0))


def test_canonical_is_the_default_and_turns_nothing() -> None:
    assert turn_of(scan("PIR").stored, recipe()) == Turn()


def test_a_spacing_of_0_keeps_the_scans_own_along_that_axis() -> None:
    volume = scan("RAS")

    prepared = prepare_volume(volume, ("MRI",), recipe(spacing_mm=(0, 0.75, 2)))

    assert prepared.way_back.shape == (4, 10, 6)


def test_axes_must_name_each_axis_once() -> None:
    with pytest.raises(ValueError, match="each of 0, 1 and 2 once"):
        recipe(axes=(0, 0, 1))
