from __future__ import annotations

import importlib.metadata
from collections import Counter

import pytest

from neuraxis.errors import MissingExtra, UnknownName
from neuraxis.registry import Catalog, Entry, need

CATALOG = Catalog(
    "loss",
    {
        "ordered": Entry("collections:OrderedDict", "keeps order"),
        "counter": Entry("collections:Counter", "counts"),
        "absent": Entry("package_that_is_not_there.deep:Thing", "needs a package", "train"),
        "broken": Entry("package_that_is_not_there:Thing", "our own mistake"),
    },
)


class PointOfAnotherPackage:
    name = "elsewhere"

    def load(self) -> str:
        return "loaded from elsewhere"


def test_a_name_is_imported_on_request() -> None:
    assert CATALOG.load("counter") is Counter


def test_names_come_sorted_with_their_summaries() -> None:
    assert CATALOG.names() == ("absent", "broken", "counter", "ordered")
    assert CATALOG.summary("counter") == "counts"


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"No loss is called 'conter'\. Did you mean 'counter'\?"):
        CATALOG.load("conter")


def test_a_name_like_nothing_is_answered_with_all_of_them() -> None:
    with pytest.raises(LookupError, match="Known: absent, broken, counter, ordered"):
        CATALOG.load("zzz")


def test_a_missing_package_is_answered_with_the_line_to_type() -> None:
    with pytest.raises(MissingExtra, match=r"'package_that_is_not_there'.*pip install 'neuraxis\[train\]'"):
        CATALOG.load("absent")


def test_a_missing_module_of_our_own_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        CATALOG.load("broken")
    assert not isinstance(caught.value, MissingExtra)


def test_another_package_adds_a_name_through_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def entry_points(group: str) -> list[PointOfAnotherPackage]:
        asked.append(group)
        return [PointOfAnotherPackage()]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert "elsewhere" in CATALOG.names()
    assert CATALOG.summary("elsewhere") == ""
    assert CATALOG.load("elsewhere") == "loaded from elsewhere"
    assert set(asked) == {"neuraxis.losses"}
    Catalog("network", {}).names()
    assert asked[-1] == "neuraxis.networks"


def test_a_package_that_is_needed_is_asked_for_without_importing_it() -> None:
    need("json", "train")
    with pytest.raises(MissingExtra, match=r"'package_that_is_not_there'.*neuraxis\[report\]"):
        need("package_that_is_not_there", "report")
