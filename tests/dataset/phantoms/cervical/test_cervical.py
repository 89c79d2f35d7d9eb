"""A neck's CT: vertebrae in order, and bone, air and muscle as a CT shows them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.cervical.neck_ct import SITES, Lattice, Neck
from neuraxis.dataset.phantoms.cervical.spine import NAMES, Spine
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.kind import MakeOptions
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid

STEP = 2.0


def lattice(turn: float = 0.0) -> Lattice:
    """A grid of 140 x 140 x 210 mm, turned about the left-right axis."""
    shape, affine = (70, 70, 105), np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] *= STEP
    affine[:3, 3] = np.array([0, 0, -76]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Lattice(Grid(shape, affine))


@pytest.fixture(scope="module")
def neck() -> Neck:
    return Neck.draw(generator(0, 1, 0))


@pytest.mark.parametrize("subject", range(1, 6))
def test_the_vertebrae_follow_each_other_downwards_from_c1(subject: int) -> None:
    spine = Spine.draw(generator(3, subject, 0))
    heights = [vertebra.centre_mm[2] for vertebra in spine.vertebrae]
    assert [vertebra.number for vertebra in spine.vertebrae] == list(range(1, 20))
    assert NAMES[0] == "C1"
    assert NAMES[7] == "T1"
    assert NAMES[-1] == "T12"
    assert all(10 < above - below < 30 for above, below in pairwise(heights))


def test_the_numbers_in_a_scan_are_without_gaps_and_in_order(neck: Neck) -> None:
    labels = neck.labels(lattice())
    numbers = [int(number) for number in np.unique(labels) if number]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 8
    middles = [np.argwhere(labels == number)[:, 2].mean() for number in numbers[:-1]]
    assert middles == sorted(middles, reverse=True)


def test_each_vertebra_is_one_piece_with_a_hole_for_the_cord(neck: Neck) -> None:
    from scipy.ndimage import label

    labels = neck.labels(lattice())
    for number in range(1, 8):
        pieces, count = label(labels == number, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() / sizes.sum() > 0.95, number
        assert count <= 3
        assert 4_000 < sizes.sum() * STEP**3 < 32_000, number  # mm3
        vertebra = neck.spine.vertebrae[number - 1]
        canal = vertebra.centre_mm - vertebra.axes[1] * (15 if number > 1 else 8)
        index = tuple(np.rint(np.linalg.inv(lattice().grid.affine) @ [*canal, 1]).astype(int)[:3])
        assert labels[index] == 0, number


def test_bone_air_and_muscle_have_their_hounsfield_units(neck: Neck) -> None:
    image, labels = neck.scan(lattice(), SITES[0], generator(0, 1, 2)), neck.labels(lattice())
    assert image.dtype == np.int16
    assert 150 < image[labels > 0].mean() < 700
    assert -1024 <= image.min() < -950
    assert image.max() > 1200  # teeth
    assert -20 < np.median(image[(image > -200) & (labels == 0)]) < 80


def test_a_turned_grid_shows_the_same_vertebrae_at_the_same_places(neck: Neck) -> None:
    straight, turned = lattice(), lattice(np.deg2rad(15))
    for number in (3, 5, 7):
        first, second = (middle_mm(neck.labels(where) == number, where) for where in (straight, turned))
        assert np.linalg.norm(first - second) < 0.5


def middle_mm(mask: np.ndarray, where: Lattice) -> np.ndarray:
    return np.asarray(where.grid.affine @ [*np.argwhere(mask).mean(axis=0), 1])[:3]


@pytest.mark.parametrize("tilt", [0.0, 18.0])
def test_a_study_read_again_lies_under_its_vertebrae(tilt: float, tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="pydicom comes with the extra dicom")
    options = MakeOptions(1, size="small", tilt_degrees=tilt)
    root = make_phantoms("cervical-ct", tmp_path / "ct", options).path
    (study,) = (root / "train_images").iterdir()
    image, labels = any_format.read(study), any_format.read(root / "segmentations" / f"{study.name}.nii")
    assert image.grid.matches(labels.grid)
    bone = image.array[0] > 200
    for number in range(1, 8):
        inside = labels.array[0] == number
        assert inside.sum() > 100
        assert bone[inside].mean() > 0.6, number
    assert (bone & (labels.array[0] == 0)).any()
    assert image.array[0][labels.array[0] == 0].mean() < 0
