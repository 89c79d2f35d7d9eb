import numpy as np
import pytest

from neuraxis.preparation.space.bias import correct_bias
from neuraxis.preparation.space.brain import find_brain, volume_warning
from neuraxis.volume.grid import Grid


@pytest.mark.parametrize(("channel", "least"), [(0, 0.85), (1, 0.85), (2, 0.75)])
def test_the_brain_of_a_phantom_is_found_in_each_contrast(head, channel, least):
    scans, brain = head
    found = find_brain(scans[channel].array[0], scans[channel].grid)
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > least
    assert volume_warning(found, scans[channel].grid) == ""


def test_a_brain_that_was_cut_out_already_is_kept_as_it_is(head):
    scans, brain = head
    cut_out = scans[1].array[0] * brain
    np.testing.assert_array_equal(find_brain(cut_out, scans[1].grid), cut_out != 0)


def test_a_volume_that_no_adult_has_is_told():
    mask = np.ones((10, 10, 10), bool)
    assert volume_warning(mask, Grid((10, 10, 10), 5 * np.eye(4))) == (
        "the extracted brain has 125 mL, where an adult's has 800 to 2000"
    )


def test_n4_takes_much_of_a_known_shading_out_and_keeps_the_mean(head):
    pytest.importorskip("SimpleITK")
    scans, brain = head
    image = scans[1].array[0]
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, size) for size in image.shape], indexing="ij")
    field = np.exp(0.4 * x + 0.3 * y * z - 0.2 * z**2).astype(np.float32)
    plain, shaded = (correct_bias(each, scans[1].grid) for each in (image, image * field))
    left = np.log(shaded[brain] / np.maximum(plain[brain], 1e-3))
    assert left.std() < 0.65 * np.log(field[brain]).std()
    assert shaded[brain].mean() == pytest.approx((image * field)[brain].mean(), rel=0.1)


def test_a_constant_channel_and_a_picture_stay_as_they_are():
    pytest.importorskip("SimpleITK")
    for shape in ((12, 12, 12), (30, 30, 1)):
        array = np.full(shape, 7.0)
        np.testing.assert_array_equal(correct_bias(array, Grid(shape, np.eye(4))), array)
