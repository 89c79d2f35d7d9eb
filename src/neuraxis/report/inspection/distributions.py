"""What the cases are like together: geometry, intensities, labels and their pieces."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.report.curves import Curve, Panel
from neuraxis.report.inspection.outliers import UNLIKE, robust_z
from neuraxis.report.inspection.portrait import QUANTILES, Portrait
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import Cell, Column, Section, figure, small_table, table
from neuraxis.report.plots import bar_plot, curve_plot, legend, scatter_plot, strip_plot

MOST_SITES = 6
MOST_DOTS = 400
FEW_ROWS = 12
MOST_STRUCTURES = 30
OTHERS = "other sites"
_POINTS = 80
_BINS = 24


def fitting_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], caption: str) -> Markup:
    """Return a table, with a filter where it is long."""
    return (small_table if len(rows) <= FEW_ROWS else table)(columns, rows, caption)


def geometry(portraits: Sequence[Portrait]) -> Section | None:
    """Return spacings, shapes and orientations: how often each occurs, and where the cases lie."""
    seen = [one for one in portraits if one.shape]
    if not seen:
        return None
    kinds: dict[tuple[str, str], list[Portrait]] = {}
    for one in seen:
        kinds.setdefault((_rounded(one), one.axes), []).append(one)
    ranked = sorted(kinds.items(), key=lambda item: -len(item[1]))
    rows: list[Sequence[Cell]] = [
        [spacing, axes, _shapes(group), len(group)] for (spacing, axes), group in ranked[:100]
    ]
    columns = [Column("Spacing (mm)"), Column("Stored as"), Column("Shape"), Column("Cases", True, 0)]
    by_site = _by_site(_thinned(seen))
    spacing = {name: {one.case: _planes(one) for one in group} for name, group in by_site.items()}
    sizes = {name: {one.case: _extent(one) for one in group} for name, group in by_site.items()}
    plots = [
        figure(join(scatter_plot(points, titles), legend(list(points))), f"{titles[1]} over {titles[0]}")
        for points, titles in (
            (spacing, ("finest spacing (mm)", "coarsest spacing (mm)")),
            (sizes, ("shortest side (mm)", "longest side (mm)")),
        )
        if len({place for group in points.values() for place in group.values()}) > 1
    ]
    oriented = Counter(one.axes for one in seen)
    plots.append(figure(bar_plot({name: float(n) for name, n in oriented.most_common(8)}, "cases"), "Orientation"))
    lead = "Spacing along right, front and head. Orientation is how files are stored; neuraxis turns all to RAS+."
    body = join(tag("div", *plots, class_="plots"), fitting_table(columns, rows, "Grids that occur"))
    return Section("geometry", "Spacing, shape, orientation", body, lead)


def intensities(portraits: Sequence[Portrait]) -> Section | None:
    """Return for each channel the distribution of its values at each site, every case weighing the same."""
    channels = dict.fromkeys(name for one in portraits for name in one.intensities)
    if not channels:
        return None
    plots = []
    for channel in channels:
        groups = _by_site([one for one in portraits if channel in one.intensities])
        panel = _densities(channel, {n: [one.intensities[channel] for one in group] for n, group in groups.items()})
        plots.append(figure(join(curve_plot(panel, "intensity"), legend(list(groups))), channel))
    lead = (
        "Share of voxels by intensity, without the background of zeros; every case of a site weighs the same. "
        "Where few cases reach much further than the others, the curves end before."
    )
    return Section("intensities", "Intensities", tag("div", *plots, class_="plots"), lead)


def label_sections(portraits: Sequence[Portrait], labels: Labels) -> tuple[Section | None, ...]:
    """Return volumes with class balance, and sizes of pieces; nothing where no case has labels."""
    known = [one for one in portraits if one.labelled]
    if not known:
        return ()
    return _volumes(known, labels), _pieces(known, labels)


def _volumes(known: Sequence[Portrait], labels: Labels) -> Section:
    names = list(labels.scored)[:MOST_STRUCTURES]
    shown = _thinned(known)
    volumes = {name: {one.case: one.volumes_ml[name] for one in shown if one.volumes_ml[name] > 0} for name in names}
    total = sum(one.voxels[""] for one in known)
    shares = {name: 100 * sum(one.voxels[name] for one in known) / total for name in names}
    plots = []
    if any(volumes.values()):
        plots.append(figure(strip_plot({n: cases for n, cases in volumes.items() if cases}, "volume (mL)"), "Volumes"))
        plots.append(figure(bar_plot(shares, "% of all voxels"), "Class balance"))
    columns = [Column("Structure"), Column("Number"), Column("Cases with it", True, 0),
               Column("Cases without", True, 0),
               Column("Median (mL)", True, 3), Column("Least (mL)", True, 3), Column("Most (mL)", True, 3),
               Column("Share of voxels (%)", True, 4)]  # fmt: skip
    rows: list[Sequence[Cell]] = []
    for name, joined in labels.scored.items():
        held = [one.volumes_ml[name] for one in known if one.volumes_ml[name] > 0]
        share = 100 * sum(one.voxels[name] for one in known) / total
        numbers = [statistics.median(held), min(held), max(held)] if held else [math.nan] * 3
        rows.append([name, ", ".join(map(str, joined)), len(held), len(known) - len(held), *numbers, share])
    lead = "Volumes of the structures where they are there, and how much of all voxels they take."
    body = join(tag("div", *plots, class_="plots") if plots else None, fitting_table(columns, rows, "Structures"))
    return Section("labels", "Labels", body, lead)


def _pieces(known: Sequence[Portrait], labels: Labels) -> Section | None:
    columns = [Column("Structure"), Column("Pieces", True, 0), Column("Median a case", True, 1),
               Column("Most", True, 0), Column("Median size (mL)", True, 4), Column("Smallest (mL)", True, 4),
               Column("Largest (mL)", True, 3)]  # fmt: skip
    rows: list[Sequence[Cell]] = []
    counts: dict[str, dict[str, float]] = {}
    sizes: dict[str, list[float]] = {}
    for name in labels.scored:
        held = {one.case: one.lesions[name] for one in known if name in one.lesions}
        if not held:
            continue
        number = [one.count for one in held.values()]
        size = sorted(ml for one in held.values() for ml in one.sizes_ml)
        rows.append(
            [name, sum(number), statistics.median(number), max(number), statistics.median(size), size[0], size[-1]]
        )
        if len(counts) < MOST_STRUCTURES:
            counts[name] = {one.case: float(held[one.case].count) for one in _thinned(known) if one.case in held}
            sizes[name] = size
    if not rows:
        return None
    plots = [figure(strip_plot(counts, "pieces"), "Pieces of every case")]
    chosen = dict(list(sizes.items())[:MOST_SITES])
    panel = Panel("Pieces", tuple(_histogram(name, size, chosen) for name, size in chosen.items()))
    title = "Sizes of pieces (0 is 1 mL, −3 is 0.001 mL)"
    plots.append(figure(join(curve_plot(panel, "log10 of mL"), legend(list(chosen))), title))
    lead = (
        "Connected pieces of each structure (lesions, where it is lesions), voxels joined over faces, edges, corners."
    )
    body = join(tag("div", *plots, class_="plots"), fitting_table(columns, rows, "Pieces of the structures"))
    return Section("pieces", "Lesion sizes", body, lead)


def _histogram(name: str, sizes: Sequence[float], every: Mapping[str, Sequence[float]]) -> Curve:
    logs = [math.log10(size) for held in every.values() for size in (held[0], held[-1])]
    low, high = min(logs) - 0.2, max(logs) + 0.2
    counts, edges = np.histogram(np.log10(sizes), _BINS, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    values = counts.astype(float)
    return Curve(name, middles, values, values, values)


def _densities(channel: str, groups: Mapping[str, Sequence[Sequence[float]]]) -> Panel:
    """Return curves of density from quantiles: the mean over cases of how fast their share of voxels rises."""
    ends = np.concatenate([_usual_ends(np.array(group)) for group in groups.values()])
    low, high = float(ends.min()), float(ends.max())
    edges = np.linspace(low, high if high > low else low + 1, _POINTS + 1)
    shares = np.linspace(0, 1, len(QUANTILES))
    curves = []
    for name, group in groups.items():
        rises = [
            np.diff(np.interp(edges, np.array(values) + np.arange(len(values)) * 1e-9, shares)) for values in group
        ]
        density = 100 * np.mean(rises, axis=0)
        smooth = np.convolve(np.pad(density, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
        curves.append(Curve(name, (edges[:-1] + edges[1:]) / 2, smooth, smooth, smooth))
    return Panel(f"{channel}: % of voxels", tuple(curves))


def _usual_ends(values: np.ndarray) -> np.ndarray:
    """Return the least and the largest intensities of a site's cases (N, quantiles), but for those far from the others.

    Of each case the second and the last but one quantile count, so that single voxels do not.
    """
    usual = (np.abs(robust_z(values[:, 1])) <= UNLIKE) & (np.abs(robust_z(values[:, -2])) <= UNLIKE)
    kept = values[usual] if usual.any() else values
    ends: np.ndarray = kept[:, [1, -2]].ravel()
    return ends


def _by_site(portraits: Sequence[Portrait]) -> dict[str, list[Portrait]]:
    """Return cases by site, the largest sites first; small ones are put together where there are many."""
    counts = Counter(one.site for one in portraits)
    kept = {site for site, _ in counts.most_common(MOST_SITES if len(counts) > MOST_SITES + 1 else None)}
    groups: dict[str, list[Portrait]] = {site or "all" if len(counts) == 1 else site or "no site": [] for site, _ in
                                         counts.most_common() if site in kept}  # fmt: skip
    for one in portraits:
        name = (one.site or ("all" if len(counts) == 1 else "no site")) if one.site in kept else OTHERS
        groups.setdefault(name, []).append(one)
    return groups


def _thinned(portraits: Sequence[Portrait]) -> list[Portrait]:
    """Return so many cases as a plot can show, evenly taken, those with least and most label among them."""
    if len(portraits) <= MOST_DOTS:
        return list(portraits)
    ranked = sorted(portraits, key=lambda one: (sum(one.volumes_ml.values()), one.case))
    places = np.unique(np.linspace(0, len(ranked) - 1, MOST_DOTS).round().astype(int))
    return [ranked[place] for place in places]


def _shapes(group: Sequence[Portrait]) -> str:
    """Return the shape of all, or from which to which the sides go."""
    sides = [(min(side), max(side)) for side in zip(*(one.shape for one in group), strict=True)]
    return " × ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in sides)


def _rounded(portrait: Portrait) -> str:
    return " × ".join(f"{mm:.3g}" for mm in portrait.spacing_mm)


def _planes(portrait: Portrait) -> tuple[float, float]:
    return min(portrait.spacing_mm), max(portrait.spacing_mm)


def _extent(portrait: Portrait) -> tuple[float, float]:
    sides = [size * mm for size, mm in zip(portrait.shape, portrait.spacing_mm, strict=True)]
    return min(sides), max(sides)
