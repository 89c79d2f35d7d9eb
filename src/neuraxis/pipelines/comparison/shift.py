"""From datasets to a report of domain shift: intensities, a model's features, and scores, domain by domain."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis import _version
from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.comparison.side_by_side import joint_notes
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.shift.domains import Member, Shift, Space, compare_domains
from neuraxis.evaluation.shift.intensities import STATISTICS, describe_case
from neuraxis.files import refuse_existing, write_json, write_text
from neuraxis.inference.bottleneck import Bottleneck
from neuraxis.pipelines.comparison import domains
from neuraxis.pipelines.comparison.compare import refuse_own_folder
from neuraxis.pipelines.comparison.domains import CHANNEL, Grouping, Placed, open_sources, place_cases
from neuraxis.pipelines.comparison.site_scores import DomainScores, Wish, plan_scores, score_by_domain
from neuraxis.progress import Progress, Silent
from neuraxis.report.comparison.shift_page import ShiftReport, shift_html
from neuraxis.volume.volume import Volume

FEATURES, SUMMARY, REPORT = "features.csv", "shift.json", "report.html"
INTENSITIES, NETWORK = "intensities", "network features"
Data = Path | str | Dataset


@dataclass(frozen=True)
class ShiftOptions:
    """What is compared, and with what.

    Attributes:
        by: what the domains are: "site", "dataset", "channel", or a column of participants.tsv.
        pattern: a regular expression in the cases' ids that names the domain, instead of `by`.
        model: a bundle, whose network's bottleneck gives features beside the intensities.
        entries: runs, bundles or folders of predictions, `NAME=PATH`, that are scored domain by domain.
        oracles: names of entries whose predictions used the reference.
        common: whether labelled cases that an entry did not predict are left out, which the notes then say.
        overwrite: whether existing results are replaced.
        scoring: metrics and rules, where not the usual ones.
    """

    by: str = domains.SITE
    pattern: str = ""
    model: Path | str | None = None
    entries: tuple[str, ...] = ()
    oracles: tuple[str, ...] = ()
    common: bool = False
    overwrite: bool = False
    scoring: EvaluateOptions = field(default_factory=EvaluateOptions)


@dataclass(frozen=True, eq=False)
class ShiftResult:
    """What was found.

    Attributes:
        shift: how far the domains are apart, and every case's features.
        scores: of each entry, with the domains as sites.
        spacing_mm: of each case's voxels, in the order of the members.
    """

    shift: Shift
    scores: tuple[DomainScores, ...]
    spacing_mm: tuple[tuple[float, float, float], ...]

    def content(self) -> dict[str, Any]:
        """Return everything but the features as plain dicts and lists, for JSON."""
        return {**self.shift.content(), "scores": [one.content() for one in self.scores]}


def domain_shift(
    datasets: Data | Sequence[Data],
    into: Path | str | None = None,
    options: ShiftOptions | None = None,
    progress: Progress | None = None,
) -> ShiftResult:
    """Tell how far sites, scanners or channels are apart, one case in memory at a time.

    Args:
        datasets: one of several sites, or several; labelled cases and others. A plain folder of scans will do.
        into: folder for `report.html`, `features.csv`, `shift.json`, `scores-NAME.csv`; None writes nothing.
        options: what the domains are, a model for features, entries to score.
        progress: who shows how far it is.

    Raises:
        DataError: a case has no domain, all have the same, or a scan is refused.
        UsageError: a name or path is wrong, or a result exists.
        BundleError: the model is refused.
    """
    options, progress = options or ShiftOptions(), progress or Silent()
    folders = [datasets] if isinstance(datasets, Path | str | Dataset) else list(datasets)
    bundle = open_bundle(options.model) if options.model else None
    by_channel = options.by == CHANNEL and not options.pattern
    if bundle and by_channel:
        raise UsageError(f"--by channel: the model '{bundle.name}' gives features of a case. Leave --model out.")
    bottleneck = Bottleneck(bundle) if bundle else None
    sources = open_sources(folders, bundle.channels if bundle else ())
    placed = place_cases(sources, Grouping(options.by, options.pattern))
    if by_channel and options.entries:
        raise UsageError("--by channel: scores are of cases, not of channels. Leave the entries out.")
    place = Path(into) if into is not None else None
    wish = Wish(options.entries, options.oracles, options.common, options.scoring)
    plans = plan_scores(wish, sources, placed, place)
    if place is not None:
        refuse_own_folder(place, [plan.source for plan in plans])
        for name in (FEATURES, SUMMARY, REPORT, *(_table(plan.source.label) for plan in plans)):
            refuse_existing(place / name, options.overwrite)
    members, spaces, spacings, notes = _read(placed, sources[0].channels, by_channel, bottleneck, progress)
    if options.model is None:
        notes.append("Without --model there are no features of a network.")
    shift = compare_domains(members, spaces, notes)
    scores = tuple(score_by_domain(plan, place, progress) for plan in plans)
    told = joint_notes({one.label: (*one.notes, *one.scores.notes) for one in scores})
    shift = replace(shift, notes=(*shift.notes, *told))
    result = ShiftResult(shift, scores, tuple(spacings))
    if place is not None:
        _write(result, place, options, [str(source.root.resolve()) for source in sources])
    return result


def _read(
    placed: Sequence[Placed],
    channels: tuple[str, ...],
    by_channel: bool,
    bottleneck: Bottleneck | None,
    progress: Progress,
) -> tuple[list[Member], list[Space], list[tuple[float, float, float]], list[str]]:
    """Read every case once; where channels are the domains, each gives a row of its own."""
    members, rows, deep, spacings = [], [], [], []
    with progress.stage("describe the scans", len(placed)) as stage:
        for one in placed:
            found, spacing, features = _described(one, channels, bottleneck)
            if by_channel:
                for channel in channels:
                    members.append(Member(f"{one.id} {channel}", channel, one.patient, one.source))
                    rows.append([found[f"{channel} {statistic}"] for statistic in STATISTICS])
                    spacings.append(spacing)
            else:
                members.append(Member(one.id, one.domain, one.patient, one.source))
                rows.append(list(found.values()))
                spacings.append(spacing)
            deep += [] if features is None else [features]
            stage.advance(note=one.id)
    names = STATISTICS if by_channel else tuple(f"{name} {statistic}" for name in channels for statistic in STATISTICS)
    spaces = [Space(INTENSITIES, names, np.array(rows))]
    notes = [
        "Intensity statistics are those of each channel's foreground as it lies on disk, before any normalisation: "
        "what is brighter than the mean of the box of non-zero voxels."
    ]
    if bottleneck is not None:
        labels = tuple(f"feature {number}" for number in range(bottleneck.features))
        spaces.append(Space(NETWORK, labels, np.array(deep)))
        notes.append(
            f"Network features: the coarsest level of '{bottleneck.bundle.name}' (fold "
            f"{bottleneck.bundle.folds[0].index}), after its own preparation, mean over the scan."
        )
    return members, spaces, spacings, notes


def _described(
    one: Placed, channels: tuple[str, ...], bottleneck: Bottleneck | None
) -> tuple[dict[str, float], tuple[float, float, float], np.ndarray | None]:
    """Return a case's statistics, its spacing in mm and its network features; its voxels are let go."""
    volume = _volume(one, channels)
    features = None if bottleneck is None else bottleneck.describe(volume)
    return describe_case(one.id, volume, channels), volume.grid.spacing_mm, features


def _volume(one: Placed, channels: tuple[str, ...]) -> Volume:
    """Read the wanted channels of a case, in their order."""
    lacking = [name for name in channels if name not in one.case.images]
    if lacking:
        raise DataError(f"{one.id}: has no channel '{lacking[0]}'. Add it or leave the case out.")
    return replace(one.case, images={name: one.case.images[name] for name in channels}).read_images()


def _table(label: str) -> str:
    return f"scores-{label}.csv"


def _write(result: ShiftResult, place: Path, options: ShiftOptions, roots: Sequence[str]) -> None:
    facts = {
        "datasets": ", ".join(roots),
        "domains": f"by the pattern {options.pattern}" if options.pattern else f"by {options.by}",
        **({"model": str(Path(options.model).resolve())} if options.model else {}),
        **{f"entry {one.label}": one.path for one in result.scores},
        "machine": f"{platform.system()} {platform.machine()}",
        "neuraxis": _version.__version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    title = f"Domain shift: {', '.join(Path(root).name for root in roots)}"
    scores: dict[str, Scores] = {one.label: one.scores for one in result.scores}
    page = shift_html(ShiftReport(title, result.shift, result.spacing_mm, scores, facts))
    result.shift.write_csv(place / FEATURES, options.overwrite)
    for one in result.scores:
        one.scores.write_csv(place / _table(one.label), options.overwrite)
    write_json(place / SUMMARY, result.content(), options.overwrite)
    write_text(place / REPORT, page, options.overwrite)
