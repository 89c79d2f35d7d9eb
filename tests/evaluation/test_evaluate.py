from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError, UnknownName
from neuraxis.evaluation.catalog import columns
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate, score_case
from neuraxis.evaluation.rules import LesionMatching, ScoringRules
from neuraxis.evaluation.scores import Scores
from neuraxis.files import write_json
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

MM = (1.0, 1.0, 1.0)
LESION = Labels(names={"background": 0, "lesion": 1})
DICE = EvaluateOptions(metrics=("dice",))


class Watcher:
    """A `Progress` that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Watcher]:
        self.told.append(f"{name} {total}")
        yield self

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.told.append(note)


def test_one_case_has_every_structure_and_every_metric(line: Callable) -> None:
    labels = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
    scores = score_case(line(0, 1, 1, 2, 0), line(1, 1, 1, 2, 0), labels, MM)
    assert list(scores) == ["anterior", "posterior"]
    assert tuple(scores["anterior"]) == tuple(columns())
    assert scores["anterior"]["dice"] == pytest.approx(0.8)
    assert scores["anterior"]["volume_error_ml"] == pytest.approx(-0.001)
    assert scores["posterior"]["hd95_mm"] == 0


def test_regions_join_their_numbers(line: Callable) -> None:
    labels = Labels(
        names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2)
    )
    scores = score_case(line(0, 2, 2, 1), line(0, 1, 2, 2), labels, MM, ("dice",))
    assert scores == {"whole": {"dice": 1.0}, "core": {"dice": 0.5}}


def test_ignored_voxels_count_for_nothing(line: Callable) -> None:
    labels = Labels(names={"background": 0, "lesion": 1}, ignore=9)
    predicted, reference = line(1, 1, 1, 0, 0, 1), line(9, 1, 9, 0, 0, 9)
    scores = score_case(predicted, reference, labels, MM)["lesion"]
    assert scores["dice"] == 1
    assert scores["volume_ml_predicted"] == pytest.approx(0.001)
    assert scores["lesions_false"] == 0
    assert scores["hd95_mm"] == 0


def test_ignored_voxels_are_no_true_negatives_either(tmp_path: Path, line: Callable, folders: Callable) -> None:
    labels = Labels(names={"background": 0, "lesion": 1}, ignore=9)
    pair = folders(tmp_path, a=(line(1, 1, 0, 0, 9), line(9, 1, 9, 0, 0)))
    counts = evaluate(*pair, options=EvaluateOptions(labels=labels)).rows[0].counts
    assert counts is not None
    assert (counts.true_positives, counts.true_negatives) == (1, 2)


def test_a_region_that_holds_the_background_is_scored_whole(line: Callable) -> None:
    labels = Labels(names={"background": 0, "lesion": 1}, regions={"healthy": (0,), "lesion": (1,)}, paint=(0, 1))
    scores = score_case(line(0, 0, 0, 1), line(0, 0, 0, 0), labels, MM, ("dice", "recall"))
    assert scores["healthy"] == {"dice": pytest.approx(6 / 7), "recall": 0.75}


def test_memory_order_and_kind_of_number_change_nothing() -> None:
    generator = np.random.Generator(np.random.Philox(5))
    predicted, reference = generator.integers(0, 3, (2, 9, 8, 7))
    labels = Labels(names={"background": 0, "a": 1, "b": 2})
    expected = score_case(predicted, reference, labels, (1.0, 2.0, 0.5))
    other = score_case(
        np.asfortranarray(predicted.astype(np.uint8)), reference.astype(np.int16), labels, (1.0, 2.0, 0.5)
    )
    assert other == expected
    assert expected["a"]["hd95_mm"] > 0


def test_two_shapes_and_a_misspelt_metric_are_refused(line: Callable) -> None:
    with pytest.raises(ValueError, match="one shape"):
        score_case(line(0, 1), line(0, 1, 0), LESION, MM)
    with pytest.raises(UnknownName, match="Did you mean 'dice'"):
        score_case(line(0, 1), line(0, 1), LESION, MM, ("dise",))


def test_folders_are_scored_case_by_case_in_the_order_of_their_ids(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    cases = {
        f"case_{number:02}": (line(1, 1, 0, 0), line(*[1] * (1 + number % 4), *[0] * (3 - number % 4)))
        for number in range(12)
    }
    watcher = Watcher()
    scores = evaluate(*folders(tmp_path, **cases), watcher, EvaluateOptions(labels=LESION))
    assert list(scores.values("dice", "lesion")) == sorted(cases)
    assert list(scores.values("dice", "lesion").values())[:4] == pytest.approx([2 / 3, 1, 4 / 5, 2 / 3])
    assert watcher.told == ["Scoring 12", *sorted(cases)]
    assert scores.rows[0].prediction_file.endswith("predictions/case_00.nii.gz")
    assert scores.rows[0].reference_file.endswith("references/case_00.nii.gz")


def test_structures_are_the_numbers_that_occur_where_nothing_names_them(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    scores = evaluate(
        *folders(tmp_path, a=(line(0, 1, 2), line(0, 1, 1)), b=(line(0, 1, 0), line(0, 1, 5))), options=DICE
    )
    assert scores.structures() == ("1", "2", "5")
    assert len(scores.rows) == 6
    assert scores.values("dice", "1") == {"a": pytest.approx(2 / 3), "b": 1}
    assert scores.values("dice", "2")["a"] == 0
    assert math.isnan(scores.values("dice", "2")["b"])
    assert any("numbers that occur" in note for note in scores.notes)
    assert scores.rows[2].numbers == (5,)


def test_a_number_that_predictions_alone_hold_is_said_with_its_case(tmp_path: Path) -> None:
    one, other = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    one[1, 1, 1], other[1, 1, 1] = 1, 7
    for folder, maps in (("p", (one, other)), ("r", (one, one))):
        for id, array in zip("ab", maps, strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            nifti.write(tmp_path / folder / f"{id}.nii.gz", Volume(array[None], Grid(array.shape, np.eye(4))))
    notes = evaluate(tmp_path / "p", tmp_path / "r").notes
    assert any("In predictions alone occur 7 (b): were other labels meant?" in note for note in notes)


@pytest.mark.parametrize("place", [".", "predictions", "references"])
def test_a_dataset_json_beside_the_files_names_the_structures(
    tmp_path: Path, place: str, line: Callable, folders: Callable
) -> None:
    pair = folders(tmp_path, a=(line(0, 1, 2), line(0, 1, 1)))
    labels = {"background": 0, "whole": [1, 2], "core": [2]}
    write_json(tmp_path / place / "dataset.json", {"labels": labels, "regions_class_order": [1, 2]})
    scores = evaluate(*pair, options=DICE)
    assert scores.values("dice", "whole") == {"a": 1.0}
    assert scores.values("dice", "core") == {"a": 0.0}
    assert list(scores.nnunet_summary()["mean"]) == ["(1, 2)", "2"]


def test_the_folder_of_a_dataset_serves_as_references(tmp_path: Path, line: Callable, write: Callable) -> None:
    for id in ("a", "b"):
        write(tmp_path / "set" / "imagesTr" / f"{id}.nii.gz", line(5, 6, 7))
        write(tmp_path / "set" / "labelsTr" / f"{id}.nii.gz", line(0, 1, 1))
        write(tmp_path / "mine" / f"{id}.nii.gz", line(0, 0, 1))
    pairs = [{"image": f"./imagesTr/{id}.nii.gz", "label": f"./labelsTr/{id}.nii.gz"} for id in ("a", "b")]
    description = {
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "cord"},
        "training": pairs,
        "site": "Ulm",
    }
    write_json(tmp_path / "set" / "dataset.json", description)
    scores = evaluate(tmp_path / "mine", tmp_path / "set", options=DICE)
    assert scores.values("dice", "cord") == {"a": pytest.approx(2 / 3), "b": pytest.approx(2 / 3)}
    assert {row.site for row in scores.rows} == {"Ulm"}
    only = evaluate(tmp_path / "mine", str(tmp_path / "set"), options=EvaluateOptions(cases=("b",)))
    assert only.cases() == ("b",)


def test_one_file_against_one_file(tmp_path: Path, line: Callable, write: Callable) -> None:
    prediction, reference = write(tmp_path / "mine.nii.gz", line(0, 1, 1)), write(tmp_path / "truth.nii", line(0, 1, 1))
    assert evaluate(prediction, reference, options=DICE).mean("dice") == 1


def test_a_prediction_stored_in_another_voxel_order_scores_the_same(tmp_path: Path, write: Callable) -> None:
    label_map = np.zeros((4, 3, 2), np.uint8)
    label_map[1, 2, 1] = label_map[3, 0, 0] = 1
    stored = Stored.of(Grid((3, 4, 2), np.array([[0, -1, 0, 3], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)))
    nifti.write(tmp_path / "p.nii.gz", Volume(label_map[None], stored.canonical_grid, stored))
    reference = write(tmp_path / "r.nii.gz", label_map)
    on_disk = nifti.read(tmp_path / "p.nii.gz").stored
    assert on_disk is not None
    assert on_disk.grid.shape == (3, 4, 2)
    assert evaluate(tmp_path / "p.nii.gz", reference, options=DICE).mean("dice") == 1


def test_empty_cases_are_rows_and_are_counted_in_the_notes(tmp_path: Path, line: Callable, folders: Callable) -> None:
    empty, full = line(0, 0, 0), line(0, 1, 0)
    pair = folders(tmp_path, both=(empty, empty), invented=(full, empty), overlooked=(empty, full), right=(full, full))
    scores = evaluate(*pair, options=EvaluateOptions(labels=LESION))
    assert len(scores.rows) == 4
    assert scores.mean("dice") == pytest.approx(1 / 3)
    assert scores.mean("hd95_mm") == 0
    notes = " ".join(scores.notes)
    assert "1 case with empty reference and empty prediction is left out of lesion (both)" in notes
    assert "3 cases with empty reference or prediction are left out of lesion (both, invented, overlooked)" in notes


def test_that_each_case_counts_as_a_patient_is_said_only_where_it_is_so(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    full = line(0, 1, 0)
    plain = evaluate(*folders(tmp_path / "plain", a=(full, full)), options=DICE)
    bids = evaluate(*folders(tmp_path / "bids", **{"sub-1_ses-1": (full, full)}), options=DICE)
    assert "Each case counts as its own patient." in plain.notes
    assert "Each case counts as its own patient." not in bids.notes
    assert bids.rows[0].subject == "sub-1"


def test_a_number_that_no_label_has_is_refused_with_its_side(tmp_path: Path, line: Callable, folders: Callable) -> None:
    options = EvaluateOptions(labels=LESION)
    with pytest.raises(DataError, match=r"a: the prediction holds the numbers \[7\], which no label has"):
        evaluate(*folders(tmp_path / "1", a=(line(0, 7), line(0, 1))), options=options)
    with pytest.raises(DataError, match=r"a: the reference holds the numbers \[3\]"):
        evaluate(*folders(tmp_path / "2", a=(line(0, 1), line(0, 3))), options=options)


def test_an_interpolated_prediction_is_refused_with_its_side(
    tmp_path: Path, line: Callable, write: Callable, folders: Callable
) -> None:
    predictions, references = folders(tmp_path, a=(line(0, 1), line(0, 1)))
    write(predictions / "a.nii.gz", np.array([0, 0.4], np.float32)[:, None, None])
    with pytest.raises(DataError, match=r"Prediction of a: label map .* holds fractions"):
        evaluate(predictions, references)


def test_images_instead_of_label_maps_are_refused(tmp_path: Path, write: Callable) -> None:
    image = np.arange(500, dtype=np.int16)[:, None, None]
    with pytest.raises(DataError, match="500 different numbers"):
        evaluate(write(tmp_path / "a.nii", image), write(tmp_path / "b.nii", image))


def test_nothing_but_background_and_no_labels_told_is_refused(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    with pytest.raises(DataError, match="nothing but background"):
        evaluate(*folders(tmp_path, a=(line(0, 0), line(0, 0))))


def test_another_grid_is_refused_before_anything_is_scored(tmp_path: Path, line: Callable, folders: Callable) -> None:
    watcher = Watcher()
    with pytest.raises(DataError, match="do not share a grid"):
        evaluate(*folders(tmp_path, a=(line(0, 1), line(0, 1, 0))), watcher)
    assert watcher.told == []


def test_a_misspelt_metric_is_refused_before_any_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'hd95_mm'"):
        evaluate(tmp_path / "nowhere", tmp_path / "nowhere", options=EvaluateOptions(metrics=("hd95",)))


def test_each_tolerance_is_a_column_and_the_rules_reach_every_case(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    pair = folders(tmp_path, a=(line(0, 1, 1, 0, 0, 0), line(0, 0, 1, 1, 1, 1)))
    rules = ScoringRules(tolerances_mm=(0.5, 2.5), lesions=LesionMatching(0.5))
    chosen = ("surface_dice_voxels", "surface_dice", "lesions_found")
    scores = evaluate(*pair, options=EvaluateOptions(labels=LESION, metrics=chosen, rules=rules))
    assert scores.metrics == (
        "surface_dice_voxels_0.5mm",
        "surface_dice_voxels_2.5mm",
        "surface_dice_0.5mm",
        "surface_dice_2.5mm",
        "lesions_found",
    )
    assert scores.rows[0].values == {
        "surface_dice_voxels_0.5mm": 0.5,  # ends at 1 and 2 against ends at 2 and 5
        "surface_dice_voxels_2.5mm": 0.75,
        "surface_dice_0.5mm": 0.0,  # cut at 1 and 3 against 2 and 6
        "surface_dice_2.5mm": 0.75,
        "lesions_found": 0.0,
    }
    assert any("at least 50 % of it" in note for note in scores.notes)


def test_a_picture_is_scored_by_its_outline(tmp_path: Path) -> None:
    square = np.zeros((12, 12, 1), np.uint8)
    square[2:9, 2:9] = 1
    inner = np.zeros_like(square)
    inner[3:8, 3:8] = 1
    scores = score_case(inner, square, LESION, MM, ("surface_dice_voxels", "hd100_mm"))["lesion"]
    assert scores["hd100_mm"] == pytest.approx(math.sqrt(2))
    assert scores["surface_dice_voxels_1mm"] == pytest.approx((16 + 20) / (16 + 24))


def test_how_lesions_were_matched_goes_to_the_csv_and_back_where_it_is_not_the_usual_way(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    pair = folders(tmp_path, a=(line(0, 1, 1), line(0, 1, 1)))
    by_distance = LesionMatching(by="distance", max_distance_mm=2.5, pairing="greedy")
    for rule, columns_written in ((LesionMatching(), 0), (LesionMatching(0.25, 6), 6), (by_distance, 6)):
        scores = evaluate(*pair, options=EvaluateOptions(labels=LESION, rules=ScoringRules(lesions=rule)))
        scores.write_csv(tmp_path / "scores.csv")
        head = (tmp_path / "scores.csv").read_text().splitlines()[0].split(",")
        names = ("min_overlap", "connectivity", "match", "min_iou", "max_distance_mm", "pairing")
        told = {f"lesion_{name}" for name in names}
        assert sum(name in told for name in head) == columns_written
        read = Scores.read_csv(tmp_path / "scores.csv")
        assert (read.rules.lesions, read.metrics) == (rule, scores.metrics)
        assert set(read.notes) <= set(scores.notes)


def test_a_matching_that_cannot_be_is_refused_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(
        "case,subject,site,structure,dice,lesion_min_overlap,lesion_connectivity\na,,,x,1.0,0.1,7\n"
    )
    with pytest.raises(DataError, match=r"scores\.csv: line 2 tells no rules of scoring \(`connectivity` is 6"):
        Scores.read_csv(tmp_path / "scores.csv")


def test_scores_go_to_a_csv_and_back(tmp_path: Path, line: Callable, folders: Callable) -> None:
    scores = evaluate(*folders(tmp_path, a=(line(0, 1, 2), line(0, 1, 1)), b=(line(0, 0, 0), line(0, 0, 0))))
    scores.write_csv(tmp_path / "scores.csv")
    read = Scores.read_csv(tmp_path / "scores.csv")
    np.testing.assert_equal(read.summary(), scores.summary())
    np.testing.assert_equal(read.nnunet_summary(), scores.nnunet_summary())


@pytest.mark.data
def test_real_label_maps_against_themselves_are_perfect(shared_data: Path) -> None:
    labels = shared_data / "hippocampus-msd" / "labelsTr"
    cases = tuple(sorted(path.name.removesuffix(".nii.gz") for path in labels.glob("[a-z]*.nii.gz"))[:6])
    scores = evaluate(labels, labels.parent, options=EvaluateOptions(cases=cases))
    assert [name.lower() for name in scores.structures()] == ["anterior", "posterior"]
    assert scores.foreground("dice").mean == 1
    assert scores.foreground("hd95_mm").ci_high == 0
    assert all(value > 0.5 for value in scores.values("volume_ml_reference", scores.structures()[0]).values())


def test_regions_are_scored_instead_of_labels_and_said(tmp_path: Path, line: Callable, folders: Callable) -> None:
    pair = folders(tmp_path, a=(line(0, 1, 2, 4, 0), line(0, 1, 1, 4, 0)))
    regions = {"WT": (1, 2, 4), "ET": (4,), "nothing": (7,)}
    scores = evaluate(*pair, options=EvaluateOptions(regions=regions, metrics=("dice",)))
    assert scores.structures() == ("WT", "ET", "nothing")
    assert [scores.mean("dice", name) for name in ("WT", "ET")] == [1, 1]
    assert "Regions: WT = 1+2+4, ET = 4, nothing = 7." in scores.notes


def test_cases_left_out_on_purpose_are_named_everywhere(
    tmp_path: Path, line: Callable, write: Callable, folders: Callable
) -> None:
    pair = folders(tmp_path, a=(line(0, 1), line(0, 1)), b=(line(0, 1), line(0, 1)))
    write(pair[1] / "c.nii.gz", line(0, 1))
    scores = evaluate(*pair, options=EvaluateOptions(labels=LESION, exclude=("b", "c")))
    assert scores.cases() == ("a",)
    assert scores.notes[0] == "Left out on purpose: 2 of 3 cases (b, c)."
    scores.write_csv(tmp_path / "scores.csv")
    read = Scores.read_csv(tmp_path / "scores.csv")
    assert (read.left_out, read.notes[0], read.metrics) == (("b", "c"), scores.notes[0], scores.metrics)


def test_a_case_to_leave_out_that_is_not_there_is_refused(tmp_path: Path, line: Callable, folders: Callable) -> None:
    pair = folders(tmp_path, a=(line(0, 1), line(0, 1)))
    with pytest.raises(DataError, match="Cases to leave out are not there: z"):
        evaluate(*pair, options=EvaluateOptions(exclude=("z",)))
    with pytest.raises(DataError, match="every case is to be left out"):
        evaluate(*pair, options=EvaluateOptions(exclude=("a",)))


def test_how_empty_masks_count_and_lesions_are_parted_goes_to_the_csv_and_back(
    tmp_path: Path, line: Callable, folders: Callable
) -> None:
    rules = ScoringRules(sizes_mm3=(2.0, 5.5), empty="penalised")
    pair = folders(tmp_path, a=(line(0, 0), line(0, 0)), b=(line(0, 1), line(0, 0)))
    scores = evaluate(*pair, options=EvaluateOptions(labels=LESION, rules=rules))
    assert scores.values("dice", "lesion") == {"a": 1.0, "b": 0.0}
    assert scores.values("hd95_mm", "lesion")["b"] == pytest.approx(math.sqrt(4 + 1 + 1))
    assert any(note.startswith("Empty masks are counted as 'penalised'") for note in scores.notes)
    scores.write_csv(tmp_path / "scores.csv")
    read = Scores.read_csv(tmp_path / "scores.csv")
    assert (read.rules.empty, read.rules.sizes_mm3) == ("penalised", (2.0, 5.5))
    assert set(read.notes) <= set(scores.notes)
