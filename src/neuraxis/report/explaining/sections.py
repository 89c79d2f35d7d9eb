"""Explanations as parts of a page: the maps slice by slice, what was looked into, and what experts took."""

from __future__ import annotations

import json
from collections.abc import Sequence

from neuraxis.report.explaining.heat import HeatCase
from neuraxis.report.explaining.told import CaseFiles
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import Cell, Column, Section, bullets, figure, small_table, table
from neuraxis.report.plots import bar_plot

ID = "explained"
GRADCAM_LIMITS = (
    "A Grad-CAM++ map shows where the features of one layer, weighed by how much more of them would raise the label's "
    "score, are strong. It is as coarse as that layer: the table says what one of its positions stands for in mm.",
    "Each map is scaled by its own largest value. Maps of two scans, labels, layers or models cannot be compared by "
    "their brightness, and a map that is bright nowhere else does not mean that the model is sure.",
    "It shows no cause. A bright place need not have decided anything, a dark one may have (by what is absent there, "
    "or through skip connections that go around the layer), and a plausible map does not make a segmentation right.",
    "It explains the voxels that the model gave the label. What it missed has no map.",
)
EXPERT_LIMITS = (
    "An expert map shows which expert a gate gave most weight at each token. Experts have no names: what one took here "
    "says nothing of why, and numbers of different gates, folds or trainings have nothing to do with each other.",
    "Where windows overlap, a voxel shows the window in whose middle it is most. Blocks are tokens, not structures.",
)


def explained_sections(cases: Sequence[CaseFiles], pictures: Sequence[HeatCase], without: int = 0) -> list[Section]:
    """Return the parts of a page that show explanations; none without a case.

    Args:
        cases: what was looked into.
        pictures: their slices.
        without: cases of the report for which there are no maps; the section says so.
    """
    if not pictures:
        return []
    limits = [*(GRADCAM_LIMITS if any(case.gradcam for case in cases) else ()),
              *(EXPERT_LIMITS if any(case.experts for case in cases) else ())]  # fmt: skip
    honest = tag("div", tag("h3", "What these maps can and cannot show"), bullets(limits), class_="honest")
    lead = "What the model looked at, slice by slice. Maps explain a model's output; they do not judge it."
    if without:
        lead += f" {without} further case{'s have' if without > 1 else ' has'} no maps."
    sections = [Section(ID, "Explained", join(_viewer(pictures), _warnings(cases), honest), lead)]
    return [*sections, *_gradcam(cases), *_experts(cases)]


def _viewer(cases: Sequence[HeatCase]) -> Markup:
    data = {"cases": [case.content for case in cases]}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")
    judged = any(case.content["judged"] for case in cases)
    ends = (tag("span", class_=f"end {side}", **{f"data_heat_{side}": True}) for side in _ENDS)
    canvas = tag("canvas", role="img", tabindex=0, aria_label="Slice", data_heat_canvas=True, width=640, height=640)
    body = tag(
        "div",
        _bar(cases, judged),
        tag("div", tag("div", canvas, *ends, class_="stage"), _side(), class_="browser-body"),
        tag("script", Markup(text), type="application/json", data_heat_cases=True),
        class_="browser",
        data_heat=True,
        hidden=True,
    )
    return tag("div", tag("noscript", tag("p", "The maps need scripts, which are switched off here.")), body)


_ENDS = ("left", "right", "top", "bottom")


def _bar(cases: Sequence[HeatCase], judged: bool) -> Markup:
    options = (tag("option", case.id, value=place) for place, case in enumerate(cases))
    boxes = [("prediction", "Segmentation")] + ([("reference", "Reference")] if judged else [])
    outlines = (
        tag("label", tag("input", type="checkbox", checked=True, **{f"data_heat_{name}": True}), tag("span", word),
            class_="box-label")
        for name, word in boxes
    )  # fmt: skip
    return tag(
        "div",
        tag("label", tag("span", "Case"), tag("select", *options, data_heat_case=True)),
        tag("label", tag("span", "Map"), tag("select", data_heat_layer=True)),
        tag("label", tag("span", "Slice"), tag("input", type="range", min=0, max=0, value=0, data_heat_slice=True)),
        tag("label", tag("span", "Opacity"), tag("input", type="range", min=0, max=100, value=60,
            data_heat_opacity=True)),
        *outlines,
        class_="browser-bar",
    )  # fmt: skip


def _side() -> Markup:
    keys = {"↑ ↓": "slice", "← →": "case", "M": "next map"}
    scale = tag(
        "div",
        tag("span", "0"),
        tag("canvas", data_heat_ramp=True, role="img", aria_label="Colours from 0 to 1"),
        tag("span", "1, the map's largest"),
        class_="heat-scale",
        data_heat_scale=True,
    )
    return tag(
        "div",
        tag("h3", "", data_heat_name=True),
        tag("p", "", data_heat_note=True, class_="case-name"),
        tag("p", "", data_heat_place=True, class_="case-name", aria_live="polite"),
        tag("p", "", data_heat_about=True, class_="case-name"),
        scale,
        tag("p", "", data_heat_key=True, class_="legend"),
        tag("dl", *(tag("div", tag("dt", key), tag("dd", what)) for key, what in keys.items()), class_="keys"),
        class_="browser-side heat-side",
    )


def _warnings(cases: Sequence[CaseFiles]) -> Markup | None:
    lines = [f"{case.case}: {text}" for case in cases for text in case.warnings]
    return tag("div", tag("h3", "Warnings"), bullets(lines)) if lines else None


def _gradcam(cases: Sequence[CaseFiles]) -> list[Section]:
    """Return the table of maps, where there are some."""
    columns = [
        Column("Case"),
        Column("Label", choice=True),
        Column("Voxels", True, 0, help="that the model gave the label"),
        Column("Lift", True, 1, help="mean of the map in the label's voxels by its mean over the rest of the scan"),
        Column("Layer", choice=True),
        Column("Position (mm)", help="what one position of the layer stands for"),
        Column("Folds"),
        Column("File", extra=True),
    ]
    rows: list[list[Cell]] = []
    for case in cases:
        for one in case.gradcam:
            layers = dict.fromkeys(str(network["layer"]) for network in one.networks)
            steps = dict.fromkeys(" × ".join(f"{size:g}" for size in network["step_mm"]) for network in one.networks)
            folds = dict.fromkeys(str(network["fold"]) for network in one.networks)
            lift = one.lift or float("nan")
            places = ", ".join(layers), "; ".join(steps), ", ".join(folds)
            rows.append([case.case, one.label, one.voxels, lift, *places, one.file])
    if not rows:
        return []
    lead = (
        "The lift says how many times brighter a map is in the label itself than elsewhere. One near 1 or below tells "
        "that the layer's features speak for the label from around it, or from far away."
    )
    return [Section("maps", "Maps", table(columns, rows, "Grad-CAM++ maps"), lead)]


def _experts(cases: Sequence[CaseFiles]) -> list[Section]:
    """Return the use of experts by place, and what they take in each structure, where there are some."""
    shown = [case for case in cases if case.experts]
    if not shown:
        return []
    first = shown[0].experts
    plots = []
    for place, experts, chosen in dict.fromkeys((one.place, len(one.shares), one.chosen) for one in first):
        every = [one.shares for case in shown for one in case.experts if one.place == place]
        means = [sum(shares[at] for shares in every) / len(every) for at in range(experts)]
        title = f"{place.capitalize()}: {chosen} of {experts} experts take each token"
        bars = bar_plot({f"Expert {at}": 100 * share for at, share in enumerate(means, start=1)}, "% of tokens")
        plots.append(figure(bars, title))
    structures = list(dict.fromkeys(name for case in shown for one in case.experts for name in one.within))
    most = max(len(one.shares) for one in first)
    columns = [Column("Case"), Column("Gate", choice=True), Column("Where", choice=True)]
    columns += [Column(f"Expert {number} (%)", True, 1) for number in range(1, most + 1)]
    rows: list[list[Cell]] = []
    for case in shown:
        for one in case.experts:
            lines = {
                "all tokens": list(one.shares),
                **{name: one.within[name] for name in structures if name in one.within},
            }
            for where, shares in lines.items():
                cells = [100 * share for share in shares] + [float("nan")] * (most - len(shares))
                rows.append([case.case, one.gate, where, *cells])
    caption = "Share of tokens that each expert takes, and of a structure's voxels that it takes first"
    lead = (
        f"How many of all tokens each expert takes, in the mean of {len(shown)} scan{'s' if len(shown) > 1 else ''}, "
        f"of fold {shown[0].experts_fold}. Were all used alike, the bars of a place would be as long as each other."
    )
    make = table if len(rows) > 8 else small_table
    body = join(tag("div", *plots, class_="plots"), make(columns, rows, caption))
    return [Section("experts", "Experts", body, lead)]
