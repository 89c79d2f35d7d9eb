import numpy as np
import pytest

from neuraxis.preparation.space.brain import ADULT_ML, find_brain
from neuraxis.registration.level import Level
from neuraxis.registration.register import register
from neuraxis.registration.resample import resample_onto
from neuraxis.registration.search import Search, about, rotation, shifted
from neuraxis.registration.transform import IDENTITY, Transform
from neuraxis.volume.formats import any_format

pytestmark = pytest.mark.data
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def _published(path):
    """Return the transform that the authors found, from the channel's world to that of FLAIR."""
    lines = path.read_text().splitlines()
    numbers = np.array(lines[3].split()[1:], float)
    centre = np.array(lines[4].split()[1:], float)
    matrix = np.eye(4)
    matrix[:3, :3] = numbers[:9].reshape(3, 3)
    matrix[:3, 3] = numbers[9:] + centre - matrix[:3, :3] @ centre
    return Transform(FLIP @ matrix @ FLIP).inverse


@pytest.mark.parametrize("channel", ["T1W", "T2W"])
def test_a_raw_channel_is_registered_to_flair_as_its_authors_did_even_when_it_was_moved(shared_data, channel):
    folder = shared_data / "ms-ljubljana-longitudinal" / "raw" / "patient01"
    flair = any_format.read(folder / "study1_FLAIR.nii.gz")
    raw = any_format.read(folder / f"study1_{channel}.nii.gz")
    published = _published(folder / f"study1_{channel}_intrastudy_to_FLAIR.txt")
    moved = about(np.zeros(3), rotation(np.radians([9, -6, 12]))).then(Transform(shifted(np.array([12.0, 8, -9]))))
    elsewhere = resample_onto(raw, raw.grid, moved, 1)
    middle = flair.grid.affine[:3, :3] @ (np.array(flair.grid.shape) / 2) + flair.grid.affine[:3, 3]
    points = middle + np.stack(np.meshgrid(*[np.linspace(-50, 50, 5)] * 3), axis=-1).reshape(-1, 3)
    for scan, transform in ((raw, IDENTITY), (elsewhere, moved)):
        found = register(scan, flair)
        apart = np.linalg.norm(transform.then(found.transform).apply(points) - published.apply(points), axis=1)
        assert apart.mean() < 1.5
        assert found.agreement.warning == ""
        search = Search(*(Level.of(each.array[0], each.grid, 4.0) for each in (scan, flair)))
        assert search.score(found.transform) >= search.score(IDENTITY) - 1e-3


@pytest.mark.parametrize("name", ["study1_FLAIR", "study1_T1W", "study2_T2W"])
def test_the_brain_of_a_raw_scan_has_an_adults_volume(shared_data, name):
    scan = any_format.read(shared_data / "ms-ljubljana-longitudinal" / "raw" / "patient01" / f"{name}.nii.gz")
    brain = find_brain(scan.array[0], scan.grid)
    assert ADULT_ML[0] < brain.sum() * scan.grid.voxel_ml < ADULT_ML[1]
