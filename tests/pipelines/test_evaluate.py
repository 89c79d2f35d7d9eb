from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neuraxis as nx
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.evaluation.rules import ScoringRules
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.pipelines import evaluate as pipeline
from neuraxis.pipelines.evaluate import evaluate_folders, write_report
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array[None], Grid(array.shape, np.eye(4))))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two cases whose lesion is a cube of 64 voxels."""
    folder = tmp_path / "data"
    for number in range(2):
        label = np.zeros((12, 12, 12), np.uint8)
        label[4:8, 4:8, 4:8] = 3
        write(folder / "labelsTr" / f"sub-{number}.nii.gz", label)
        image = np.random.default_rng(number).normal(size=label.shape).astype(np.float32)
        write(folder / "imagesTr" / f"sub-{number}_0000.nii.gz", image)
    description = {"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "lesion": 3}, "numTraining": 2}
    (folder / "dataset.json").write_text(json.dumps({**description, "file_ending": ".nii.gz"}))
    return folder


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """The first case is right, in the second half of the lesion is found."""
    folder = tmp_path / "predicted"
    for number in range(2):
        label = np.zeros((12, 12, 12), np.uint8)
        label[4 : 8 - 2 * number, 4:8, 4:8] = 3
        write(folder / f"sub-{number}.nii.gz", label)
    return folder


def test_a_folder_holds_table_summary_and_report(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    into = tmp_path / "scores"
    scores = evaluate_folders(predictions, dataset, into)
    assert scores.values("dice", "lesion") == {"sub-0": 1.0, "sub-1": pytest.approx(2 / 3)}
    rows = list(csv.DictReader((into / "scores.csv").open()))
    assert [(row["case"], row["structure"], row["dice"][:5]) for row in rows] == [
        ("sub-0", "lesion", "1.0"),
        ("sub-1", "lesion", "0.666"),
    ]
    assert json.loads((into / "summary.json").read_text())["foreground_mean"]["Dice"] == pytest.approx(5 / 6)
    page = (into / "report.html").read_text()
    assert "predicted against data" in page
    assert "sub-1" in page
    assert str(predictions) in page


def test_the_pictures_show_the_scan_where_the_references_belong_to_a_dataset(
    dataset: Path, predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr(pipeline, "report_html", lambda content: shown.append(content) or "")
    evaluate_folders(predictions, dataset, tmp_path / "a")
    evaluate_folders(predictions, dataset / "labelsTr", tmp_path / "b")
    evaluate_folders(predictions, open_dataset(dataset), tmp_path / "c")
    for content in shown:
        assert [overlay.case for overlay in content.overlays] == ["sub-0", "sub-1"]
        scan = nifti.read(dataset / "imagesTr" / "sub-0_0000.nii.gz")
        np.testing.assert_array_equal(content.overlays[0].image, scan.array[0])
        assert content.overlays[1].predicted.sum() == 3 * 32
        assert content.overlays[1].reference is not None
        assert content.overlays[1].reference.sum() == 3 * 64
        assert content.overlays[0].labels == Labels(names={"background": 0, "lesion": 3})


def test_references_without_a_dataset_are_shown_without_a_scan(
    dataset: Path, predictions: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    (dataset / "labelsTr").rename(alone)
    scores = evaluate_folders(predictions, alone, tmp_path / "scores")
    assert scores.structures() == ("3",)
    assert "sub-0" in (tmp_path / "scores" / "report.html").read_text()


def test_overlapping_regions_keep_their_names_in_the_pictures() -> None:
    rows = [
        Score("a", "", "", "whole", {"dice": 1.0}, numbers=(1, 2)),
        Score("a", "", "", "core", {"dice": 1.0}, numbers=(2,)),
    ]
    labels = pipeline.labels_of(Scores.of(rows), None)
    assert labels.scored == {"whole": (1, 2), "core": (2,)}


def test_nothing_is_written_where_no_folder_is_named(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    evaluate_folders(predictions, dataset)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_dice_the_report_has_no_pictures_but_its_tables(
    dataset: Path, predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr(pipeline, "report_html", lambda content: shown.append(content) or "")
    options = EvaluateOptions(metrics=("surface_dice",), rules=ScoringRules(tolerances_mm=(2.0,)))
    scores = evaluate_folders(predictions, dataset, tmp_path / "a", options=options)
    assert scores.metrics == ("surface_dice_2mm",)
    assert scores.values("surface_dice_2mm", "lesion") == {"sub-0": 1.0, "sub-1": pytest.approx(1.0)}
    assert shown[0].overlays == ()


def test_a_result_that_exists_is_refused_before_anything_is_scored(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("mine")
    with pytest.raises(UsageError, match=r"summary\.json exists already"):
        evaluate_folders(tmp_path / "not-looked-at", dataset, tmp_path)
    assert (tmp_path / "summary.json").read_text() == "mine"


def test_a_refused_comparison_leaves_nothing_behind(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    (predictions / "sub-1.nii.gz").unlink()
    with pytest.raises(DataError, match="sub-1"):
        evaluate_folders(predictions, dataset, tmp_path / "scores")
    assert not (tmp_path / "scores").exists()


def test_a_report_can_be_written_of_scores_alone(dataset: Path, predictions: Path, tmp_path: Path) -> None:
    scores = evaluate_folders(predictions, dataset)
    path = write_report(scores, tmp_path / "report.html", title="<b>Mine</b>")
    assert "&lt;b&gt;Mine&lt;/b&gt;" in path.read_text()
    with pytest.raises(UsageError, match="exists already"):
        write_report(scores, path)
    write_report(scores, path, overwrite=True)


def test_references_in_colours_are_scored_and_drawn_as_the_dataset_reads_them(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b")):
        drawn = np.zeros((24, 20, 3), np.uint8)
        drawn[4:10, 4:10, 0], drawn[14:20, 4:16, 1] = 255, 255
        image = np.random.default_rng(number).integers(0, 255, (24, 20)).astype(np.uint8)
        for part, pixels in (("images", image), ("masks", drawn)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / part / f"{name}.png")
    dataset = open_dataset(tmp_path / "data")
    for case in dataset.cases:
        any_format.write(tmp_path / "found" / f"{case.id}.nii.gz", case.read_label())
    scores = evaluate_folders(tmp_path / "found", tmp_path / "data", tmp_path / "scores")
    assert set(scores.structures()) == {"green", "red"}
    assert scores.mean("dice") == 1
    assert (tmp_path / "scores" / "report.html").is_file()


def test_from_python_folders_may_be_text_and_further_files_are_written(tmp_path: Path) -> None:
    reference = np.zeros((1, 9, 8, 7), np.uint8)
    reference[0, 2:5, 2:5, 2:5] = 1
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        nifti.write(tmp_path / folder / "a.nii.gz", Volume(reference, Grid((9, 8, 7), np.eye(4))))
    places = [str(tmp_path / name) for name in ("predictions", "references", "scores")]
    nx.evaluate(*places, options=nx.ScoringOptions(metrics=("dice",), gifs=("a",), parquet=True))
    found = sorted(path.relative_to(places[2]).as_posix() for path in Path(places[2]).rglob("*") if path.is_file())
    assert found == ["gifs/a.gif", "report.html", "scores.csv", "scores.parquet", "summary.json"]
