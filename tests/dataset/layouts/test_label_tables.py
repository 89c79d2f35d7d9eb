from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.dataset.layouts.label_tables import find_table, read_table
from neuraxis.errors import DataError

SNAP = """################################################
# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "C1: atlas"
    2     0  255    0      0.5  1  1    "C2"
"""
FREESURFER = """#No. Label Name:                R   G   B   A
0   Unknown                     0   0   0   0
17  Left-Hippocampus            220 216 20  0
"""
DSEG = "index\tname\tabbreviation\tcolor\n1\tGrey matter\tGM\t#ff0000\n2\tCSF\tCSF\t\n"
CASES = {
    "snap.txt": (SNAP, {0: "Clear Label", 1: "C1: atlas", 2: "C2"}, {1: "#ff0000", 2: "#00ff00"}),
    "snap.label": (SNAP, {1: "C1: atlas"}, {1: "#ff0000"}),
    "lut.txt": (FREESURFER, {17: "Left-Hippocampus"}, {17: "#dcd814"}),
    "slicer.ctbl": ("# Color table\n1 left lung 10 20 30 255\n", {1: "left lung"}, {1: "#0a141e"}),
    "a_dseg.tsv": (
        DSEG,
        {1: "Grey matter", 2: "CSF"},
        {1: "#ff0000"},
    ),
    "table.csv": ("Index,Name\n1,lesion\n", {1: "lesion"}, {}),
    "a.json": ('{"background": 0, "lesion": 1}', {0: "background", 1: "lesion"}, {}),
    "b.json": ('{"labels": {"0": "background", "3": "scar"}}', {0: "background", 3: "scar"}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_table_is_read(name: str, tmp_path: Path) -> None:
    content, names, colours = CASES[name]
    (tmp_path / name).write_text(content)
    table = read_table(tmp_path / name)
    assert names.items() <= table.names.items()
    assert colours.items() <= table.colours.items()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Dear colleague,\nthese are the labels.\n"),
        ("a.txt", "1 lesion 300 0 0 0\n"),
        ("a.txt", "99999 lesion 30 0 0 0\n"),
        ("a.txt", ""),
        ("a.tsv", "index\tcolor\n1\t#ff0000\n"),
        ("a.csv", "index,name\nx,lesion\n"),
        ("a.json", "[1, 2]"),
        ("a.json", '{"lesion": "one"}'),
        ("a.json", "[" * 100_000),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="is no table of labels") as caught:
        read_table(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_and_a_huge_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"#" * (2**22 + 1))
    with pytest.raises(DataError, match="too large"):
        read_table(tmp_path / "a.txt")


def test_only_one_table_beside_the_data_is_taken(tmp_path: Path) -> None:
    assert find_table(tmp_path, tmp_path / "nothing") is None
    (tmp_path / "readme.txt").write_text("hello\n")
    (tmp_path / "a.txt").write_text(SNAP)
    assert find_table(tmp_path)[0] == tmp_path / "a.txt"
    (tmp_path / "b.txt").write_text(FREESURFER)
    assert find_table(tmp_path) is None
