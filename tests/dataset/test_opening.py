from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.dataset.opening import Opening, Place, places_from_dict, places_of, places_to_dict
from neuraxis.errors import DataError, UsageError


def test_the_group_of_the_expression_is_the_patient() -> None:
    assert Opening(subject=r"^1?(\d\d)\d{3}$").subject_of("106014") == "06"


@pytest.mark.parametrize(
    ("expression", "words"), [("sub-.*", "has 0 groups"), ("(a)(b)", "has 2 groups"), ("(", "no regular")]
)
def test_an_expression_without_exactly_one_group_is_refused(expression: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Opening(subject=expression)


def test_a_case_that_the_expression_does_not_match_is_named() -> None:
    with pytest.raises(DataError, match=r"brain: --subject \^\(p\\d\) finds no patient"):
        Opening(subject=r"^(p\d)").subject_of("brain")


def test_places_go_through_json_and_back(tmp_path: Path) -> None:
    plain = places_of([tmp_path / "a", str(tmp_path / "b")])
    assert places_to_dict(plain) == {"datasets": [str(tmp_path / "a"), str(tmp_path / "b")], "openings": None}
    assert places_from_dict(places_to_dict(plain)) == plain
    special = (Place(tmp_path, Opening("bids", "(.)", tmp_path / "table.txt", 3)), Place(tmp_path / "b"))
    assert places_from_dict(places_to_dict(special)) == special
    assert places_from_dict({"datasets": [str(tmp_path)]}) == (Place(tmp_path),)
