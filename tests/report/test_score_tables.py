"""Tests of `neuraxis.report.score_tables`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from neuraxis.evaluation.catalog import columns, metric_names
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.report.score_tables import TERMS, case_table, has_lesions, shown_metrics, structures_in, term, verdict

Reader = Callable[[str], Any]


def table_of(*values: dict[str, float], structure: str = "lesion") -> Scores:
    return Scores.of(Score(f"case_{n}", "", "", structure, one) for n, one in enumerate(values))


def texts(elements: list[Any]) -> list[str]:
    return [one.text() for one in elements]


def test_the_first_figure_is_the_mean_foreground_dice_with_n_and_interval(read_html: Reader, scores: Scores) -> None:
    tile = read_html(verdict(scores)).one("div", class_="main")
    found = scores.foreground("dice")
    assert texts(tile.all("p")) == [
        "Mean foreground Dice",
        "0.575",
        f"95 % CI {found.ci_low:.3f} to {found.ci_high:.3f}",
        "n = 6",
    ]


def test_each_structure_has_a_figure_and_then_the_distances(read_html: Reader, scores: Scores) -> None:
    tiles = read_html(verdict(scores)).all("div", class_="tile")
    assert [tile.all("p")[0].text() for tile in tiles[1:]] == [
        "Dice, anterior",
        "Dice, posterior",
        "Mean foreground HD95",
    ]


def test_below_five_patients_no_interval_is_shown(read_html: Reader) -> None:
    root = read_html(verdict(table_of({"dice": 0.5}, {"dice": 0.7})))
    assert texts(root.all("p", class_="sure")) == ["no interval below 5 patients", "n = 2"]
    assert texts(root.all("tbody")[0].all("tr")[1].all("td")) == ["2", "0.600", "–", "0.141", "0.600"]


def test_several_scans_of_a_patient_are_said(read_html: Reader) -> None:
    rows = [Score(f"case_{n}", f"p{n % 5}", "", "lesion", {"dice": 0.1 * n}) for n in range(8)]
    assert read_html(verdict(Scores.of(rows))).all("p", class_="sure")[1].text() == "n = 8 of 5 patients"


def test_one_case_has_no_spread(read_html: Reader) -> None:
    row = read_html(verdict(table_of({"dice": 0.5}))).all("tbody")[0].all("tr")[1]
    assert texts(row.all("td")) == ["1", "0.500", "–", "–", "0.500"]


def test_scores_that_are_all_undefined_are_dashes(read_html: Reader) -> None:
    root = read_html(verdict(table_of({"dice": math.nan})))
    assert root.one("p", class_="value").text() == "–"


def test_structures_are_summed_up_below_each_other_and_together(read_html: Reader, scores: Scores) -> None:
    first = read_html(verdict(scores)).all("tbody")[0]
    assert texts(first.all("th")) == ["Dice", "anterior", "posterior", "all (mean)"]
    assert [row.all("td")[1].text() for row in first.all("tr")[1:]] == ["0.650", "0.500", "0.575"]


def test_without_a_row_there_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="Without a row"):
        verdict(Scores((), ()))


def test_lesions_are_counted_only_where_there_are_several() -> None:
    one = {"dice": 0.5, "lesions_reference": 1.0, "lesions_found": 1.0, "lesions_false": 0.0, "lesion_f1": 1.0}
    many = one | {"lesions_reference": 7.0, "lesions_found": 5.0, "lesions_false": 2.0}
    assert not has_lesions(table_of(one, one, many))
    assert shown_metrics(table_of(one)) == ("dice",)
    assert has_lesions(table_of(one, many, many))
    assert "lesion_f1" in shown_metrics(table_of(many))


def test_lesions_of_all_cases_are_added_up(read_html: Reader) -> None:
    counts = {"lesions_reference": 7.0, "lesions_found": 5.0, "lesions_false": 2.0}
    tile = read_html(verdict(table_of(counts, counts))).all("div", class_="tile")[-1]
    assert texts(tile.all("p")) == ["Lesions found", "10of 14", "all cases together", "4 false"]


def test_the_case_table_holds_every_value_of_every_case(read_html: Reader, scores: Scores) -> None:
    root = read_html(case_table(scores))
    assert texts(root.one("thead").all("th")) == ["Case", "Site", "Structure", "Dice", "HD95 (mm)", "Volume error (mL)"]
    rows = root.one("tbody").all("tr")
    assert len(rows) == 12
    assert texts(rows[0].children) == ["case_6", "south", "posterior", "0.000", "–", "0.050"]
    assert texts(rows[-1].children)[:3] == ["case_1", "north", "anterior"]
    orders = {head.text(): head.attributes.get("aria-sort") for head in root.one("thead").all("th")}
    assert orders == {**dict.fromkeys(orders), "Dice": "ascending"}


def test_sites_are_left_out_where_none_is_known(read_html: Reader) -> None:
    assert texts(read_html(case_table(table_of({"dice": 0.5}))).one("thead").all("th")) == ["Case", "Structure", "Dice"]


def test_a_metric_of_another_package_is_shown_under_its_own_name(read_html: Reader) -> None:
    root = read_html(case_table(table_of({"my_own_score": 0.5})))
    assert root.one("thead").all("th")[-1].text() == "My own score"
    assert term("my_own_score").plotted


def test_a_tolerance_is_said_with_the_name() -> None:
    assert term("surface_dice_2.5mm").title == "Surface Dice, 2.5 mm"
    assert term("surface_dice_voxels_1mm").title == "Surface Dice of voxels, 1 mm"
    assert not term("surface_dice_voxels_1mm").main


def test_the_page_shows_a_chosen_few_at_first_and_the_rest_on_request(read_html: Reader) -> None:
    many = dict.fromkeys(columns(), 2.0)
    shown = table_of(many, many)
    heads = read_html(case_table(shown)).one("thead").all("th")
    assert len(heads) == 2 + len(many)
    assert texts([head for head in heads if "x" not in head.attributes.get("class", "").split()]) == [
        "Case",
        "Structure",
        "Dice",
        "HD95 (mm)",
        "Surface Dice, 1 mm",
        "Reference (mL)",
        "Predicted (mL)",
        "Volume error (mL)",
        "Lesions",
        "Lesions found",
        "Lesions false",
        "Lesion F1",
    ]


def test_of_several_tolerances_the_first_is_drawn() -> None:
    scored = table_of({"surface_dice_3mm": 0.9, "surface_dice_1mm": 0.5, "surface_dice_voxels_1mm": 0.6})
    assert shown_metrics(scored) == ("surface_dice_3mm", "surface_dice_voxels_1mm")


def test_where_only_minor_metrics_were_asked_for_all_of_them_are_summed_up(read_html: Reader) -> None:
    root = read_html(verdict(table_of({"iou": 0.5, "assd_mm": 1.5}, {"iou": 0.7, "assd_mm": 2.5})))
    assert texts(root.all("th"))[-2:] == ["IoU", "ASSD (mm)"]


def test_every_metric_of_the_catalog_has_its_words() -> None:
    assert {name.removesuffix("_by_size") for name in metric_names()} == set(TERMS)


def test_the_loss_is_one_number_a_case_and_is_shown_once(scores: Scores, read_html: Callable[[str], Any]) -> None:
    lossy = Scores.of(replace(row, values=row.values | {"loss": 0.25}) for row in scores.rows)
    groups = [head.text() for head in read_html(verdict(lossy)).all("tr", class_="group")]
    rows = [[cell.text() for cell in row.children] for row in read_html(verdict(lossy)).all("tr")]
    place = next(number for number, row in enumerate(rows) if row == ["Loss"])

    assert "Loss" in groups
    assert [row[:3] for row in rows[place + 1 :]] == [["all (mean)", "6", "0.2500"]]
    assert structures_in(lossy, "loss") == {"all structures": "anterior"}
    assert list(structures_in(lossy, "dice")) == ["anterior", "posterior"]
