"""Overlays as HTML: the slice as a small picture, outlines and agreement drawn on it as SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuraxis.report.markup import Markup, short, tag
from neuraxis.report.overlays import Overlay, Slice, chamfered, outline, slices, straightened
from neuraxis.report.png import data_url

AGREEMENT = {
    "found": "Found",
    "missed": "Missed (reference only)",
    "false": "False (prediction only)",
    "confused": "Given another structure",
}
FINE_VOXELS = 100
_OUTLINES = {"reference": "Reference", "predicted": "Prediction"}


def overlay_view(overlays: Sequence[Overlay]) -> Markup:
    """Return every overlay with one key; its boxes switch the layers on and off by style alone."""
    drawn = [[_pair(one, overlay, f"slice-{index}-{one.plane}") for one in slices(overlay)]
             for index, overlay in enumerate(overlays)]  # fmt: skip
    parts = []
    for overlay, pairs in zip(overlays, drawn, strict=True):
        fine = " fine" if max(overlay.image.shape) > FINE_VOXELS else ""
        heading = (tag("h3", overlay.caption or overlay.case), tag("p", overlay.case, class_="case-name"))
        parts.append(
            tag("article", *heading, tag("div", *pairs, class_=f"planes-{len(pairs)}{fine}"), class_="overlay")
        )
    judged = any(overlay.reference is not None for overlay in overlays)
    return tag("div", _key(judged), *parts, class_="overlays")


def _key(judged: bool) -> Markup:
    layers = {**_OUTLINES, **AGREEMENT} if judged else {"predicted": _OUTLINES["predicted"]}
    boxes = (
        tag("label", tag("input", type="checkbox", checked=True, value=layer), tag("i", class_=f"key {layer}"), name)
        for layer, name in layers.items()
    )
    large = tag("label", tag("input", type="checkbox", value="large"), "Large pictures")
    return tag("div", *boxes, large, class_="layers", role="group", aria_label="Layers")


def _pair(one: Slice, overlay: Overlay, id: str) -> Markup:
    rows, columns = one.grey.shape
    width, height = columns * one.size_mm[0], rows * one.size_mm[1]
    picture = tag("image", id=id, href=data_url(one.grey), width=width, height=height, preserveAspectRatio="none")
    scale = f"scale({one.size_mm[0]:.6g} {one.size_mm[1]:.6g})"
    where = f"{one.plane.capitalize()} {one.index} of {one.count}"
    lines = tag("g", *_outlines(one, overlay), transform=scale)
    box = f"0 0 {short(width)} {short(height)}"
    label = f"{overlay.case}, {where}"
    svg = tag("svg", picture, lines, viewBox=box, role="img", aria_label=f"{label}: outlines")
    parts = [_tile(svg, one.ends, where)]
    if one.reference is not None:
        areas = tag("g", *_areas(one), transform=scale)
        svg = tag("svg", tag("use", href=f"#{id}"), areas, viewBox=box, role="img", aria_label=f"{label}: agreement")
        parts.append(_tile(svg, one.ends, "Agreement"))
    return tag("div", *parts, class_="pair")


def _tile(svg: Markup, ends: str, caption: str) -> Markup:
    sides = zip(ends, ("left", "right", "top", "bottom"), strict=True)
    letters = (tag("span", letter, class_=f"end {side}", aria_hidden="true") for letter, side in sides)
    return tag("figure", tag("div", svg, *letters, class_="screen"), tag("figcaption", caption))


def _outlines(one: Slice, overlay: Overlay) -> list[Markup]:
    paths = []
    for layer, label_map in (("reference", one.reference), ("predicted", one.predicted)):
        if label_map is None:
            continue
        drawing = "".join(
            _path([straightened(chamfered(line)) for line in outline(np.isin(label_map, numbers))])
            for numbers in overlay.labels.scored.values()
        )
        paths.append(tag("path", d=drawing, class_=f"outline {layer}"))
    return paths


def _areas(one: Slice) -> list[Markup]:
    return [
        tag("path", d=_path([straightened(line) for line in outline(mask)]), class_=f"area {name}")
        for name, mask in one.agreement().items()
        if mask.any()
    ]


def _path(lines: Sequence[np.ndarray]) -> str:
    return "".join("M" + "L".join(f"{short(x)} {short(y)}" for x, y in line) + "z" for line in lines)
