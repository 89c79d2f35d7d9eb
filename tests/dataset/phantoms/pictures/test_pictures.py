"""Pictures of slices: subjects never part, images and masks are of one size, and masks are black and white."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.kind import MakeOptions
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.dataset.phantoms.pictures.kind import KIND

image = pytest.importorskip("PIL.Image", reason="pillow comes with the extra report")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantoms("ms-flair-2d", tmp_path_factory.mktemp("2d") / "made", MakeOptions(6, 2, 0, "small")).path


def test_every_subject_lies_in_one_folder_with_three_slices(root: Path) -> None:
    places = [(path.name[:7], path.parents[1].name) for path in root.glob("*/images/*")]
    parts = ("train", "train", "train", "valid", "test", "train")
    assert Counter(places) == Counter({(f"sub-{number:03d}", part): 3 for number, part in enumerate(parts, 1)})


def test_pictures_and_masks_pair_by_name(root: Path) -> None:
    for part in ("train", "valid", "test"):
        names = [{path.stem for path in (root / part / kind).iterdir()} for kind in ("images", "masks")]
        assert names[0] == names[1]
    assert {path.suffix for path in root.glob("*/images/*")} == {".png", ".jpg"}
    for path in root.glob("*/masks/*"):
        mask = np.asarray(image.open(path))
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.shape == np.asarray(image.open(next(root.glob(f"*/images/{path.stem}.*")))).shape


def test_a_picture_hangs_with_the_front_above(root: Path) -> None:
    made, masks = KIND.specimen(MakeOptions(6, 2, 0, "small"), 1), []
    for number in (1, 2, 3):
        masks.append(np.asarray(image.open(root / "train" / "masks" / f"sub-001_slice-{number}.png")))
        assert np.array_equal(masks[-1] // 255, made.labels[:, :, number - 1].T[::-1])
    assert any(mask.any() for mask in masks)
