"""Tests of `neuraxis.pipelines.comparison.domains`: which case belongs where, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuraxis.errors import DataError, UsageError
from neuraxis.pipelines.comparison.domains import Grouping, open_sources, place_cases, read_participants

Make = Callable[..., Path]


def domains(*folders: Path, **how: str) -> list[str]:
    return [one.domain for one in place_cases(open_sources(folders), Grouping(**how))]


def test_the_site_of_dataset_json_is_the_domain(make_dataset: Make) -> None:
    sites = {f"sub-{n}": "north" if n < 2 else "south" for n in range(6)}
    assert domains(make_dataset(site=sites)) == ["north"] * 2 + ["south"] * 4


def test_datasets_without_sites_are_domains_themselves(make_dataset: Make) -> None:
    a, b = make_dataset("a", 2), make_dataset("b", 1)
    placed = place_cases(open_sources([a, b]), Grouping())
    assert [(one.id, one.domain) for one in placed] == [("a_sub-0", "a"), ("a_sub-1", "a"), ("b_sub-0", "b")]
    assert [one.patient for one in placed] == ["a/sub-0", "a/sub-1", "b/sub-0"]
    assert domains(a, b, by="dataset") == ["a", "a", "b"]


def test_one_patient_on_two_scanners_of_a_dataset_stays_one(make_dataset: Make) -> None:
    scanners, patients = {"sub-0": "x", "sub-1": "y"}, {"sub-0": "Ada", "sub-1": "Ada"}
    placed = place_cases(open_sources([make_dataset(cases=2, site=scanners, subject=patients)]), Grouping())
    assert [(one.domain, one.patient) for one in placed] == [("x", "Ada"), ("y", "Ada")]


def test_a_pattern_in_the_names_tells_domains(make_dataset: Make) -> None:
    assert domains(make_dataset("b", 3), pattern=r"sub-(\d)") == ["0", "1", "2"]
    assert domains(make_dataset("c", 3), pattern=r"\d") == ["0", "1", "2"]


def test_a_column_of_participants_tells_domains(make_dataset: Make) -> None:
    data = make_dataset(cases=3)
    (data / "participants.tsv").write_text(
        "participant_id\tscanner\tsite\nsub-0\tPrisma\tA\nsub-1\tAera\tA\nsub-2\tAera\tB\n"
    )
    assert domains(data, by="scanner") == ["Prisma", "Aera", "Aera"]
    assert domains(data) == ["A", "A", "B"]
    with pytest.raises(UsageError, match=r"--by scaner: no participants.tsv .* Did you mean 'scanner'\?"):
        domains(data, by="scaner")


def test_participants_are_found_with_and_without_their_prefix(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\tage\n01\t50\nsub-02\t60\n")
    rows = read_participants(tmp_path)
    assert (rows["sub-01"]["age"], rows["02"]["age"]) == ("50", "60")
    (tmp_path / "participants.tsv").write_text("name\tage\n01\t50\n")
    with pytest.raises(DataError, match="has no column participant_id"):
        read_participants(tmp_path)


def test_a_case_without_a_domain_is_named(make_dataset: Make) -> None:
    data = make_dataset(site={"sub-0": "north", "sub-1": "south"})
    with pytest.raises(DataError, match=r"4 of 6 cases have no domain, since no site is known: sub-2, sub-3"):
        domains(data)
    with pytest.raises(DataError, match=r"since the pattern 'ub-\[01\]' is not found in their names: sub-2"):
        domains(data, pattern="ub-[01]")
    with pytest.raises(UsageError, match=r"--site \(: is no regular expression"):
        domains(data, pattern="(")


def test_one_domain_is_no_comparison(make_dataset: Make) -> None:
    with pytest.raises(DataError, match=r"All 6 cases are of one domain, 'toy'\. Name more datasets"):
        domains(make_dataset())


def test_images_without_label_maps_count_and_so_do_plain_folders(make_dataset: Make, tmp_path: Path) -> None:
    data = make_dataset("a", 3)
    unlabelled = tmp_path / "new-hospital"
    unlabelled.mkdir()
    for path in (data / "imagesTr").glob("sub-2_*"):
        path.rename(unlabelled / path.name)
    (data / "labelsTr" / "sub-2.nii.gz").unlink()
    (data / "imagesTs").mkdir()
    for path in (data / "imagesTr").glob("sub-1_*"):
        path.rename(data / "imagesTs" / path.name)
    (data / "labelsTr" / "sub-1.nii.gz").unlink()
    placed = place_cases(open_sources([data, unlabelled]), Grouping())
    assert [(one.id, one.domain) for one in placed] == [
        ("a_sub-0", "a"),
        ("a_sub-1", "a"),
        ("new-hospital_sub-2", "new-hospital"),
    ]


def test_channels_are_those_in_common_and_what_is_needed_is_asked_for(make_dataset: Make) -> None:
    a = make_dataset("a", 1)
    b = make_dataset("b", 1, channel_names={"0": "T2", "1": "T1"})
    assert [source.channels for source in open_sources([a, b])] == [("T1",), ("T1",)]
    with pytest.raises(DataError, match=r"b: has the channels T2, T1; needed is FLAIR"):
        open_sources([a, b], ("FLAIR", "T1"))
    c = make_dataset("c", 1, channel_names={"0": "T2", "1": "PD"})
    with pytest.raises(DataError, match=r"no channel in common: .*a has FLAIR, T1; .*c has T2, PD\."):
        open_sources([a, c])


def test_two_datasets_of_one_name_and_none_at_all_are_refused(make_dataset: Make) -> None:
    data = make_dataset()
    with pytest.raises(UsageError, match="Two datasets are called 'toy'"):
        open_sources([data, data])
    with pytest.raises(UsageError, match="No dataset is named"):
        open_sources([])
