from __future__ import annotations

import math

from neuraxis.cli.scores import describe_scores, scores_content
from neuraxis.evaluation.scores import Score, Scores


def scores(selected: bool = False) -> Scores:
    values = [0.8, 0.9, 0.7, 0.85, 0.75, math.nan]
    rows = [
        Score(f"case-{n}", "", "", "lesion", {"dice": v, "precision": 1.0, "hd95_mm": 2.0})
        for n, v in enumerate(values)
    ]
    return Scores.of(rows, selected)


def test_the_table_shows_the_chief_metrics_with_n_and_interval() -> None:
    lines = describe_scores(scores()).splitlines()
    assert lines[0].split() == ["structure", "metric", "n", "mean", "SD", "median", "95", "%", "CI"]
    assert lines[1].split()[:6] == ["lesion", "dice", "5", "0.800", "0.079", "0.800"]
    assert lines[1].split()[7] == "to"
    assert lines[2].split()[:4] == ["lesion", "hd95_mm", "6", "2.000"]
    assert "precision" not in "\n".join(lines[:3])


def test_the_rule_for_empty_cases_stands_below_the_table() -> None:
    assert "undefined where reference and prediction are both empty" in describe_scores(scores())


def test_scores_of_cases_that_chose_something_are_marked() -> None:
    assert "Selected on these cases" in describe_scores(scores(selected=True))
    assert "elected on these cases" not in describe_scores(scores())


def test_of_several_tolerances_the_table_shows_the_first() -> None:
    values = {"surface_dice_2mm": 0.5, "surface_dice_4mm": 0.9, "dice": 0.7}
    scored = Scores.of([Score("a", "", "", "lesion", values)])
    lines = describe_scores(scored).splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["dice", "surface_dice_2mm"]
    assert "surface_dice_4mm" not in "\n".join(lines[:3])


def test_asked_for_by_name_every_metric_is_shown() -> None:
    scored = Scores.of([Score("a", "", "", "lesion", {"iou": 0.5, "assd_mm": 2.0})])
    lines = describe_scores(scored, every=True).splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["iou", "assd_mm"]
    assert not any("mean foreground Dice" in line for line in lines)
    assert scores_content(scored)["mean_foreground_dice"] is None


def test_the_loss_has_one_line_however_many_structures_there_are() -> None:
    rows = [Score("a", "", "", structure, {"dice": 0.7, "loss": 0.25}) for structure in ("ball", "shell")]
    lines = [line.split()[:4] for line in describe_scores(Scores.of(rows)).splitlines()[1:4]]
    assert lines == [["ball", "dice", "1", "0.700"], ["all", "loss", "1", "0.250"], ["shell", "dice", "1", "0.700"]]
