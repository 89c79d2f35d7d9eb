import numpy as np
import pytest

from neuraxis.errors import DataError, ResourceError
from neuraxis.registration import template as templates
from neuraxis.registration.template import Template, read_template
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


@pytest.fixture
def file(head, tmp_path):
    (_, t1, _), _ = head
    path = tmp_path / "template.nii.gz"
    any_format.write(path, Volume(t1.array.astype(np.int16), t1.grid))
    return path


def test_a_template_becomes_letters_and_comes_back(file):
    template = read_template(file)
    assert max(template.image.grid.spacing_mm) == pytest.approx(5.0)
    text = template.to_text()
    assert len(text) < 90_000
    again = Template.from_text(text)
    assert again.grid.matches(template.grid)
    assert again.image.grid.matches(template.image.grid)
    np.testing.assert_array_equal(again.image.array, template.image.array)


@pytest.mark.parametrize("text", ["", "nonsense", "AAAA", "eJwLSS0uAQAD+AGI"])
def test_other_letters_are_refused(text):
    with pytest.raises(ValueError, match="no copy of a template"):
        Template.from_text(text)


def test_a_size_is_not_taken_from_the_letters_alone(file):
    template = read_template(file)
    wrong = Template(Grid((10**6, 2, 2), np.eye(4)), template.image)
    with pytest.raises(ValueError, match="no copy of a template"):
        Template.from_text(wrong.to_text())


def test_a_file_that_is_not_there_and_a_picture_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such template"):
        read_template(tmp_path / "nothing.nii.gz")
    flat = tmp_path / "flat.nii.gz"
    any_format.write(flat, Volume(np.ones((1, 9, 9, 1), np.int16), Grid((9, 9, 1), np.eye(4))))
    with pytest.raises(DataError, match="A template is one 3D image of a head"):
        read_template(flat)


def test_without_nilearn_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setattr(templates.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="pip install nilearn"):
        read_template("mni152")


def test_nilearns_template_is_found_in_its_package(monkeypatch, tmp_path, file):
    place = tmp_path / "nilearn"
    (place / "datasets" / "data").mkdir(parents=True)
    (place / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz").write_bytes(file.read_bytes())

    class Found:
        submodule_search_locations = (str(place),)

    monkeypatch.setattr(templates.importlib.util, "find_spec", lambda name: Found)
    assert read_template("MNI152").grid.shape == read_template(file).grid.shape
