"""Every form by name: it writes a file whole, replaces none without leave, and the manual says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.structures import Structure
from neuraxis.errors import UsageError
from neuraxis.pipelines.forms.catalog import FORMS, open_form, summaries
from neuraxis.pipelines.forms.form import Export
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom.series_writing import write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

MANUAL = Path(__file__).parents[2] / "docs" / "how-to" / "convert.md"


@pytest.fixture
def export(tmp_path: Path, request: pytest.FixtureRequest) -> Export:
    """A label map on its scan; for a picture of one slice."""
    shape = (10, 12, 1 if request.node.callspec.params["name"] == "png" else 6)
    array = np.full((1, *shape), 5, np.int16)
    array[0, 2:6, 3:8, : max(1, shape[2] - 1)] = 90
    volume = Volume(array, Grid(shape, np.diag([1.0, 1.0, 2.0, 1.0])))
    folder = write_series(tmp_path / "scan", volume) if shape[2] > 1 else tmp_path / "scan.png"
    if shape[2] == 1:
        any_format.write(folder, volume.with_array(array.astype(np.uint8)))
    scan = any_format.read(folder)
    label_map = scan.with_array((scan.array > 50).astype(np.uint8))
    return Export("case", label_map, (Structure(1, "block", "#ff8000"),), ImageFile(folder))


@pytest.mark.parametrize("name", [name for name in FORMS.names() if open_form(name).ending])
def test_a_form_writes_a_file_and_replaces_none_without_leave(name: str, export: Export, tmp_path: Path) -> None:
    form = open_form(name)
    form.check("case", export.scan)
    place = tmp_path / "out" / f"case{form.ending}"
    form.write(export, place, False)
    written = place.read_bytes()
    assert written
    place.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already"):
        form.write(export, place, False)
    assert place.read_bytes() == b"precious"
    form.write(export, place, True)
    assert len(place.read_bytes()) == pytest.approx(len(written), rel=0.1)
    assert [path.name for path in place.parent.iterdir()] == [place.name]


@pytest.mark.parametrize("name", list(summaries()))
def test_the_manual_says_what_a_form_is(name: str) -> None:
    assert f"`{name}`" in MANUAL.read_text("utf-8")
