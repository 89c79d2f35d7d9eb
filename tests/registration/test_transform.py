import json

import numpy as np
import pytest

from neuraxis.registration.search import about, rotation, shifted
from neuraxis.registration.transform import IDENTITY, Transform
from neuraxis.volume.grid import Grid

TURN = about(np.array([10.0, -5.0, 3.0]), rotation(np.radians([10, -20, 30])))
SHIFT = Transform(shifted(np.array([1.0, 2.0, 3.0])))


def test_there_and_back_is_nothing():
    assert TURN.then(TURN.inverse).is_identity
    assert not TURN.is_identity
    assert IDENTITY.is_identity


def test_then_does_the_first_one_first():
    point = np.array([[4.0, 5.0, 6.0]])
    np.testing.assert_allclose(TURN.then(SHIFT).apply(point), SHIFT.apply(TURN.apply(point)))


def test_a_turn_leaves_its_centre_and_all_distances():
    np.testing.assert_allclose(TURN.apply(np.array([[10.0, -5.0, 3.0]])), [[10.0, -5.0, 3.0]])
    assert np.linalg.det(TURN.matrix[:3, :3]) == pytest.approx(1)


def test_it_comes_back_from_json():
    again = Transform.from_dict(json.loads(json.dumps(TURN.to_dict())))
    np.testing.assert_array_equal(again.matrix, TURN.matrix)


def test_the_largest_move_is_that_of_a_corner():
    assert SHIFT.largest_move_mm(Grid((2, 2, 2), np.eye(4))) == pytest.approx(14**0.5)


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan), np.diag([1.0, 1, 0, 1])])
def test_what_cannot_be_undone_is_refused(matrix):
    with pytest.raises(ValueError, match=r"matrix"):
        Transform(matrix)
