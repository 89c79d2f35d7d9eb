from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from neuraxis.cli.printing import columns, complain, number, show_json
from neuraxis.dataset.labels import Labels


def test_numbers_are_flush_right_and_words_flush_left() -> None:
    assert columns([("a", 10, 0.5), ("long", 5, 10.25)], ("name", "n", "mean")) == (
        "name   n    mean\n"
        "a     10   0.500\n"
        "long   5  10.250"
    )  # fmt: skip


def test_no_rows_leave_the_header_and_nothing_leaves_nothing() -> None:
    assert columns([], ("name", "n")) == "name  n"
    assert columns([]) == ""


def test_rows_may_come_from_a_generator() -> None:
    assert columns((name, "x") for name in "ab") == "a  x\nb  x"


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (99.9999, "100.000"), (1234.56, "1234.6"), (math.nan, "-")]
)
def test_a_number_keeps_what_can_be_read(value: float, text: str) -> None:
    assert number(value) == text


@dataclass(frozen=True)
class Finding:
    path: Path
    value: float
    counts: np.ndarray


def test_json_holds_paths_models_arrays_and_dataclasses_and_null_for_nan(capsys: pytest.CaptureFixture[str]) -> None:
    labels = Labels(names={"background": 0, "lesion": 1})
    show_json({"found": [Finding(Path("a/b"), math.nan, np.array([1, 2]))], "labels": labels, "worst": -math.inf})
    content = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert content["found"] == [{"path": "a/b", "value": None, "counts": [1, 2]}]
    assert content["labels"]["names"] == {"background": 0, "lesion": 1}
    assert content["worst"] is None


def test_what_json_cannot_hold_is_our_bug(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="object cannot be shown as JSON"):
        show_json(object())


def test_complaints_go_to_stderr_and_say_who_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a: missing.")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "neuraxis: a: missing.\n")
