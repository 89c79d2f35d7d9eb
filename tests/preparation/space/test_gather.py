import json
from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.prepared import WayBack
from neuraxis.preparation.space.gather import gather
from neuraxis.preparation.steps import restore
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.registration.resample import resample_onto
from neuraxis.registration.search import about, rotation, shifted
from neuraxis.registration.template import read_template
from neuraxis.registration.transform import Transform
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

CHANNELS = ("T1", "FLAIR")
ELSEWHERE = Grid((90, 100, 50), np.array([[2.2, 0, 0, -100], [0, 2.2, 0, -125], [0, 0, 3.9, -98], [0, 0, 0, 1.0]]))
MOVED = about(np.zeros(3), rotation(np.radians([3, -4, 5]))).then(Transform(shifted(np.array([4.0, -3.0, 5.0]))))
LABELS = Labels(names={"background": 0, "brain": 1})


def recipe(**values):
    usual = {"spacing_mm": (0.0, 0.0, 0.0), "normalisation": dict.fromkeys(CHANNELS, "none"), "image_order": 1}
    return PreparationRecipe(**{**usual, **values})


@pytest.fixture(scope="module")
def scan(head):
    """T1 that was moved, on a grid of its own, and FLAIR."""
    (flair, t1, _), _ = head
    t1 = resample_onto(t1, ELSEWHERE, MOVED, 1)
    return replace(t1, name="head", apart=(t1, flair))


def _likeness(one, other):
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_channels_come_onto_the_grid_of_the_reference(scan, head):
    pytest.importorskip("SimpleITK")
    (flair, t1, _), _ = head
    found = gather(scan, CHANNELS, recipe(space="channel", reference_channel="FLAIR", registration="rigid"))
    assert found.volume.grid is flair.grid
    assert found.to_native is None
    assert found.warnings == ()
    np.testing.assert_array_equal(found.volume.array[1], flair.array[0])
    by_header = gather(scan, CHANNELS, recipe(space="channel", reference_channel="FLAIR"))
    assert _likeness(found.volume.array[0], t1.array[0]) > 0.97
    assert _likeness(by_header.volume.array[0], t1.array[0]) < 0.9


def test_without_a_recipe_for_it_channels_apart_are_refused(scan):
    with pytest.raises(DataError, match=r"head: 'FLAIR' and 'T1' do not share a grid.*preparation.space = 'channel'"):
        prepare_volume(scan, CHANNELS, recipe())


def test_a_channel_that_cannot_be_registered_keeps_its_place_with_a_warning(scan, head):
    pytest.importorskip("SimpleITK")
    (flair, _, _), _ = head
    noise = Volume(
        np.random.default_rng(0).uniform(0, 9, (1, 40, 40, 40)).astype(np.float32), Grid((40,) * 3, 4 * np.eye(4))
    )
    odd = replace(scan, apart=(noise, flair))
    prepared = prepare_volume(odd, CHANNELS, recipe(space="channel", reference_channel="FLAIR", registration="rigid"))
    assert "Channel 'T1' could not be registered to 'FLAIR'" in prepared.warnings[0]


def test_brain_extraction_leaves_zeros_around_the_brain_in_every_channel(scan, head):
    _, brain = head
    found = gather(scan, CHANNELS, recipe(space="channel", reference_channel="FLAIR", brain_extraction="morphological"))
    kept = found.volume.array[1] != 0
    assert 2 * (kept & brain).sum() / (kept.sum() + brain.sum()) > 0.85
    assert not found.volume.array[0][~kept].any()


@pytest.fixture(scope="module")
def template(head, tmp_path_factory):
    (_, t1, _), _ = head
    turned = about(np.zeros(3), rotation(np.radians([8, 0, -6])) @ np.diag([1.05, 0.97, 1.0]))
    grid = Grid((84, 96, 84), np.array([[2.4, 0, 0, -100], [0, 2.4, 0, -130], [0, 0, 2.4, -102], [0, 0, 0, 1.0]]))
    path = tmp_path_factory.mktemp("template") / "template.nii.gz"
    moved = resample_onto(t1, grid, turned, 1)
    any_format.write(path, moved.with_array(moved.array.astype(np.int16)))
    return read_template(path), turned


def test_through_a_template_and_back_a_label_map_lies_where_it_was(scan, head, template):
    pytest.importorskip("SimpleITK")
    (flair, _, _), brain = head
    chosen = recipe(
        space="template",
        reference_channel="FLAIR",
        registration="affine",
        template="template.nii.gz",
        template_copy=template[0].to_text(),
        crop="nonzero",
        size=(0, 0, 60),
    )
    prepared = prepare_volume(scan, CHANNELS, chosen, brain.astype(np.int16), LABELS)
    way = prepared.way_back
    assert way.source.matches(template[0].grid)
    assert prepared.image.shape[3] == 60
    centre = np.append(np.argwhere(brain).mean(axis=0), 1)
    expected = template[1].apply((flair.grid.affine @ centre)[None, :3])[0]
    there = way.grid.affine @ np.append(np.argwhere(prepared.target[0]).mean(axis=0), 1)
    np.testing.assert_allclose(there[:3], expected, atol=1.5)
    again = WayBack.from_dict(json.loads(json.dumps(way.to_dict())))
    logits = np.stack([4.0 - 8 * prepared.target[0], 8.0 * prepared.target[0] - 4]).astype(np.float32)
    for one in (way, again):
        found = restore([logits[:, :30], logits[:, 30:]], one, LABELS, probabilities=True)
        assert found.segmentation.shape == flair.grid.shape
        assert found.probability.shape == (2, *flair.grid.shape)
        assert 2 * (found.segmentation & brain).sum() / (found.segmentation.sum() + brain.sum()) > 0.97
    np.testing.assert_allclose(found.probability.sum(axis=0), 1, atol=0.01)


def test_a_scan_that_does_not_fit_the_template_is_refused(template):
    pytest.importorskip("SimpleITK")
    noise = np.random.default_rng(0).uniform(0, 9, (2, 40, 40, 40)).astype(np.float32)
    chosen = recipe(space="template", registration="rigid", template="t", template_copy=template[0].to_text())
    with pytest.raises(DataError, match="noise: could not be laid onto the template: "):
        gather(Volume(noise, Grid((40,) * 3, 4 * np.eye(4)), name="noise"), CHANNELS, chosen)


def test_regions_return_home_from_a_template_by_their_probability():
    grid, native = Grid((4, 4, 4), np.eye(4)), Grid((8, 4, 4), np.diag([1.0, 1, 1, 1]))
    labels = Labels(names={"background": 0, "a": 1, "b": 2}, regions={"whole": (1, 2), "core": (2,)})
    way = WayBack(
        grid, (0, 0, 0), grid.shape, grid.shape, native=native, to_native=Transform(shifted(np.array([2.0, 0, 0])))
    )
    logits = np.full((2, 4, 4, 4), -5, np.float32)
    logits[0, 1:3] = 5
    logits[1, 2] = 5
    found = restore([logits], way, labels)
    np.testing.assert_array_equal(found.segmentation[:, 0, 0], [0, 0, 0, 1, 2, 0, 0, 0])


def test_nothing_is_done_to_a_scan_where_nothing_is_asked():
    volume = Volume(np.zeros((2, 3, 4, 5), np.float32), Grid((3, 4, 5), np.eye(4)))
    assert gather(volume, CHANNELS, recipe()).volume is volume
