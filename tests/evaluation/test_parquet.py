from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest

from neuraxis.evaluation.parquet import MAGIC, write_parquet
from neuraxis.evaluation.scores import Score, Scores


class Thrift:
    """Reads Thrift's compact protocol: structs as field number to value."""

    def __init__(self, content: bytes, place: int = 0) -> None:
        self.content, self.place = content, place

    def byte(self) -> int:
        self.place += 1
        return self.content[self.place - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def value(self, kind: int) -> Any:
        if kind in (5, 6):
            number = self.varint()
            return number >> 1 if number % 2 == 0 else -(number >> 1) - 1
        if kind == 8:
            size = self.varint()
            self.place += size
            return self.content[self.place - size : self.place].decode()
        if kind == 9:
            head = self.byte()
            size = self.varint() if head >> 4 == 15 else head >> 4
            return [self.value(head & 15) for _ in range(size)]
        assert kind == 12
        found, number = {}, 0
        while head := self.byte():
            number += head >> 4
            found[number] = self.value(head & 15)
        return found


def read_back(path: Path) -> dict[str, list[Any]]:
    """Read a file by the format's own rules, from its footer on."""
    content = path.read_bytes()
    assert content[:4] == content[-4:] == MAGIC
    (size,) = struct.unpack("<I", content[-8:-4])
    footer = Thrift(content[-8 - size : -8]).value(12)
    rows, columns = footer[3], {}
    assert footer[2][0][5] == len(footer[2]) - 1
    for element, chunk in zip(footer[2][1:], footer[4][0][1], strict=True):
        about = chunk[3]
        assert (about[3], about[5], about[1]) == ([element[4]], rows, element[1])
        reader = Thrift(content, about[9])
        header = reader.value(12)
        assert reader.place - about[9] + header[2] == about[7]
        data = content[reader.place : reader.place + header[3]]
        columns[element[4]] = unpacked(element[1], data, rows)
    return columns


def unpacked(kind: int, data: bytes, rows: int) -> list[Any]:
    if kind in (2, 5):
        return list(struct.unpack(f"<{rows}{'q' if kind == 2 else 'd'}", data))
    texts, place = [], 0
    for _ in range(rows):
        (size,) = struct.unpack_from("<I", data, place)
        texts.append(data[place + 4 : place + 4 + size].decode())
        place += 4 + size
    assert place == len(data)
    return texts


COLUMNS = {"case": ["a", "b\nü", ""], "n": [1, -(2**40), 0], "dice": [0.5, -math.inf, 1e-300]}


def test_what_was_written_is_read_back_by_the_rules_of_the_format(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", COLUMNS)
    assert read_back(tmp_path / "a.parquet") == COLUMNS


def test_many_columns_and_no_rows_are_a_table_too(tmp_path: Path) -> None:
    many = {f"column {number}": [float(number)] * 300 for number in range(40)}
    write_parquet(tmp_path / "a.parquet", many)
    assert read_back(tmp_path / "a.parquet") == many
    write_parquet(tmp_path / "b.parquet", {"case": [], "dice": []})
    assert read_back(tmp_path / "b.parquet") == {"case": [], "dice": []}


def test_columns_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one length"):
        write_parquet(tmp_path / "a.parquet", {"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="'a' holds a mixture"):
        write_parquet(tmp_path / "a.parquet", {"a": [1, "x"]})  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_scores_are_written_with_their_types(tmp_path: Path) -> None:
    rows = [
        Score("a", "p", "", "lesion", {"dice": 0.5}, numbers=(1, 2)),
        Score("b", "", "x", "lesion", {"dice": math.nan}),
    ]
    Scores.of(rows, left_out=("c",)).write_parquet(tmp_path / "scores.parquet")
    found = read_back(tmp_path / "scores.parquet")
    assert (found["case"], found["site"], found["label_numbers"]) == (["a", "b"], ["", "x"], ["1 2", ""])
    assert found["dice"][0] == 0.5
    assert math.isnan(found["dice"][1])
    assert found["true_positives"] == [-1, -1]
    assert found["left_out"] == ['["c"]'] * 2
