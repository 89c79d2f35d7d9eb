"""The page of an inspection: outliers and findings first, then what the cases are like, by site."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.dataset import Dataset
from neuraxis.report.inspection.distributions import fitting_table, geometry, intensities, label_sections
from neuraxis.report.inspection.outliers import Oddity, find_oddities
from neuraxis.report.inspection.portrait import Portrait
from neuraxis.report.inspection.thumbnail import colours_of
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import Cell, Column, Head, Section, facts_list, table, write_page

ONE_SITE = "(no site)"
MOST_FINDINGS = 2000
MOST_BADGES = 3
MOST_FIRST = 36
NAN = float("nan")


@dataclass(frozen=True)
class Inspection:
    """What a page shows.

    Attributes:
        dataset: what was inspected.
        portraits: of its labelled and then its unlabelled cases.
        findings: of `check`, errors first.
        facts: small facts at the end.
    """

    dataset: Dataset
    portraits: Sequence[Portrait]
    findings: Sequence[Finding]
    facts: Mapping[str, str] = field(default_factory=dict)


def inspection_html(content: Inspection) -> str:
    """Return the page as HTML."""
    odd = find_oddities(content.portraits)
    dataset, portraits = content.dataset, content.portraits
    sites = {portrait.site for portrait in portraits if portrait.site}
    facts = {
        "layout": dataset.layout,
        "channels": ", ".join(dataset.channels),
        "structures": ", ".join(dataset.labels.scored) if dataset.cases else "none labelled",
        "sites": str(len(sites)) if sites else "one",
    }
    outliers, pictures = _galleries(content, odd)
    sections = (
        _overview(content, odd),
        _findings(content.findings),
        outliers,
        _sites(portraits),
        geometry(portraits),
        intensities(portraits),
        *label_sections(portraits, dataset.labels),
        _missing(dataset, portraits),
        pictures,
        _cases(content, odd),
        Section("facts", "Facts", facts_list(content.facts)),
    )
    head = Head(dataset.name, "neuraxis inspection", facts)
    return write_page(head, [section for section in sections if section is not None])


def _overview(content: Inspection, odd: Mapping[str, tuple[Oddity, ...]]) -> Section:
    portraits = content.portraits
    patients = {f"{one.site}/{one.subject or one.case}" for one in portraits}
    counts = Counter(finding.severity for finding in content.findings)
    unlike = sum(bool(found) for found in odd.values())
    volumes = [sum(one.volumes_ml.values()) for one in portraits if one.labelled]
    tiles = [
        _tile("Cases", str(len(portraits)), f"{len(patients)} patients", main=True),
        _tile("With labels", str(sum(one.labelled for one in portraits)), f"{len(content.dataset.cases)} expected"),
        _tile("Errors", str(counts["error"]), f"{counts['warning']} warnings, {counts['note']} notes"),
        _tile("Unlike the others", str(unlike), "robust z above 3.5"),
    ]
    if volumes:
        low, high = min(volumes), max(volumes)
        tiles.append(_tile("Labelled volume", f"{statistics.median(volumes):.3g}", f"{low:.3g} to {high:.3g} mL", "mL"))
    return Section("overview", "Overview", tag("div", *tiles, class_="tiles"))


def _tile(name: str, value: str, below: str, unit: str = "", main: bool = False) -> Markup:
    shown = tag("p", value, tag("small", unit) if unit else None, class_="value")
    return tag("div", tag("p", name, class_="name"), shown, tag("p", below, class_="sure"),
               class_="tile main" if main else "tile")  # fmt: skip


def _findings(findings: Sequence[Finding]) -> Section:
    if not findings:
        return Section("findings", "Findings", tag("p", "The check found nothing to complain of."))
    columns = [Column("Case"), Column("Severity", choice=True), Column("Kind", choice=True), Column("Found"),
               Column("What to do")]  # fmt: skip
    shown = findings[:MOST_FINDINGS]
    rows = [[one.case or "the dataset", one.severity, one.code, one.message, one.advice] for one in shown]
    more = len(findings) - len(shown)
    lead = "What the check found, errors first: an error forbids a training, a warning wants a look."
    lead += f" {more} more are left out here; type neuraxis check." if more else ""
    body = tag("div", fitting_table(columns, rows, "Findings of the check"), class_="wrapped")
    return Section("findings", "Findings", body, lead)


def _galleries(content: Inspection, odd: Mapping[str, tuple[Oddity, ...]]) -> tuple[Section | None, Section | None]:
    """Return the pictures of cases that want a look, and those of the others."""
    worst = {finding.case for finding in content.findings if finding.severity == "error"}

    def order(portrait: Portrait) -> tuple[bool, float, str]:
        farthest = max((abs(one.z) for one in odd[portrait.case]), default=0.0)
        return portrait.case not in worst, -farthest, portrait.case

    shown = sorted((one for one in content.portraits if one.thumbnail or one.case in worst), key=order)
    first = [one for one in shown if one.case in worst or odd[one.case]][:MOST_FIRST]
    rest = shown[len(first) :]
    lead = "The slice with most label, labels outlined; the patient's right is left."
    outliers, others = (
        tag("div", *(_card(one, odd[one.case], one.case in worst) for one in group), class_="gallery")
        for group in (first, rest)
    )
    legend = _legend(content.dataset)
    return (
        Section(
            "outliers", "Outliers", join(legend, outliers), f"Cases with errors, then those unlike the others. {lead}"
        )
        if first
        else None,
        Section("pictures", "Pictures", join(legend, others), f"{'The other' if first else 'All'} cases. {lead}")
        if rest
        else None,
    )


def _legend(dataset: Dataset) -> Markup | None:
    if not dataset.cases:
        return None
    names = {number: name for name, number in dataset.labels.names.items()}
    keys = (
        tag("span", _swatch(colour), names.get(number, "ignored"))
        for number, colour in colours_of(dataset.labels).items()
    )
    return tag("p", *keys, class_="legend")


def _swatch(colour: str) -> Markup:
    drawn = tag("rect", width=12, height=12, rx=2, fill=colour)
    return tag("svg", drawn, viewBox="0 0 12 12", width=12, height=12, aria_hidden="true")


def _card(portrait: Portrait, odd: Sequence[Oddity], has_error: bool) -> Markup:
    picture = tag("p", "no picture", class_="none")
    if portrait.thumbnail is not None:
        drawn = portrait.thumbnail
        picture = tag("img", src=f"data:image/jpeg;base64,{drawn.jpeg}", width=drawn.width, height=drawn.height,
                      alt=f"{portrait.case}, {drawn.view}", loading="lazy", decoding="async")  # fmt: skip
    badges = [tag("li", f"{one.words} ({one.size})") for one in odd[:MOST_BADGES]]
    badges = [tag("li", "error, see the findings", class_="bad")] * has_error + badges
    about = [portrait.site, portrait.thumbnail.view if portrait.thumbnail else ""]
    caption = tag("figcaption", tag("strong", portrait.case), tag("span", ", ".join(filter(None, about))),
                  tag("ul", *badges) if badges else None)  # fmt: skip
    return tag("figure", picture, caption)


def _sites(portraits: Sequence[Portrait]) -> Section | None:
    sites: dict[str, list[Portrait]] = {}
    for portrait in portraits:
        sites.setdefault(portrait.site or ONE_SITE, []).append(portrait)
    if len(sites) < 2:
        return None
    columns = [Column("Site"), Column("Cases", True, 0), Column("Patients", True, 0), Column("With labels", True, 0),
               Column("Median spacing (mm)"), Column("Median shape"), Column("Stored as"),
               Column("Median labelled (mL)", True, 3)]  # fmt: skip
    rows: list[Sequence[Cell]] = []
    for name, group in sorted(sites.items()):
        seen = [one for one in group if one.shape]
        volumes = [sum(one.volumes_ml.values()) for one in group if one.labelled]
        rows.append([
            name, len(group), len({one.subject or one.case for one in group}), sum(one.labelled for one in group),
            _medians([one.spacing_mm for one in seen], ".3g"), _medians([one.shape for one in seen], ".0f"),
            ", ".join(axes for axes, _ in Counter(one.axes for one in seen).most_common(3)),
            statistics.median(volumes) if volumes else NAN,
        ])  # fmt: skip
    return Section("sites", "Sites", fitting_table(columns, rows, "Cases by site"))


def _medians(triples: Sequence[Sequence[float]], digits: str) -> str:
    return " × ".join(f"{statistics.median(column):{digits}}" for column in zip(*triples, strict=True))


def _missing(dataset: Dataset, portraits: Sequence[Portrait]) -> Section | None:
    lacking = [one for one in portraits if one.missing]
    if not lacking:
        return None
    sites = sorted({one.site or ONE_SITE for one in portraits})
    columns = [Column("Channel"), Column("Cases without", True, 0), *(Column(site, True, 0) for site in sites)]
    rows: list[Sequence[Cell]] = []
    for channel in dataset.channels:
        without = Counter(one.site or ONE_SITE for one in lacking if channel in one.missing)
        rows.append([channel, without.total(), *(without[site] for site in sites)])
    lead = f"{len(lacking)} of {len(portraits)} cases lack a channel."
    return Section("missing", "Missing channels", fitting_table(columns, rows, "Missing channels by site"), lead)


def _cases(content: Inspection, odd: Mapping[str, tuple[Oddity, ...]]) -> Section:
    structures = list(content.dataset.labels.scored) if any(one.labelled for one in content.portraits) else []
    many = len(structures) > 4
    columns = [
        Column("Case"), Column("Site", choice=True), Column("Patient"), Column("Session"), Column("Shape"),
        Column("Spacing (mm)"), Column("Stored as", choice=True), Column("Farthest z", True, 1),
        *(Column(f"{name} (mL)", True, 3, extra=many) for name in structures),
        *(Column(f"{name} (pieces)", True, 0, extra=True) for name in structures),
    ]  # fmt: skip
    rows: list[Sequence[Cell]] = []
    for one in content.portraits:
        pieces = [
            one.lesions[name].count if name in one.lesions else (0 if one.labelled else NAN) for name in structures
        ]
        rows.append([
            one.case, one.site, one.subject, one.session, " × ".join(map(str, one.shape)),
            " × ".join(f"{mm:.3g}" for mm in one.spacing_mm), one.axes,
            max((abs(found.z) for found in odd[one.case]), default=0.0),
            *(one.volumes_ml.get(name, NAN) for name in structures), *pieces,
        ])  # fmt: skip
    lead = "Press a heading to sort. Volumes and pieces are of the labels; pieces are connected over corners."
    return Section("cases", "Cases", table(columns, rows, "Every case"), lead)
