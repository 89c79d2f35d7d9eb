import numpy as np
import pytest

from neuraxis.errors import DataError
from neuraxis.registration.register import register
from neuraxis.registration.resample import resample_onto
from neuraxis.registration.search import about, rotation, shifted
from neuraxis.registration.transform import Transform
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

pytest.importorskip("SimpleITK")
ANISOTROPIC = Grid((120, 130, 62), np.array([[1.9, 0, 0, -115], [0, 1.9, 0, -135], [0, 0, 3.6, -105], [0, 0, 0, 1.0]]))
SMALL = about(np.zeros(3), rotation(np.radians([4, -3, 5]))).then(Transform(shifted(np.array([3.0, -4.0, 5.0]))))
LARGE = about(np.zeros(3), rotation(np.radians([20, -12, 18]))).then(Transform(shifted(np.array([25.0, 20, -15]))))
STRETCHED = about(np.zeros(3), rotation(np.radians([8, 5, -6])) @ np.diag([1.08, 0.93, 1.04]))


def _errors_mm(found, moved, brain, grid):
    """Return how far brain voxels lie from where they belong."""
    places = np.argwhere(brain)[::200] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return np.linalg.norm(found.transform.apply(moved.apply(places)) - places, axis=1)


@pytest.mark.parametrize(("kind", "moved"), [("rigid", SMALL), ("rigid", LARGE), ("affine", STRETCHED)])
def test_a_known_movement_between_contrasts_is_found_to_less_than_a_voxel(head, kind, moved):
    (flair, t1, _), brain = head
    elsewhere = resample_onto(t1, ANISOTROPIC, moved, order=1)
    found = register(elsewhere, flair, kind)
    assert _errors_mm(found, moved, brain, flair.grid).max() < 1.5  # a voxel is 2.5 mm
    assert found.agreement.warning == ""
    assert found.agreement.overlap > 0.9


def test_the_same_scans_give_the_same_transform_bit_by_bit(head):
    import SimpleITK

    (flair, _, t2), _ = head
    usual = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    first = register(t2, flair, finest_mm=4.0)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(4)
    try:
        second = register(t2, flair, finest_mm=4.0)
        assert SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads() == 4
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(usual)
    np.testing.assert_array_equal(first.transform.matrix, second.transform.matrix)
    assert first.agreement == second.agreement


def test_scans_that_have_nothing_in_common_are_warned_of(head):
    (flair, _, _), _ = head
    noise = Volume(
        np.random.default_rng(0).uniform(0, 100, (1, 60, 60, 60)).astype(np.float32), Grid((60,) * 3, 3 * np.eye(4))
    )
    assert register(noise, flair, finest_mm=4.0).agreement.warning


def test_a_picture_and_an_empty_scan_are_refused(head):
    (flair, _, _), _ = head
    flat = Volume(np.ones((1, 60, 60, 1), np.float32), Grid((60, 60, 1), np.eye(4)), name="slice.png")
    with pytest.raises(DataError, match=r"slice.png: has 60 x 60 x 1 voxels .* set preparation.registration to 'none'"):
        register(flat, flair)
    empty = Volume(np.zeros((1, 9, 9, 9), np.float32), Grid((9, 9, 9), np.eye(4)), name="scan")
    with pytest.raises(DataError, match="scan: holds NaN, infinity or one value only"):
        register(empty, flair)
