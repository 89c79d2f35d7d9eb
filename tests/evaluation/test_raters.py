from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.raters import MODEL, compare_raters, majority, standings, staple, williams_index


def masks(*lines: str) -> np.ndarray:
    return np.array([[letter == "x" for letter in line] for line in lines])[:, :, None, None]


def test_the_majority_is_more_than_half() -> None:
    assert majority(masks("xx..", "x...", "xxx.")).ravel().tolist() == [True, True, False, False]
    assert majority(masks("xx..", "x...")).ravel().tolist() == [True, False, False, False]


def test_staple_finds_the_truth_and_the_raters_that_made_it() -> None:
    generator = np.random.default_rng(3)
    truth = generator.random(40_000) < 0.3
    said = []
    for sensitivity, specificity in ((0.9, 0.95), (0.8, 0.99), (0.7, 0.9)):
        hit, wrong = generator.random((2, truth.size))
        said.append(np.where(truth, hit < sensitivity, wrong > specificity))
    found = staple(np.array(said)[:, :, None, None])
    assert found.sensitivity == pytest.approx([0.9, 0.8, 0.7], abs=0.03)
    assert found.specificity == pytest.approx([0.95, 0.99, 0.9], abs=0.03)
    wrong = ((found.probability.ravel() > 0.5) != truth).mean()
    assert wrong < min((one != truth).mean() for one in said)


@pytest.mark.parametrize("everywhere", [True, False])
def test_raters_who_all_say_one_thing_everywhere_are_right(everywhere: bool) -> None:
    found = staple(np.full((3, 4, 1, 1), everywhere))
    assert (found.probability == float(everywhere)).all()


def test_raters_who_agree_are_believed() -> None:
    found = staple(masks("xx......", "xx......", "xx......"))
    assert (found.probability.ravel() > 0.5).tolist() == [True, True, *[False] * 6]


def test_more_raters_than_it_can_take_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 16 raters, not 17"):
        staple(np.zeros((17, 2, 2, 2), bool))


def rows_of(cases: int, model: str) -> tuple:
    rows = []
    for number in range(cases):
        raters = dict(zip(("anna", "bert"), masks("xxxx....", "xx......"), strict=True))
        rows += compare_raters((f"case-{number}", f"p{number}", "lesion"), masks(model)[0], raters)
    return tuple(rows)


def test_a_model_that_lies_between_the_raters_agrees_better_than_they_do() -> None:
    rows = rows_of(5, "xxx.....")
    anna_bert, with_anna, with_bert = 2 * 2 / 6, 2 * 3 / 7, 2 * 2 / 5
    assert {row.dice for row in rows if (row.first, row.second) == ("anna", "bert")} == {anna_bert}
    first = standings(rows)[0]
    assert (first.who, first.rank, first.patients) == (MODEL, 1, 5)
    assert first.with_raters == pytest.approx((with_anna + with_bert) / 2)
    assert first.low == pytest.approx(first.with_raters)
    (index,) = williams_index(rows)
    assert index.value == pytest.approx((with_anna + with_bert) / 2 / anna_bert)
    assert index.low == pytest.approx(index.value)


def test_a_rater_is_held_against_the_others_alone() -> None:
    rows = {(row.first, row.second): row.dice for row in rows_of(1, "xxxx....")}
    assert rows["anna", "majority of others"] == rows["anna", "bert"]
    assert rows[MODEL, "majority of others"] == pytest.approx((1 + 2 * 2 / 6) / 2)  # anna's and bert's own, in turn


def test_below_five_patients_there_is_no_interval() -> None:
    rows = rows_of(4, "xxx.....")
    assert all(math.isnan(one.low) for one in standings(rows))
    assert math.isnan(williams_index(rows)[0].low)


def test_where_nobody_finds_anything_nothing_is_defined() -> None:
    rows = compare_raters(("a", "a", "lesion"), masks("....")[0], dict(zip("ab", masks("....", "...."), strict=True)))
    assert all(math.isnan(row.dice) for row in rows)
    assert math.isnan(williams_index(rows)[0].value)
    assert math.isnan(standings(rows)[0].with_raters)
