"""From a fingerprint to a recipe."""

from pathlib import Path

import pytest

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import CaseFingerprint, Fingerprint, Intensity
from neuraxis.dataset.labels import Labels
from neuraxis.errors import RecipeError
from neuraxis.recipe.planner import plan
from neuraxis.recipe.wishes import read_wishes, resolve

POOLED = Intensity(mean=100, std=20, median=100, low=-50, high=250, min=-60, max=300, voxels=1000)


def planned(
    shape=(35, 50, 36),
    spacing=(1.0, 1.0, 1.0),
    *settings,
    cropped=None,
    modality="MRI",
    cases=10,
    spacings=(),
    labels=None,
):
    fingerprints = tuple(
        CaseFingerprint(
            id=f"case{number}",
            shape=shape,
            cropped_shape=cropped or shape,
            spacing_mm=spacings[number] if spacings else spacing,
            voxels_per_label={0: 900, 1: 100},
            intensity={"scan": POOLED},
        )
        for number in range(cases)
    )
    fingerprint = Fingerprint(
        cases=fingerprints,
        channels={"scan": POOLED},
        median_shape=shape,
        median_spacing_mm=spacing,
        voxels_per_label={0: 9000, 1: 1000},
        nonzero_fraction=1.0,
    )
    dataset = Dataset(
        name="toy",
        root=Path("toy"),
        layout="nnunet",
        channels=("scan",),
        modality={"scan": modality},
        labels=Labels(names=labels or {"background": 0, "thing": 1}),
        cases=tuple(Case(f"case{number}", {}) for number in range(cases)),
    )
    return plan(fingerprint, dataset, read_wishes("auto", settings))


def test_a_small_scan_is_seen_whole():
    recipe = planned().recipe

    assert recipe.patches.shape == (40, 56, 40)
    assert recipe.network.options["features"] == (32, 64, 128, 256)
    assert recipe.preparation.spacing_mm == (1, 1, 1)


def test_a_large_scan_gets_the_patch_that_memory_allows():
    small, large = planned((240, 240, 155)), planned((240, 240, 155), (1, 1, 1), "memory_gb=30")

    assert max(small.recipe.patches.shape) < 155
    assert min(a <= b for a, b in zip(small.recipe.patches.shape, large.recipe.patches.shape, strict=True))
    assert "as large as memory allows" in small.reasons["patches.shape"]


def test_thick_slices_get_flat_kernels_rotation_in_plane_and_the_10th_percentile_of_spacing():
    thickness = [3.0, 3.5, 4.0, 4.5, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    recipe = planned((256, 256, 20), (0.5, 0.5, 5.0), spacings=[(0.5, 0.5, thick) for thick in thickness]).recipe

    assert recipe.network.options["kernels"][0] == (3, 3, 1)
    assert recipe.augmentation.rotation_deg == (0, 0, 30)
    assert recipe.preparation.spacing_mm == pytest.approx((0.5, 0.5, 3.45))


def test_pictures_get_a_2d_network():
    recipe = planned((512, 512, 1)).recipe

    assert recipe.network.options["flat_axis"] == 2
    assert recipe.patches.shape[2] == 1
    assert recipe.patches.batch == 12


def test_a_patch_of_one_slice_makes_any_network_2d():
    assert planned((64, 64, 30), (1, 1, 1), "patches.shape=[64,64,1]").recipe.network.options["flat_axis"] == 2


def test_ct_is_scaled_by_the_foreground_of_all_cases():
    recipe = planned(modality="CT").recipe

    assert recipe.preparation.normalisation == {"scan": "ct"}
    assert recipe.preparation.intensity["scan"].low == -50


def test_a_wide_empty_border_is_cropped_and_left_out_of_the_mean():
    recipe = planned((100, 100, 100), cropped=(60, 60, 60)).recipe

    assert recipe.preparation.crop == "nonzero"
    assert recipe.preparation.normalisation == {"scan": "zscore_nonzero"}


def test_a_wish_is_taken_and_later_decisions_follow_from_it():
    result = planned((35, 50, 36), (1, 1, 1), "patches.shape=[32,32,32]", "training.steps=7")

    assert result.recipe.patches.shape == (32, 32, 32)
    assert result.recipe.training.steps == 7
    assert result.reasons["patches.shape"] == "Set by the user."


def test_a_patch_that_the_network_cannot_halve_is_answered_with_one_that_it_can():
    with pytest.raises(RecipeError, match="set it to 40"):
        planned((35, 50, 36), (1, 1, 1), "patches.shape=[35,56,40]")


def test_left_and_right_are_mirrored_only_where_no_label_names_a_side():
    assert planned().recipe.augmentation.mirror_axes == (0,)
    assert planned(labels={"background": 0, "left_hippocampus": 1}).recipe.augmentation.mirror_axes == ()


@pytest.mark.parametrize("name", ["LeftPutamen", "ThalamusL", "lefthippocampus", "lh_cortex", "Kidney right", "R_eye"])
def test_a_side_is_recognised_however_it_is_written(name):
    assert planned(labels={"background": 0, name: 1}).recipe.augmentation.mirror_axes == ()


@pytest.mark.parametrize("name", ["lesion", "Anterior", "liver", "C1"])
def test_no_side_is_seen_where_none_is(name):
    assert planned(labels={"background": 0, name: 1}).recipe.augmentation.mirror_axes == (0,)


def test_a_misspelt_channel_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match=r"no channel 'scam'. Did you mean 'scan'"):
        planned((35, 50, 36), (1, 1, 1), "preparation.normalisation.scam=none")


def test_a_misspelt_loss_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'dice_ce'"):
        planned((35, 50, 36), (1, 1, 1), "loss.name=dice_cce")


def test_a_range_of_factors_begins_above_zero():
    with pytest.raises(RecipeError, match=r"augmentation.scale: a range of factors needs 0 < low <= high"):
        planned((35, 50, 36), (1, 1, 1), "augmentation.scale=[0,1]")


def test_few_patients_get_fewer_folds():
    assert planned(cases=3).recipe.splits.folds == 3


def test_every_decision_has_its_reason():
    reasons = planned().reasons

    assert {"preparation.spacing_mm", "patches.shape", "patches.batch", "splits.folds"} <= set(reasons)
    assert all(reason.endswith(".") for reason in reasons.values())


def test_a_resolved_recipe_read_again_gives_the_same_plan(tmp_path):
    first = planned((35, 50, 36))
    (tmp_path / "recipe.toml").write_text(first.to_toml())

    assert resolve(read_wishes(tmp_path / "recipe.toml")) == first.recipe
