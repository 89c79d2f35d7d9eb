"""Marks that a reader gave to cases in a report, as the page exports them: good, check or bad."""

from __future__ import annotations

from pathlib import Path

from neuraxis.errors import DataError
from neuraxis.files import read_json

FORMAT = "neuraxis-marks-1"
MARKS = ("good", "check", "bad")


def read_marks(path: Path | str) -> dict[str, str]:
    """Return the mark of each case.

    Raises:
        DataError: the file is missing or holds no marks.
    """
    path = Path(path)
    content = read_json(path)
    marks = content.get("marks") if isinstance(content, dict) else None
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(marks, dict):
        raise DataError(f"{path}: holds no marks. Needed is the marks.json that a report exports.")
    wrong = next(((case, mark) for case, mark in marks.items() if mark not in MARKS), None)
    if wrong:
        raise DataError(f"{path}: '{wrong[0]}' is marked {wrong[1]!r:.40}. Marks are {', '.join(MARKS)}; mend it.")
    return {str(case): str(mark) for case, mark in marks.items()}


def bad_cases(path: Path | str) -> tuple[str, ...]:
    """Return the cases that are marked bad, sorted.

    Raises:
        DataError: the file is missing, or holds no marks.
    """
    return tuple(sorted(case for case, mark in read_marks(path).items() if mark == "bad"))
