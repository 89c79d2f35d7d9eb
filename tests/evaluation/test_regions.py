from __future__ import annotations

import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import UsageError
from neuraxis.evaluation.regions import REGION_SETS, read_regions, with_regions


def test_known_sets_and_own_regions_may_be_mixed() -> None:
    found = read_regions(["cervical", "upper=1+2"])
    assert list(found) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "upper"]
    assert (found["C7"], found["upper"]) == ((7,), (1, 2))


def test_tumour_regions_lie_within_one_another() -> None:
    for name in ("brats", "brats2023", "msd-brain"):
        regions = {key: set(numbers) for key, numbers in REGION_SETS[name].items()}
        assert regions["ET"] < regions["TC"] < regions["WT"]


def test_numbers_without_a_label_are_named_by_themselves_and_the_ignored_one_stays() -> None:
    labels = with_regions(Labels(names={"background": 0, "core": 1}, ignore=9), {"WT": (1, 4)})
    assert labels.names == {"background": 0, "core": 1, "4": 4}
    assert (labels.scored, labels.ignore) == ({"WT": (1, 4)}, 9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["brast"], "Did you mean 'brats'"),
        (["WT=1,2"], "neither NAME=NUMBER"),
        (["WT="], "neither NAME=NUMBER"),
        (["brats", "ET=3"], "'ET' comes twice"),
    ],
)
def test_what_is_no_region_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_regions(words)
