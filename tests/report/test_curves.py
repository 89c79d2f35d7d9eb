"""Tests of `neuraxis.report.curves`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.report.curves import MOST_POINTS, nice_ticks, panels
from neuraxis.report.plots import curve_plot


def test_columns_are_sorted_into_losses_dice_learning_rate_and_others() -> None:
    row = {
        "step": 1,
        "epoch": 0,
        "gpu_gb": 2.0,
        "learning_rate": 1e-3,
        "validation_dice": 0.5,
        "loss": 1.0,
        "dice_loss": 1.0,
    }
    found = {panel.title: [curve.name for curve in panel.curves] for panel in panels([row])}
    assert found == {
        "Loss": ["Loss", "Dice loss"],
        "Dice": ["Validation Dice"],
        "Learning rate": ["Learning rate"],
        "Gpu gb": ["Gpu gb"],
    }


def test_rows_without_a_value_are_left_out_of_that_curve_alone() -> None:
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": math.nan, "validation_dice": 0.4}, {"step": 3, "loss": None}]
    loss, dice = (panel.curves[0] for panel in panels(rows))
    assert loss.steps.tolist() == [1]
    assert (dice.steps.tolist(), dice.values.tolist()) == ([2], [0.4])


@pytest.mark.parametrize(
    "rows", [[], [{}], [{"step": 1}], [{"step": 1, "loss": math.nan}], [{"step": 1, "loss": None}]]
)
def test_no_values_give_no_panel(rows: list[dict[str, float | None]]) -> None:
    assert panels(rows) == ()


def test_rows_without_a_step_are_counted() -> None:
    assert panels([{"loss": 1.0}, {"loss": 2.0}])[0].curves[0].steps.tolist() == [0, 1]


def test_rows_out_of_order_are_sorted() -> None:
    curve = panels([{"step": 5, "loss": 1.0}, {"step": 2, "loss": 9.0}])[0].curves[0]
    assert curve.values.tolist() == [9, 1]


def test_long_curves_are_thinned_to_means_and_their_extremes_are_kept() -> None:
    rows = [{"step": step, "loss": float(step % 10)} for step in range(10 * MOST_POINTS)]
    curve = panels(rows)[0].curves[0]
    assert len(curve.steps) == MOST_POINTS
    assert curve.steps[:2].tolist() == [4.5, 14.5]
    assert set(curve.values) == {4.5}
    assert (set(curve.low), set(curve.high)) == ({0.0}, {9.0})


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0.83, 0.91, (0.82, 0.84, 0.86, 0.88, 0.9, 0.92)),
        (-3, 5, (-4, -2, 0, 2, 4, 6)),
        (0, 0, (0, 0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_ticks_are_round_and_cover_the_range(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert nice_ticks(low, high) == ticks


def test_ticks_cover_any_range() -> None:
    for low, high in np.random.default_rng(0).normal(0, 1e3, (200, 2)):
        ticks = nice_ticks(min(low, high), max(low, high))
        assert ticks[0] <= min(low, high)
        assert ticks[-1] >= max(low, high)
        assert 3 <= len(ticks) <= 9


def test_the_ends_of_stages_are_marks_not_a_curve() -> None:
    rows = [{"step": 10 * number, "loss": 1.0, "stage": 1.0 + (number > 2)} for number in range(1, 5)]
    (panel,) = panels(rows)
    assert panel.title == "Loss"
    assert panel.marks == (20.0,)
    assert panels([{"step": 10, "loss": 1.0}, {"step": 20, "loss": 0.5}])[0].marks == ()
    assert curve_plot(panel).count('class="stage-end"') == 1
