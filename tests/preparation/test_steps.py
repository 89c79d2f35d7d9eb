"""Each step of preparation and its way back."""

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.preparation import steps
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import IntensityStatistics, PreparationRecipe
from neuraxis.volume.grid import Grid
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


def test_pasting_is_the_inverse_of_cutting():
    array = np.random.default_rng(0).random((2, 6, 5, 4))
    way = WayBack(Grid((6, 5, 4), np.eye(4)), (1, 0, 2), (3, 5, 2), (3, 5, 2))

    back = steps.paste(steps.cut(array, way), way, fill=-1)

    np.testing.assert_array_equal(back[:, 1:4, :, 2:4], array[:, 1:4, :, 2:4])
    assert (np.delete(back, [1, 2, 3], axis=1) == -1).all()


def test_a_segmentation_returns_exactly_without_resampling():
    label_map = blocks((9, 8, 7))
    way = WayBack(Grid((12, 8, 7), np.eye(4)), (2, 0, 0), (9, 8, 7), (9, 8, 7))

    restored = steps.restore_segmentation(one_hot(label_map), way, LABELS)

    assert restored.shape == (12, 8, 7)
    np.testing.assert_array_equal(restored[2:11], label_map)
    assert not restored[:2].any()


def test_a_segmentation_returns_from_finer_voxels():
    label_map = blocks((9, 8, 7))
    way = WayBack(Grid((9, 8, 7), np.eye(4)), (0, 0, 0), (9, 8, 7), (18, 16, 14))
    fine = label_map.repeat(2, 0).repeat(2, 1).repeat(2, 2)

    np.testing.assert_array_equal(steps.restore_segmentation(one_hot(fine), way, LABELS), label_map)


def test_probabilities_are_background_outside_the_box_and_sum_to_one():
    way = WayBack(Grid((5, 4, 4), np.eye(4)), (1, 0, 0), (3, 4, 4), (3, 4, 4))
    logits = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)

    probability = steps.restore_probability(logits, way, LABELS)

    np.testing.assert_allclose(probability.sum(axis=0, dtype=np.float32), 1, atol=2e-3)
    assert (probability[0, 0] == 1).all()


def test_overlapping_regions_are_painted_in_their_order():
    tumour = Labels(
        names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2)
    )
    way = WayBack(Grid((3, 1, 1), np.eye(4)), (0, 0, 0), (3, 1, 1), (3, 1, 1))
    logits = np.array([[-9, 9, 9], [-9, -9, 9]], np.float32).reshape(2, 3, 1, 1)

    assert steps.restore_segmentation(logits, way, tumour).ravel().tolist() == [0, 1, 2]


def test_zscore_gives_mean_0_and_sd_1_and_survives_a_constant():
    normalised = steps.normalise(np.random.default_rng(0).normal(500, 40, (8, 8, 8)), "zscore")

    assert float(normalised.mean()) == pytest.approx(0, abs=1e-5)
    assert float(normalised.std()) == pytest.approx(1, abs=1e-5)
    assert not steps.normalise(np.full((2, 2, 2), 7.0), "zscore").any()


def test_zscore_of_huge_values_loses_nothing():
    values = np.array([1e6, 1e6 + 1, 1e6 + 2], np.float32).reshape(3, 1, 1)

    np.testing.assert_allclose(steps.normalise(values, "zscore").ravel(), [-1.2247, 0, 1.2247], atol=1e-3)


def test_zscore_nonzero_leaves_the_background_at_zero():
    image = np.zeros((4, 1, 1))
    image[2:, 0, 0] = [10, 20]

    assert steps.normalise(image, "zscore_nonzero").ravel().tolist() == [0, 0, -1, 1]


def test_ct_is_clipped_and_scaled_by_the_statistics_of_the_data():
    statistics = IntensityStatistics(low=-100, high=300, mean=50, std=100)

    assert steps.normalise(np.array([[[-1000.0, 150, 900]]]), "ct", statistics).ravel().tolist() == [-1.5, 1, 2.5]


def test_percentile_scales_to_0_to_1():
    normalised = steps.normalise(np.linspace(-3, 7, 1000).reshape(10, 10, 10), "percentile")

    assert (float(normalised.min()), float(normalised.max())) == (0, 1)


def test_a_volume_is_cropped_resampled_and_stays_in_place():
    array = np.zeros((1, 20, 20, 10), np.float32)
    array[:, 4:12, 6:16, 2:8] = 1 + np.random.default_rng(0).random((1, 8, 10, 6))
    volume = Volume(array, Grid((20, 20, 10), np.diag([1, 1, 2, 1])))

    prepared = prepare_volume(volume, ("MRI",), recipe(crop="nonzero"))

    assert prepared.image.shape == (1, 8, 10, 12)
    assert prepared.grid.spacing_mm == (1, 1, 1)
    np.testing.assert_allclose(prepared.grid.affine[:3, 3], [4, 6, 3.5])


def test_the_way_back_survives_json():
    way = WayBack(Grid((20, 20, 10), np.diag([1, 1, 2, 1])), (4, 6, 2), (8, 10, 6), (8, 10, 12))

    again = WayBack.from_dict(way.to_dict())

    assert (again.crop_start, again.crop_shape, again.shape) == (way.crop_start, way.crop_shape, way.shape)
    assert again.source.matches(way.source)


def test_a_wrong_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="1 channels were given where FLAIR, T1 are needed"):
        prepare_volume(Volume(np.zeros((1, 2, 2, 2)), Grid((2, 2, 2), np.eye(4))), ("FLAIR", "T1"), recipe())
