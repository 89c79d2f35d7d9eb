"""Strips hang as radiologists hang them, whatever axes the network has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.structures import structures_of
from neuraxis.inference.tiling import Tiling
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.recipe import InferenceRecipe
from neuraxis.report.previews.strip import StripPainter
from neuraxis.training.live.drawing import _Drawing, _grey, draw
from neuraxis.training.live.looking import LiveRuntime, choose_extent, look
from neuraxis.training.live.subjects import Subject
from neuraxis.volume.grid import Grid
from neuraxis.volume.turn import Turn

LABELS = Labels(names={"background": 0, "bright": 1})
TURNS = [Turn(), Turn((2, 1, 0), (True, False, False)), Turn((1, 0, 2), (False, True, True))]


class Threshold(torch.nn.Module):
    def forward(self, image):
        return torch.cat([-image, image], dim=1)


def drawn(turn, passes=1000):
    """A scan (X, Y, Z) = (8, 10, 6) at 1 x 1 x 2 mm with a bright voxel at the patient's right, front, above."""
    scan = np.full((1, 8, 10, 6), -1.0, np.float32)
    scan[0, 6, 8, 4] = 1.0
    grid = turn.grid(Grid((8, 10, 6), np.diag([1.0, 1.0, 2.0, 1.0])))
    image = turn.apply(scan)
    target = (image > 0).astype(np.uint8)
    way = WayBack(grid, (0, 0, 0), grid.shape, grid.shape, turn=turn)

    def read(box):
        return image[(slice(None), *box)], target[(slice(None), *box)]

    subject = Subject("case", "held out", way, read, "axial")
    tiling = Tiling((4, 4, 4), LABELS, InferenceRecipe(), "a test")
    focus = subject.look(LABELS)
    extent = choose_extent(grid.shape, tiling, focus, subject.across, passes)
    seen = look(subject, extent, focus, tiling, LiveRuntime(Threshold(), torch.device("cpu"), False))
    return seen, subject, focus


@pytest.mark.parametrize("turn", TURNS)
def test_right_is_left_and_the_front_is_up(turn):
    seen, subject, focus = drawn(turn)
    drawing = _Drawing(seen, subject, focus)
    image, reference, prediction = drawing.panels(seen.tiling)

    assert subject.shown_slice(focus.voxel) == 4
    assert drawing.size_mm == (1.0, 1.0)
    assert image.grey.shape == (10, 8)
    for panel in (reference, prediction):
        assert np.argwhere(panel.label_map).tolist() == [[1, 1]]  # X 6 of 8 is the patient's left side of RAS: column 1
    assert prediction.frame is None


@pytest.mark.parametrize("turn", TURNS)
def test_windows_lie_at_their_places(turn):
    seen, subject, focus = drawn(turn)
    tiles = _Drawing(seen, subject, focus).tiles(seen.tiling)

    assert {(0, 0), (3, 2)} <= set(tiles)
    assert {panel.label_map.shape for panel in tiles.values()} == {(4, 4)}
    assert np.argwhere(tiles[0, 0].label_map).tolist() == [[1, 1]]
    assert not tiles[3, 2].label_map.any()
    assert tiles[0, 0].grey[1, 1] == 255


@pytest.mark.parametrize("turn", TURNS)
def test_a_part_is_framed(turn):
    seen, subject, focus = drawn(turn, passes=1)
    prediction = _Drawing(seen, subject, focus).panels(seen.tiling)[-1]

    rows, columns = prediction.frame
    assert (rows.stop - rows.start, columns.stop - columns.start) == (4, 4)
    assert rows.start <= 1 < rows.stop
    assert columns.start <= 1 < columns.stop
    assert np.argwhere(prediction.label_map).tolist() == [[1, 1]]


def test_two_strips_are_made_of_a_look():
    seen, subject, focus = drawn(TURNS[0])
    strips = draw(seen, subject, focus, StripPainter(structures_of(LABELS), LABELS.ignore), "step 1 of 2")

    assert set(strips) == {"whole", "tiled"}
    assert all(pixels.dtype == np.uint8 and pixels.shape[2] == 3 for pixels in strips.values())


def test_air_that_became_grey_by_normalising_is_black():
    layer = np.linspace(-2, 2, 64).reshape(8, 8, 1)
    layer[:2] = 0
    grey = _grey(layer)

    assert (grey[:2] == 0).all()
    assert (np.diff(grey[2:].ravel().astype(int)) >= 0).all()
    assert grey.max() == 255
    assert (_grey(np.zeros((4, 4, 1))) == 0).all()
