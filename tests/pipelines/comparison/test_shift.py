"""Tests of `neuraxis.pipelines.comparison.shift`: whole comparisons of toy sites."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.inference.bottleneck import Bottleneck
from neuraxis.pipelines.comparison.shift import ShiftOptions, domain_shift

Make = Callable[..., Path]
DICE = EvaluateOptions(metrics=("dice",))


def test_a_brighter_site_is_told_apart_and_one_like_the_first_is_not(make_dataset: Make, tmp_path: Path) -> None:
    folders = [make_dataset("a"), make_dataset("b", gain=2.0, first=10), make_dataset("c", first=20)]
    found = domain_shift(folders, tmp_path / "out")
    p = {(gap.first, gap.second): gap.p_holm for gap in found.shift.gaps}
    assert p["a", "b"] < 0.01
    assert p["b", "c"] < 0.01
    assert p["a", "c"] > 0.05
    assert found.shift.gaps[0].effect < -5
    rows = list(csv.DictReader((tmp_path / "out" / "features.csv").open()))
    assert len(rows) == 18
    assert float(rows[6]["FLAIR p50"]) / float(rows[0]["FLAIR p50"]) == pytest.approx(2, rel=0.1)
    content = json.loads((tmp_path / "out" / "shift.json").read_text())
    assert content["domains"]["b"] == {"cases": 6, "patients": 6}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Domain shift: a, b, c" in page
    assert "t-SNE" in page
    assert not (tmp_path / "out" / "predictions").exists()


def test_a_models_features_are_compared_beside_the_intensities(make_dataset: Make, model: Path, tmp_path: Path) -> None:
    a, b = make_dataset("a"), make_dataset("b", gain=2.0, first=10)
    found = domain_shift([a, b], tmp_path / "out", ShiftOptions(model=model))
    assert [space.name for space in found.shift.spaces] == ["intensities", "network features"]
    case = nx.open_dataset(a).cases[0].read_images()
    assert np.array_equal(found.shift.spaces[1].values[0], Bottleneck(nx.open_bundle(model)).describe(case))
    assert any("the coarsest level of 'fixture' (fold 0)" in note for note in found.shift.notes)
    rows = list(csv.DictReader((tmp_path / "out" / "features.csv").open()))
    assert float(rows[0]["feature 0"]) == found.shift.spaces[1].values[0, 0]
    assert "Map by network" in (tmp_path / "out" / "report.html").read_text()


def test_channels_of_one_scan_are_pairs(make_dataset: Make) -> None:
    found = domain_shift(make_dataset(), options=ShiftOptions(by="channel"))
    (gap,) = found.shift.gaps
    assert (gap.first, gap.second, gap.paired, gap.first_patients) == ("FLAIR", "T1", True, 6)
    assert found.shift.spaces[0].features[0] == "mean"
    assert gap.p < 0.06


def test_entries_are_scored_by_domain(make_dataset: Make, predict: Make, tmp_path: Path) -> None:
    a, b = make_dataset("a", 3), make_dataset("b", 3, first=3)
    entries = (f"near={predict('p', 1)}", f"boxed={predict('q', 0)}")
    options = ShiftOptions(entries=entries, oracles=("boxed",), scoring=DICE)
    found = domain_shift([a, b], tmp_path / "out", options)
    assert [one.label for one in found.scores] == ["near", "boxed (oracle)"]
    assert {row.case: row.site for row in found.scores[0].scores.rows} == {
        f"sub-{n}": "a" if n < 3 else "b" for n in range(6)
    }
    by_domain = found.scores[0].by_domain()
    assert list(by_domain) == ["a", "b"]
    assert len(by_domain["a"].cases()) == 3
    assert (tmp_path / "out" / "scores-near.csv").is_file()
    page = (tmp_path / "out" / "report.html").read_text()
    assert "boxed (oracle) used the reference to predict" in page
    assert "boxed" not in page.replace("boxed (oracle)", "")


def test_a_run_on_several_datasets_names_its_cases_after_them(make_dataset: Make, predict: Make) -> None:
    a, b = make_dataset("a", 3), make_dataset("b", 3)
    folder = predict("p", 1, range(3))
    for path in sorted(folder.iterdir()):
        for name in "ab":
            (folder / f"{name}_{path.name}").write_bytes(path.read_bytes())
        path.unlink()
    found = domain_shift([a, b], options=ShiftOptions(entries=(str(folder),), scoring=DICE))
    assert found.scores[0].scores.cases() == ("a_sub-0", "a_sub-1", "a_sub-2", "b_sub-0", "b_sub-1", "b_sub-2")


def test_a_bundle_predicts_every_domain(make_dataset: Make, model: Path, tmp_path: Path) -> None:
    a, b = make_dataset("a", 1), make_dataset("b", 1, first=1)
    options = ShiftOptions(entries=(f"m={model}",), scoring=DICE)
    with pytest.raises(UsageError, match="m: is a bundle, whose predictions need a folder"):
        domain_shift([a, b], options=options)
    found = domain_shift([a, b], tmp_path / "out", options)
    assert (tmp_path / "out" / "predictions" / "m" / "sub-1.nii.gz").is_file()
    assert {row.site for row in found.scores[0].scores.rows} == {"a", "b"}


def test_a_case_that_an_entry_lacks_is_refused_or_listed(make_dataset: Make, predict: Make) -> None:
    a, b = make_dataset("a", 3), make_dataset("b", 3, first=3)
    entry = (f"p={predict('p', 1, range(5))}",)
    with pytest.raises(DataError, match=r"p: 1 case \(sub-5\) without a prediction"):
        domain_shift([a, b], options=ShiftOptions(entries=entry, scoring=DICE))
    found = domain_shift([a, b], options=ShiftOptions(entries=entry, common=True, scoring=DICE))
    assert any("Left out by --common: p: 1 case (sub-5)" in note for note in found.shift.notes)


def test_what_cannot_be_meant_is_answered_in_a_line(
    make_dataset: Make, predict: Make, model: Path, tmp_path: Path
) -> None:
    a, b = make_dataset("a", 2), make_dataset("b", 2, first=2)
    with pytest.raises(UsageError, match="--by channel: scores are of cases"):
        domain_shift(a, options=ShiftOptions(by="channel", entries=(str(predict("p")),)))
    with pytest.raises(UsageError, match="--by channel: the model 'fixture' gives features of a case"):
        domain_shift(a, options=ShiftOptions(by="channel", model=model))
    odd = make_dataset("odd", 2, first=2, labels={"background": 0, "core": 1, "rest": 2})
    with pytest.raises(DataError, match=r"odd: labels core, rest; .*a labels lesion, cord\. Scores need the same"):
        domain_shift([a, odd], options=ShiftOptions(entries=(str(predict("p")),)))
    domain_shift([a, b], tmp_path / "out")
    with pytest.raises(UsageError, match=r"features\.csv exists already"):
        domain_shift([a, b], tmp_path / "out")
    domain_shift([a, b], tmp_path / "out", ShiftOptions(overwrite=True))


def test_cases_are_read_one_at_a_time(make_dataset: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from neuraxis.dataset.case import Case

    alive, most = [0], [0]
    read = Case.read_images

    class Counted:
        def __init__(self) -> None:
            alive[0] += 1
            most[0] = max(most[0], alive[0])

        def __del__(self) -> None:
            alive[0] -= 1

    def counted(case: Case) -> object:
        volume = read(case)
        object.__setattr__(volume, "name", "x")
        volume.__dict__["_counted"] = Counted()
        return volume

    monkeypatch.setattr(Case, "read_images", counted)
    domain_shift([make_dataset("a", 4), make_dataset("b", 4)])
    assert (most[0], alive[0]) == (1, 0)
