from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from neuraxis.dataset.checks.copies import LIKENESS, Copy, compare, find_copies, propose
from neuraxis.dataset.checks.sketch import shrink, sketch
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.volume.formats import any_format

MM = (1.0, 1.0, 1.0)
Alter = Callable[[np.ndarray], np.ndarray]


def texture(seed: int, shape: tuple[int, ...] = (40, 48, 36)) -> np.ndarray:
    """Return smooth structures with a little noise, whole numbers from about 0 to 1000."""
    draws = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(draws.normal(0, 1, shape), 2.5)
    image: np.ndarray = (500 + 150 * smooth / smooth.std() + draws.normal(0, 5, shape)).astype(np.int16)
    return image


def noisy(array: np.ndarray) -> np.ndarray:
    spread = 0.01 * float(array.max() - array.min())
    changed: np.ndarray = array + np.random.default_rng(9).normal(0, spread, array.shape).astype(np.float32)
    return changed


def pairs(images: list[np.ndarray], groups: list[object] | None = None) -> list[Copy]:
    sketches = [sketch(image, MM) for image in images]
    return list(find_copies(sketches, groups or list(range(len(images))), lambda number: images[number]))


CHANGES: dict[str, Alter] = {
    "another dtype": lambda array: array.astype(np.float32),
    "eight bits": lambda array: ((array - array.min()) / np.ptp(array) * 255).astype(np.uint8),
    "scaled": lambda array: array * 3.7 - 200.0,
    "noise": noisy,
    "moved along x": lambda array: np.pad(array, ((2, 0), (0, 0), (0, 0)))[:-2],
    "moved along all": lambda array: np.roll(array, (2, -1, -2), (0, 1, 2)),
    "moved between voxels": lambda array: ndimage.shift(array.astype(np.float32), (1.5, 0.5, -0.5), order=1),
    "cropped": lambda array: array[4:-3, 5:, :-6],
    "half of it": lambda array: array[:, : array.shape[1] // 2],
    "axes turned": lambda array: array.transpose(2, 0, 1)[:, ::-1],
    "everything": lambda array: noisy(np.roll(array, (2, 2, -2), (0, 1, 2))[::-1, :, ::-1])[3:, 2:-2] * 0.5 + 7,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found_among_others(name: str) -> None:
    images = [texture(seed) for seed in range(4)]
    (copy,) = pairs([*images, CHANGES[name](images[2])])
    assert (copy.first, copy.second) == (2, 4)
    assert LIKENESS < copy.likeness <= 1 + 1e-6


@pytest.mark.parametrize("mirror", [way for way in product((1, -1), repeat=3) if way != (1, 1, 1)])
def test_every_way_to_mirror_is_found_and_told(mirror: tuple[int, int, int]) -> None:
    image = texture(1)
    (copy,) = pairs([image, image[tuple(slice(None, None, sign) for sign in mirror)]])
    axes = [name for name, sign in zip("xyz", mirror, strict=True) if sign < 0]
    assert copy.how == f"mirrored along {' and '.join(axes)}"


def test_a_shift_is_told_in_voxels() -> None:
    image = texture(3)
    (copy,) = pairs([image, np.roll(image, (2, -1, 0), (0, 1, 2))])
    assert copy.how == "shifted by 2, -1, 0 voxels"


def test_unlike_images_and_parts_of_one_group_raise_no_alarm() -> None:
    images = [texture(seed) for seed in range(12)]
    assert pairs(images) == []
    assert pairs([images[0], images[0]], ["one", "one"]) == []


def test_a_flat_picture_and_a_tiny_scan_are_compared_too() -> None:
    picture = texture(5, (200, 180, 1))
    assert [(copy.first, copy.second) for copy in pairs([picture, texture(6, (200, 180, 1)), picture[::-1]])] == [
        (0, 2)
    ]
    tiny = texture(7, (6, 7, 8))
    assert [(copy.first, copy.second) for copy in pairs([tiny, texture(8, (6, 7, 8)), tiny[:, ::-1]])] == [(0, 2)]


def test_an_image_without_contrast_or_with_nan_has_no_sketch() -> None:
    assert sketch(np.full((8, 8, 8), 3), MM) is None
    assert sketch(np.where(texture(0) > 900, np.nan, 1.0), MM) is None


def test_shrinking_takes_the_means_of_whole_blocks() -> None:
    array = np.arange(5 * 4 * 3).reshape(5, 4, 3).astype(np.int16)
    small = shrink(array, (2, 2, 1))
    assert small.shape == (2, 2, 3)
    assert small[0, 0, 0] == array[:2, :2, 0].mean()


def test_large_scans_of_thick_slices_are_compared_on_a_coarser_grid() -> None:
    image = ndimage.zoom(texture(2, (80, 80, 20)).astype(np.float32), (3.2, 3.2, 1), order=1)
    seen = sketch(image, (0.5, 0.5, 4.0))
    assert seen is not None
    assert [level.factor for level in seen.levels] == [(2, 2, 1), (4, 4, 1)]
    moved = np.roll(image, (1, 2, 1), (0, 1, 2))[::-1]
    sketches = [sketch(array, (0.5, 0.5, 4.0)) for array in (image, moved)]
    placement = propose(sketches, [0, 1])[0, 1]
    assert placement.mirror == (-1, 1, 1)
    likeness, how = compare(image, moved, placement)
    assert likeness > LIKENESS
    assert how.startswith("mirrored along x and shifted by ")


def test_phantoms_of_one_generator_raise_no_alarm() -> None:
    options = PhantomOptions(spacing_mm=(3.0, 3.0, 3.0))
    images = [make_phantom(site, 0, 10 * place + subject, options).images.array[0]
              for place, site in enumerate(SITES[:2]) for subject in range(3)]  # fmt: skip
    sketches = [sketch(image, (3.0, 3.0, 3.0)) for image in images]
    assert list(find_copies(sketches, list(range(len(images))), lambda number: images[number])) == []


@pytest.mark.data
def test_no_alarm_among_the_hippocampi_and_between_patients_on_one_template(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "hippocampus-msd")
    read = {case.id: case.read_images() for case in dataset.cases}
    assert pairs([volume.array[0] for volume in read.values()]) == []
    folder = shared_data / "ms-ljubljana-mni" / "images"
    brains = [any_format.read(folder / f"patient{number}_FLAIR.nii.gz").array[0] for number in ("07", "19")]
    assert pairs(brains) == []
    assert len(pairs([*brains, noisy(brains[0])[::-1, 4:]])) == 1
