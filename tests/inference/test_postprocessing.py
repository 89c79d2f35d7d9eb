"""Rules for the finished segmentation, against slow code that follows their words."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.inference.postprocessing import Change, postprocess
from neuraxis.inference.predictor import Predictor
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

TWO = Labels(names={"background": 0, "cord": 1, "lesion": 2})
TUMOUR = Labels(
    names={"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3},
    regions={"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)},
    paint=(2, 1, 3),
)
FACES = [step for step in itertools.product((-1, 0, 1), repeat=3) if sum(map(abs, step)) == 1]
CORNERS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def reached(voxels, first, steps):
    """Return what of a set of voxels can be reached from one of them."""
    found, open_ends = {first}, [first]
    while open_ends:
        here = open_ends.pop()
        for step in steps:
            there = tuple(a + b for a, b in zip(here, step, strict=True))
            if there in voxels and there not in found:
                found.add(there)
                open_ends.append(there)
    return found


def parts(voxels, steps):
    left, found = set(voxels), []
    while left:
        found.append(reached(left, min(left), steps))
        left -= found[-1]
    return found


def slowly(label_map, numbers, rules, name, voxel_mm3):
    """Apply one plain label's rules, voxel by voxel."""
    after, number = label_map.copy(), numbers[name]
    if name in rules.fill_holes:
        ranges = [range(size) if size == 1 else range(-1, size + 1) for size in after.shape]
        on = {tuple(voxel) for voxel in np.argwhere(after == number)}
        off = {voxel for voxel in itertools.product(*ranges) if voxel not in on}
        ends = itertools.product(*((span[0], span[-1]) for span in ranges))
        out = set().union(*(reached(off, end, FACES) for end in ends if end in off))
        for voxel in (off - out) & set(np.ndindex(after.shape)):
            after[voxel] = number if after[voxel] == 0 else after[voxel]
    found = parts({tuple(voxel) for voxel in np.argwhere(after == number)}, CORNERS)
    most = max(found, key=lambda part: (len(part), [-place for place in min(part)]), default=set())
    for part in found:
        too_small = len(part) * voxel_mm3 < rules.min_volume_mm3.get(name, 0)
        if too_small or (name in rules.largest and len(part) < len(most)):
            for voxel in part:
                after[voxel] = 0
    return after


@pytest.mark.parametrize("shape", [(7, 6, 5), (12, 11, 1), (1, 9, 9), (8, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize(
    "rules",
    [
        PostprocessingRecipe(fill_holes=("cord",)),
        PostprocessingRecipe(min_volume_mm3={"lesion": 4.5}),
        PostprocessingRecipe(fill_holes=("cord", "lesion"), min_volume_mm3={"cord": 3.0, "lesion": 7.5}),
    ],
)
def test_the_rules_do_what_their_words_say(shape, rules):
    for seed in range(8):
        draws = np.random.default_rng(seed)
        label_map = draws.choice([0, 1, 2], shape, p=[[0.6, 0.2, 0.2], [0.3, 0.6, 0.1]][seed % 2]).astype(np.uint8)
        before, expected = label_map.copy(), label_map
        for name in ("cord", "lesion"):
            expected = slowly(expected, TWO.names, rules, name, 1.5)

        after, changes = postprocess(label_map, TWO, rules, 1.5)

        np.testing.assert_array_equal(after, expected)
        np.testing.assert_array_equal(label_map, before)
        assert set(changes) == set(rules.structures)
        gained = sum(change.filled_voxels for change in changes.values())
        lost = sum(change.removed_voxels for change in changes.values())
        assert gained - lost == np.count_nonzero(after) - np.count_nonzero(label_map)


def test_the_largest_component_alone_stays_and_of_equal_ones_the_first():
    for seed in range(40):
        label_map = np.random.default_rng(seed).choice([0, 1], (8, 7, 6), p=[0.88, 0.12]).astype(np.uint8)
        found = parts({tuple(voxel) for voxel in np.argwhere(label_map)}, CORNERS)
        largest = [part for part in found if len(part) == max(map(len, found))]

        after, changes = postprocess(label_map, TWO, PostprocessingRecipe(largest=("cord",)), 1.0)

        assert {tuple(voxel) for voxel in np.argwhere(after)} in largest
        assert changes["cord"].removed_components == len(found) - 1


def test_another_label_inside_a_hole_stays_and_the_background_around_it_is_filled():
    label_map = np.zeros((7, 7, 7), np.uint8)
    label_map[1:6, 1:6, 1:6] = 1
    label_map[2:5, 2:5, 2:5] = 0
    label_map[3, 3, 3] = 2

    after, changes = postprocess(label_map, TWO, PostprocessingRecipe(fill_holes=("cord",)), 1.0)

    assert after[3, 3, 3] == 2
    assert changes == {"cord": Change(filled_voxels=26)}
    assert (after == 1).sum() == 5**3 - 1


def test_a_cavity_open_to_the_edge_of_the_scan_is_no_hole():
    label_map = np.ones((3, 3, 3), np.uint8)
    label_map[1, 1, :2] = 0

    after, _ = postprocess(label_map, TWO, PostprocessingRecipe(fill_holes=("cord",)), 1.0)

    np.testing.assert_array_equal(after, label_map)


def test_a_picture_has_holes_in_its_plane():
    ring = np.zeros((5, 5, 1), np.uint8)
    ring[1:4, 1:4] = 1
    ring[2, 2] = 0
    rules = PostprocessingRecipe(fill_holes=("cord",))

    assert postprocess(ring, TWO, rules, 1.0)[0][2, 2, 0] == 1
    assert postprocess(np.pad(ring, ((0, 0), (0, 0), (1, 1))), TWO, rules, 1.0)[0][2, 2, 1] == 0


def test_a_component_of_exactly_the_least_volume_stays():
    label_map = np.zeros((8, 3, 3), np.uint8)
    label_map[1:4, 1, 1] = 2
    label_map[6:8, 1, 1] = 2

    after, changes = postprocess(label_map, TWO, PostprocessingRecipe(min_volume_mm3={"lesion": 3 * 0.7}), 0.7)

    assert changes == {"lesion": Change(removed_components=1, removed_voxels=2)}
    assert (after == 2).sum() == 3


def test_what_a_region_loses_stays_in_the_regions_around_it():
    label_map = np.full((9, 5, 5), 2, np.uint8)
    label_map[1:4, 2, 2] = 1
    label_map[2, 2, 2] = 3
    label_map[7, 2, 2] = 3

    core, _ = postprocess(label_map, TUMOUR, PostprocessingRecipe(largest=("core",)), 1.0)
    enhancing, _ = postprocess(label_map, TUMOUR, PostprocessingRecipe(largest=("enhancing",)), 1.0)

    assert core[:, 2, 2].tolist() == [2, 1, 3, 1, 2, 2, 2, 2, 2]
    assert enhancing[:, 2, 2].tolist() == [2, 1, 3, 1, 2, 2, 2, 1, 2]


def test_a_hole_of_an_inner_region_is_filled_from_the_outer_one():
    label_map = np.full((7, 7, 7), 2, np.uint8)
    label_map[1:6, 1:6, 1:6] = 1
    label_map[3, 3, 3] = 2

    after, changes = postprocess(label_map, TUMOUR, PostprocessingRecipe(fill_holes=("core",)), 1.0)

    assert after[3, 3, 3] == 1
    assert changes["core"].filled_voxels == 1


def test_the_whole_region_goes_with_all_that_is_in_it():
    label_map = np.zeros((9, 3, 3), np.uint8)
    label_map[0:4, 1, 1] = (2, 1, 3, 2)
    label_map[6:8, 1, 1] = (1, 3)

    after, _ = postprocess(label_map, TUMOUR, PostprocessingRecipe(largest=("whole",)), 1.0)

    assert after[:, 1, 1].tolist() == [2, 1, 3, 2, 0, 0, 0, 0, 0]


def brighter_than_5(windows):
    return np.stack([np.full_like(windows[:, 0], 5), windows[:, 0]], axis=1)


def test_a_prediction_is_post_processed_on_the_scans_grid_and_its_sidecar_says_so(model, arithmetic, tmp_path):
    array = np.zeros((1, 10, 8, 8), np.float32)
    array[0, 2:5, 2:5, 2:5] = 9
    array[0, 8, 6, 6] = 9
    grid = Grid(array.shape[1:], np.diag([1.0, 1.0, 2.0, 1.0]))
    scan = Volume(array, grid, Stored.of(grid), "scan.nii.gz")
    bundle = model(postprocessing={"min_volume_mm3": {"lesion": 5.0}}, preparation={"spacing_mm": [1, 1, 1]})

    found = Predictor(bundle, runtimes=[arithmetic(brighter_than_5)]).predict(scan)
    plain = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).predict(scan)

    assert (plain.segmentation.array != found.segmentation.array).sum() > 0
    assert found.segmentation.array[0, 8, 6, 6] == 0
    assert found.segmentation.array[0, 3, 3, 3] == 1
    found.save(tmp_path / "a.nii.gz")
    told = json.loads((tmp_path / "a.json").read_text())["postprocessing"]
    assert told["rules"] == ["remove components of lesion below 5 mm3"]
    assert told["changes"]["lesion"]["removed_components"] == 1
    assert "postprocessing" not in plain.sidecar()


def test_a_prediction_of_vertebrae_is_named_in_order_and_says_what_the_scan_does_not_show(model, arithmetic):
    labels = Labels(names={"background": 0, "C1": 1, "C2": 2, "C3": 3, "C4": 4}, ignore=9)
    array = np.zeros((1, 8, 8, 80), np.float32)
    for label, bottom in ((1, 60), (3, 42), (2, 24)):
        array[0, 2:6, 2:6, bottom : bottom + 10] = label
    grid = Grid(array.shape[1:], np.eye(4))
    bundle = model(labels, postprocessing={"ordered": ["C1", "C2", "C3", "C4"]})

    def stored(windows):
        return np.concatenate([(windows == label) * 20.0 for label in range(5)], axis=1)

    found = Predictor(bundle, runtimes=[arithmetic(stored)]).predict(Volume(array, grid, Stored.of(grid), "neck"))

    assert found.segmentation.array[0, 3, 3, [65, 47, 29]].tolist() == [1, 2, 3]
    said = found.sidecar()["postprocessing"]["order"]["vertebrae"]
    assert [one["network_said"] for one in said] == [{"C1": 1.0}, {"C3": 1.0}, {"C2": 1.0}]
    assert found.warnings[-1] == "Vertebrae C1 to C3 were found; C4 was not found below."
