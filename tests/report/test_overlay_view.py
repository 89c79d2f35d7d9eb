"""Tests of `neuraxis.report.overlay_view`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from neuraxis.report.overlay_view import overlay_view
from neuraxis.report.overlays import Overlay

Reader = Callable[[str], Any]


def test_each_plane_is_shown_as_outlines_and_as_agreement(read_html: Reader, overlay: Overlay) -> None:
    root = read_html(overlay_view([overlay]))
    assert [one.text() for one in root.all("figcaption")] == [
        "Axial 4 of 10",
        "Agreement",
        "Coronal 4 of 16",
        "Agreement",
        "Sagittal 6 of 12",
        "Agreement",
    ]
    assert len(root.all("image")) == 3
    assert {one.attributes["href"][1:] for one in root.all("use")} == {
        one.attributes["id"] for one in root.all("image")
    }


def test_the_picture_is_as_wide_and_high_as_the_slice_in_mm(read_html: Reader, overlay: Overlay) -> None:
    coronal = read_html(overlay_view([overlay])).all("div", class_="pair")[1].all("svg")[0]
    assert coronal.attributes["viewbox"] == "0 0 12 20"
    assert coronal.one("g").attributes["transform"] == "scale(1 2)"


def test_structures_are_outlined_one_by_one(read_html: Reader, overlay: Overlay) -> None:
    axial = read_html(overlay_view([overlay])).all("svg")[0]
    assert axial.one("path", class_="reference").attributes["d"].count("M") == 2
    assert axial.one("path", class_="predicted").attributes["d"].count("M") == 2


def test_areas_say_where_prediction_and_reference_part(read_html: Reader, overlay: Overlay) -> None:
    areas = {
        one.attributes["class"]: one.attributes["d"]
        for one in read_html(overlay_view([overlay])).all("svg")[1].all("path")
    }
    assert areas == {
        "area found": "M4 4L7 4L7 13L4 13z",
        "area missed": "M7 4L8 4L8 13L7 13z",
        "area false": "M3 4L4 4L4 13L3 13z",
    }


def test_every_layer_has_a_box_that_is_ticked(read_html: Reader, overlay: Overlay) -> None:
    boxes = read_html(overlay_view([overlay])).all("input", type="checkbox")
    ticked = {one.attributes["value"]: "checked" in one.attributes for one in boxes}
    assert ticked == {
        **dict.fromkeys(("reference", "predicted", "found", "missed", "false", "confused"), True),
        "large": False,
    }


def test_without_a_reference_only_the_prediction_is_shown(read_html: Reader, overlay: Overlay) -> None:
    root = read_html(overlay_view([replace(overlay, reference=None)]))
    assert len(root.all("svg")) == 3
    assert root.all("path", class_="reference") + root.all("path", class_="area") == []
    assert [one.attributes["value"] for one in root.all("input")] == ["predicted", "large"]


def test_names_of_cases_stay_text(read_html: Reader, overlay: Overlay) -> None:
    root = read_html(overlay_view([replace(overlay, case="<script>", caption="a & b")]))
    assert root.all("script") == []
    assert (root.one("h3").text(), root.one("p", class_="case-name").text()) == ("a & b", "<script>")


def test_ids_of_pictures_differ_between_cases(read_html: Reader, overlay: Overlay) -> None:
    ids = [one.attributes["id"] for one in read_html(overlay_view([overlay, overlay, overlay])).all("image")]
    assert len(set(ids)) == 9


def test_large_scans_are_stacked_so_that_their_pictures_are_larger(read_html: Reader, overlay: Overlay) -> None:
    large = np.zeros((4, 120, 110), np.uint8)
    root = read_html(overlay_view([overlay, replace(overlay, image=large, reference=large, predicted=large)]))
    assert len(root.all("div", class_="fine")) == 1
