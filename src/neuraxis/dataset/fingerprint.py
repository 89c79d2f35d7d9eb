"""What the data are like: shapes, spacings, labels and intensities, from one reading of every file.

The planner takes its decisions from it. Intensities are those of labelled voxels, as nnU-Net collects them (Isensee
et al. 2021, Nature Methods 18:203): every case weighs the same in the pooled statistics, however large its structures
are. nnU-Net draws voxels at random; here all are counted, and above `MOST_VOXELS` every k-th one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.check import Finding, check_whole, in_order, refuse_errors
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.examination import Examination, examine_case
from neuraxis.dataset.labels import Labels
from neuraxis.progress import Progress, Silent
from neuraxis.volume.box import nonzero_box
from neuraxis.workers import map_in_order

MOST_VOXELS = 500_000
MOST_POOLED = 10_000
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Intensity:
    """Statistics of the labelled voxels of one channel; `low` and `high` are the 0.5th and the 99.5th percentile."""

    mean: float
    std: float
    median: float
    low: float
    high: float
    min: float
    max: float
    voxels: int


@dataclass(frozen=True)
class CaseFingerprint:
    """One case.

    Attributes:
        id: the case's id.
        shape: voxels along the canonical axes.
        cropped_shape: of the box of voxels that are not 0 in every channel.
        spacing_mm: distance of voxels along each axis.
        voxels_per_label: label number to voxels, the background included.
        intensity: channel to statistics; empty where the case has no labelled voxel.
    """

    id: str
    shape: Triple
    cropped_shape: Triple
    spacing_mm: tuple[float, float, float]
    voxels_per_label: Mapping[int, int]
    intensity: Mapping[str, Intensity]


@dataclass(frozen=True)
class Fingerprint:
    """A dataset.

    Attributes:
        cases: in the dataset's order; those that could not be read are left out.
        channels: channel to statistics pooled over cases, each weighing the same; without an entry where no case
            has a labelled voxel.
        median_shape: axis by axis, before cropping.
        median_spacing_mm: axis by axis.
        voxels_per_label: label number to voxels, summed over cases.
        nonzero_fraction: median over cases of the box of non-zero voxels' share, in (0, 1].
    """

    cases: tuple[CaseFingerprint, ...]
    channels: Mapping[str, Intensity]
    median_shape: tuple[float, float, float]
    median_spacing_mm: tuple[float, float, float]
    voxels_per_label: Mapping[int, int]
    nonzero_fraction: float

    def to_dict(self) -> dict[str, Any]:
        """Return the content for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Fingerprint:
        """Build it from what `to_dict` returned, also after a way through JSON."""
        cases = [
            CaseFingerprint(
                id=case["id"],
                shape=tuple(case["shape"]),
                cropped_shape=tuple(case["cropped_shape"]),
                spacing_mm=tuple(case["spacing_mm"]),
                voxels_per_label=_counts(case["voxels_per_label"]),
                intensity=_intensities(case["intensity"]),
            )
            for case in content["cases"]
        ]
        return cls(
            cases=tuple(cases),
            channels=_intensities(content["channels"]),
            median_shape=tuple(content["median_shape"]),
            median_spacing_mm=tuple(content["median_spacing_mm"]),
            voxels_per_label=_counts(content["voxels_per_label"]),
            nonzero_fraction=content["nonzero_fraction"],
        )


def fingerprint(dataset: Dataset, progress: Progress | None = None) -> Fingerprint:
    """Read every labelled case and describe the dataset.

    Raises:
        DataError: the check finds an error; the message has the first one.
    """
    findings, found = examine(dataset, progress)
    refuse_errors(findings)
    return found


def examine(dataset: Dataset, progress: Progress | None = None) -> tuple[tuple[Finding, ...], Fingerprint]:
    """Check and fingerprint a dataset from one reading; findings come errors first."""
    findings: list[Finding] = []
    counts: dict[str, Mapping[int, int]] = {}
    cases: list[CaseFingerprint] = []
    pools: dict[str, list[_Sample]] = {name: [] for name in dataset.channels}
    with (progress or Silent()).stage("check and fingerprint", len(dataset.cases)) as stage:
        for seen, case, samples in map_in_order(partial(_examine, labels=dataset.labels), dataset.cases):
            findings += seen.findings
            counts[seen.case.id] = seen.counts
            cases += [case] if case is not None else []
            for name, sample in samples.items():
                pools[name].append(sample)
            stage.advance(note=seen.case.id)
    findings += check_whole(dataset, counts)
    return in_order(findings), _summarise(cases, pools)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The labelled voxels of one case and channel: statistics, and evenly chosen ones of the sorted values."""

    intensity: Intensity
    values: np.ndarray


def _examine(case: Case, labels: Labels) -> tuple[Examination, CaseFingerprint | None, dict[str, _Sample]]:
    seen = examine_case(case, labels)
    found, samples = None, {}
    if seen.grid is not None and len(seen.channels) == len(case.images):
        samples = _sample_foreground(seen)
        found = CaseFingerprint(
            id=case.id,
            shape=seen.grid.shape,
            cropped_shape=nonzero_box(list(seen.channels.values()))[1],
            spacing_mm=seen.grid.spacing_mm,
            voxels_per_label=seen.counts,
            intensity={name: sample.intensity for name, sample in samples.items()},
        )
    seen.channels, seen.label = {}, None  # the next case needs the memory
    return seen, found, samples


def _sample_foreground(seen: Examination) -> dict[str, _Sample]:
    if seen.label is None:
        return {}
    label = seen.label.transpose()
    labelled = label > 0
    if seen.labels.ignore is not None:
        labelled[label == seen.labels.ignore] = False
    places = np.flatnonzero(labelled)
    places = places[:: 1 + len(places) // (MOST_VOXELS + 1)]
    samples = {}
    for name, array in seen.channels.items():
        values = np.sort(array.T.ravel()[places]).astype(np.float64)
        values = values[np.isfinite(values)]
        if len(values):
            samples[name] = _sample(values)
    return samples


def _sample(values: np.ndarray) -> _Sample:
    """Describe sorted values, and thin them out to at most `MOST_POOLED` of even rank."""
    low, median, high = _percentiles(values, np.ones(len(values)))
    mean, std = float(values.mean()), float(values.std())
    intensity = Intensity(mean, std, median, low, high, float(values[0]), float(values[-1]), len(values))
    if len(values) > MOST_POOLED:
        values = values[((np.arange(MOST_POOLED) + 0.5) * (len(values) / MOST_POOLED)).astype(np.intp)]
    return _Sample(intensity, values.astype(np.float32))


def _percentiles(values: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Return the 0.5th, 50th and 99.5th percentile of sorted values, linear between the middles of their weights."""
    reached = np.cumsum(weights) - 0.5 * weights
    low, median, high = np.interp(np.array([0.005, 0.5, 0.995]) * weights.sum(), reached, values)
    return float(low), float(median), float(high)


def _pool(samples: Sequence[_Sample]) -> Intensity:
    """Pool the cases, each weighing the same."""
    values = np.concatenate([sample.values for sample in samples])
    weights = np.concatenate([np.full(len(sample.values), 1 / len(sample.values)) for sample in samples])
    order = np.argsort(values, kind="stable")
    low, median, high = _percentiles(values[order], weights[order])
    each = [sample.intensity for sample in samples]
    mean = float(np.mean([case.mean for case in each]))
    square = float(np.mean([case.std**2 + (case.mean - mean) ** 2 for case in each]))
    return Intensity(
        mean=mean,
        std=square**0.5,
        median=median,
        low=low,
        high=high,
        min=min(case.min for case in each),
        max=max(case.max for case in each),
        voxels=sum(case.voxels for case in each),
    )


def _summarise(cases: Sequence[CaseFingerprint], pools: Mapping[str, Sequence[_Sample]]) -> Fingerprint:
    totals: dict[int, int] = {}
    for case in cases:
        for number, count in case.voxels_per_label.items():
            totals[number] = totals.get(number, 0) + count
    kept = [float(np.prod(case.cropped_shape) / np.prod(case.shape)) for case in cases]
    return Fingerprint(
        cases=tuple(cases),
        channels={name: _pool(samples) for name, samples in pools.items() if samples},
        median_shape=_median([case.shape for case in cases]),
        median_spacing_mm=_median([case.spacing_mm for case in cases]),
        voxels_per_label=dict(sorted(totals.items())),
        nonzero_fraction=float(np.median(kept)) if kept else 1.0,
    )


def _median(triples: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    x, y, z = np.median(np.array(triples), axis=0) if triples else (0.0, 0.0, 0.0)
    return float(x), float(y), float(z)


def _counts(content: Mapping[Any, int]) -> dict[int, int]:
    return {int(number): int(count) for number, count in content.items()}


def _intensities(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Intensity]:
    return {name: Intensity(**numbers) for name, numbers in content.items()}
