"""Tests of `neuraxis.report.markup`."""

from __future__ import annotations

import pytest

from neuraxis.report.markup import Markup, escape, join, short, tag


def test_text_in_an_element_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>&", tag("b", "x")) == "<p>&lt;b&gt;&amp;<b>x</b></p>"


def test_an_attribute_cannot_be_left_by_a_quote() -> None:
    assert tag("i", title='" onload="x') == '<i title="&quot; onload=&quot;x"></i>'


def test_what_is_escaped_once_is_not_escaped_again() -> None:
    assert escape(escape("<")) == "&lt;"
    assert join("<", Markup("<br>"), None) == "&lt;<br>"


def test_control_characters_and_broken_surrogates_become_the_replacement_character() -> None:
    assert escape("a\x00b\x1bc\udcffd\te") == "a\ufffdb\ufffdc\ufffdd\te"


def test_a_character_beyond_the_basic_plane_stays() -> None:
    assert escape("🧠 Köln") == "🧠 Köln"


def test_attributes_are_spelt_with_hyphens_and_left_out_when_they_say_nothing() -> None:
    written = tag("input", class_="a", aria_label="b", hidden=True, title=None, checked=False, tabindex=0)
    assert written == '<input class="a" aria-label="b" hidden tabindex="0">'


@pytest.mark.parametrize("name", ["", "a b", "a>", "1a", 'a"'])
def test_a_name_that_html_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        tag(name)
    with pytest.raises(ValueError, match="no name"):
        tag("p", **{name: "x"})


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.5, "0.5"), (-0.004, "0"), (1 / 3, "0.33"), (100.0, "100")])
def test_coordinates_are_written_short(value: float, text: str) -> None:
    assert short(value) == text
