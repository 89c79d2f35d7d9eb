"""Each step of preparation and its way back."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.preparation import steps
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.grid import Grid
from neuraxis.volume.resample import resample_image
from neuraxis.volume.volume import Volume

LABELS = Labels(names={"background": 0, "a": 3, "b": 7})


def recipe(**changes):
    settings = {"spacing_mm": (1, 1, 1), "normalisation": {"MRI": "none"}} | changes
    return PreparationRecipe(**settings)


def one_hot(label_map):
    return 20.0 * np.stack([label_map == number for number in (0, 3, 7)]).astype(np.float32)


def blocks(shape):
    label_map = np.zeros(shape, np.uint8)
    label_map[2:6, 2:6, 2:5] = 3
    label_map[4:7, 4:7, 3:6] = 7
    return label_map


def test_a_segmentation_returns_exactly_without_resampling():
    label_map = blocks((9, 8, 7))
    way = WayBack(Grid((12, 8, 7), np.eye(4)), (2, 0, 0), (9, 8, 7), (9, 8, 7))

    restored = steps.restore([one_hot(label_map)], way, LABELS).segmentation

    assert restored.shape == (12, 8, 7)
    np.testing.assert_array_equal(restored[2:11], label_map)
    assert not restored[:2].any()


def test_a_segmentation_returns_from_finer_voxels():
    label_map = blocks((9, 8, 7))
    way = WayBack(Grid((9, 8, 7), np.eye(4)), (0, 0, 0), (9, 8, 7), (18, 16, 14))
    fine = label_map.repeat(2, 0).repeat(2, 1).repeat(2, 2)

    np.testing.assert_array_equal(steps.restore([one_hot(fine)], way, LABELS).segmentation, label_map)


def test_probabilities_are_background_outside_the_box_and_sum_to_one():
    way = WayBack(Grid((5, 4, 4), np.eye(4)), (1, 0, 0), (3, 4, 4), (3, 4, 4))
    logits = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)

    probability = steps.restore([logits], way, LABELS, probabilities=True).probability

    np.testing.assert_allclose(probability.sum(axis=0, dtype=np.float32), 1, atol=2e-3)
    assert (probability[0, 0] == 1).all()


def test_overlapping_regions_are_painted_in_their_order():
    tumour = Labels(
        names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2)
    )
    way = WayBack(Grid((3, 1, 1), np.eye(4)), (0, 0, 0), (3, 1, 1), (3, 1, 1))
    logits = np.array([[-9, 9, 9], [-9, -9, 9]], np.float32).reshape(2, 3, 1, 1)

    assert steps.restore([logits], way, tumour).segmentation.ravel().tolist() == [0, 1, 2]


def test_a_prediction_by_regions_returns_from_another_grid() -> None:
    tumour = Labels(
        names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2)
    )
    label_map = np.zeros((9, 8, 7), np.uint8)
    label_map[2:7, 1:7, 1:6] = 1
    label_map[3:6, 3:6, 2:5] = 2
    way = WayBack(Grid((12, 8, 7), np.eye(4)), (2, 0, 0), (9, 8, 7), (18, 16, 14))
    fine = label_map.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    logits = np.stack([20.0 * (fine >= 1) - 10, 20.0 * (fine == 2) - 10]).astype(np.float32)

    restored = steps.restore([logits], way, tumour).segmentation

    np.testing.assert_array_equal(restored[2:11], label_map)
    assert not restored[:2].any()
    assert not restored[11:].any()


@pytest.mark.parametrize("thick", [None, 0, 1, 2])
@pytest.mark.parametrize("across", ["nearest", "linear"])
def test_planes_restored_one_by_one_are_the_whole_restored_at_once(thick, across) -> None:
    grid = Grid((14, 11, 9), np.eye(4))
    way = WayBack(grid, (1, 0, 2), (12, 11, 5), (9, 16, 7), thick, across, thick_axis_back=thick)
    logits = np.random.default_rng(0).normal(0, 3, (3, 9, 16, 7)).astype(np.float32)
    probability = resample_image(steps.activate(logits, LABELS), way.crop_shape, way.orders_back)

    buffer = np.empty((3, 4, 16, 7), np.float32)

    def slabs():
        for first in (0, 4, 8):
            slab = buffer[:, : min(4, 9 - first)]
            slab[:] = logits[:, first : first + 4]
            yield slab

    restored = steps.restore(slabs(), way, LABELS, probabilities=True)
    segmentation, kept = restored.segmentation, restored.probability
    np.testing.assert_array_equal(steps.restore([logits], way, LABELS).segmentation, segmentation)

    np.testing.assert_array_equal(segmentation[1:13, :, 2:7], np.array([0, 3, 7])[probability.argmax(axis=0)])
    np.testing.assert_array_equal(kept[:, 1:13, :, 2:7], probability.astype(np.float16))
    assert segmentation.sum() == segmentation[1:13, :, 2:7].sum()


def test_of_equal_scores_the_first_output_wins() -> None:
    way = WayBack(Grid((1, 1, 2), np.eye(4)), (0, 0, 0), (1, 1, 2), (1, 1, 2))
    logits = np.array([[1, 0], [1, 2], [1, 2]], np.float32).reshape(3, 1, 1, 2)

    assert steps.restore([logits], way, LABELS).segmentation.ravel().tolist() == [0, 3]


def test_regions_have_a_probability_above_one_half_where_they_are_painted() -> None:
    tumour = Labels(names={"background": 0, "core": 1}, regions={"core": (1,)})
    way = WayBack(Grid((23, 9, 7), np.eye(4)), (0, 0, 0), (23, 9, 7), (10, 9, 5))
    logits = np.random.default_rng(0).normal(0, 3, (1, 10, 9, 5)).astype(np.float32)
    halves = iter([logits[:, :6].copy(), logits[:, 6:].copy()])

    restored = steps.restore(halves, way, tumour, probabilities=True)

    expected = resample_image(logits, way.crop_shape, way.orders_back)[0] > 0
    np.testing.assert_array_equal(restored.segmentation, expected)
    assert ((restored.probability[0] > 0.5) == expected)[np.abs(restored.probability[0] - 0.5) > 1e-3].all()


def test_numbers_beyond_255_keep_their_value() -> None:
    labels = Labels(names={"background": 0, "a": 300})
    way = WayBack(Grid((1, 1, 2), np.eye(4)), (0, 0, 0), (1, 1, 2), (1, 1, 2))
    logits = np.array([[1, 0], [0, 1]], np.float32).reshape(2, 1, 1, 2)

    assert steps.restore([logits], way, labels).segmentation.ravel().tolist() == [0, 300]


def test_restoring_takes_the_room_of_some_planes_not_of_all_outputs() -> None:
    labels = Labels(names={"background": 0, **{str(number): number for number in range(1, 20)}})
    shape = (96, 40, 40)
    logits = np.random.default_rng(0).normal(size=(20, 48, 40, 40)).astype(np.float32)
    way = WayBack(Grid(shape, np.eye(4)), (0, 0, 0), shape, (48, 40, 40))

    tracemalloc.start()
    steps.restore([logits], way, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 0.15 * 20 * 96 * 40 * 40 * 4


def test_thick_slices_are_interpolated_within_the_slice_alone_there_and_back() -> None:
    grid = Grid((8, 8, 4), np.diag([1, 1, 5, 1]))
    thick = recipe(spacing_mm=(0.5, 0.5, 2.5), thick_ratio=3)
    array = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype(np.float32)

    way = steps.plan_way(array, grid, thick)
    image = steps.resample(array, way, 3)

    assert (way.thick_axis, way.shape) == (2, (16, 16, 8))
    np.testing.assert_array_equal(image[..., 0::2], image[..., 1::2])
    logits = one_hot(blocks((16, 16, 8)))
    back = steps.restore([logits], way, LABELS).segmentation
    nearest = logits[..., 1::2]  # of two slices as near the upper one
    np.testing.assert_array_equal(
        back, np.array([0, 3, 7])[resample_image(steps.activate(nearest, LABELS), (8, 8, 4), 1).argmax(axis=0)]
    )


def test_a_recipe_of_old_has_no_thick_slices() -> None:
    grid = Grid((8, 8, 4), np.diag([1, 1, 5, 1]))

    assert steps.plan_way(np.ones((1, 8, 8, 4)), grid, recipe()).orders(3) == (3, 3, 3)


def test_thin_scans_in_a_set_of_thick_ones_are_interpolated_along_every_axis() -> None:
    grid = Grid((8, 8, 4), np.diag([1, 1, 2, 1]))
    way = steps.plan_way(np.ones((1, 8, 8, 4)), grid, recipe(spacing_mm=(1, 1, 2.5), thick_ratio=3))

    assert way.thick_axis is None


@pytest.mark.parametrize(("across", "orders"), [("nearest", (3, 3, 0)), ("linear", (3, 3, 1))])
def test_across_thick_slices_is_as_chosen(across, orders) -> None:
    grid = Grid((8, 8, 4), np.diag([1, 1, 5, 1]))
    way = steps.plan_way(np.ones((1, 8, 8, 4)), grid, recipe(thick_ratio=3, thick_across=across))

    assert way.orders(3) == orders
    assert way.orders(0) == (0, 0, 0)


def test_a_target_is_interpolated_as_chosen() -> None:
    label_map = np.array([7, 0, 0, 0], np.uint8).reshape(4, 1, 1)
    way = WayBack(Grid((4, 1, 1), np.eye(4)), (0, 0, 0), (4, 1, 1), (2, 1, 1))

    assert steps.resample_target(label_map, way).ravel().tolist() == [0, 0]
    assert steps.resample_target(label_map, way, "linear").ravel().tolist() == [7, 0]
    assert steps.resample_target(label_map, replace(way, thick_axis=0), "linear").ravel().tolist() == [0, 0]


def test_a_volume_is_cropped_resampled_and_stays_in_place():
    array = np.zeros((1, 20, 20, 10), np.float32)
    array[:, 4:12, 6:16, 2:8] = 1 + np.random.default_rng(0).random((1, 8, 10, 6))
    volume = Volume(array, Grid((20, 20, 10), np.diag([1, 1, 2, 1])))

    prepared = prepare_volume(volume, ("MRI",), recipe(crop="nonzero"))

    assert prepared.image.shape == (1, 8, 10, 12)
    assert prepared.grid.spacing_mm == (1, 1, 1)
    np.testing.assert_allclose(prepared.grid.affine[:3, 3], [4, 6, 3.5])


def test_the_way_back_survives_json():
    way = WayBack(Grid((20, 20, 10), np.diag([1, 1, 2, 1])), (4, 6, 2), (8, 10, 6), (8, 10, 12), 2, "linear")

    again = WayBack.from_dict(json.loads(json.dumps(way.to_dict())))

    assert (again.crop_start, again.crop_shape, again.shape) == (way.crop_start, way.crop_shape, way.shape)
    assert (again.thick_axis, again.thick_across) == (2, "linear")
    assert again.source.matches(way.source)


def test_a_way_back_written_before_thick_slices_has_none() -> None:
    way = WayBack(Grid((2, 2, 2), np.eye(4)), (0, 0, 0), (2, 2, 2), (2, 2, 2))
    content = {key: value for key, value in way.to_dict().items() if "thick" not in key}

    assert WayBack.from_dict(content).thick_axis is None


def test_a_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="1 channels were given where FLAIR, T1 are needed"):
        prepare_volume(Volume(np.zeros((1, 2, 2, 2)), Grid((2, 2, 2), np.eye(4))), ("FLAIR", "T1"), recipe())


def test_centres_that_stay_lead_there_and_back_to_the_same_voxels():
    """Voxel i of the new grid is voxel 2 i of the old; on the way back the others lie halfway."""
    grid = Grid((5, 3, 1), np.diag([1.0, 1.0, 4.0, 1.0]))
    ramp = np.arange(15, dtype=np.float32).reshape(1, 5, 3, 1)

    chosen = recipe(spacing_mm=(2, 0, 0), keeps="centres", image_order=1)
    prepared = prepare_volume(Volume(ramp, grid), ("MRI",), chosen)

    assert prepared.image.tolist() == ramp[:, ::2].tolist()
    assert prepared.grid.spacing_mm == (2, 1, 4)
    assert WayBack.from_dict(json.loads(json.dumps(prepared.way_back.to_dict()))).ticks == prepared.way_back.ticks
    there = prepared.way_back.ticks_back
    assert resample_image(prepared.image, (5, 3, 1), 1, ticks=there).tolist() == ramp.tolist()


def test_values_may_be_normalised_after_they_were_interpolated():
    """Clipping first would give 0.5 in the middle; interpolated first it is 5, which is clipped to 1."""
    grid, values = Grid((2, 1, 1), np.eye(4)), np.array([0, 10], np.float32).reshape(1, 2, 1, 1)
    rule = {"normalisation": {"MRI": "ct"}, "intensity": {"MRI": {"low": 0, "high": 1, "mean": 0, "std": 1}}}
    chosen = {"spacing_mm": (0.5, 0, 0), "keeps": "centres", "image_order": 1, **rule}

    first = prepare_volume(Volume(values, grid), ("MRI",), recipe(**chosen)).image.ravel()
    last = prepare_volume(Volume(values, grid), ("MRI",), recipe(**chosen, normalise_on="resampled")).image.ravel()

    assert first.tolist() == [0, 0.5, 1]
    assert last.tolist() == [0, 1, 1]


def test_the_border_where_nothing_is_above_0_is_cut():
    values = -np.ones((1, 5, 4, 3), np.float32)
    values[0, 1:3, 2, 1] = 7

    way = prepare_volume(Volume(values, Grid((5, 4, 3), np.eye(4))), ("MRI",), recipe(crop="positive")).way_back

    assert (way.crop_start, way.crop_shape) == ((1, 2, 1), (2, 1, 1))


def test_monai_interpolates_the_probability_of_a_region_and_not_its_logit():
    """From a logit of 8 to one of -2 the logit is above 0 for 0.8 of the way, the probability above half for 0.57."""
    labels = Labels(names={"a": 1}, regions={"a": (1,)}, paint=(1,))
    way = WayBack(Grid((11, 1, 1), np.eye(4)), (0, 0, 0), (11, 1, 1), (2, 1, 1), ticks=((0, 10), (0, 1), (0, 1)))
    logits = np.array([8, -2], np.float32).reshape(1, 2, 1, 1)

    of_logits = steps.restore([logits], way, labels).segmentation
    of_probabilities = steps.restore([logits], way, labels, "monai").segmentation

    assert of_logits.ravel().tolist() == [1] * 8 + [0] * 3
    assert of_probabilities.ravel().tolist() == [1] * 6 + [0] * 5


def test_a_size_is_kept_whatever_the_spacing_and_the_way_back_ends_on_the_scan():
    from neuraxis.dataset.labels import Labels
    from neuraxis.preparation.prepare import prepare_volume
    from neuraxis.preparation.steps import restore
    from neuraxis.recipe.preparation import PreparationRecipe
    from neuraxis.volume.grid import Grid
    from neuraxis.volume.volume import Volume

    labels = Labels(names={"background": 0, "ball": 1})
    recipe = PreparationRecipe(spacing_mm=(1.0, 1.0, 2.0), normalisation={"T1": "none"}, size=(32, 32, 0))
    for shape, spacing in (((40, 50, 9), (1.0, 1.0, 4.0)), ((70, 64, 12), (0.5, 0.7, 2.0))):
        x, y, _ = np.indices(shape)
        ball = (((x - shape[0] / 2) / 12) ** 2 + ((y - shape[1] / 2) / 14) ** 2 < 1).astype(np.int16)
        volume = Volume(ball[None].astype(np.float32), Grid(shape, np.diag([*spacing, 1.0])))
        prepared = prepare_volume(volume, ("T1",), recipe, ball, labels)
        assert prepared.image.shape == (1, 32, 32, round(shape[2] * spacing[2] / 2))
        logits = np.stack([1 - 2.0 * prepared.target[0], 2.0 * prepared.target[0] - 1]).astype(np.float32)
        found = restore([logits], prepared.way_back, labels).segmentation
        assert found.shape == shape
        assert 2 * (found & ball).sum() / (found.sum() + ball.sum()) > 0.95
