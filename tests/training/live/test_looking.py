"""A prediction by the network as it stands, of the whole scan or of a part."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuraxis.dataset.labels import Labels
from neuraxis.inference.tiling import Tiling
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.recipe import InferenceRecipe
from neuraxis.training.live.looking import LiveRuntime, choose_extent, look
from neuraxis.training.live.subjects import Focus, Subject
from neuraxis.volume.grid import Grid

LABELS = Labels(names={"background": 0, "bright": 4})
SHAPE = (12, 8, 8)


class Threshold(torch.nn.Module):
    """Calls every voxel above 0 bright; counts in batch normalisation whether it was left in training."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm3d(1, affine=False, momentum=1.0)

    def forward(self, image):
        self.norm(image)
        return torch.cat([-image, image], dim=1)


def tiling(**how):
    return Tiling((4, 4, 4), LABELS, InferenceRecipe(**how), "a test")


def case(role="held out"):
    image = np.full((1, *SHAPE), -1.0, np.float32)
    image[0, 5:9, 2:6, 3] = 1.0
    target = (image > 0).astype(np.uint8)
    target[0, 5] = 0  # one of four rows is false
    way = WayBack(Grid(SHAPE, np.eye(4)), (0, 0, 0), SHAPE, SHAPE)

    def read(box):
        return image[(slice(None), *box)], None if role == "unlabelled" else target[(slice(None), *box)]

    return Subject("a", role, way, read, "axial")


def runtime(network=None):
    return LiveRuntime(network or Threshold(), torch.device("cpu"), in_half=False)


def extent(passes, **how):
    return choose_extent(SHAPE, tiling(**how), Focus((7, 4, 3)), 2, passes)


def test_the_whole_scan_is_predicted_where_there_is_time():
    seen = look(case(), extent(1000), Focus((7, 4, 3)), tiling(), runtime())

    assert seen.extent.is_whole
    assert seen.label_map.shape == SHAPE
    assert np.unique(seen.label_map).tolist() == [0, 4]
    assert seen.dice == pytest.approx(2 * 12 / (12 + 16))
    assert sum(int((found == 4).sum()) for found in seen.windows.values()) >= 16


@pytest.mark.parametrize(
    ("passes", "how", "words", "box"),
    [
        (45, {}, "the whole scan", (12, 8, 8)),
        (44, {}, "4 slices around this one", (12, 8, 4)),
        (15, {}, "4 slices around this one", (12, 8, 4)),
        (14, {}, "one window", (4, 4, 4)),
        (0, {}, "one window", (4, 4, 4)),
        (90, {"mirror_axes": (0,)}, "the whole scan", (12, 8, 8)),
        (89, {"mirror_axes": (0,)}, "the whole scan, without mirroring", (12, 8, 8)),
    ],
)
def test_less_time_shows_a_part(passes, how, words, box):
    chosen = extent(passes, **how)
    network = runtime()
    seen = look(case(), chosen, Focus((7, 4, 3)), tiling(**how), network)

    assert chosen.words == words
    assert seen.label_map.shape == box
    assert network.passes <= max(1, passes)


def test_the_windows_on_the_slice_are_those_in_whose_middle_it_lies_best():
    seen = look(case(), extent(1000), Focus((7, 4, 3)), tiling(), runtime())

    assert {start[2] for start in seen.windows} == {2}
    assert {found.shape for found in seen.windows.values()} == {(4, 4, 1)}


def test_the_network_is_left_as_it_was_and_no_random_number_is_drawn():
    network = Threshold().train()
    before, state = network.norm.running_mean.clone(), torch.get_rng_state()

    look(case(), extent(0), Focus((7, 4, 3)), tiling(), runtime(network))

    assert network.training
    assert torch.equal(network.norm.running_mean, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unlabelled_scan_has_no_dice():
    assert math.isnan(look(case("unlabelled"), extent(0), Focus((7, 4, 3)), tiling(), runtime()).dice)
