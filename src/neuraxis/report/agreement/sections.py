"""What an evaluation says beyond its table: volumes, probabilities, sites, sizes of lesions, raters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from neuraxis.evaluation.breakdown import Share, by_site, lesions_by_size
from neuraxis.evaluation.calibration import BINS, MARGIN_MM, pooled
from neuraxis.evaluation.raters import MODEL, RaterStanding, WilliamsIndex
from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.statistics import MIN_PATIENTS
from neuraxis.evaluation.volume_agreement import PREDICTED, REFERENCE, volume_agreement
from neuraxis.report.agreement.plots import difference_over_mean, reliability_curve
from neuraxis.report.markup import join, tag
from neuraxis.report.page import UNDEFINED, Cell, Column, Section, figure, grouped_table, number
from neuraxis.report.score_tables import has_lesions, interval_text, shown_metrics, structures_in, term


def agreement_sections(scores: Scores) -> tuple[Section, ...]:
    """Return the sections that the scores have something to say for."""
    found = (sizes_section(scores), sites_section(scores), volumes_section(scores), calibration_section(scores))
    return tuple(section for section in found if section is not None)


def volumes_section(scores: Scores) -> Section | None:
    """Return bias, limits of agreement and ICC of volumes, and a Bland-Altman plot of each structure."""
    found = volume_agreement(scores)
    if not found:
        return None
    plots, rows = [], []
    for one in found:
        pairs = {
            row.case: (row.values[PREDICTED], row.values[REFERENCE])
            for row in scores.rows
            if row.structure == one.structure
        }
        points = {case: ((said + true) / 2, said - true) for case, (said, true) in pairs.items()}
        lines = (("+1.96 SD", one.limit_high_ml), ("bias", one.bias_ml), ("\u22121.96 SD", one.limit_low_ml))
        titles = ("mean of both volumes (mL)", "predicted less reference (mL)")
        plots.append(
            figure(difference_over_mean(points, lines, titles), f"Predicted less reference (mL), {one.structure}")
        )
        limits = _between(one.limit_low_ml, one.limit_high_ml)
        rows.append(
            (one.structure, str(one.cases), number(one.bias_ml), _between(one.bias_low_ml, one.bias_high_ml), limits,
             number(one.icc), _between(one.icc_low, one.icc_high))
        )  # fmt: skip
    names = ("n", "Bias (mL)", "95 % CI", "Limits of agreement (mL)", "ICC(A,1)", "95 % CI of ICC")
    columns = (Column("Structure"), *(Column(name, numeric=True) for name in names))
    lead = (
        "Bland and Altman: each dot is a case, over the mean of its two volumes; most lie within the limits, bias ± "
        "1.96 SD. ICC(A,1): two-way, absolute agreement, single measurement. Neither limits nor ICC below "
        f"{MIN_PATIENTS} patients."
    )
    summed = grouped_table(columns, {"Volumes": rows}, "Agreement of volumes")
    return Section("volumes", "Volumes", join(tag("div", *plots, class_="plots"), summed), lead)


def calibration_section(scores: Scores) -> Section | None:
    """Return the reliability curve of each structure whose probabilities were kept."""
    plots = []
    for structure in scores.structures():
        bins = [row.reliability for row in scores.rows if row.structure == structure and row.reliability]
        if bins:
            whole = pooled(bins)
            drawn = reliability_curve(whole.curve(), ("probability that was said", "share of the structure"))
            said = f"{structure}: ECE {whole.ece:.4f}, Brier {whole.brier:.4f}, {len(bins)} cases"
            plots.append(figure(drawn, said))
    lead = (
        f"Voxels of all cases, in the box of prediction and reference with {MARGIN_MM:g} mm around it, in {BINS} bins "
        "of probability; a larger dot holds more voxels. On the dashed line probabilities mean what they say; below it "
        "the model is too sure."
    )
    return Section("calibration", "Calibration", tag("div", *plots, class_="plots"), lead) if plots else None


def sites_section(scores: Scores) -> Section | None:
    """Return the scores of each site, where there are several."""
    sites = by_site(scores)
    if not sites:
        return None
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for metric in [name for name in shown_metrics(scores) if term(name).plotted]:
        form = term(metric)
        decimals = max(form.decimals, 2)
        for name, structure in structures_in(scores, metric).items():
            rows: list[tuple[Cell, ...]] = []
            for site, part in sites.items():
                found = part.summarised(metric, structure)
                values = (number(value, decimals) for value in (found.mean, found.sd, found.median))
                mean, sd, median = values
                interval = interval_text(found, decimals) or UNDEFINED
                rows.append((site, str(found.n), str(found.patients), mean, interval, sd, median))
            groups[f"{form.title}, {name}"] = rows
    names = ("n", "Patients", "Mean", "95 % CI", "SD", "Median")
    columns = (Column("Site"), *(Column(name, numeric=True) for name in names))
    lead = f"No interval below {MIN_PATIENTS} patients. Sites also differ in whom they scan: this shows no cause."
    return Section("sites", "By site", grouped_table(columns, groups, "Scores by site"), lead)


def sizes_section(scores: Scores) -> Section | None:
    """Return how lesions of each size are found, where structures have several lesions."""
    found = lesions_by_size(scores) if has_lesions(scores) else ()
    if not found:
        return None
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for row in found:
        counts = (row.reference, row.found, row.predicted, row.false)
        shares = (cell for share in (row.recall, row.precision, row.f1) for cell in _share(share))
        discovery = number(1 - row.precision.value)
        groups.setdefault(row.structure, []).append((row.size, *map(str, counts), *shares, discovery))
    names = ("Lesions", "Found", "Predicted", "False", "LTPR", "95 % CI", "PPV", "95 % CI", "F1", "95 % CI", "LFDR")
    columns = (Column("Volume"), *(Column(name, numeric=True) for name in names))
    lead = (
        "Lesions of all cases together, each where its own volume belongs, predicted ones by theirs. LTPR is found of "
        f"all, PPV what is not false of the predicted, LFDR the rest. Intervals are over patients, from {MIN_PATIENTS} "
        "on."
    )
    return Section("sizes", "By lesion size", grouped_table(columns, groups, "Lesions by size"), lead)


def raters_section(standings: Sequence[RaterStanding], williams: Sequence[WilliamsIndex]) -> Section:
    """Return where the model lies among the raters."""
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for one in standings:
        index = next(found for found in williams if found.structure == one.structure)
        title = f"{one.structure}: Williams' index {number(index.value)}"
        if math.isfinite(index.low):
            title += f" ({_between(index.low, index.high)})"
        values = (number(one.with_majority), number(one.with_staple))
        name = "the model" if one.who == MODEL else one.who
        interval = _between(one.low, one.high)
        groups.setdefault(title, []).append((name, str(one.rank), number(one.with_raters), interval, *values))
    names = ("Rank", "Dice with raters", "95 % CI", "With majority of others", "With STAPLE of others")
    columns = (Column("Who"), *(Column(name, numeric=True) for name in names))
    lead = (
        "Mean Dice with the (other) raters, and with the consensus of the others. Williams' index is the model's mean "
        "Dice with the raters over the raters' with one another: at 1 and above it agrees with them at least as well "
        "as they do with each other."
    )
    return Section("raters", "Raters", grouped_table(columns, groups, "The model among the raters"), lead)


def _share(share: Share) -> tuple[str, str]:
    return number(share.value), _between(share.low, share.high, 2)


def _between(low: float, high: float, decimals: int = 3) -> str:
    if not math.isfinite(low) or not math.isfinite(high):
        return UNDEFINED
    return f"{number(low, decimals)} to {number(high, decimals)}"
