from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset.checks.check import check_dataset
from neuraxis.dataset.checks.repair import REPAIRS, RepairOptions, repair_dataset
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import UsageError
from neuraxis.files import sha256
from neuraxis.volume.formats import any_format

Make = Callable[..., Path]


def save(path: Path, array: np.ndarray, affine: np.ndarray, sform: np.ndarray | None = None) -> None:
    image = nib.Nifti1Image(array, affine)
    if sform is not None:
        image.set_qform(affine, 1)
        image.set_sform(sform, 1)
    nib.save(image, path)


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def hashes(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def faulty(nnunet: Make) -> Path:
    """A dataset with one fault of each kind that can be repaired, and a note that belongs to nothing."""
    folder = nnunet(channels=("FLAIR",), ids=("a", "b", "c", "d"), labels={"background": 0, "lesion": 1})
    (folder / "notes.txt").write_text("by hand")
    images, labels = folder / "imagesTr", folder / "labelsTr"
    for id in "abcd":
        array, affine = load(labels / f"{id}.nii.gz")
        save(labels / f"{id}.nii.gz", (array > 0).astype(np.uint8), affine)
    array, affine = load(labels / "a.nii.gz")
    save(labels / "a.nii.gz", array.astype(np.float32) * 255, affine)
    array, affine = load(images / "b_0000.nii.gz")
    array = array.astype(np.float32)
    array[0, 0, :3] = np.nan, np.inf, -np.inf
    save(images / "b_0000.nii.gz", array, affine)
    array, affine = load(labels / "c.nii.gz")
    drift = affine.copy()
    drift[0, 3] += 0.2
    save(labels / "c.nii.gz", array, drift)
    array, affine = load(images / "d_0000.nii.gz")
    left = np.diag([-1.0, 1, 1, 1])
    save(images / "d_0000.nii.gz", array, left)
    save(labels / "d.nii.gz", load(labels / "d.nii.gz")[0], left)
    return folder


def test_a_copy_without_faults_comes_into_being_and_originals_stay(faulty: Path, tmp_path: Path) -> None:
    before = hashes(faulty)
    assert {finding.code for finding in check_dataset(open_dataset(faulty))} >= {
        "not_finite", "mask_value", "affine_drift"
    }  # fmt: skip
    done = repair_dataset(open_dataset(faulty), RepairOptions(REPAIRS), tmp_path / "mended")
    assert hashes(faulty) == before
    assert [finding.code for finding in check_dataset(open_dataset(tmp_path / "mended"))] == ["mixed_types"]
    assert {(repair.case, repair.kind) for repair in done} == {
        ("a", "labels"), ("b", "nan"), ("c", "affine"), ("d", "orientation")
    }  # fmt: skip
    after = hashes(tmp_path / "mended")
    assert after.keys() == before.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {repair.file for repair in done}
    assert not list(tmp_path.glob(".part-*"))


def test_values_become_what_is_said(faulty: Path, tmp_path: Path) -> None:
    original, _ = load(faulty / "imagesTr" / "b_0000.nii.gz")
    done = repair_dataset(open_dataset(faulty), RepairOptions(("nan", "labels")), tmp_path / "mended")
    mended, _ = load(tmp_path / "mended" / "imagesTr" / "b_0000.nii.gz")
    finite = original[np.isfinite(original)]
    assert mended[0, 0, :3].tolist() == [0.0, finite.max(), finite.min()]
    assert np.array_equal(mended[1:], original[1:])
    assert any("in 3 voxels" in repair.message for repair in done)
    label, _ = load(tmp_path / "mended" / "labelsTr" / "a.nii.gz")
    assert label.dtype == np.uint8
    assert np.array_equal(label, load(faulty / "labelsTr" / "a.nii.gz")[0] / 255)


def test_voxels_keep_their_place_in_the_world(faulty: Path, tmp_path: Path) -> None:
    repair_dataset(open_dataset(faulty), RepairOptions(("orientation",)), tmp_path / "mended")
    for name in ("imagesTr/d_0000.nii.gz", "labelsTr/d.nii.gz"):
        one, other = (any_format.read(folder / name) for folder in (faulty, tmp_path / "mended"))
        assert np.array_equal(one.array, other.array)
        assert one.grid.matches(other.grid)
        assert other.stored is not None
        assert other.stored.grid.axis_codes == "RAS"


def test_two_geometries_in_one_header_become_the_one_that_is_used(nnunet: Make, tmp_path: Path) -> None:
    folder = nnunet(channels=("FLAIR",))
    array, _ = load(folder / "imagesTr" / "a_0000.nii.gz")
    turned = np.diag([1.0, -1, 1, 1])
    save(folder / "imagesTr" / "a_0000.nii.gz", array, turned, np.eye(4))
    assert [finding.code for finding in check_dataset(open_dataset(folder))] == ["header_geometry"]
    repair_dataset(open_dataset(folder), RepairOptions(("affine",)), tmp_path / "mended")
    assert check_dataset(open_dataset(tmp_path / "mended")) == ()
    assert np.array_equal(load(tmp_path / "mended" / "imagesTr" / "a_0000.nii.gz")[0], array)


@pytest.mark.parametrize(("unknown", "left"), [("keep", 9), ("background", 0)])
def test_unknown_numbers_become_what_is_chosen(nnunet: Make, tmp_path: Path, unknown: str, left: int) -> None:
    folder = nnunet()
    array, affine = load(folder / "labelsTr" / "a.nii.gz")
    array = array.copy()
    array[-1, -1, -1] = 9
    save(folder / "labelsTr" / "a.nii.gz", array, affine)
    repair_dataset(open_dataset(folder), RepairOptions(("labels",), unknown), tmp_path / "mended")  # type: ignore[arg-type]
    assert load(tmp_path / "mended" / "labelsTr" / "a.nii.gz")[0][-1, -1, -1] == left


def test_what_cannot_be_repaired_is_copied_as_it_is(nnunet: Make, tmp_path: Path) -> None:
    folder = nnunet()
    path = folder / "imagesTr" / "a_0000.nii.gz"
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:60])
    array, affine = load(folder / "labelsTr" / "b.nii.gz")
    save(folder / "labelsTr" / "b.nii.gz", array * 0.5, affine)
    assert repair_dataset(open_dataset(folder), RepairOptions(REPAIRS), tmp_path / "mended") == ()
    codes = {finding.code for finding in check_dataset(open_dataset(tmp_path / "mended"))}
    assert codes == {"unreadable", "fractions"}


def test_places_that_would_touch_originals_are_refused(nnunet: Make, tmp_path: Path) -> None:
    folder = nnunet()
    dataset = open_dataset(folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for place in (folder, folder / "mended", folder.parent, tmp_path / "full"):
        with pytest.raises(UsageError, match="--into"):
            repair_dataset(dataset, RepairOptions(REPAIRS), place)
    with pytest.raises(UsageError, match="Did you mean 'affine'"):
        RepairOptions(("afine",))
    with pytest.raises(UsageError, match="no number to ignore"):
        repair_dataset(dataset, RepairOptions(REPAIRS, "ignore"), tmp_path / "new")
