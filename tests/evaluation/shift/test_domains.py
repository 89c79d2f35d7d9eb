"""Tests of `neuraxis.evaluation.shift.domains`."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import MissingExtra
from neuraxis.evaluation.shift import domains as module
from neuraxis.evaluation.shift.domains import Member, Shift, Space, compare_domains


def two_sites(each: int = 8, shift: float = 3.0) -> tuple[list[Member], Space]:
    members = [Member(f"{site}-{n}", site, f"{site}-{n}", "data") for site in ("north", "south") for n in range(each)]
    values = np.random.default_rng(0).normal(0, 1, (2 * each, 3))
    values[each:, 1] += shift
    return members, Space("intensity statistics", ("mean", "sd", "skewness"), values * [100, 1, 0.01])


@pytest.fixture
def found() -> Shift:
    members, space = two_sites()
    return compare_domains(members, [space])


def test_two_sites_that_differ_are_told_apart_by_the_feature_that_differs(found: Shift) -> None:
    (gap,) = found.gaps
    assert (gap.first, gap.second, gap.first_patients, gap.paired) == ("north", "south", 8, False)
    assert gap.p < 0.01
    assert gap.p_holm == gap.p
    assert gap.feature == "sd"
    assert -6 < gap.effect < -1.5


def test_units_of_features_do_not_matter() -> None:
    members, space = two_sites()
    other = Space(space.name, space.features, space.values * [1e-6, 1e6, 1])
    first, second = (compare_domains(members, [one]).gaps[0] for one in (space, other))
    assert first.mmd2 == pytest.approx(second.mmd2)
    assert first.p == second.p


def test_every_pair_of_domains_is_corrected_together() -> None:
    members, space = two_sites()
    three = [Member(m.id, "east" if m.id.endswith(("6", "7", "5", "4")) and m.domain == "south" else m.domain, m.id)
             for m in members]  # fmt: skip
    found = compare_domains(three, [space])
    assert [(gap.first, gap.second) for gap in found.gaps] == [("east", "north"), ("east", "south"), ("north", "south")]
    assert all(math.isnan(gap.p) for gap in found.gaps)
    assert any(note == "No test with fewer than 5 patients in a domain: east (4), south (4)." for note in found.notes)
    assert all(math.isfinite(gap.mmd2) for gap in found.gaps)


def test_several_cases_of_a_patient_count_once() -> None:
    members, space = two_sites()
    twice = compare_domains([*members, *members], [Space("s", space.features, np.tile(space.values, (2, 1)))])
    once = compare_domains(members, [space])
    assert twice.gaps[0].first_patients == 8
    assert twice.gaps[0].mmd2 == pytest.approx(once.gaps[0].mmd2)


def test_the_same_patients_on_both_sides_are_pairs() -> None:
    members, space = two_sites()
    same = [Member(member.id, member.domain, member.id[-1]) for member in members]
    found = compare_domains(same, [space])
    assert found.gaps[0].paired
    assert any(note.startswith("Where two domains hold the same patients") for note in found.notes)


def test_a_single_case_has_a_place_on_the_map_and_no_distance() -> None:
    members = [Member("a", "north", "a"), Member("b", "south", "b")]
    found = compare_domains(members, [Space("s", ("x",), np.array([[1.0], [2.0]]))])
    assert math.isnan(found.gaps[0].mmd2)
    assert math.isnan(found.gaps[0].effect)
    assert found.gaps[0].feature == "x"
    assert found.maps[0].neighbours is None


def test_every_case_is_written_with_features_and_places(found: Shift, tmp_path: Path) -> None:
    found.write_csv(tmp_path / "features.csv")
    rows = list(csv.DictReader((tmp_path / "features.csv").open()))
    assert len(rows) == 16
    assert float(rows[3]["sd"]) == found.spaces[0].values[3, 1]
    assert float(rows[3]["intensity statistics pca1"]) == found.maps[0].components.points[3, 0]
    assert rows[3]["domain"] == "north"
    assert {"intensity statistics tsne1", "intensity statistics tsne2"} <= rows[0].keys()


def test_without_scikit_learn_the_map_of_neighbours_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(rows: np.ndarray) -> None:
        raise MissingExtra("sklearn", "report")

    monkeypatch.setattr(module, "neighbour_map", missing)
    members, space = two_sites()
    found = compare_domains(members, [space, Space("network features", space.features, space.values)])
    assert [one.neighbours for one in found.maps] == [None, None]
    assert sum("t-SNE is left out." in note and "neuraxis[report]" in note for note in found.notes) == 1


def test_what_cannot_be_compared_is_refused() -> None:
    members, space = two_sites()
    with pytest.raises(ValueError, match="two domains"):
        compare_domains(members[:8], [Space("s", space.features, space.values[:8])])
    with pytest.raises(ValueError, match="one finite row"):
        compare_domains(members, [Space("s", space.features, space.values[:8])])
    with pytest.raises(ValueError, match="one finite row"):
        compare_domains(members, [Space("s", space.features, space.values * np.nan)])
