"""Every layout of the catalog: it alone recognises its toy, which opens, hashes and gives images and labels."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts.catalog import LAYOUTS
from neuraxis.dataset.layouts.recognise import open_dataset, recognising
from neuraxis.dataset.opening import PLAIN_OPENING
from neuraxis.errors import DataError


def load_toys() -> dict:
    found = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.TOYS


TOYS = load_toys()
# Its images are folders of DICOM, for which a scan stands in here.
UNREAD = {"rsna"}
by_layout = pytest.mark.parametrize("name", LAYOUTS.names())


@pytest.fixture
def toy(name: str, tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    root.mkdir()
    TOYS[name](root)
    return root


@by_layout
def test_one_layout_alone_recognises_the_toy(name: str, toy: Path) -> None:
    assert recognising(toy) == (name,)
    assert open_dataset(toy).layout == name
    named = open_dataset(toy, layout=name)
    assert replace(named, opening=PLAIN_OPENING) == open_dataset(toy)


@by_layout
def test_the_cases_of_the_toy_give_images_and_known_labels(name: str, toy: Path) -> None:
    dataset = open_dataset(toy)
    assert len(dataset.cases) >= 2
    for case in dataset.cases:
        assert tuple(case.images) == dataset.channels
        label = case.read_label()
        assert set(np.unique(label.array).tolist()) <= dataset.labels.allowed()
        assert label.array.any()
        if name not in UNREAD:
            assert case.read_images().grid.matches(label.grid)
    assert len(set(dataset.content_hashes().values())) == len(dataset.cases)


@by_layout
def test_the_patient_is_read_from_the_name_where_told(name: str, toy: Path) -> None:
    dataset = open_dataset(toy, subject=r"^(.).*$")
    assert all(case.subject == case.id[0] for case in (*dataset.cases, *dataset.unlabelled))
    with pytest.raises(DataError, match="finds no patient in this name") as caught:
        open_dataset(toy, subject=r"^(never)$")
    assert "\n" not in str(caught.value)


@by_layout
def test_labels_are_called_as_a_table_says(name: str, toy: Path, tmp_path: Path) -> None:
    number = next(numbers[0] for numbers in open_dataset(toy).labels.scored.values())
    table = tmp_path / "table.txt"
    table.write_text(f'# ITK-SNAP\n{number} 255 0 0 1 1 1 "something else"\n')
    labels = open_dataset(toy, label_table=table).labels
    assert labels.names["something else"] == number
    assert labels.colours["something else"] == "#ff0000"


@by_layout
def test_a_folder_that_is_empty_or_holds_something_else_is_not_recognised(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS.load(name)
    assert not layout.recognises(tmp_path)
    assert not layout.recognises(tmp_path / "nothing")
    (tmp_path / "images").mkdir()
    (tmp_path / "readme.txt").write_text("nothing here")
    (tmp_path / "dataset.json").write_text("[1, 2")
    assert not layout.recognises(tmp_path)
    with pytest.raises(DataError, match=rf"is not of the layout '{name}'\. Looked for .*; found .*images") as caught:
        open_dataset(tmp_path, layout=name)
    assert "\n" not in str(caught.value)


def test_every_layout_has_a_toy() -> None:
    assert set(TOYS) == set(LAYOUTS.names())
