from __future__ import annotations

from itertools import pairwise

import pytest

from neuraxis.dataset.case import Case
from neuraxis.dataset.splits import Fold, check_folds, hash_folds, split_by_patient, thin_training
from neuraxis.errors import DataError


def cases(patients: int, sessions: int = 1, sites: int = 1) -> list[Case]:
    return [
        Case(f"p{patient:02d}_{session}", {}, subject=f"p{patient:02d}", site=f"site{patient % sites}")
        for patient in range(patients)
        for session in range(sessions)
    ]


def test_every_case_validates_exactly_once_and_trains_in_all_other_folds() -> None:
    everyone = {case.id for case in cases(23)}
    folds = split_by_patient(cases(23), folds=5)
    assert sorted(id for fold in folds for id in fold.validation) == sorted(everyone)
    for fold in folds:
        assert set(fold.training) == everyone - set(fold.validation)


def test_folds_differ_by_at_most_one_patient() -> None:
    sizes = sorted(len(fold.validation) for fold in split_by_patient(cases(23), folds=5))
    assert sizes == [4, 4, 5, 5, 5]


def test_time_points_of_one_patient_stay_together() -> None:
    for fold in split_by_patient(cases(10, sessions=3), folds=5):
        training = {id[:3] for id in fold.training}
        assert not training & {id[:3] for id in fold.validation}
        assert len(fold.validation) == 6


def test_every_fold_validates_on_every_site() -> None:
    everyone = cases(20, sites=4)
    site_of = {case.id: case.site for case in everyone}
    for fold in split_by_patient(everyone, folds=5):
        assert sorted(site_of[id] for id in fold.validation) == ["site0", "site1", "site2", "site3"]


def test_the_split_depends_on_the_seed_and_on_nothing_else() -> None:
    once = split_by_patient(cases(20), folds=5, seed=3)
    assert split_by_patient(list(reversed(cases(20))), folds=5, seed=3) == once
    assert split_by_patient(cases(20), folds=5, seed=4) != once


def test_the_split_of_this_version_is_that_of_every_later_one() -> None:
    folds = split_by_patient(cases(6), folds=3)
    assert [fold.validation for fold in folds] == [("p00_0", "p01_0"), ("p02_0", "p05_0"), ("p03_0", "p04_0")]


def test_a_case_without_a_named_patient_is_a_patient_of_its_own() -> None:
    folds = split_by_patient([Case("a", {}), Case("b", {})], folds=2)
    assert sorted(fold.validation for fold in folds) == [("a",), ("b",)]


def test_more_folds_than_patients_are_refused_with_the_number_that_goes() -> None:
    with pytest.raises(DataError, match=r"3 patients cannot be dealt to 5 folds.*set splits\.folds to 3 or fewer"):
        split_by_patient(cases(3, sessions=4), folds=5)


def test_a_patient_on_both_sides_is_refused_by_name() -> None:
    everyone = cases(3, sessions=2)
    check_folds([Fold(("p00_0", "p00_1"), ("p01_0",))], everyone)
    with pytest.raises(DataError, match="Fold 1: patient 'p00' both trains and validates"):
        check_folds([Fold(("p00_0",), ("p01_0",)), Fold(("p00_0", "p02_0"), ("p00_1",))], everyone)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (Fold(("p00_0", "nobody"), ("p01_0",)), "Fold 0 names 'nobody'"),
        (Fold(("p00_0",), ("nobody",)), "Fold 0 names 'nobody'"),
        (Fold((), ("p00_0",)), "no case on one side"),
        (Fold(("p00_0",), ()), "no case on one side"),
    ],
)
def test_folds_that_cannot_be_used_are_refused(fold: Fold, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_folds([fold], cases(2))


def test_the_hash_changes_when_a_case_changes_sides() -> None:
    fold = Fold(("a", "b"), ("c",))
    assert hash_folds([fold]) == hash_folds([Fold(("a", "b"), ("c",))])
    assert hash_folds([fold]) != hash_folds([Fold(("a",), ("b", "c"))])
    assert len(hash_folds([fold])) == 64


def test_smaller_shares_of_the_training_patients_are_among_larger_ones() -> None:
    everyone = cases(20, sessions=2)
    folds = split_by_patient(everyone, folds=4)
    kept = [thin_training(folds, everyone, share)[1] for share in (0.001, 0.1, 0.5, 1.0)]
    assert all(fold.validation == folds[1].validation for fold in kept)
    assert [len(fold.training) for fold in kept] == [2, 4, 16, 30]
    assert all(set(few.training) <= set(many.training) for few, many in pairwise(kept))
    assert thin_training(folds, everyone, 0.5, seed=1)[1].training != kept[2].training
