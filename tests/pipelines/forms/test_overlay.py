"""Pictures for people: which slices, which plane, and colours where the labels are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.structures import Structure
from neuraxis.errors import DataError
from neuraxis.pipelines.forms.convert import ConvertOptions, convert
from neuraxis.pipelines.forms.form import Export
from neuraxis.pipelines.forms.overlay import draw
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

RED = Structure(2, "red part", "#ff0000")


def scan(tmp_path: Path, spacing: tuple[float, ...] = (1, 1, 3), shape: tuple[int, ...] = (20, 24, 16)) -> ImageFile:
    array = np.random.default_rng(0).integers(0, 200, (1, *shape)).astype(np.int16)
    nifti.write(tmp_path / "scan.nii.gz", Volume(array, Grid(shape, np.diag([*spacing, 1]))))
    return ImageFile(tmp_path / "scan.nii.gz")


def labelled(file: ImageFile) -> Export:
    volume = file.read()
    array = np.zeros(volume.array.shape, np.uint8)
    array[0, 2:8, 12:20, 5:9] = 2
    return Export("case", volume.with_array(array), (RED,), file)


def reddish(pixels: np.ndarray) -> np.ndarray:
    return (pixels[..., 0].astype(int) - pixels[..., 1:].max(axis=2)) > 60


def test_labels_are_painted_in_their_colour_where_the_patients_side_is(tmp_path: Path) -> None:
    pixels = draw(labelled(scan(tmp_path)))
    rows, columns = np.nonzero(reddish(pixels)[60:-40])
    assert len(rows) > 1000
    assert not reddish(draw(Export("case", scan(tmp_path).read(), None)))[60:-40].any()
    width = (pixels.shape[1] - 28) / 3  # four slices on three columns
    first = columns[(rows < pixels.shape[0] * 0.4) & (columns < width)]
    assert first.min() > 14 + 0.5 * width * 0.9  # the patient's left is on the right of the picture


@pytest.mark.parametrize(("spacing", "wide"), [((1, 1, 3), 20 / 24), ((4, 1, 1), 24 / 16), ((1, 5, 1), 20 / 16)])
def test_the_plane_is_that_of_the_thickest_slices(tmp_path: Path, spacing: tuple[float, ...], wide: float) -> None:
    from neuraxis.pipelines.forms.overlay import _plane
    from neuraxis.report.overlays import PLANES

    shape = (20, 24, 16)
    _, column, row, _ = PLANES[_plane(shape, spacing)]
    assert shape[column] / shape[row] == pytest.approx(wide)


def test_a_scan_of_another_grid_is_refused(tmp_path: Path) -> None:
    export = labelled(scan(tmp_path))
    other = scan(tmp_path, (1, 1, 2))
    with pytest.raises(DataError, match="the label map and the scan do not share a grid"):
        draw(Export("case", export.volume, export.structures, other))


def test_of_a_series_the_mean_or_the_named_volume_lies_below(tmp_path: Path) -> None:
    file = scan(tmp_path)
    volume = file.read()
    series = np.concatenate([volume.array, volume.array[..., ::-1]])
    nifti.write(tmp_path / "series.nii.gz", volume.with_array(series))
    export = labelled(file)
    one, other, mean = (
        draw(Export("case", export.volume, export.structures, ImageFile(tmp_path / "series.nii.gz", index)))
        for index in (0, 1, "mean")
    )
    np.testing.assert_array_equal(one, draw(export))
    assert (other != one).any()
    assert mean.shape == one.shape
    assert mean[60:-40].std() < one[60:-40].std()


def test_convert_draws_a_label_map_on_its_scan_and_a_scan_alone(tmp_path: Path) -> None:
    file = scan(tmp_path)
    nifti.write(tmp_path / "seg.nii.gz", labelled(file).volume)
    convert(tmp_path / "seg.nii.gz", tmp_path / "drawn.png", "overlay", ConvertOptions(scan=file.path))
    convert(file.path, tmp_path / "out", "overlay")
    drawn, alone = (np.asarray(Image.open(tmp_path / name)) for name in ("drawn.png", "out/scan_overlay.png"))
    assert drawn.shape[2] == alone.shape[2] == 3
    coloured = [(pixels.max(axis=2).astype(int) - pixels.min(axis=2) > 60)[60:-40].any() for pixels in (drawn, alone)]
    assert coloured == [True, False]
