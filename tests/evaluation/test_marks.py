from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuraxis.errors import DataError
from neuraxis.evaluation.marks import FORMAT, bad_cases, read_marks


def written(folder: Path, content: Any) -> Path:
    path = folder / "marks.json"
    path.write_text(json.dumps(content))
    return path


def test_the_bad_cases_are_read_back(tmp_path: Path) -> None:
    path = written(tmp_path, {"format": FORMAT, "marks": {"b": "bad", "a": "bad", "c": "check", "d": "good"}})
    assert read_marks(path)["c"] == "check"
    assert bad_cases(path) == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no marks"),
        ({"marks": {}}, "holds no marks"),
        ({"format": FORMAT, "marks": []}, "holds no marks"),
        ({"format": FORMAT, "marks": {"a": "ugly"}}, "'a' is marked 'ugly'"),
        ({"format": FORMAT, "marks": {"a": ["bad"]}}, "'a' is marked"),
    ],
)
def test_what_holds_no_marks_is_refused_with_the_file(tmp_path: Path, content: Any, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as refused:
        read_marks(path)
    assert str(path) in str(refused.value)
