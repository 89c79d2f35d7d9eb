from __future__ import annotations

import math

from neuraxis.evaluation.notes import notes_of
from neuraxis.evaluation.rules import LesionMatching, ScoringRules
from neuraxis.evaluation.scores import Score

NAN = math.nan
DICE_RULE = "dice: undefined where reference and prediction are both empty, 0 where only one of them is."


def rows(*dice: float, metric: str = "dice", structure: str = "lesion") -> list[Score]:
    return [Score(f"case-{n}", "", "", structure, {metric: value}) for n, value in enumerate(dice)]


def test_the_rule_for_empty_cases_is_said_even_where_it_never_applied() -> None:
    assert notes_of(rows(0.5, 0.0), ["dice"])[1] == f"{DICE_RULE} No case is left out."


def test_every_case_left_out_is_counted_and_named() -> None:
    assert notes_of(rows(0.5, NAN, NAN), ["dice"])[1] == (
        f"{DICE_RULE} 2 cases with empty reference and empty prediction are left out of lesion (case-1, case-2)."
    )


def test_hd95_says_how_many_cases_have_one_side_empty() -> None:
    note = notes_of(rows(NAN, 3.0, metric="hd95_mm"), ["hd95_mm"])[1]
    assert note.endswith("1 case with empty reference or prediction is left out of lesion (case-0).")


def test_each_structure_is_counted_by_itself() -> None:
    note = notes_of([*rows(NAN), *rows(0.5, structure="cord"), *rows(NAN, NAN, structure="disc")], ["dice"])[1]
    assert "1 case with empty reference and empty prediction is left out of lesion (case-0); 2 cases" in note
    assert "of disc (case-0, case-1)." in note
    assert "cord" not in note


def test_long_lists_of_names_are_cut_and_the_number_stays() -> None:
    note = notes_of(rows(*[NAN] * 30), ["dice"])[1]
    assert "30 cases" in note
    assert "(case-0, case-1, case-2, case-3, case-4, ...)" in note


def test_n_patients_and_intervals_are_said() -> None:
    few = [Score(f"s{n}", "one", "", "lesion", {"dice": 1.0}) for n in range(9)]
    assert notes_of(few, ["dice"])[0] == "n = 9 cases of 1 patient. No interval below 5 patients."
    assert notes_of(rows(*[0.5] * 5), ["dice"])[0] == (
        "n = 5 cases of 5 patients. Intervals: 95 %, bootstrap over patients, 5000 resamples."
    )


def test_a_metric_of_another_package_is_counted_too() -> None:
    notes = notes_of(rows(1.0, NAN, metric="sharpness"), ["sharpness"])
    assert notes[1] == "sharpness: 1 case where it is undefined is left out of lesion (case-1)."


def test_definitions_are_given_for_what_is_in_the_table_only() -> None:
    assert any("MONAI" in note for note in notes_of(rows(1.0, metric="hd95_mm"), ["hd95_mm"]))
    assert not any("MONAI" in note for note in notes_of(rows(1.0), ["dice"]))
    lesions = notes_of(rows(1.0, metric="lesion_f1"), ["lesion_f1"])
    assert (
        "lesions: 26-connected components; found where at least 10 % of it is covered, false where no reference "
        "lesion is touched." in lesions
    )


def test_the_matching_of_lesions_is_said_as_it_was() -> None:
    scored = rows(1.0, metric="lesion_f1")
    assert any(
        "6-connected components; found where at least 2.5 % of it is covered" in note
        for note in notes_of(scored, ["lesion_f1"], ScoringRules(lesions=LesionMatching(0.025, 6)))
    )
    assert any(
        "26-connected components; found where one voxel of it is covered" in note
        for note in notes_of(scored, ["lesion_f1"], ScoringRules(lesions=LesionMatching(0)))
    )


def test_columns_with_a_tolerance_follow_the_rule_of_their_metric() -> None:
    columns = ["surface_dice_1mm", "surface_dice_2.5mm", "surface_dice_voxels_1mm"]
    scored = [Score("a", "", "", "lesion", dict.fromkeys(columns, NAN))]
    notes = notes_of(scored, columns)
    assert notes[1] == (
        "surface_dice_1mm, surface_dice_2.5mm, surface_dice_voxels_1mm: undefined where reference and prediction are "
        "both empty, 0 where only one of them is. 1 case with empty reference and empty prediction is left out of "
        "lesion (a)."
    )
    assert notes[2].startswith("surface_dice: part of both surfaces, by area")
    assert len(notes) == 3
