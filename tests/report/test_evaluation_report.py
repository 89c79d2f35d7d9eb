"""Tests of `neuraxis.report.evaluation_report`."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.labels import Labels
from neuraxis.errors import UsageError
from neuraxis.evaluation.evaluate import score_case
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.report.evaluation_report import RunReport, choose_cases, report_html, write_run_report
from neuraxis.report.overlays import Overlay

Reader = Callable[[str], Any]


def sections(root: Any) -> list[str]:
    return [section.attributes["id"] for section in root.all("section")]


@pytest.fixture
def whole(scores: Scores, overlay: Overlay) -> RunReport:
    return RunReport(
        title="toy, fold 0",
        scores=scores,
        dataset={"cases": 30, "channels": ["T1", "T2"], "spacing": {"x": 1.0}},
        reasons={"patches.shape": "It covers the median scan."},
        recipe_toml='name = "auto"\n[patches]\nbatch = 2\n',
        curves=[{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5, "validation_dice": 0.3}],
        overlays=(overlay,),
        facts={"seed": "0"},
        notes=("Sides cannot be told apart.",),
    )


def test_a_run_has_every_section(read_html: Reader, whole: RunReport) -> None:
    root = read_html(report_html(whole))
    assert sections(root) == [
        "scores",
        "distributions",
        "pictures",
        "cases",
        "sites",
        "curves",
        "plan",
        "recipe",
        "facts",
        "notes",
    ]


def test_what_the_run_says_is_on_the_page(read_html: Reader, whole: RunReport) -> None:
    root = read_html(report_html(whole))
    assert [one.text() for one in root.one("dl", class_="chips").all("dd")] == ["30", "T1, T2", "x 1"]
    assert root.one("section", id="plan").one("dd").text() == "It covers the median scan."
    assert root.one("details").one("code").text() == whole.recipe_toml
    assert [one.text() for one in root.one("section", id="curves").all("figcaption")] == ["Loss", "Dice"]
    assert root.one("section", id="facts").one("dt").text() == "seed"
    notes = [one.text() for one in root.one("section", id="notes").all("li")]
    assert notes == [*whole.scores.notes, "Sides cannot be told apart."]
    assert notes[0].startswith("n = 6 cases of 6 patients.")


def profile_rows(on_device: float) -> list[dict[str, str]]:
    """Rows as csv.DictReader gives them."""
    names = ("operation", "calls", "milliseconds", "device_milliseconds", "share")
    values = [
        ("backward: convolution", "19.0", "400.5", str(on_device), "0.8"),
        ("loss", "36.0", "100.0", "0.0", "0.2"),
    ]
    return [dict(zip(names, row, strict=True)) for row in values]


def test_a_profile_becomes_a_table_and_bars(read_html: Reader, scores: Scores) -> None:
    root = read_html(report_html(RunReport("run", scores, profile=profile_rows(0.0))))
    section = root.one("section", id="profile")
    cells = " ".join(cell.text() for cell in section.one("tbody").all("td"))
    assert cells == "19.0 400.50 80.0 36.0 100.00 20.0"
    assert len(section.all("rect")) == 2


def test_a_profile_of_a_gpu_shows_the_time_there(read_html: Reader, scores: Scores) -> None:
    section = read_html(report_html(RunReport("run", scores, profile=profile_rows(12.5)))).one("section", id="profile")
    assert "ms on the device" in section.one("thead").text()
    assert section.one("figcaption").text() == "Milliseconds of a training step on the device"
    assert "12.5" in section.one("svg").text()


def test_an_evaluation_alone_has_what_it_knows(read_html: Reader, scores: Scores) -> None:
    root = read_html(report_html(RunReport("evaluation", scores)))
    assert sections(root) == ["scores", "distributions", "cases", "sites", "notes"]
    assert root.all("dl") == []


def test_a_single_case_with_undefined_scores_is_shown(read_html: Reader) -> None:
    lone = Scores.of([Score("a", "", "", "x", {"dice": math.nan, "hd95_mm": math.inf})])
    root = read_html(report_html(RunReport("one", lone, curves=[{"step": 1, "loss": math.nan}])))
    assert sections(root) == ["scores", "distributions", "cases", "notes"]
    assert "nan" not in root.one("main").text().lower().replace("undefined", "")


def test_no_scores_at_all_are_no_error(read_html: Reader) -> None:
    assert sections(read_html(report_html(RunReport("nothing", Scores((), ()))))) == []


def test_scores_that_were_selected_on_say_so(read_html: Reader, scores: Scores) -> None:
    selected = Scores.of(scores.rows, selected_on_these_cases=True)
    assert (
        "Selected on these cases" in read_html(report_html(RunReport("a", selected))).one("p", class_="warning").text()
    )
    assert read_html(report_html(RunReport("a", scores))).all("p", class_="warning") == []


def test_everything_the_data_bring_stays_text(read_html: Reader, overlay: Overlay) -> None:
    evil = "<script>alert('x')</script>"
    rows = [Score(f"{evil}{n}", "", f"{evil}{n}", evil, {"dice": n / 10, evil: 1.0}) for n in range(6)]
    hostile = Overlay(
        evil, evil, overlay.image, overlay.reference, overlay.predicted, overlay.spacing_mm, overlay.labels
    )
    content = RunReport(evil, Scores.of(rows), {evil: evil}, {evil: evil}, evil, [{"step": 1, evil: 1.0}], (hostile,),
                        {evil: evil}, (evil,))  # fmt: skip
    root = read_html(report_html(content))
    assert len(root.all("script")) == 1
    assert root.text().count(evil) > 30


def test_best_median_and_worst_are_chosen_by_the_mean_over_structures(scores: Scores) -> None:
    assert choose_cases(scores) == {
        "Best, Dice 0.850": "case_1",
        "Median, Dice 0.550": "case_4",
        "Worst, Dice 0.200": "case_6",
    }


def test_no_case_is_shown_twice_and_undefined_ones_never() -> None:
    values = {"a": 0.5, "b": math.nan, "c": 0.7}
    rows = [Score(case, "", "", "x", {"dice": value}) for case, value in values.items()]
    assert choose_cases(Scores.of(rows)) == {"Best, Dice 0.700": "c", "Median, Dice 0.500": "a"}
    assert choose_cases(Scores.of(rows[1:2])) == {}


def test_the_file_is_written_whole_and_not_overwritten_unasked(tmp_path: Path, whole: RunReport) -> None:
    write_run_report(whole, tmp_path / "report.html")
    before = (tmp_path / "report.html").read_text("utf-8")
    assert before == report_html(whole)
    with pytest.raises(UsageError, match=r"report\.html exists already"):
        write_run_report(whole, tmp_path / "report.html", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_hundred_cases_and_a_large_scan_stay_small() -> None:
    random = np.random.default_rng(0)
    shape = (128, 160, 128)
    image = random.normal(size=shape).astype(np.float32)
    label = (random.random(shape) > 0.9).astype(np.uint8)
    rows = [Score(f"case_{n}", "", "", "x", {"dice": n / 100}) for n in range(100)]
    labels = Labels(names={"background": 0, "x": 1})
    worst_to_draw = Overlay("a", "b", image, label, label[::-1], (1.0, 1.0, 1.0), labels)
    assert len(report_html(RunReport("large", Scores.of(rows), overlays=(worst_to_draw,)))) < 4e6


@pytest.mark.browser
def test_the_whole_report_runs_in_a_browser_without_a_complaint(
    chromium: str, tmp_path: Path, whole: RunReport
) -> None:
    file = tmp_path / "report.html"
    write_run_report(whole, file)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr")  # fmt: skip
    command = [chromium, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    assert 'data-ready="yes"' in ran.stdout


@pytest.mark.data
def test_a_real_scan_is_reported(shared_data: Path, read_html: Reader, tmp_path: Path) -> None:
    folder = shared_data / "hippocampus-msd"
    file = sorted((folder / "imagesTr").glob("*.nii.gz"))[0]
    case = Case(file.name.removesuffix(".nii.gz"), {"MRI": ImageFile(file)}, folder / "labelsTr" / file.name)
    scan, reference = case.read_images(), case.read_label().array[0]
    labels = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
    predicted = np.roll(reference, 1, axis=1)
    values = score_case(predicted, reference, labels, scan.grid.spacing_mm)
    found = Scores.of(Score(case.id, "", "", name, one) for name, one in values.items())
    (caption,) = choose_cases(found)
    shown = Overlay(case.id, caption, scan.array[0], reference, predicted, scan.grid.spacing_mm, labels)
    root = read_html(report_html(RunReport("real", found, overlays=(shown,))))
    assert root.one("h3").text() == caption
    assert 0.5 < float(caption.removeprefix("The only case, Dice ")) < 0.95
    assert len(root.all("path", class_="found")) == 3


def test_a_single_case_is_neither_best_nor_worst() -> None:
    alone = Scores.of([Score("a", "", "", "lesion", {"dice": 0.5})])
    assert choose_cases(alone) == {"The only case, Dice 0.500": "a"}
