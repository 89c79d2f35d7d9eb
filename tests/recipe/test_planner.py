"""From a fingerprint to a recipe."""

import re
import tomllib
from pathlib import Path

import pytest

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import CaseFingerprint, Fingerprint, Intensity
from neuraxis.dataset.labels import Labels
from neuraxis.errors import RecipeError
from neuraxis.recipe.planner import class_weights, plan
from neuraxis.recipe.wishes import read_wishes, resolve

LARGE = (400, 400, 200)
SCALE = tuple(number / 10 for number in range(-5, 6))
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
    recipe="auto",
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
        zeros={"scan": 0.6},
        standard_scale={"scan": SCALE},
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
    return plan(fingerprint, dataset, read_wishes(recipe, settings))


def test_a_small_scan_is_seen_whole():
    recipe = planned().recipe

    assert recipe.patches.shape == (40, 56, 40)
    assert recipe.patches.batch == 2
    assert recipe.network.options["features"] == (32, 64, 128, 256)
    assert recipe.network.options["strides"] == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
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
    assert recipe.configuration == "2d"
    assert recipe.patches.shape == (512, 512, 1)
    assert 2 <= recipe.patches.batch <= 12


def test_a_patch_of_one_slice_makes_any_network_2d():
    assert planned((64, 64, 30), (1, 1, 1), "patches.shape=[64,64,1]").recipe.network.options["flat_axis"] == 2


def test_slices_are_kept_whole_and_the_batch_is_what_memory_leaves():
    small, tiny = planned((512, 512, 1), (1, 1, 1), "memory_gb=3"), planned((512, 512, 1), (1, 1, 1), "memory_gb=1.5")

    assert small.recipe.patches.shape == (512, 512, 1)
    assert small.recipe.patches.batch < planned((512, 512, 1)).recipe.patches.batch
    assert tiny.recipe.patches.shape < (512, 512, 1)
    assert tiny.recipe.patches.batch == 2


def test_ct_is_scaled_by_the_foreground_of_all_cases():
    recipe = planned(modality="CT").recipe

    assert recipe.preparation.normalisation == {"scan": "ct"}
    assert recipe.preparation.intensity["scan"].low == -50


def test_a_wide_empty_border_is_cropped_and_left_out_of_the_mean():
    result = planned((100, 100, 100), cropped=(60, 60, 60))
    recipe = result.recipe

    assert recipe.preparation.crop == "nonzero"
    assert recipe.preparation.normalisation == {"scan": "zscore_nonzero"}
    assert "60% of the median scan are 0" in result.reasons["preparation.normalisation.scan"]


def test_nyul_by_wish_brings_the_standard_scale_of_the_cases():
    result = planned((35, 50, 36), (1, 1, 1), "preparation.normalisation.scan=nyul")

    assert result.recipe.preparation.landmarks == {"scan": SCALE}
    assert "standard scale" in result.reasons["preparation.landmarks.scan"]


def test_percentiles_by_wish_bring_nothing_else():
    recipe = planned((35, 50, 36), (1, 1, 1), "preparation.normalisation.scan=percentile", modality="CT").recipe

    assert recipe.preparation.normalisation == {"scan": "percentile"}
    assert recipe.preparation.intensity == {}


def test_where_cases_are_resampled_labels_are_interpolated_and_thick_slices_are_not_mixed():
    spacings = [(0.5, 0.5, 3.0 if number % 2 else 0.6) for number in range(10)]
    result = planned((256, 256, 20), spacings=spacings)

    assert (result.recipe.preparation.label_order, result.recipe.preparation.thick_ratio) == ("linear", 3.0)
    assert "in 5 of 10 cases" in result.reasons["preparation.thick_ratio"]


def test_where_nothing_is_resampled_nothing_is_decided_about_it():
    result = planned((256, 256, 20), (0.5, 0.5, 5.0))

    assert result.reasons["preparation.spacing_mm"] == "Every case has this spacing; nothing is resampled."
    assert not {"preparation.label_order", "preparation.thick_ratio"} & set(result.reasons)


def test_the_ways_to_train_are_compared_and_full_resolution_is_taken():
    result = planned(LARGE, (1, 1, 2))

    assert [one.name for one in result.candidates] == ["2d", "3d", "3d_low", "cascade"]
    assert result.recipe.configuration == "3d"
    assert "3d_low sees more at once" in result.reasons["configuration"]
    assert [one.name for one in planned().candidates] == ["2d", "3d"]


def test_2d_by_wish_looks_across_the_thickest_slices():
    recipe = planned((200, 20, 200), (1, 6, 1), "configuration=2d").recipe

    assert recipe.network.options["flat_axis"] == 1
    assert recipe.patches.shape[1] == 1


def test_low_resolution_by_wish_trains_at_its_coarser_spacing():
    result = planned(LARGE, (1, 1, 2), "configuration=3d_low")
    low = next(one for one in result.candidates if one.name == "3d_low")

    assert result.recipe.preparation.spacing_mm == low.spacing_mm > (1, 1, 2)
    assert result.recipe.patches.shape == low.patch
    assert result.recipe.preparation.label_order == "linear"


def test_low_resolution_where_full_resolution_sees_enough_is_refused_in_a_line():
    with pytest.raises(RecipeError, match=r"'3d_low' is of no use here: .* holds 100% of the median case .* Set '3d'"):
        planned((35, 50, 36), (1, 1, 1), "configuration=3d_low")


def test_auto_by_wish_is_resolved_as_well():
    result = planned((35, 50, 36), (1, 1, 1), "configuration=auto")

    assert result.recipe.configuration == "3d"


@pytest.mark.parametrize("network", ["residual-unet", "classic-unet"])
def test_other_networks_are_planned_as_well(network):
    recipe = planned((256, 256, 20), (0.5, 0.5, 5.0), f"network.name={network}").recipe

    assert recipe.network.name == network
    assert recipe.network.options["kernels"][0] == (3, 3, 1)
    assert recipe.network.options["strides"][1] == (2, 2, 1)


def test_a_budget_that_cannot_be_kept_is_told():
    result = planned((35, 50, 36), (1, 1, 1), "memory_gb=1", "patches.shape=[96,96,96]")

    assert result.reasons["patches.shape"] == "Set by the user."
    assert "above the 0.5 GB allowed" in planned((35, 50, 36), (1, 1, 1), "memory_gb=0.5").reasons["patches.shape"]


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


def test_weights_of_labels_are_taken_from_the_fingerprint_and_told():
    result = planned((35, 50, 36), (1, 1, 1), "loss.class_weights=fingerprint", "loss.name=dice_focal")

    assert result.recipe.loss.class_weights == (0.5, 1.5)  # of 90 and 10 percent of the voxels
    assert result.reasons["loss.class_weights"].endswith("share of all voxels: background 0.5, thing 1.5.")
    assert resolve(tomllib.loads(result.recipe.to_toml())) == result.recipe


def test_a_label_that_is_nowhere_weighs_as_much_as_the_rarest():
    labels = Labels(names={"background": 0, "a": 1, "b": 2, "c": 3})

    found = class_weights({0: 8100, 1: 900, 2: 100}, labels)

    assert found[2] == found[3]
    assert found[1] == pytest.approx(3 * found[0], rel=1e-3)
    assert found[2] == pytest.approx(9 * found[0], rel=1e-3)
    assert sum(found) == pytest.approx(4, abs=1e-3)


def test_a_region_weighs_by_all_that_it_joins():
    labels = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)})

    assert class_weights({0: 10_000, 1: 300, 2: 100}, labels) == pytest.approx([2 / 3, 4 / 3], abs=1e-4)


def test_as_many_weights_as_outputs_are_needed():
    with pytest.raises(RecipeError, match=r"has 3 numbers, but the network has 2 outputs: background, thing"):
        planned((35, 50, 36), (1, 1, 1), "loss.class_weights=[1,2,3]")


def test_a_range_of_factors_begins_above_zero():
    with pytest.raises(RecipeError, match=r"augmentation.scale: a range of factors needs 0 < low <= high"):
        planned((35, 50, 36), (1, 1, 1), "augmentation.scale=[0,1]")


def test_a_preset_of_augmentation_is_kept_but_never_mirrors_a_side():
    def augmentation(*settings, **kinds):
        return planned((35, 50, 36), (1, 1, 1), *settings, **kinds).recipe.augmentation

    assert augmentation("augmentation.preset=nnunet").rotation_deg == (30, 30, 30)
    assert augmentation("augmentation.preset=nnunet").mirror_axes == (0, 1, 2)
    sided = {"background": 0, "left_hippocampus": 1}
    assert augmentation("augmentation.preset=nnunet", labels=sided).mirror_axes == (1, 2)
    assert augmentation("augmentation.preset=nnunet", "augmentation.mirror_axes=[0]", labels=sided).mirror_axes == (0,)


def test_a_preset_turns_thick_slices_within_the_slice_only():
    recipe = planned((256, 256, 20), (0.5, 0.5, 5.0), "augmentation.preset=picture").recipe
    assert recipe.augmentation.rotation_deg[:2] == (0, 0)
    assert recipe.augmentation.rotation_deg[2] > 0


def test_zeros_outside_of_an_extracted_head_stay_zero_in_training():
    assert planned((100, 100, 100), cropped=(60, 60, 60)).recipe.augmentation.keep_zeros
    assert not planned((100, 100, 100)).recipe.augmentation.keep_zeros


def test_few_patients_get_fewer_folds():
    assert planned(cases=3).recipe.splits.folds == 3


def test_every_decision_has_its_reason():
    reasons = planned().reasons

    assert {"preparation.spacing_mm", "patches.shape", "patches.batch", "splits.folds"} <= set(reasons)
    assert all(reason.endswith(".") for reason in reasons.values())


@pytest.mark.parametrize("configuration", ["auto", "2d", "3d", "3d_low"])
def test_a_resolved_recipe_read_again_gives_the_same_plan(tmp_path, configuration):
    first = planned(LARGE, (1, 1, 2), f"configuration={configuration}")
    (tmp_path / "recipe.toml").write_text(first.to_toml())

    assert resolve(read_wishes(tmp_path / "recipe.toml")) == first.recipe
    assert planned(LARGE, (1, 1, 2), recipe=tmp_path / "recipe.toml").recipe == first.recipe


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("preparation.orientation=stored", "preparation.orientation is for imported models"),
        ("preparation.axes=[2, 1, 0]", "preparation.axes is for imported models"),
        ("preparation.keeps=centres", "preparation.keeps is for imported models"),
        ("preparation.normalise_on=resampled", "preparation.normalise_on is for imported models"),
        ("preparation.spacing_mm=[0, 1, 1]", "training needs a spacing"),
    ],
)
def test_what_only_imported_models_have_cannot_be_planned(setting, words):
    with pytest.raises(RecipeError, match=re.escape(words)):
        planned((35, 50, 36), (1.0, 1.0, 1.0), setting)


def test_a_resolved_recipe_says_the_usual_axes_and_can_be_planned_again():
    assert planned((35, 50, 36), (1.0, 1.0, 1.0), "preparation.axes=[0, 1, 2]").recipe.preparation.axes == (0, 1, 2)
