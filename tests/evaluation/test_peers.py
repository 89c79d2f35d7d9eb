"""The same values as MONAI, medpy and surface-distance (DeepMind), wherever they define the same thing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from medpy.metric import binary as medpy
from monai import metrics as monai
from surface_distance import lookup_tables
from surface_distance import metrics as deepmind

from neuraxis.dataset.phantoms.lesions import LesionOptions
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.evaluation.boxes import joint_box
from neuraxis.evaluation.catalog import columns
from neuraxis.evaluation.metrics import Comparison
from neuraxis.evaluation.rules import ScoringRules
from neuraxis.evaluation.surface import surface_distances
from neuraxis.evaluation.surfels import surfel_areas, surfel_distances
from neuraxis.volume.formats import nifti

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:the (prediction|ground truth) of class"),
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]

Masks = tuple[np.ndarray, np.ndarray]
Spacing = tuple[float, float, float]
TOLERANCES_MM = (0.4, 1.2, 2.6)  # no distance on these grids is exactly one of them
spacings = st.tuples(*[st.sampled_from([0.5, 1.0, 1.75, 3.0])] * 3)


def blobs(shape: tuple[int, int, int]) -> st.SearchStrategy[np.ndarray]:
    """Masks of one voxel at least."""
    return arrays.arrays(bool, shape).filter(np.any)


scans = st.tuples(st.integers(2, 6), st.integers(2, 5), st.integers(2, 5)).flatmap(
    lambda shape: st.tuples(blobs(shape), blobs(shape))
)
pictures = st.tuples(st.integers(2, 7), st.integers(2, 7), st.just(1)).flatmap(
    lambda shape: st.tuples(blobs(shape), blobs(shape))
)


def ours(masks: Masks, spacing: Spacing) -> dict[str, float]:
    pair = Comparison.of(*masks, spacing, rules=ScoringRules(tolerances_mm=TOLERANCES_MM))
    return {name: fill(pair) for name, fill in columns(rules=ScoringRules(tolerances_mm=TOLERANCES_MM)).items()}


# --- what each of them gives, under our names -------------------------------------------------------------------------


def of_monai(masks: Masks, spacing: Spacing) -> dict[str, float]:
    """MONAI takes a picture as two-dimensional."""
    flat = masks[0].shape[2] == 1
    predicted, reference = (torch.from_numpy(mask[..., 0] if flat else mask)[None, None].float() for mask in masks)
    size, every = spacing[: 2 if flat else 3], {"include_background": True}
    confusion = monai.get_confusion_matrix(predicted, reference)
    distances = {"spacing": size, **every}
    found = {
        "dice": monai.compute_dice(predicted, reference, **every),
        "iou": monai.compute_iou(predicted, reference, **every),
        "precision": monai.compute_confusion_matrix_metric("precision", confusion),
        "recall": monai.compute_confusion_matrix_metric("sensitivity", confusion),
        "specificity": monai.compute_confusion_matrix_metric("specificity", confusion),
        "hd95_mm": monai.compute_hausdorff_distance(predicted, reference, percentile=95, **distances),
        "hd100_mm": monai.compute_hausdorff_distance(predicted, reference, **distances),
        "assd_mm": monai.compute_average_surface_distance(predicted, reference, symmetric=True, **distances),
    }
    for tolerance in TOLERANCES_MM:
        for name, by_area in (("surface_dice", True), ("surface_dice_voxels", False)):
            found[f"{name}_{tolerance:g}mm"] = monai.compute_surface_dice(
                predicted, reference, [tolerance], use_subvoxels=by_area, **distances
            )
    return {name: float(value) for name, value in found.items()}


def of_medpy(masks: Masks, spacing: Spacing) -> dict[str, float]:
    predicted, reference = masks
    return {
        "dice": medpy.dc(predicted, reference),
        "iou": medpy.jc(predicted, reference),
        "precision": medpy.precision(predicted, reference),
        "recall": medpy.recall(predicted, reference),
        "specificity": medpy.specificity(predicted, reference),
        "hd100_mm": medpy.hd(predicted, reference, spacing),
        "volume_error_percent": 100 * medpy.ravd(predicted, reference),
    }


def of_deepmind(masks: Masks, spacing: Spacing) -> dict[str, float]:
    """surface-distance takes a picture as two-dimensional."""
    distances = deepmind_distances(masks, spacing)
    shares = {
        f"surface_dice_{tolerance:g}mm": deepmind.compute_surface_dice_at_tolerance(distances, tolerance)
        for tolerance in TOLERANCES_MM
    }
    return {"dice": deepmind.compute_dice_coefficient(masks[1], masks[0]), **shares}


def deepmind_distances(masks: Masks, spacing: Spacing) -> dict[str, np.ndarray]:
    predicted, reference = (mask[..., 0] if mask.shape[2] == 1 else mask for mask in masks)
    return deepmind.compute_surface_distances(reference, predicted, spacing[: predicted.ndim])


PEERS = [pytest.param(peer, id=peer.__name__.removeprefix("of_")) for peer in (of_monai, of_medpy, of_deepmind)]
Peer = Callable[[Masks, Spacing], dict[str, float]]


def compare(peer: Peer, masks: Masks, spacing: Spacing) -> None:
    theirs = peer(masks, spacing)
    found = ours(masks, spacing)
    np.testing.assert_allclose([found[name] for name in theirs], list(theirs.values()), rtol=2e-6, atol=2e-6)


# --- random masks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", PEERS)
@settings(max_examples=25, deadline=None)
@given(masks=scans, spacing=spacings)
def test_random_masks_score_as_with_the_peer(peer: Peer, masks: Masks, spacing: Spacing) -> None:
    compare(peer, masks, spacing)


@pytest.mark.parametrize("peer", [of_monai, of_deepmind])
@settings(max_examples=25, deadline=None)
@given(masks=pictures, spacing=spacings)
def test_random_pictures_score_as_with_the_peer_in_two_dimensions(peer: Peer, masks: Masks, spacing: Spacing) -> None:
    compare(peer, masks, spacing)


@settings(max_examples=50, deadline=None)
@given(scans, spacings)
def test_medpy_pools_both_directions_of_the_same_distances(masks: Masks, spacing: Spacing) -> None:
    found = surface_distances(*masks, spacing)
    pooled = np.concatenate([found.there, found.back])
    assert medpy.hd95(*masks, spacing) == pytest.approx(np.percentile(pooled, 95))
    assert medpy.asd(*masks, spacing) == pytest.approx(found.there.mean())
    assert medpy.asd(*masks[::-1], spacing) == pytest.approx(found.back.mean())


@settings(max_examples=50, deadline=None)
@given(st.one_of(scans, pictures), spacings)
def test_every_piece_of_surface_is_as_large_and_as_far_as_deepminds(masks: Masks, spacing: Spacing) -> None:
    found, theirs = surfel_distances(*masks, spacing), deepmind_distances(masks, spacing)
    for distances, sizes, side in ((found.there, found.there_size, "pred"), (found.back, found.back_size, "gt")):
        to = f"distances_{side}_to_{'gt' if side == 'pred' else 'pred'}"
        mine = np.array(sorted(zip(distances.round(9), sizes.round(9), strict=True)))
        its = np.array(sorted(zip(theirs[to].round(9), theirs[f"surfel_areas_{side}"].round(9), strict=True)))
        np.testing.assert_allclose(mine, its, atol=1e-8)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 2.0, 3.0), (0.5, 0.7, 5.0), (3.0, 0.1, 0.2)])
def test_all_256_cells_have_the_area_of_deepminds(spacing: Spacing) -> None:
    bits = lookup_tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL.ravel()
    renumbered = [sum(int(bits[place]) for place in range(8) if code >> place & 1) for code in range(256)]
    theirs = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)[renumbered]
    np.testing.assert_allclose(surfel_areas(spacing), theirs, rtol=0, atol=1e-6)


# --- empty masks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "differs"),
    [
        pytest.param("both", set(), id="both empty"),
        pytest.param("prediction", set(), id="prediction empty"),
        pytest.param("reference", {"dice", "iou"}, id="reference empty"),
    ],
)
def test_empty_masks_score_as_with_monai_but_where_it_is_said(side: str, differs: set[str]) -> None:
    """MONAI makes a distance infinite where one mask is empty, and Dice undefined where the reference is.

    Ours is undefined for the one, and the table says how often; and 0 for the other, as something was invented.
    """
    masks = np.zeros((2, 6, 6, 6), bool)
    masks[:, 2:4, 2:4, 2:4] = True
    for place, name in enumerate(("prediction", "reference")):
        masks[place] &= side not in {"both", name}
    pair, spacing = (masks[0], masks[1]), (1.0, 1.0, 1.0)
    theirs, found = of_monai(pair, spacing), ours(pair, spacing)
    for name in ("hd95_mm", "hd100_mm", "assd_mm"):
        assert math.isnan(found[name])
        assert not math.isfinite(theirs.pop(name))
    for name in differs:
        assert found[name] == 0
        assert math.isnan(theirs.pop(name))
    np.testing.assert_allclose([found[name] for name in theirs], list(theirs.values()), rtol=1e-6)


# --- lesions ----------------------------------------------------------------------------------------------------------


def missed_and_invented(lesions: np.ndarray) -> Masks:
    """Return a likely prediction of some lesions, and the lesions: a little off, some missed, some false."""
    predicted = np.roll(lesions, (1, 0, 1), (0, 1, 2))
    predicted[lesions.shape[0] // 2 :, : lesions.shape[1] // 2] = False
    predicted |= np.roll(lesions, 9, 1) & np.roll(lesions, 10, 1)
    box = joint_box(predicted, lesions)
    return predicted[box], lesions[box]


@pytest.fixture(scope="module")
def phantom_lesions() -> np.ndarray:
    options = PhantomOptions(LesionOptions(25, 30), spacing_mm=(3.0, 3.0, 3.0))
    return make_phantom(SITES[0], 0, 1, options).label.array[0] > 0


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.3)])
def test_lesions_of_a_phantom_score_as_with_the_peer(peer: Peer, spacing: Spacing, phantom_lesions: np.ndarray) -> None:
    masks = missed_and_invented(phantom_lesions)
    found = ours(masks, spacing)
    assert 0 < found["dice"] < 0.9
    assert found["lesions_found"] > 5
    assert found["lesions_false"] > 3
    compare(peer, masks, spacing)


@pytest.mark.data
@pytest.mark.parametrize(
    ("patient", "peer"),
    [
        pytest.param("patient07", of_monai, id="few small ones, MONAI"),
        pytest.param("patient07", of_medpy, id="few small ones, medpy"),
        pytest.param("patient19", of_medpy, id="many large ones, medpy"),
        pytest.param("patient19", of_deepmind, id="many large ones, surface-distance"),
    ],
)
def test_real_lesions_score_as_with_the_peer(peer: Peer, patient: str, shared_data: Path) -> None:
    path = next((shared_data / "ms-ljubljana-mni" / "labels").glob(f"{patient}*"))
    masks = missed_and_invented(nifti.read(path).array[0] > 0)
    compare(peer, masks, (1.0, 1.5, 0.7))
