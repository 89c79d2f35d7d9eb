from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
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


@pytest.fixture(scope="module")
def unshaded():
    """T1 of a phantom's head from a coil without any shading, and where its brain is (X, Y, Z)."""
    site, spacing = replace(SITES[0], bias=0.0), (2.5, 2.5, 2.5)
    images = make_phantom(site, 3, 1, PhantomOptions(skull=True, spacing_mm=spacing)).images
    cut_out = make_phantom(site, 3, 1, PhantomOptions(spacing_mm=spacing, shape=images.grid.shape)).images
    return images.with_array(images.array[1:2].astype("float32")), (cut_out.array != 0).any(axis=0)


def left_of_it(corrected, image, brain):
    """SD of the logarithm of what lies over the image within the brain."""
    return np.log(np.maximum(corrected[brain], 1e-3) / np.maximum(image[brain], 1e-3)).std()


def test_n4_takes_most_of_a_known_shading_out_and_keeps_the_mean(unshaded):
    pytest.importorskip("SimpleITK")
    scan, brain = unshaded
    image = scan.array[0]
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, size) for size in image.shape], indexing="ij")
    field = np.exp(0.4 * x + 0.3 * y * z - 0.2 * z**2).astype(np.float32)
    corrected = correct_bias(image * field, scan.grid)
    assert left_of_it(corrected, image, brain) < 0.3 * np.log(field[brain]).std()
    assert corrected[brain].mean() == pytest.approx((image * field)[brain].mean(), rel=0.1)


def test_n4_adds_next_to_no_shading_where_there_is_none(unshaded):
    pytest.importorskip("SimpleITK")
    scan, brain = unshaded
    assert left_of_it(correct_bias(scan.array[0], scan.grid), scan.array[0], brain) < 0.02


def test_a_constant_channel_and_a_picture_stay_as_they_are():
    pytest.importorskip("SimpleITK")
    for shape in ((12, 12, 12), (30, 30, 1)):
        array = np.full(shape, 7.0)
        np.testing.assert_array_equal(correct_bias(array, Grid(shape, np.eye(4))), array)
