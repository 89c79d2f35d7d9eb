"""Tests of `neuraxis.report.plots`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from neuraxis.report.curves import panels
from neuraxis.report.plots import (
    WIDTH,
    bar_plot,
    curve_plot,
    difference_plot,
    legend,
    mark_legend,
    scatter_plot,
    strip_plot,
)

Reader = Callable[[str], Any]


def test_every_defined_case_is_a_dot_with_its_name_and_value(read_html: Reader) -> None:
    plot = read_html(strip_plot({"lesion": {"a": 0.25, "b": 0.5, "c": math.nan}}, "Dice"))
    assert [title.text() for title in plot.all("title")] == ["a: 0.25", "b: 0.5"]
    assert "n = 2, 1 undefined" in plot.text()


def test_a_larger_value_lies_further_right_and_inside_the_picture(read_html: Reader) -> None:
    plot = read_html(strip_plot({"lesion": {"a": 0.25, "b": 0.5, "c": 0.3}}, "Dice"))
    a, b, c = (float(dot.attributes["cx"]) for dot in plot.all("circle"))
    assert 0 <= a < c < b <= WIDTH


def test_a_box_is_drawn_from_five_cases_on(read_html: Reader) -> None:
    four = {str(number): number / 10 for number in range(4)}
    assert read_html(strip_plot({"x": four}, "Dice")).all("rect") == []
    plot = read_html(strip_plot({"x": {**four, "e": 0.4}}, "Dice", (0, 1)))
    box, median = plot.one("rect"), plot.one("path", class_="median")
    middle = float(box.attributes["x"]) + float(box.attributes["width"]) / 2
    assert median.attributes["d"].startswith(f"M{middle:g} ")


def test_an_axis_does_not_go_beyond_the_limits(read_html: Reader) -> None:
    ticks = [
        text.text() for text in read_html(strip_plot({"x": {"a": 0.97, "b": 1.0}}, "Dice", (0, 1))).all(class_="tick")
    ]
    assert ticks[-1] == "1"


@pytest.mark.parametrize("cases", [{}, {"a": math.nan}, {"a": math.inf}])
def test_without_a_defined_value_the_row_says_so(read_html: Reader, cases: dict[str, float]) -> None:
    plot = read_html(strip_plot({"lesion": cases}, "HD95"))
    assert plot.all("circle") == []
    assert "n = 0" in plot.text()


def test_equal_values_are_drawn(read_html: Reader) -> None:
    plot = read_html(strip_plot({"x": dict.fromkeys("abcdef", 0.0)}, "Volume error"))
    assert len(plot.all("circle")) == 6


def test_names_are_escaped_and_long_ones_shortened(read_html: Reader) -> None:
    plot = read_html(strip_plot({"<b>" + "x" * 60: {"<i>": 1.0}}, "Dice"))
    assert plot.all("b") + plot.all("i") == []
    assert plot.one("text", class_="row").text() == "<b>" + "x" * 30 + "…"
    assert plot.one("title").text() == "<i>: 1"


def test_a_single_step_is_a_curve(read_html: Reader) -> None:
    (panel,) = panels([{"step": 7, "loss": 1.0}])
    plot = read_html(curve_plot(panel))
    assert len(plot.all("circle")) == 1
    assert "nan" not in curve_plot(panel)


def test_a_thinned_curve_has_a_band_and_no_dots(read_html: Reader) -> None:
    (panel,) = panels([{"step": step, "loss": step % 7} for step in range(5000)])
    plot = read_html(curve_plot(panel))
    assert len(plot.all("path", class_="band")) == len(plot.all("path", class_="line")) == 1
    assert plot.all("circle") == []
    assert len(curve_plot(panel)) < 8000


def test_every_curve_has_its_own_colour_and_a_key(read_html: Reader) -> None:
    (panel,) = panels([{"step": 1, "dice_a": 0.5, "dice_b": 0.6}])
    plot = read_html(curve_plot(panel))
    assert [line.attributes["class"] for line in plot.all("path", class_="line")] == ["line s1", "line s2"]
    keys = read_html(legend(["a", "b"]) or "")
    assert [key.attributes["class"] for key in keys.all("i")] == ["key s1", "key s2"]
    assert legend(["a"]) is None


def test_bars_are_as_long_as_their_values(read_html: Reader) -> None:
    plot = read_html(bar_plot({"backward: convolution": 30.0, "loss": 7.5, "<waiting>": 0.0}, "ms"))
    widths = [float(bar.attributes["width"]) for bar in plot.all("rect")]
    assert widths[0] > 200
    assert widths[1] == pytest.approx(widths[0] / 4, abs=0.1)
    assert widths[2] == 0
    assert [text.text() for text in plot.all(class_="row")] == ["backward: convolution", "loss", "<waiting>"]
    assert [text.text() for text in plot.all(class_="aside")] == ["30", "7.5", "0"]


def test_a_violin_lies_between_the_smallest_and_the_largest_value_from_five_cases_on(read_html: Reader) -> None:
    values = {"ours": {str(n): n / 10 for n in range(6)}, "theirs": {str(n): n / 10 for n in range(4)}}
    plot = read_html(strip_plot(values, "Dice", violins=True))
    assert [one.attributes["class"] for one in plot.all("g", class_="series")] == ["series s1", "series s2"]
    across = [float(x) for x in re.findall(r"[ML]([\d.]+) ", plot.one("path", class_="violin").attributes["d"])]
    dots = [float(dot.attributes["cx"]) for dot in plot.all("circle")[:6]]
    assert (min(across), max(across)) == (min(dots), max(dots))


def test_equal_values_have_no_violin(read_html: Reader) -> None:
    assert not read_html(strip_plot({"x": dict.fromkeys("abcdef", 0.5)}, "Dice", violins=True)).all(class_="violin")


def test_a_difference_has_its_interval_and_a_line_at_zero(read_html: Reader) -> None:
    nan = math.nan
    rows = [("a - b", 0.02, 0.01, 0.03), ("a - c", -0.01, nan, nan), ("b - c", nan, nan, nan)]
    plot = read_html(difference_plot(rows, "Dice"))
    assert len(plot.all("circle")) == 2
    assert len(plot.all("path", class_="line")) == 1
    zero = float(plot.one("path", class_="zero").attributes["d"][1:].split()[0])
    assert float(plot.all("circle")[1].attributes["cx"]) < zero < float(plot.all("circle")[0].attributes["cx"])


def test_ticks_stay_inside_the_picture(read_html: Reader) -> None:
    plot = read_html(difference_plot([("a", -0.0148, -0.015, 0.004)], "Dice"))
    ticks = plot.all("text", class_="tick")
    assert ticks[0].attributes["class"] == "tick first"
    assert ticks[-1].attributes["class"] == "tick last"


def test_points_that_are_as_good_as_one_are_drawn(read_html: Reader) -> None:
    points = {"a": {"1": (1.0, -1.0867510207612e-15), "2": (1.0, -1.0867510207611e-15)}}
    assert len(read_html(scatter_plot(points, ("x", "y"))).all("g", class_="mark")) == 2


def test_groups_of_points_differ_in_colour_and_shape(read_html: Reader) -> None:
    groups = {f"site {n}": {f"case {n}": (float(n), -float(n))} for n in range(3)}
    plot = read_html(scatter_plot(groups, ("first", "second")))
    marks = plot.all("g", class_="mark")
    assert [one.attributes["class"] for one in marks] == ["mark s1", "mark s2", "mark s3"]
    assert len({one.one("path").attributes["d"] for one in marks}) == 3
    assert [one.text() for one in plot.all("title")] == [f"case {n} (site {n})" for n in range(3)]
    assert read_html(mark_legend(list(groups))).text() == "site 0site 1site 2"


def test_numbers_of_an_axis_do_not_touch(read_html: Callable[[str], Any]) -> None:
    plot = read_html(strip_plot({"lesion": {str(place): 0.00011 + 0.00005 * place for place in range(6)}}, "ECE"))
    spans = []
    for one in plot.all("text", class_="tick"):
        x, width = float(one.attributes["x"]), 6.5 * len(one.text())
        begin = {"first": x, "last": x - width}.get(one.attributes["class"].split()[-1], x - width / 2)
        spans.append((begin, begin + width))

    assert len(spans) >= 3
    assert all(later[0] - sooner[1] > 3 for sooner, later in pairwise(spans))
