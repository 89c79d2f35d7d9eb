"""Scores in words, tiles and tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from neuraxis.evaluation.catalog import LOSS, METRICS, metric_of, size_of
from neuraxis.evaluation.comparison.paired import better
from neuraxis.evaluation.scores import Score, Scores, label_of
from neuraxis.evaluation.statistics import MIN_PATIENTS, Summary
from neuraxis.report.browser.slices import BrowserCase
from neuraxis.report.browser.view import thumbnail, thumbnails
from neuraxis.report.curves import in_words
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import UNDEFINED, Cell, Column, grouped_table, number, table

MOST_TILES = 6
Summaries = Mapping[str, Mapping[str, Summary]]


@dataclass(frozen=True)
class Term:
    """How a metric is written.

    Attributes:
        name: its name for reading.
        unit: what it is counted in; empty for shares and numbers.
        decimals: how it is rounded.
        limits: values never go beyond these.
        plotted: whether its distribution is drawn and summed up.
        main: whether the case table shows it at first.
    """

    name: str
    unit: str = ""
    decimals: int = 3
    limits: tuple[float, float] | None = None
    plotted: bool = False
    main: bool = False

    @property
    def title(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


_SHARE = (0.0, 1.0)
_OF_LESIONS = ("lesion", "panoptic", "recognition", "segmentation")
TERMS = {
    "dice": Term("Dice", "", 3, _SHARE, plotted=True, main=True),
    "iou": Term("IoU", "", 3, _SHARE),
    "precision": Term("Precision", "", 3, _SHARE, plotted=True),
    "recall": Term("Recall", "", 3, _SHARE, plotted=True),
    "specificity": Term("Specificity", "", 5, _SHARE),
    "hd95_mm": Term("HD95", "mm", 2, (0.0, math.inf), plotted=True, main=True),
    "hd100_mm": Term("HD100", "mm", 2, (0.0, math.inf)),
    "assd_mm": Term("ASSD", "mm", 2, (0.0, math.inf)),
    "surface_dice": Term("Surface Dice", "", 3, _SHARE, plotted=True, main=True),
    "surface_dice_voxels": Term("Surface Dice of voxels", "", 3, _SHARE),
    "volume_ml_reference": Term("Reference", "mL", 3, main=True),
    "volume_ml_predicted": Term("Predicted", "mL", 3, main=True),
    "volume_error_ml": Term("Volume error", "mL", 3, plotted=True, main=True),
    "volume_error_percent": Term("Volume error", "%", 1),
    "lesions_reference": Term("Lesions", "", 0, main=True),
    "lesions_predicted": Term("Lesions predicted", "", 0),
    "lesions_found": Term("Lesions found", "", 0, main=True),
    "lesions_false": Term("Lesions false", "", 0, main=True),
    "lesions_split": Term("Lesions split", "", 0),
    "lesions_merged": Term("Lesions merged", "", 0),
    "lesion_recall": Term("Lesion recall", "", 3, _SHARE),
    "lesion_precision": Term("Lesion precision", "", 3, _SHARE),
    "lesion_false_discovery": Term("Lesion false discovery", "", 3, _SHARE),
    "lesion_f1": Term("Lesion F1", "", 3, _SHARE, plotted=True, main=True),
    "panoptic_quality": Term("Panoptic quality", "", 3, _SHARE),
    "recognition_quality": Term("Recognition quality", "", 3, _SHARE),
    "segmentation_quality": Term("Segmentation quality", "", 3, _SHARE),
    "ece": Term("ECE", "", 4, _SHARE, plotted=True),
    "brier": Term("Brier score", "", 4, _SHARE, plotted=True),
    "loss": Term("Loss", "", 4, plotted=True, main=True),
}


def term(column: str) -> Term:
    """Return how a metric is written; one that is not known here is drawn and shown under its own name."""
    if size := size_of(column):
        whole = TERMS[metric_of(column)[0].removesuffix("_by_size")]
        return replace(whole, name=f"{whole.name}, {size}", plotted=False, main=False)
    metric, tolerance_mm = metric_of(column)
    known = TERMS.get(metric) or Term(in_words(metric), plotted=True, main=True)
    return known if tolerance_mm is None else replace(known, name=f"{known.name}, {tolerance_mm:g} mm")


def has_lesions(scores: Scores) -> bool:
    """Tell whether counting lesions means something: half the cases of a structure have at least two."""
    if "lesions_reference" not in scores.metrics:
        return False
    counts = (_finite(scores.values("lesions_reference", name).values()) for name in scores.structures())
    return any(values and statistics.median(values) >= 2 for values in counts)


def shown_metrics(scores: Scores) -> tuple[str, ...]:
    """Return the metrics worth a plot or a tile.

    Counts of lesions are shown only where structures have several, and of several tolerances the first alone.
    """
    lesions = has_lesions(scores)
    first: dict[str, str] = {}
    for name in scores.metrics:
        first.setdefault(metric_of(name)[0], name)
    return tuple(name for name in first.values() if lesions or not name.startswith(_OF_LESIONS))


def structures_in(scores: Scores, metric: str) -> dict[str, str]:
    """Return the structures that a metric tells apart, by the name they are shown under; the loss is of all at once."""
    structures = scores.structures()
    return {"all structures": structures[0]} if metric == LOSS and structures else {name: name for name in structures}


def verdict(scores: Scores, named: str = "Scores") -> Markup:
    """Return the scores in large figures (mean foreground Dice first), and below them a table of all that is plotted.

    Args:
        scores: the rows.
        named: what the table is called; two on one page need two names.

    Raises:
        ValueError: there is no row.
    """
    if not scores.rows:
        raise ValueError("Without a row there is nothing to sum up.")
    summary = scores.summary()
    return join(_tiles(scores, summary), _summary_table(scores, summary, named))


def _tiles(scores: Scores, summary: Summaries) -> Markup:
    structures, wanted = scores.structures(), shown_metrics(scores)
    parts = []
    for metric in [name for name in ("dice", "lesion_f1", "hd95_mm") if name in wanted]:
        found = scores.foreground(metric) if len(structures) > 1 else summary[structures[0]][metric]
        parts.append(_tile(f"Mean foreground {term(metric).name}", found, metric, main=metric == "dice"))
        if metric == "dice" and 1 < len(structures) <= MOST_TILES:
            parts.extend(_tile(f"Dice, {name}", summary[name][metric], metric) for name in structures)
    if has_lesions(scores) and {"lesions_found", "lesions_false"} <= set(scores.metrics):
        parts.append(_lesion_tile(scores))
    return tag("div", *parts, class_="tiles")


def _summary_table(scores: Scores, summary: Summaries, named: str) -> Markup:
    """Return n, mean, interval, SD and median of each metric that is plotted, in each structure."""
    figures = tuple(Column(name, numeric=True) for name in ("n", "Mean", "95 % CI", "SD", "Median"))
    structures = scores.structures()
    metrics = [name for name in shown_metrics(scores) if term(name).plotted] or list(scores.metrics)
    caption = f"{named} by metric and structure; the interval is that of the mean"
    if len(structures) == 1:
        found = summary[structures[0]]
        rows = [_summary_row(term(name).title, found[name], name) for name in metrics]
        return grouped_table((Column("Metric"), *figures), {scores.shown(structures[0]): rows}, caption)
    groups = {}
    for metric in metrics:
        rows = [_summary_row("all (mean)", scores.foreground(metric), metric)]
        if metric != LOSS:
            rows = [*(_summary_row(scores.shown(name), summary[name][metric], metric) for name in structures), *rows]
        groups[term(metric).title] = rows
    return grouped_table((Column("Structure"), *figures), groups, caption)


def case_table(scores: Scores, pictures: Sequence[BrowserCase] = ()) -> Markup:
    """Return every value of every case, sortable and filterable, the worst first by the first metric that tells.

    Args:
        scores: the rows.
        pictures: cases that have a thumbnail, and may be marked in the page's browser.
    """
    wanted = shown_metrics(scores)
    has_sites = any(row.site for row in scores.rows)
    columns = [Column("Case"), Column("Structure", choice=True)]
    if has_sites:
        columns.insert(1, Column("Site", choice=True))
    if pictures:
        columns.insert(1, Column("Mark", help="of the browser of slices"))
    chief = next((name for name in scores.metrics if better(name) in ("higher", "lower")), "")
    falls = better(chief) == "lower" if chief else False
    for metric in scores.metrics:
        form = term(metric)
        extra = not form.main or metric not in wanted
        order = ("descending" if falls else "ascending") if metric == chief else ""
        said = METRICS.summary(metric_of(metric)[0])
        columns.append(Column(form.title, True, form.decimals, extra=extra, help=said, order=order))
    rows: list[tuple[Cell, ...]] = []
    for row in worst_first(scores.rows, chief):
        name = thumbnail(pictures, row.case) if pictures else row.case
        mark = (tag("span", "", data_mark_of=row.case),) if pictures else ()
        structure = label_of(row.structure, row.oracle)
        names = (name, *mark, row.site, structure) if has_sites else (name, *mark, structure)
        rows.append((*names, *(row.values.get(metric, math.nan) for metric in scores.metrics)))
    return join(thumbnails(pictures) if pictures else None, table(columns, rows, "Scores of every case"))


def worst_first(rows: Sequence[Score], metric: str) -> list[Score]:
    """Return rows sorted by one metric, the worst first and the undefined last; as they are where none is better."""
    way = better(metric) if metric else None
    if way is None:
        return list(rows)
    sign = {"higher": 1, "lower": -1, "nearer 0": -1}[way]

    def key(row: Score) -> tuple[bool, float]:
        value = row.values.get(metric, math.nan)
        return math.isnan(value), 0.0 if math.isnan(value) else sign * (abs(value) if way == "nearer 0" else value)

    return sorted(rows, key=key)


def _summary_row(name: str, found: Summary, metric: str) -> tuple[Cell, ...]:
    decimals = max(term(metric).decimals, 2)
    mean, sd, median = (number(value, decimals) for value in (found.mean, found.sd, found.median))
    return name, str(found.n), mean, interval_text(found, decimals) or UNDEFINED, sd, median


def _tile(name: str, found: Summary, metric: str, main: bool = False) -> Markup:
    decimals, unit = term(metric).decimals, term(metric).unit
    interval = interval_text(found, decimals)
    sure = f"95 % CI {interval}" if interval else f"no interval below {MIN_PATIENTS} patients"
    people = "" if found.patients == found.n else f" of {found.patients} patients"
    value = join(number(found.mean, decimals), tag("small", unit) if unit else None)
    return tile(name, value, (sure, f"n = {found.n}{people}"), main)


def _lesion_tile(scores: Scores) -> Markup:
    """Return how many lesions of all cases and structures were found; counting none is never undefined."""
    reference, found, false = (
        sum(_finite(row.values.get(name, math.nan) for row in scores.rows))
        for name in ("lesions_reference", "lesions_found", "lesions_false")
    )
    value = join(f"{found:.0f}", tag("small", f"of {reference:.0f}"))
    return tile("Lesions found", value, ("all cases together", f"{false:.0f} false"))


def tile(name: str, value: Markup, lines: Iterable[str], main: bool = False) -> Markup:
    """Return a large figure under its name, with smaller lines below it."""
    notes = (tag("p", line, class_="sure") for line in lines)
    content = (tag("p", name, class_="name"), tag("p", value, class_="value"), *notes)
    return tag("div", *content, class_="tile main" if main else "tile")


def interval_text(found: Summary, decimals: int) -> str:
    """Return the interval of a mean; empty where there is none."""
    if not math.isfinite(found.ci_low) or not math.isfinite(found.ci_high):
        return ""
    return f"{number(found.ci_low, decimals)} to {number(found.ci_high, decimals)}"


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
