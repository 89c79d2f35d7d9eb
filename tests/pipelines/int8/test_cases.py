"""Which cases calibrate and which measure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.pipelines.int8 import cases
from neuraxis.pipelines.int8.cases import HELD_OUT, SHARED, UNKNOWN, check_fits, deal_cases
from neuraxis.pipelines.steps import choose_folds


def test_where_the_splits_are_known_training_cases_calibrate_and_held_out_ones_measure(
    trained: Path, toy: Path
) -> None:
    bundle, dataset = open_bundle(trained), open_dataset(toy)
    splits = choose_folds(dataset, bundle.recipe)
    deal = deal_cases(bundle, dataset)
    assert [(part.folds, part.cases) for part in deal.measuring] == [
        ((0,), splits[0].validation),
        ((2,), splits[2].validation),
    ]
    assert deal.calibrating == {0: splits[0].training, 2: splits[2].training}
    assert (deal.held_out, deal.notes, deal.cases) == (True, (HELD_OUT,), 4)


@pytest.mark.parametrize("changed", [{"split_hash": ""}, {"split_hash": "1" * 64}, {"data_hash": "2" * 64}])
def test_where_they_are_not_known_one_half_calibrates_and_the_other_measures(
    changed: dict[str, str], without: Callable[..., ModelBundle], toy: Path
) -> None:
    deal = deal_cases(without(**changed), open_dataset(toy))
    (part,) = deal.measuring
    assert part.folds == (0, 2)
    assert part.cases == ("sub-0", "sub-2", "sub-4")
    assert deal.calibrating == dict.fromkeys((0, 2), ("sub-1", "sub-3", "sub-5"))
    assert (deal.held_out, deal.notes) == (False, (UNKNOWN,))


def test_named_cases_measure_and_the_others_calibrate(trained: Path, toy: Path) -> None:
    bundle, dataset = open_bundle(trained), open_dataset(toy)
    splits = choose_folds(dataset, bundle.recipe)
    held_out_of_both = [id for id in splits[0].validation if id in splits[2].validation]
    assert held_out_of_both == []
    deal = deal_cases(bundle, dataset, ("sub-1", "sub-4", "sub-1"))
    assert [part.cases for part in deal.measuring] == [("sub-1", "sub-4")]
    assert deal.calibrating[0] == ("sub-0", "sub-2", "sub-3", "sub-5")
    assert deal.held_out is False


def test_a_single_case_does_both_and_the_note_says_so(without: Callable[..., ModelBundle], toy: Path) -> None:
    deal = deal_cases(without(split_hash=""), open_dataset(toy).only(["sub-3"]))
    assert deal.calibrating[0] == deal.measuring[0].cases == ("sub-3",)
    assert deal.notes == (UNKNOWN, SHARED)


def test_of_many_cases_some_are_taken_spread_over_all(
    without: Callable[..., ModelBundle], toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MEASURE", 2)
    monkeypatch.setattr(cases, "CALIBRATE", 2)
    deal = deal_cases(without(split_hash=""), open_dataset(toy))
    assert deal.measuring[0].cases == ("sub-0", "sub-3")
    assert deal.calibrating[2] == ("sub-1", "sub-4")


def test_a_case_that_is_not_there_is_answered_with_the_nearest(trained: Path, toy: Path) -> None:
    with pytest.raises(UsageError, match=r"has no labelled case 'sub-9'\. Did you mean 'sub-\d'\?"):
        deal_cases(open_bundle(trained), open_dataset(toy), ("sub-9",))


def test_data_of_other_structures_or_without_labels_are_refused(trained: Path, toy: Path, tmp_path: Path) -> None:
    bundle = open_bundle(trained)
    other = Path(shutil.copytree(toy, tmp_path / "other"))
    description = json.loads((other / "dataset.json").read_text())
    description["labels"] = {"background": 0, "cube": 2, "slab": 1}
    (other / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(DataError, match=r"labels slab, cube\. The model 'toy' segments cube, slab, or numbers them"):
        check_fits(open_dataset(other), bundle)
    with pytest.raises(DataError, match="holds no labelled case"):
        check_fits(open_dataset(toy).only([]), bundle)
    check_fits(open_dataset(toy), bundle)
