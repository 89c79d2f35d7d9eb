from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.phantoms.cohort import CohortOptions
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.pipelines import demo
from neuraxis.pipelines.demo import DemoOptions, run_demo
from neuraxis.pipelines.fit import FitOptions, FitResult
from neuraxis.pipelines.segment import SegmentResult
from neuraxis.recipe.wishes import read_wishes
from neuraxis.volume.formats import nifti

COARSE = CohortOptions(phantom=PhantomOptions(spacing_mm=(5.0, 5.0, 5.0)))
SMALL = DemoOptions(seed=3, training=1, unseen=1, seconds=100, cohort=COARSE)


class FakeFit:
    """Stands for `fit`: remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[Path], FitOptions]] = []

    def __call__(self, datasets: Sequence[Path], options: FitOptions, progress: Any = None) -> FitResult:
        self.calls.append((list(datasets), options))
        held_out = Scores.of([Score("a", "", "", "lesion", {"dice": 0.5})])
        return FitResult(options.into, options.into / "model.nxb", options.into / "report.html", held_out)


def segment_perfectly_but_one(scans: Sequence[Path], model: Path, into: Path, *_: Any) -> tuple[SegmentResult, ...]:
    """Stands for `segment`: gives back the answers, but nothing for the first case."""
    answers = sorted(path for folder in scans for path in (folder.parent / "labelsTs").iterdir())
    for number, answer in enumerate(answers):
        volume = nifti.read(answer)
        nifti.write(into / answer.name, volume.with_array(volume.array * (number > 0)))
    return tuple(SegmentResult(answer.name.removesuffix(".nii.gz"), into / answer.name) for answer in answers)


@pytest.fixture
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> FakeFit:
    fake = FakeFit()
    monkeypatch.setattr(demo, "fit", fake)
    monkeypatch.setattr(demo, "segment", segment_perfectly_but_one)
    return fake


def test_every_site_is_fitted_and_the_unseen_phantoms_are_scored(fake_fit: FakeFit, tmp_path: Path) -> None:
    result = run_demo(tmp_path, options=SMALL)
    datasets, options = fake_fit.calls[0]
    assert [folder.name for folder in datasets] == ["Dataset901_Alder", "Dataset902_Birch", "Dataset903_Cedar"]
    assert options.into == tmp_path / "run"
    assert 60 <= (options.budget_s or 0) <= 70
    assert result.dice_of_each == {"ms0501": 0.0, "ms1501": 1.0, "ms2501": 1.0}
    assert result.dice == pytest.approx(2 / 3)
    assert result.held_out_dice == 0.5
    assert 0 < result.threshold_dice < 0.6


def test_no_unseen_phantom_is_among_the_labelled_cases_that_fit_reads(fake_fit: FakeFit, tmp_path: Path) -> None:
    result = run_demo(tmp_path, options=SMALL)
    read = {case.id for folder in fake_fit.calls[0][0] for case in open_dataset(folder).cases}
    assert read == {"ms0001", "ms1001", "ms2001"}
    assert not read & set(result.dice_of_each)


def test_the_result_tells_how_good_it_was_and_where_the_report_is(fake_fit: FakeFit, tmp_path: Path) -> None:
    result = run_demo(tmp_path, options=SMALL)
    text = str(result)
    assert "Mean lesion Dice on 3 phantoms never seen: 0.667 (0.00, 1.00, 1.00)" in text
    assert str(tmp_path / "run" / "report.html") in text
    noted = json.loads((tmp_path / "demo.json").read_text())
    assert noted["result"]["dice"] == pytest.approx(2 / 3)
    assert (tmp_path / "unseen.csv").read_text().count("\n") == 4


def test_the_same_call_again_asks_fit_for_the_same_and_makes_no_phantom_twice(
    fake_fit: FakeFit, tmp_path: Path
) -> None:
    run_demo(tmp_path, options=SMALL)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "cohort").rglob("*.nii.gz")}
    run_demo(tmp_path, options=SMALL)
    assert fake_fit.calls[0] == fake_fit.calls[1]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cohort").rglob("*.nii.gz")} == made
    assert len(made) == 6 * 4


def test_a_folder_with_another_demo_is_refused(fake_fit: FakeFit, tmp_path: Path) -> None:
    run_demo(tmp_path, options=SMALL)
    with pytest.raises(UsageError, match="another seed or size"):
        run_demo(tmp_path, options=DemoOptions(seed=4, training=1, unseen=1, seconds=100, cohort=COARSE))


def test_a_phantom_that_cannot_be_segmented_ends_the_demo_with_its_reason(
    fake_fit: FakeFit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = (SegmentResult("ms0501", error="ms0501: no room.", exit_code=5),)
    monkeypatch.setattr(demo, "segment", lambda *_: failing)
    with pytest.raises(DataError, match=r"ms0501: no room\."):
        run_demo(tmp_path, options=SMALL)


def test_the_demos_recipe_can_be_read() -> None:
    assert read_wishes("demo")["name"] == "demo"


@pytest.mark.long
def test_the_real_demo_reaches_a_dice_of_070_on_unseen_phantoms_within_6_minutes(tmp_path: Path) -> None:
    result = run_demo(tmp_path)
    assert result.dice >= 0.70, result
    assert result.threshold_dice <= 0.45, result
    assert result.seconds <= 360, result
    assert result.report.is_file()
    assert result.bundle.is_file()
