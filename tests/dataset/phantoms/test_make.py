"""A folder of phantoms is whole or not there, and what cannot be made is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.dataset.phantoms.kind import MakeOptions
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.errors import ResourceError, UnknownName, UsageError


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (MakeOptions(cases=0), "--cases 0: needed is a number from 1 to 9999"),
        (MakeOptions(sites=5), "--sites 5: of cord-epi, 1 to 4 sites are known"),
        (MakeOptions(seed=-1), "--seed -1"),
        (MakeOptions(size="huge"), "--size huge: needed is one of small, medium, large"),
        (MakeOptions(tilt_degrees=45), "--tilt 45"),
        (MakeOptions(tilt_degrees=float("nan")), "--tilt nan"),
        (MakeOptions(tilt_degrees=5), "cord-epi has no gantry to tilt"),
    ],
)
def test_an_option_out_of_range_is_refused(options: MakeOptions, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        make_phantoms("cord-epi", tmp_path / "made", options)
    assert not list(tmp_path.iterdir())


def test_a_misspelt_kind_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'cord-epi'"):
        make_phantoms("cord-ep", tmp_path / "made")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        make_phantoms("cord-epi", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_a_making_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuraxis.volume.formats.nifti.write", full)
    with pytest.raises(ResourceError, match="No space left"):
        make_phantoms("cord-epi", tmp_path / "made", MakeOptions(1, size="small"))
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled_and_says_what_was_asked(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    make_phantoms("brain-tumour", tmp_path / "made", MakeOptions(1, seed=8, size="small"))
    asked = json.loads((tmp_path / "made" / "phantoms.json").read_text())
    assert (asked["kind"], asked["seed"], asked["cases"], asked["synthetic"]) == ("brain-tumour", 8, 1, True)
