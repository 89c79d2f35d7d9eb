"""What the data are like: shapes, spacings, labels and intensities, from one reading of every file.

The planner takes its decisions from it. Intensities are those of labelled voxels, as nnU-Net collects them (Isensee
et al. 2021, Nature Methods 18:203): every case weighs the same in the pooled statistics, however large its structures
are. nnU-Net draws 10^8 voxels at random; here all are counted, in histograms of bounded size (decision 0011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import prod
from typing import Any

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.check import Finding, Survey, refuse_errors
from neuraxis.dataset.checks.examination import Examination, examine_case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.histogram import Histogram, Pool, count_image, count_inside, memory_order
from neuraxis.dataset.labels import Labels
from neuraxis.progress import Progress, Silent
from neuraxis.volume.box import nonzero_box
from neuraxis.volume.grid import Grid
from neuraxis.volume.intensity import NYUL_PERCENTILES, nyul_landmarks, standard_scale

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Intensity:
    """Statistics of the labelled voxels of one channel.

    Attributes:
        low: the 0.5th percentile, as `numpy.percentile` gives it for all voxels.
        high: the 99.5th percentile.
        tolerance: by what share of their value percentiles, minimum and maximum may be off; 0 where they are exact, as
            for integers.
    """

    mean: float
    std: float
    median: float
    low: float
    high: float
    min: float
    max: float
    voxels: int
    tolerance: float = 0.0


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
        zeros: channel to the share of its voxels that are exactly 0, in [0, 1].
        landmarks: channel to the percentiles of its foreground that `volume.intensity` describes an image by.
        apart: channels with grids of their own; shape and spacing are those of the others, and of the label map.
    """

    id: str
    shape: Triple
    cropped_shape: Triple
    spacing_mm: tuple[float, float, float]
    voxels_per_label: Mapping[int, int]
    intensity: Mapping[str, Intensity]
    zeros: Mapping[str, float] = field(default_factory=dict)
    landmarks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    apart: tuple[str, ...] = ()


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
        zeros: channel to the median over cases of the share of voxels that are exactly 0.
        standard_scale: channel to the standard scale of its landmarks (Nyúl and Udupa).
    """

    cases: tuple[CaseFingerprint, ...]
    channels: Mapping[str, Intensity]
    median_shape: tuple[float, float, float]
    median_spacing_mm: tuple[float, float, float]
    voxels_per_label: Mapping[int, int]
    nonzero_fraction: float
    zeros: Mapping[str, float] = field(default_factory=dict)
    standard_scale: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

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
                zeros=dict(case.get("zeros", {})),
                landmarks=_tuples(case.get("landmarks", {})),
                apart=tuple(case.get("apart", ())),
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
            zeros=dict(content.get("zeros", {})),
            standard_scale=_tuples(content.get("standard_scale", {})),
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
    survey = Survey(dataset)
    cases: list[CaseFingerprint] = []
    pools = {name: Pool() for name in dataset.channels}
    count = len(dataset.cases) + len(dataset.unlabelled)
    with (progress or Silent()).stage("check and fingerprint", count) as stage:
        each = survey.each(partial(_examine, labels=dataset.labels), lambda found: found[0])
        for seen, case, foreground in each:
            if seen.case.label is not None:
                cases += [case] if case is not None else []
                for name, histogram in foreground.items():
                    pools[name].add(histogram)
            stage.advance(note=seen.case.id)
    return survey.findings(), _summarise(cases, pools)


def _examine(case: Case, labels: Labels) -> tuple[Examination, CaseFingerprint | None, dict[str, Histogram]]:
    seen = examine_case(case, labels)
    found, foreground = None, {}
    if case.label and seen.grid is not None and len(seen.channels) + len(seen.apart) == len(case.images):
        order, views = memory_order(list(seen.channels.values()))
        held = [np.count_nonzero(view) for view in views]
        boxes = [nonzero_box([view]) for view in views]
        foreground = _count_foreground(seen)
        found = CaseFingerprint(
            id=case.id,
            shape=seen.grid.shape,
            cropped_shape=_joined_shape([b for b, n in zip(boxes, held, strict=True) if n or not any(held)], order),
            spacing_mm=seen.grid.spacing_mm,
            voxels_per_label=seen.counts,
            intensity={name: _describe(histogram) for name, histogram in foreground.items()},
            zeros={n: 1 - count / views[0].size for n, count in zip(seen.channels, held, strict=True)}
            | {n: 1 - np.count_nonzero(array) / array.size for n, (array, _) in seen.apart.items()},
            landmarks={n: _landmarks(v, box[1]) for n, v, box in zip(seen.channels, views, boxes, strict=True)}
            | {n: _landmarks(array, nonzero_box([array])[1]) for n, (array, _) in seen.apart.items()},
            apart=tuple(seen.apart),
        )
    seen.channels, seen.apart, seen.label = {}, {}, None  # the next case needs the memory
    return seen, found, foreground


def _joined_shape(boxes: Sequence[tuple[Triple, Triple]], order: Sequence[int]) -> Triple:
    """Return the shape (X, Y, Z) of the box around several; these have their axes in memory's order."""
    starts, shapes = np.array(boxes).swapaxes(0, 1)
    joined = (starts + shapes).max(axis=0) - starts.min(axis=0)
    x, y, z = (int(joined[order.index(axis)]) for axis in range(3))
    return x, y, z


def _count_foreground(seen: Examination) -> dict[str, Histogram]:
    """Count the labelled voxels of each channel; channels without any are left out."""
    if seen.label is None:
        return {}
    labelled = seen.label > 0
    if seen.labels.ignore is not None:
        labelled &= seen.label != seen.labels.ignore
    histograms = count_inside(labelled, list(seen.channels.values()))
    every = dict(zip(seen.channels, histograms, strict=True))
    for name, (array, grid) in seen.apart.items():
        every[name] = count_inside(_there(labelled, seen.grid, grid), [array])[0]
    return {name: found for name, found in every.items() if len(found.values)}


def _there(mask: np.ndarray, grid: Grid | None, other: Grid) -> np.ndarray:
    """Return a mask on another grid of the same world, by the nearest voxel; False beyond it."""
    moved = np.linalg.inv(np.eye(4) if grid is None else grid.affine) @ other.affine
    found = np.zeros(other.shape, bool)
    rows = np.indices(other.shape[1:]).reshape(2, -1)
    for place, plane in enumerate(found):
        nearest = np.rint(moved[:3, :1] * place + moved[:3, 1:3] @ rows + moved[:3, 3:]).astype(np.intp)
        inside = ((nearest >= 0) & (nearest < np.array(mask.shape)[:, None])).all(axis=0)
        plane.reshape(-1)[inside] = mask[tuple(nearest[:, inside])]
    return found


def _describe(histogram: Histogram) -> Intensity:
    low, median, high = histogram.percentiles((0.5, 50, 99.5))
    return Intensity(
        mean=histogram.mean,
        std=histogram.std,
        median=median,
        low=low,
        high=high,
        min=float(histogram.values[0]),
        max=float(histogram.values[-1]),
        voxels=round(histogram.total),
        tolerance=histogram.tolerance,
    )


def _landmarks(array: np.ndarray, box: Triple) -> tuple[float, ...]:
    """Return `nyul_landmarks` of an image; of short integers from their histogram, which is quicker."""
    if array.dtype.kind == "f" or array.dtype.itemsize > 2:
        return nyul_landmarks(array) if np.isfinite(float(array.min()) + float(array.max())) else ()
    histogram = count_image(array)
    bright = histogram.above(float(histogram.values @ histogram.counts) / prod(box))
    return (bright if len(bright.values) else histogram).percentiles(NYUL_PERCENTILES)


def _pool(pool: Pool, each: Sequence[Intensity]) -> Intensity:
    """Describe a pool of cases, each weighing the same."""
    histogram = pool.histogram()
    low, median, high = histogram.percentiles((0.5, 50, 99.5))
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
        tolerance=histogram.tolerance,
    )


def _summarise(cases: Sequence[CaseFingerprint], pools: Mapping[str, Pool]) -> Fingerprint:
    totals: dict[int, int] = {}
    for case in cases:
        for number, count in case.voxels_per_label.items():
            totals[number] = totals.get(number, 0) + count
    kept = [float(np.prod(case.cropped_shape) / np.prod(case.shape)) for case in cases]
    labelled = {name: [case.intensity[name] for case in cases if name in case.intensity] for name in pools}
    return Fingerprint(
        cases=tuple(cases),
        channels={name: _pool(pools[name], each) for name, each in labelled.items() if each},
        median_shape=_median([case.shape for case in cases]),
        median_spacing_mm=_median([case.spacing_mm for case in cases]),
        voxels_per_label=dict(sorted(totals.items())),
        nonzero_fraction=float(np.median(kept)) if kept else 1.0,
        zeros={name: float(np.median([case.zeros[name] for case in cases])) for name in pools if cases},
        standard_scale={
            name: standard_scale([case.landmarks[name] for case in cases if case.landmarks[name]])
            for name in pools
            if cases
        },
    )


def _median(triples: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    x, y, z = np.median(np.array(triples), axis=0) if triples else (0.0, 0.0, 0.0)
    return float(x), float(y), float(z)


def _counts(content: Mapping[Any, int]) -> dict[int, int]:
    return {int(number): int(count) for number, count in content.items()}


def _tuples(content: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(values) for name, values in content.items()}


def _intensities(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Intensity]:
    return {name: Intensity(**numbers) for name, numbers in content.items()}
