"""Real scans go out: vertebrae as surfaces, labels of a tilted and of an oblique series as DICOM SEG."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import trimesh

from neuraxis.pipelines.forms.convert import ConvertOptions, convert
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.volume import Volume

pytestmark = pytest.mark.data


def test_vertebrae_are_closed_surfaces_with_the_volume_of_their_voxels(shared_data: Path, tmp_path: Path) -> None:
    label_map = shared_data / "spine-ct" / "labels" / "sub-verse014.nii.gz"
    (result,) = convert(label_map, tmp_path / "spine.glb", "glb")
    scene, volume = trimesh.load(result.path), any_format.read(label_map)
    numbers, counts = np.unique(volume.array, return_counts=True)
    expected = {f"label {number:g}": count for number, count in zip(numbers[1:], counts[1:], strict=True)}
    assert set(scene.geometry) == set(expected)
    for name, mesh in scene.geometry.items():
        assert mesh.is_watertight
        assert mesh.volume / 1000 == pytest.approx(expected[name] * volume.grid.voxel_ml, rel=0.005)


@pytest.mark.parametrize(
    ("folder", "above", "is_even"),
    [("tumour-pgbm-dicom/PGBM-003/1995-03-29/*MaskTumor*", 0, True), ("dicom-misc/ct-head-ge", 250, False)],
)
def test_labels_of_a_series_become_a_dicom_seg_that_is_read_back_equal(
    shared_data: Path, tmp_path: Path, folder: str, above: int, is_even: bool
) -> None:
    (series,) = shared_data.glob(folder)
    scan = any_format.read(series)
    labels = scan.with_array((scan.array > above).astype(np.uint8))
    if not is_even:  # between slices that lie apart only what the slices hold can come back
        labels = there_and_back(labels, series, tmp_path / "first")
    back = there_and_back(labels, series, tmp_path)
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.array.sum() > 1000
    seg = pydicom.dcmread(tmp_path / "seg.dcm", stop_before_pixels=True)
    source = pydicom.dcmread(next(file for file in series.rglob("*") if file.is_file()), stop_before_pixels=True)
    assert (seg.Rows, seg.Columns) == (source.Rows, source.Columns)
    if shutil.which("dciodvfy"):
        told = subprocess.run(["dciodvfy", tmp_path / "seg.dcm"], capture_output=True, text=True, check=False).stderr
        assert "Error" not in told


def there_and_back(labels: Volume, series: Path, folder: Path) -> Volume:
    nifti.write(folder / "labels.nii.gz", labels)
    (result,) = convert(folder / "labels.nii.gz", folder / "seg.dcm", "dicom-seg", ConvertOptions(scan=series))
    assert result.error is None
    (back,) = convert(folder / "seg.dcm", folder / "back.nrrd", "nrrd", ConvertOptions(scan=series))
    return any_format.read(back.path)
